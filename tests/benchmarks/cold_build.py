"""One sdist to one wheel with nothing in any cache, from an index on loopback."""

from pathlib import Path

from tests.benchmarks.figures import Result, Row
from tests.benchmarks.mirror import serve_wheels
from tests.benchmarks.pairing import Contender, measure
from tests.benchmarks.world import Bench, Command, building
from tests.support.corpus import Sdist


def run(bench: Bench) -> Result:
    """Compare whole programs that start from empty caches."""
    with serve_wheels() as url:
        rows = [_measure(bench, sdist, url) for sdist in bench.sdists(with_compiled=False)]
    return Result(
        name="cold-build", title="sdist to wheel, empty caches, index on loopback", rows=rows
    )


def _measure(bench: Bench, sdist: Sdist, url: str) -> Row:
    contenders = {
        "wheelforge": _cold(bench, bench.build_with_ours(sdist.path), url),
        "uv build": _cold(bench, bench.build_with_uv(sdist.path), url),
    }
    samples = measure(contenders, bench.rounds, bench.place)
    return Row(title=sdist.file, samples=samples, base="uv build")


def _cold(bench: Bench, command: Command, url: str) -> Contender:
    def build(place: Path) -> None:
        building(command, bench.compose(place, url)).run(place)

    return Contender(build)
