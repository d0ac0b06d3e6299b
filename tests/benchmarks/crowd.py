"""More and more processes on one cache: do they get more done, or do they wait for each other?"""

import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

from tests.benchmarks.figures import Result, Row, Samples
from tests.benchmarks.mirror import serve_wheels
from tests.benchmarks.one_build import fill_caches
from tests.benchmarks.world import OFFLINE, Bench, Command, building

CROWDS = (1, 2, 8, 32)
BASE = "2 at once"


def run(bench: Bench) -> Result:
    """Compare builds per second of each tool with its own at two processes."""
    with serve_wheels() as url:
        online = bench.compose(bench.place, url)
        sdists = bench.sdists(with_compiled=False)
        for sdist in sdists:
            fill_caches(bench, sdist, online)
        variables = {**online, **OFFLINE}
        tools: dict[str, Callable[[Path], Command]] = {
            "wheelforge": bench.build_with_ours,
            "uv build": bench.build_with_uv,
        }
        commands = {name: [make(each.path) for each in sdists] for name, make in tools.items()}
        samples = _measure(bench, commands, variables)
    rows = [Row(title=name, samples=samples[name], base=BASE, unit="builds/s") for name in samples]
    return Result(name="crowd", title="processes at once on one cache, warm", rows=rows)


def _measure(
    bench: Bench, commands: Mapping[str, list[Command]], variables: Mapping[str, str]
) -> dict[str, dict[str, Samples]]:
    crowds = CROWDS[:2] if bench.is_quick else CROWDS
    total = max(crowds)
    samples = {name: {f"{size} at once": Samples() for size in crowds} for name in commands}
    for _ in range(max(1, bench.rounds // 2)):
        for size in crowds:
            for name, each in commands.items():
                rate = measure_rate(bench, list(islice(cycle(each), total)), variables, size)
                samples[name][f"{size} at once"].values.append(rate)
    return samples


def measure_rate(
    bench: Bench, commands: list[Command], variables: Mapping[str, str], size: int
) -> float:
    """Return how many of the builds are done in a second, ``size`` at once."""
    with tempfile.TemporaryDirectory(dir=bench.place) as directory:

        def build(numbered: tuple[int, Command]) -> None:
            number, command = numbered
            place = Path(directory) / str(number)
            place.mkdir()
            building(command, variables).run(place)

        start = time.perf_counter()
        with ThreadPoolExecutor(size) as pool:
            list(pool.map(build, enumerate(commands)))
        return len(commands) / (time.perf_counter() - start)
