"""A thousand builds in one process, and batches that are killed anywhere."""

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.batches import Yard, noting, read_lines
from tests.support.hooks import wait_until

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts what Linux shows"),
]

COUNT = 1000
SETTLED = 200
"""After so many builds everything is loaded that will be."""
WATCHING = """
import json, os, sys, threading
from pathlib import Path
from wheelforge.batch import BatchOptions, make_input, run_batch
from wheelforge.models import BuildRequest
from wheelforge.settings import Settings

place, samples = Path(sys.argv[1]), []

def count():
    tasks = Path("/proc/self/task")
    every = [c for t in tasks.iterdir() for c in (t / "children").read_text().split()]
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "files": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "children": len(every),
        "bytes": pages * os.sysconf("SC_PAGESIZE"),
    }

def on_outcome(outcome):
    assert outcome.error is None, outcome.error
    samples.append(count())

before = count()
sources = sorted((place / "links").glob("*.tar.gz"))
inputs = [make_input(BuildRequest(source=path, output=place / "out")) for path in sources]
settings = Settings(
    variables=dict(os.environ), cache_dir=place / "cache", no_index=True,
    find_links=(str(place / "links"),),
)
run_batch(inputs, settings, BatchOptions(at_once=4), on_outcome=on_outcome)
print(json.dumps([before, *samples, count()]))
"""


def measure(yard: Yard) -> list[dict[str, int]]:
    """Build everything; return what the process had before, after each build, and at the end."""
    command = [sys.executable, "-c", WATCHING, str(yard.place)]
    found: list[dict[str, int]] = json.loads(subprocess.check_output(command, text=True))
    return found


def peak(samples: Sequence[dict[str, int]], what: str) -> int:
    return max(sample[what] for sample in samples)


def test_batch__a_thousand_builds_leave_nothing_behind(tmp_path: Path) -> None:
    yard = Yard(place=tmp_path)
    yard.backend()
    for number in range(COUNT):
        yard.served_sdist(f"small{number:04}")

    before, *samples, after = measure(yard)

    early, late = samples[:SETTLED], samples[-SETTLED:]
    assert len(yard.results()) == COUNT
    for what in ("files", "threads", "children"):
        assert after[what] <= before[what] + (what == "files"), what
        assert peak(late, what) <= peak(early, what) + 4, what
    assert peak(late, "bytes") < peak(early, "bytes") + 16 * 2**20
    assert [path.name for path in (tmp_path / "cache" / "stage-v1").iterdir()] == [".git"]


@pytest.mark.parametrize("seed", range(8))
def test_batch__killed_anywhere_loses_nothing_and_repeats_nothing(
    tmp_path: Path, seed: int
) -> None:
    yard, log = Yard(place=tmp_path), tmp_path / "log"
    sdists = [yard.sdist(f"one{number}", noting(log)) for number in range(12)]
    wanted = random.Random(seed).randint(1, 11)  # ruff: ignore[suspicious-non-cryptographic-random-usage]
    with yard.start(*sdists, "-j", "4") as process:
        wait_until(lambda: len(yard.results()) >= wanted)
        process.kill()
    delivered, built = yard.results(), len(read_lines(log))

    code, _, _ = yard.run(*sdists, "-j", "4", "--resume")

    assert code == 0
    assert len(yard.results()) == 12
    assert delivered.isdisjoint(read_lines(log)[built:])
