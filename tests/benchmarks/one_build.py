"""One sdist to one wheel, all that it needs in the cache: ours, and every peer its own way."""

from collections.abc import Mapping

from tests.benchmarks.figures import Result, Row
from tests.benchmarks.mirror import serve_wheels
from tests.benchmarks.pairing import Contender, measure
from tests.benchmarks.world import COMPILED, OFFLINE, Bench, building
from tests.support.corpus import Sdist

BASE = "uv build"


def run(bench: Bench) -> Result:
    """Compare whole programs."""
    with serve_wheels() as url:
        online = bench.compose(bench.place, url)
        rows = [_measure(bench, sdist, online) for sdist in bench.sdists()]
    notes = [f"{COMPILED} is not in the mean", "wheelforge and uv offline, pip from loopback"]
    return Result(name="one-build", title="sdist to wheel, warm caches", rows=rows, notes=notes)


def _measure(bench: Bench, sdist: Sdist, online: Mapping[str, str]) -> Row:
    fill_caches(bench, sdist, online)
    samples = measure(_contenders(bench, sdist, {**online, **OFFLINE}), bench.rounds, bench.place)
    return Row(title=sdist.file, samples=samples, base=BASE, counts=sdist.file != COMPILED)


def fill_caches(bench: Bench, sdist: Sdist, online: Mapping[str, str]) -> None:
    """Let those who can work offline have what that takes."""
    ours = building(bench.build_with_ours(sdist.path), online)
    uv = building(bench.build_with_uv(sdist.path), online)
    measure({"wheelforge": ours, BASE: uv}, 0, bench.place)


def _contenders(bench: Bench, sdist: Sdist, variables: Mapping[str, str]) -> dict[str, Contender]:
    python, source = bench.tools.python_of_peers, str(sdist.path)
    build = (python, "-m", "build", "--wheel", source)
    commands = {
        "wheelforge": bench.build_with_ours(sdist.path),
        BASE: bench.build_with_uv(sdist.path),
        "python -m build": (*build, "--outdir"),
        "python -m build --installer uv": (*build, "--installer", "uv", "--outdir"),
        "pip wheel": (python, "-m", "pip", "wheel", "--no-deps", source, "--wheel-dir"),
    }
    return {name: building(command, variables) for name, command in commands.items()}
