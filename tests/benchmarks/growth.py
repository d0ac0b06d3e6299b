"""Growth of a cache: after many builds, and full of entries that this build does not need."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.figures import Result, Row, Samples
from tests.benchmarks.mirror import serve_wheels
from tests.benchmarks.pairing import Contender, measure, time_once
from tests.benchmarks.world import OFFLINE, Bench, building, run_child
from tests.support.caches import fill_fast
from tests.support.corpus import Sdist
from wheelforge_isolation import Layout

BUILDS = (10, 100, 1_000)
WINDOW = 10
SIZES = (10, 1_000, 20_000)


def run(bench: Bench) -> Result:
    """Compare each with the smallest of its kind."""
    sdist = bench.sdists()[0]
    with serve_wheels() as url:
        rows = [_measure_builds(bench, sdist, url), *_measure_sizes(bench, sdist, url)]
    return Result(name="growth", title="caches that have grown (wheelforge alone)", rows=rows)


def _measure_builds(bench: Bench, sdist: Sdist, url: str) -> Row:
    """Build again and again in one cache; compare the last ones of each stretch with the first."""
    counts = BUILDS[:1] if bench.is_quick else BUILDS
    with tempfile.TemporaryDirectory(dir=bench.place) as place:
        contender = _warm_build(bench, sdist, url, Path(place))
        taken = [time_once(contender, bench.place) for _ in range(max(counts))]
    parts = {f"last {WINDOW} of {count:,}": taken[count - WINDOW : count] for count in counts}
    samples = {name: Samples(*map(list, zip(*part, strict=True))) for name, part in parts.items()}
    return Row(title="builds in one cache", samples=samples, base=next(iter(samples)))


def _measure_sizes(bench: Bench, sdist: Sdist, url: str) -> list[Row]:
    """Measure a build and the collector in caches of other people's wheels."""
    sizes = SIZES[:1] if bench.is_quick else SIZES
    acts: dict[str, dict[str, Contender]] = {"warm build": {}, "cache list": {}, "cache gc": {}}
    with tempfile.TemporaryDirectory(dir=bench.place) as directory:
        for size in sizes:
            place = Path(directory) / str(size)
            variables = bench.compose(place, url)
            fill_fast(Layout(root=place / "wheelforge"), size)
            name = f"{size:,} wheels"
            acts["warm build"][name] = _warm_build(bench, sdist, url, place)
            for command in ("list", "gc"):
                acts[f"cache {command}"][name] = _cache_command(bench, command, variables)
        base = f"{sizes[0]:,} wheels"
        return [
            Row(title=title, samples=measure(each, bench.rounds, bench.place), base=base)
            for title, each in acts.items()
        ]


def _warm_build(bench: Bench, sdist: Sdist, url: str, place: Path) -> Contender:
    """Return a build whose cache below ``place`` has all that it needs."""
    command, online = bench.build_with_ours(sdist.path), bench.compose(place, url)
    measure({"first": building(command, online)}, 0, bench.place)
    return building(command, {**online, **OFFLINE})


def _cache_command(bench: Bench, command: str, variables: Mapping[str, str]) -> Contender:
    def run_command(place: Path) -> None:
        run_child((*bench.tools.wheelforge, "cache", command), variables, place)

    return Contender(run_command)
