"""Builders and collectors on one cache: whoever is handed a wheel finds all of it, to the last."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.collecting import measure_cost, measure_waits
from tests.support.caches import NOTHING, crowd, fill_cache, ignore, versions, write_wheels
from tests.support.processes import needs
from wheelforge_isolation import Bounds, Layout, collect_garbage, list_entries, open_cache

COUNT = 30

_KILLER = """
import os, random, signal, sys
from pathlib import Path
import packaging.utils, packaging.version  # lest every child loads them again
from wheelforge_isolation import Bounds, Layout, collect_garbage

def work(progress):
    sys.addaudithook(lambda *_: os.write(progress, b"."))  # at whatever touches a file system
    collect_garbage(Layout(root=Path(sys.argv[1])), Bounds(max_bytes=20_000, kept_days=0))

reader, writer = os.pipe()
child = os.fork()
if child == 0:
    work(writer)
    os._exit(0)
os.close(writer)
for _ in range(int(sys.argv[2])):
    os.read(reader, 1) or sys.exit()
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
print("killed")
"""
"""Kills a collector after a number of steps."""


@pytest.fixture
def layout(fast_path: Path) -> Layout:
    return Layout(root=fast_path / "cache")


@pytest.fixture
def wheels(fast_path: Path) -> list[Path]:
    return write_wheels(fast_path / "wheels", COUNT)


@pytest.mark.parametrize("max_bytes", [0, 20_000])
@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=pytest.mark.stress)])
def test_gc_races__no_builder_fails_beside_collectors(
    layout: Layout, wheels: list[Path], seconds: float, max_bytes: int
) -> None:
    with crowd(layout, wheels, seconds, max_bytes=max_bytes) as running:
        complaints, rounds = running.wait()

    sys.stdout.write(f"rounds: {rounds}\n")
    assert not complaints, complaints[0]
    assert min(rounds) > 0
    collect_garbage(layout, NOTHING)
    assert layout.wheels.list_trees() == layout.list_files() == list(layout.drafts.glob("*")) == []
    assert list(layout.leases.iterdir()) == list((layout.root / "locks").iterdir()) == []


def test_gc_races__builders_without_pins_fail(layout: Layout, wheels: list[Path]) -> None:
    with crowd(layout, wheels, 2, is_blind=True) as running:
        complaints, _ = running.wait()

    assert complaints
    assert all("Error" in complaint for complaint in complaints)


@needs(posix="fork")
@pytest.mark.parametrize("kills", [25, pytest.param(1000, marks=pytest.mark.stress)])
def test_gc_races__killed_collector_leaves_a_sound_cache(
    layout: Layout, wheels: list[Path], kills: int
) -> None:
    fill_cache(layout, wheels)
    killed = 0
    for number in range(kills):
        steps = 1 + number * 1009 % 800
        command = [sys.executable, "-c", _KILLER, str(layout.root), str(steps)]

        done = subprocess.run(command, capture_output=True, text=True, check=True)

        killed += done.stdout == "killed\n"
        with open_cache(layout, ignore) as cache:
            assert list(cache.verify()) == []
        collect_garbage(layout, Bounds(max_bytes=20_000))
        assert sum(entry.size_bytes for entry in list_entries(layout)) <= 20_000
        assert len(layout.wheels.list_trees()) == len(versions(layout))
        assert len(layout.list_files()) == len(versions(layout, "file"))
        assert list((layout.root / "locks").iterdir()) == []
        fill_cache(layout, wheels)
    sys.stdout.write(f"killed: {killed} of {kills}\n")
    assert killed > kills / 2


@pytest.mark.stress
def test_gc_races__builders_do_not_wait_for_a_collector() -> None:
    waits = measure_waits(20_000)

    sys.stdout.write(f"{waits}\n")
    assert waits.within_seconds < waits.beside_seconds + 0.1


@pytest.mark.stress
def test_gc_races__cost_of_an_entry_does_not_grow_with_their_number() -> None:
    few, many = (min(measure_cost(size) for _ in range(3)) for size in (1_000, 20_000))

    sys.stdout.write(f"{few * 1e6:.0f} and {many * 1e6:.0f} us each\n")
    assert many < 1.5 * few
