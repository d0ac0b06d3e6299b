"""Clusters of which something ends all the time: nothing is lost, and nothing is there twice.

Numbers are set by variables, as in ``WHEELFORGE_TEST_SDISTS=1000 WHEELFORGE_TEST_KILLS=100``.
"""

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

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
    # The first line is a seal.
    names = Counter(path.read_bytes().partition(b"\n")[2] for path in records)
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


def call(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


@contextlib.contextmanager
def open_network(number: int) -> Generator[str]:
    """Yield a network namespace that reaches this one by a line of its own."""
    name, here, there = (f"wf{os.getpid()}{end}{number}" for end in "nht")
    call("ip", "netns", "add", name)
    try:
        call("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", name)
        call("ip", "addr", "add", f"10.213.{number}.1/24", "dev", here)
        call("ip", "link", "set", here, "up")
        call("ip", "-n", name, "addr", "add", f"10.213.{number}.2/24", "dev", there)
        call("ip", "-n", name, "link", "set", there, "up")
        call("ip", "-n", name, "link", "set", "lo", "up")
        call("ip", "-n", name, "route", "add", "default", "via", f"10.213.{number}.1")
        yield name
    finally:
        call("ip", "netns", "delete", name)


def switch(network: str, state: str) -> None:
    """Cut a network off, or let it come back."""
    line = f"{network[: -len('n0')]}t{network[-1]}"
    call("ip", "-n", network, "link", "set", line, state)
    if state == "up":
        call("ip", "-n", network, "route", "add", "default", "via", f"10.213.{network[-1]}.1")


def write_certificates(place: Path) -> tuple[str, ...]:
    """Write certificates of a cluster; return the options that name them."""
    import distributed

    security: Any = distributed.Security
    security = security.temporary()
    texts = {
        "ca": security.tls_ca_file,
        "cert": security.tls_worker_cert,
        "key": security.tls_worker_key,
    }
    words: list[str] = []
    for name, text in texts.items():
        path = place / f"{name}.pem"
        path.write_text(str(text), encoding="ascii")
        words += [f"--scheduler-{name}", str(path)]
    return (*words,)


@pytest.mark.filesystems
def test_cluster__workers_are_cut_off_and_come_back(tmp_path: Path) -> None:
    try:
        call("ip", "netns", "list")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("makes networks, with `ip`")
    if os.geteuid():
        pytest.skip("makes networks, which needs root")
    yard, sdists = make_yard(tmp_path)
    with contextlib.ExitStack() as stack:
        networks = [stack.enter_context(open_network(number)) for number in (1, 2)]
        certificates = write_certificates(tmp_path)
        opened = open_scheduler("0.0.0.0", certificates=certificates)  # ruff: ignore[hardcoded-bind-all-interfaces]
        address, _ = stack.enter_context(opened)
        port = address.rpartition(":")[2]
        for number, network in enumerate(networks, 1):
            words = ("ip", "netns", "exec", network)
            there = f"tls://10.213.{number}.1:{port}"
            worker = open_worker(yard, there, "-j", "1", *certificates, before=words)
            stack.enter_context(worker)
        command = ("--executor", "dask", "--scheduler", f"tls://127.0.0.1:{port}", *certificates)
        process = stack.enter_context(yard.start(*sdists, *command))
        reader = threading.Thread(target=process.communicate)
        reader.start()
        for network in networks:
            start = len(yard.results())
            wait_long(lambda start=start: len(yard.results()) > start)  # type: ignore[misc]
            switch(network, "down")
            # Longer than it takes until a line is taken for dead.
            time.sleep(45)
            switch(network, "up")
            time.sleep(15)
        reader.join()

    assert process.returncode == 0
    check_all(yard)
