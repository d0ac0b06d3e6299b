"""Clusters of which something ends all the time: nothing is lost, and nothing is there twice.

Numbers are set by variables, as in ``WHEELFORGE_TEST_SDISTS=1000 WHEELFORGE_TEST_KILLS=100``.
"""

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.batches import Yard
from tests.support.clusters import (
    list_processes,
    list_workers,
    need_distributed,
    open_scheduler,
    open_worker,
    wait_long,
)

pytestmark = [pytest.mark.stress, pytest.mark.usefixtures("dask")]

SDISTS = int(os.environ.get("WHEELFORGE_TEST_SDISTS", "100"))
KILLS = int(os.environ.get("WHEELFORGE_TEST_KILLS", "10"))
RESUMES = int(os.environ.get("WHEELFORGE_TEST_RESUMES", "3"))
CHANCE = random.Random(int(os.environ.get("WHEELFORGE_TEST_SEED", "1")))  # ruff: ignore[suspicious-non-cryptographic-random-usage]


@pytest.fixture(scope="module")
def dask() -> None:
    need_distributed()


def make_yard(place: Path) -> tuple[Yard, list[Path]]:
    yard = Yard(place=place)
    yard.backend()
    return yard, [yard.served_sdist(f"small{number:04}") for number in range(SDISTS)]


def check_all(yard: Yard) -> None:
    """Everything was delivered, is in the journal, and has one entry in the cache."""
    assert len(yard.results()) == SDISTS
    cache = yard.place / "cache"
    records = list((cache / "built-v2" / "records").rglob("*.json"))
    texts = [json.loads(path.read_text(encoding="utf-8")) for path in records]
    names = Counter(json.dumps(text, sort_keys=True) for text in texts)
    assert len(records) == SDISTS
    assert set(names.values()) == {1}
    code, _, err = yard.run(*sorted((yard.place / "links").glob("small*.tar.gz")), "--resume")
    assert code == 0
    assert f"{SDISTS} kept" in err


@pytest.mark.parametrize("count", [1, 2, 4])
def test_cluster__workers_are_killed_at_random(tmp_path: Path, count: int) -> None:
    yard, sdists = make_yard(tmp_path)
    kills = 0
    with yard.start(*sdists, "-j", str(count), "--executor", "dask") as process:
        reader = threading.Thread(target=process.communicate)
        reader.start()
        while process.poll() is None:
            # Workers that are killed before they are at work do not lose anything.
            time.sleep(CHANCE.uniform(2.0, 6.0))
            workers = list_workers(process.pid)
            if workers and kills < KILLS:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(CHANCE.choice(workers), signal.SIGKILL)
                    kills += 1
        reader.join()

    assert process.returncode == 0
    assert kills
    assert list_processes(tmp_path) == []
    check_all(yard)


def test_cluster__coordinator_is_killed_and_resumed_again_and_again(tmp_path: Path) -> None:
    yard, sdists = make_yard(tmp_path)
    for number in range(1, RESUMES + 1):
        wanted = SDISTS * number // (RESUMES + 1)
        with yard.start(*sdists, "-j", "2", "--executor", "dask", "--resume") as process:
            while len(yard.results()) < wanted:
                time.sleep(0.02)
            process.kill()
        wait_long(lambda: not list_processes(tmp_path))

    code, _, err = yard.run(*sdists, "-j", "2", "--executor", "dask", "--resume")

    assert code == 0, err
    check_all(yard)


def measure_memory(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def test_scheduler__memory_does_not_grow_with_the_batch(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    yard, sdists = make_yard(tmp_path)
    samples: list[tuple[int, int]] = []
    with open_scheduler() as (address, scheduler), open_worker(yard, address, "-j", "2"):
        words = ("--executor", "dask", "--scheduler", address)
        with yard.start(*sdists, *words) as process:
            reader = threading.Thread(target=process.communicate)
            reader.start()
            while process.poll() is None:
                samples.append((len(yard.results()), measure_memory(scheduler.pid)))
                time.sleep(0.2)
            reader.join()

    assert process.returncode == 0
    early = max(size for done, size in samples if done <= SDISTS // 5)
    late = max(size for done, size in samples)
    record_property("scheduler MiB after a fifth, and at most", (early >> 20, late >> 20))
    assert late < early + 16 * 2**20
