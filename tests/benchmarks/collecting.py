"""Collecting caches of many sizes: what one entry costs, and what builders notice of it."""

import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.figures import Result, Row, Samples
from tests.benchmarks.pairing import fast_disk
from tests.benchmarks.world import Bench
from tests.support.caches import NOTHING, fill_fast, write_wheels
from wheelforge_isolation import Layout, collect_garbage

SIZES = (1_000, 5_000, 20_000)
BUILDERS = 8

_BUILDER = """
import sys, time
from functools import partial
from pathlib import Path
from wheelforge_isolation import Layout, open_cache, read_wheel_key
from wheelforge_isolation.files.fs import copy_file

root, wheels, end = map(Path, sys.argv[1:4])
wheels = [(read_wheel_key(path), path) for path in sorted(wheels.iterdir())]
slowest = rounds = 0
with open_cache(Layout(root=root), lambda _: None) as cache:
    while not end.exists():
        for key, path in wheels:
            start = time.perf_counter()
            cache.wheels.get_or_create(key, partial(copy_file, str(path))).item.give_back()
            slowest = max(slowest, time.perf_counter() - start)
            rounds += 1
            if not rounds % 10 and rounds < 20:
                print("ready", flush=True)
            time.sleep(0.02)  # this is where it builds
print(slowest)
"""
"""Asks for one wheel after the other, as a build does, and finds most of them gone."""

_COLLECTOR = """
import os, sys
from pathlib import Path
from wheelforge_isolation import Bounds, Layout, collect_garbage

everything = Bounds(max_bytes=0, max_age_days=0, kept_days=0)
print(collect_garbage(Layout(root=Path(sys.argv[1])), everything).removed)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """The longest wait of any builder for any wheel."""

    beside_seconds: float
    """While a cache that they do not use was collected."""
    within_seconds: float
    """While theirs was."""


def run(bench: Bench) -> Result:
    """Compare the cost of an entry by the size of the cache, and the waits of builders."""
    sizes = SIZES[:1] if bench.is_quick else SIZES
    samples = {f"{size:,} entries": Samples() for size in sizes}
    for _ in range(max(1, bench.rounds // 2)):
        for size in sizes:
            samples[f"{size:,} entries"].values.append(measure_cost(size))
    waits = measure_waits(max(sizes))
    title, base = "one of so many", f"{sizes[0]:,} entries"
    rows = [Row(title=title, samples=samples, base=base), _describe(waits)]
    return Result(name="collecting", title="collecting everything", rows=rows)


def _describe(waits: Waits) -> Row:
    beside, within = "another cache is collected", "theirs is collected"
    samples = {beside: Samples([waits.beside_seconds]), within: Samples([waits.within_seconds])}
    title = f"longest wait of {BUILDERS} builders"
    return Row(title=title, samples=samples, base=beside, counts=False)


def measure_cost(size: int) -> float:
    """Return the seconds that each of ``size`` entries takes to collect."""
    with tempfile.TemporaryDirectory(dir=fast_disk()) as directory:
        layout = Layout(root=Path(directory) / "cache")
        fill_fast(layout, size)
        start = time.perf_counter()
        assert collect_garbage(layout, NOTHING).removed == size
        return (time.perf_counter() - start) / size


def measure_waits(size: int) -> Waits:
    """Return how long builders wait while ``size`` entries are collected, theirs and others."""
    with tempfile.TemporaryDirectory(dir=fast_disk()) as directory:
        root = Path(directory)
        wheels = write_wheels(root / "wheels", 12)
        layouts = [Layout(root=root / name) for name in ("theirs", "other")]
        for layout in layouts:
            fill_fast(layout, size)
        beside = _measure_longest_wait(layouts[0], layouts[1], wheels[0].parent, root / "end1")
        within = _measure_longest_wait(layouts[0], layouts[0], wheels[0].parent, root / "end2")
        return Waits(beside_seconds=beside, within_seconds=within)


def _measure_longest_wait(built: Layout, collected: Layout, wheels: Path, end: Path) -> float:
    build = [sys.executable, "-c", _BUILDER, str(built.root), str(wheels), str(end)]
    collect = [sys.executable, "-c", _COLLECTOR, str(collected.root)]
    with ExitStack() as stack:
        stack.callback(end.touch)
        builders = [
            stack.enter_context(subprocess.Popen(build, stdout=subprocess.PIPE, text=True))
            for _ in range(BUILDERS)
        ]
        for builder in builders:
            assert builder.stdout is not None
            assert builder.stdout.readline() == "ready\n"
        subprocess.run(collect, check=True, stdout=subprocess.DEVNULL)
        end.touch()
        outputs = [builder.communicate()[0] for builder in builders]
    assert {builder.returncode for builder in builders} == {0}
    return max(float(output.split()[-1]) for output in outputs)
