"""How many builds run at once, in which order, and with how much of the machine."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from tests.support.batches import read_lines, without_summary
from tests.support.hooks import wait_until
from wheelforge.batch.history import BuildTiming, Timings
from wheelforge.batch.jobs import Job
from wheelforge.batch.machine import (
    Tokens,
    can_share,
    count_cores,
    find_free_memory,
    make_pipe,
    open_tokens,
    share_out,
)
from wheelforge.batch.scheduler import Scheduler
from wheelforge.models import BuildRequest, Outcome
from wheelforge_isolation import JsonCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.batches import Yard
    from wheelforge.batch.worker import Worker

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")

COMPILERS = """
import os, re, subprocess, sys
flags = os.environ.get("MAKEFLAGS", "")
pipe = os.open(re.search("fifo:(.+)", flags)[1], os.O_RDWR | os.O_NONBLOCK)
compiler = (
    "import os, sys; f = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT);"
    "os.write(f, b'+'); sum(range(300000)); os.write(f, b'-')"
)
running, left = [], 4
while left or running:
    while left:
        token = b""
        if running:
            try:
                token = os.read(pipe, 1)
            except BlockingIOError:
                break
        command = [sys.executable, "-c", compiler, LOG]
        running.append((subprocess.Popen(command), token))
        left -= 1
    process, token = running.pop()
    process.wait()
    os.write(pipe, token) if token else None
"""
"""A `make`: its first job is free, each further one holds a token while it runs."""


def make_job(number: int) -> Job:
    request = BuildRequest(source=f"job{number}", output=Path("/out"))
    return Job(number=number, request=request)


# One job server


def write_make(directory: Path, version: str) -> str:
    """Write a make that says that it is of that version; return the directory."""
    directory.mkdir()
    program = directory / "make"
    program.write_text(f"#!/bin/sh\necho '{version}'\n", encoding="utf-8")
    program.chmod(0o755)
    return str(directory)


@needs_pipes
def test_job_server__eight_builds_start_no_more_compilers_than_cores(yard: Yard) -> None:
    log = yard.place / "log"
    code = COMPILERS.replace("LOG", repr(str(log)))
    sdists = [yard.sdist(f"one{number}", code) for number in range(8)]
    path = write_make(yard.place / "bin", "GNU Make 4.4.1")

    done, _, err = yard.run(*sdists, "-j", "8", PATH=path)

    changes = [1 if sign == "+" else -1 for sign in log.read_text(encoding="ascii")]
    assert (done, without_summary(err)) == (0, "")
    assert len(changes) == 2 * 4 * 8
    assert 1 <= max(itertools.accumulate(changes)) <= count_cores() + 1


@pytest.mark.parametrize(
    ("version", "is_shared"),
    [
        ("GNU Make 4.4.1", True),
        ("GNU Make 5.0", True),
        ("GNU Make 4.3", False),
        ("GNU Make 3.81", False),
        ("bmake", False),
    ],
)
@needs_pipes
def test_job_server__is_for_makes_that_understand_it(
    tmp_path: Path, version: str, *, is_shared: bool
) -> None:
    path = write_make(tmp_path / "bin", version)

    assert can_share({"PATH": path}) is is_shared
    assert can_share({"PATH": path, "MAKEFLAGS": "-j3"}) is False


def test_job_server__is_not_for_a_make_that_does_not_run(tmp_path: Path) -> None:
    program = tmp_path / "make"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)

    assert not can_share({"PATH": str(tmp_path)})


def test_job_server__is_there_without_any_make(tmp_path: Path) -> None:
    assert can_share({"PATH": str(tmp_path)}) is hasattr(os, "mkfifo")


def test_share_out__gives_each_build_its_share_and_keeps_given_variables() -> None:
    told = share_out({"MAX_JOBS": "7", "HOME": "/home"}, 8, 3, "/pipe")

    assert told == {
        "CARGO_BUILD_JOBS": "2",
        "CMAKE_BUILD_PARALLEL_LEVEL": "2",
        "HOME": "/home",
        "MAKEFLAGS": " -j8 --jobserver-auth=fifo:/pipe",
        "MAX_JOBS": "7",
        "NPY_NUM_BUILD_JOBS": "2",
    }
    assert share_out({}, 2, 8, "").get("MAX_JOBS") == "1"
    assert "MAKEFLAGS" not in share_out({}, 2, 8, "")


def test_share_out__reaches_the_builds(yard: Yard) -> None:
    log = yard.place / "log"
    code = f"import json, os; open({str(log)!r}, 'w').write(json.dumps(dict(os.environ)))"

    yard.run(yard.sdist("one", code), yard.sdist("two"), NPY_NUM_BUILD_JOBS="5", MAKEFLAGS="-k")

    told = json.loads(log.read_text(encoding="utf-8"))
    assert told["MAX_JOBS"] == str(max(1, count_cores() // 2))
    assert (told["NPY_NUM_BUILD_JOBS"], told["MAKEFLAGS"]) == ("5", "-k")


@needs_pipes
def test_tokens__of_killed_holders_are_made_again(tmp_path: Path) -> None:
    pipe = make_pipe(tmp_path / "jobs")
    assert pipe is not None

    with open_tokens(3, pipe) as tokens:
        with tokens.holding(lambda: False):
            thief = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
            stolen = os.read(thief, 10)
        with tokens.holding(lambda: False):
            left = os.read(thief, 10)
        os.close(thief)

    assert (len(stolen), len(left)) == (2, 2)


@needs_pipes
@pytest.mark.parametrize("name", ["with space", "with$dollar"])
def test_make_pipe__refuses_a_name_that_no_makefile_could_have(tmp_path: Path, name: str) -> None:
    assert make_pipe(tmp_path / name) is None
    assert list(tmp_path.iterdir()) == []


def test_make_pipe__is_none_where_it_cannot_be_made(tmp_path: Path) -> None:
    assert make_pipe(tmp_path / "absent" / "jobs") is None


def test_tokens__a_cancelled_build_does_not_wait() -> None:
    tokens = Tokens(1)
    is_cancelled = threading.Event()

    with tokens.holding(lambda: False):
        waiting = threading.Thread(target=lambda: _enter(tokens, is_cancelled.is_set))
        waiting.start()
        is_cancelled.set()
        waiting.join()

    assert _enter(tokens, lambda: False) >= 0.0


def _enter(tokens: Tokens, is_cancelled: Callable[[], bool]) -> float:
    with tokens.holding(is_cancelled):
        return tokens.waited()


def test_tokens__of_one_that_is_alone_are_those_of_nobody_else() -> None:
    tokens, inside, together = Tokens(4), list[bool](), list[int]()

    def work(number: int) -> None:
        for turn in range(50):
            is_alone = not (turn + number) % 3
            with tokens.holding(lambda: False, is_alone=is_alone):
                inside.append(is_alone)
                time.sleep(0)
                if any(inside):
                    together.append(len(inside))
                inside.remove(is_alone)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(together) == {1}


@pytest.mark.parametrize(("limit", "order"), [(100, "second first"), (99, "first second")])
def test_tokens__wait_for_memory_while_others_run(limit: int, order: str) -> None:
    looked, ended = threading.Event(), list[str]()

    def find_free() -> int:
        looked.set()
        return 99

    tokens = Tokens(2, None, find_free)

    def work() -> None:
        with tokens.holding(lambda: False, memory_bytes=limit):
            ended.append("first")

    thread = threading.Thread(target=work)
    with tokens.holding(lambda: False):
        thread.start()
        assert looked.wait(10)
        if limit < 100:
            thread.join()
        ended.append("second")
    thread.join()

    assert " ".join(ended) == order


_LOGGED = """
import pathlib, time
log = pathlib.Path({log!r})
def tell(text):
    with log.open("a") as file:
        file.write(text + chr(10))
log.touch()
"""
_LONG = """
tell("begin")
end = time.monotonic() + 1
while "nested" not in log.read_text() and time.monotonic() < end:
    time.sleep(0.01)
tell("end")
"""


def test_exclusive__holds_for_a_build_requirement_too(yard: Yard) -> None:
    log = yard.place / "log"
    common = _LOGGED.format(log=str(log))
    yard.sdist("nested", f"{common}tell('nested')")
    sources = (yard.sdist("other", common + _LONG), yard.project("outer", requires=("nested",)))
    overrides = yard.place / "overrides.toml"
    text = "[[package]]\nname = 'nested'\nreason = 'x'\nlimits.exclusive = true\n"
    overrides.write_text(text, encoding="utf-8")

    code, _, err = yard.run(*sources, "-w", "-j", "2", "--overrides", overrides)

    assert code == 0, err
    during = ["begin", "end"]
    assert read_lines(log) in ([*during, "nested"], ["nested", *during])


# Memory


def write_machine(root: Path, free_kib: int, **groups: dict[str, str]) -> Path:
    """Write what a machine says: of each group of processes its files, `/` spelled `__`."""
    (root / "proc" / "self").mkdir(parents=True)
    text = f"MemTotal: 9 kB\nMemAvailable:   {free_kib} kB\n"
    (root / "proc" / "meminfo").write_text(text, encoding="ascii")
    (root / "proc" / "self" / "cgroup").write_text("0::/outer/inner\n", encoding="ascii")
    for name, files in groups.items():
        group = root / "sys" / "fs" / "cgroup" / name.replace("__", "/")
        group.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (group / f"memory.{file}").write_text(content, encoding="ascii")
    return root


def test_free_memory__is_the_least_of_the_machine_and_all_groups(tmp_path: Path) -> None:
    unlimited = {"max": "max\n", "current": "5\n"}
    limited = {"max": "9000\n", "current": "4000\n", "stat": "anon 1\ninactive_file 500\n"}

    alone = find_free_memory(write_machine(tmp_path / "1", 3))
    grouped = find_free_memory(
        write_machine(tmp_path / "2", 80, outer=limited, outer__inner=unlimited)
    )

    assert (alone, grouped) == (3 * 1024, 5500)
    assert find_free_memory(tmp_path / "nowhere") is None


class Hall:
    """Does jobs that take as long as they are let, and knows how many were there at once."""

    def __init__(self, timings: Timings, together: int = 1) -> None:
        self.timings = timings
        self.forges = self
        self.executor = self
        self.is_here = True
        self.at_once = 1
        self.order: list[str] = []
        self.most = 0
        self._inside = 0
        self._lock = threading.Lock()
        self._barrier = threading.Barrier(together)

    def open(self, *_: object) -> None:
        """Be the forges."""

    def cancel(self) -> None:
        """Be the executor."""

    def check(self) -> None:
        """Be the executor."""

    def run(self, job: Job, _: object) -> Outcome:
        """Be the worker."""
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
            self.order.append(job.request.label)
        self._barrier.wait(30)
        with self._lock:
            self._inside -= 1
        return Outcome(request=job.request)


def work(hall: Hall, jobs: list[Job], at_once: int, free: int | None) -> None:
    hall.at_once = at_once
    Scheduler(cast("Worker", hall), jobs, lambda: free).run(lambda _: True)


def remember(directory: Path, jobs: list[Job], *known: BuildTiming) -> Timings:
    timings = Timings(JsonCache(directory, "timings"))
    for job, timing in zip(jobs, known, strict=True):
        timings.store(job, timing)
    return timings


@pytest.mark.parametrize(("free", "most"), [(99, 1), (100, 2), (None, 2)])
def test_scheduler__waits_for_the_memory_that_running_builds_need(
    tmp_path: Path, free: int | None, most: int
) -> None:
    jobs = [make_job(number) for number in range(4)]
    timings = [BuildTiming(seconds=1.0, peak_bytes=peak) for peak in (50, 100, 100, 100)]
    hall = Hall(remember(tmp_path, jobs, *timings), together=most)

    work(hall, jobs, 2, free)

    assert (len(hall.order), hall.most) == (4, most)


class SlowHall(Hall):
    """Knows how many were there at most during each job; that of ``waiting`` waits for company."""

    def __init__(self, timings: Timings, waiting: str) -> None:
        super().__init__(timings)
        self._waiting = waiting
        self._company: dict[str, int] = {}
        self._come = threading.Condition(self._lock)

    def run(self, job: Job, _: object) -> Outcome:
        """Take a while: as long as it takes where somebody has to come."""
        label = job.request.label
        with self._come:
            self._company[label] = 0
            self._company = {
                each: max(most, len(self._company)) for each, most in self._company.items()
            }
            self._come.notify_all()
            patience = 30 if label == self._waiting else 0.1
            self._come.wait_for(lambda: self._company[label] > 1, patience)
            self.order.append(f"{label} of {self._company.pop(label)}")
        return Outcome(request=job.request)


@pytest.mark.parametrize(
    ("memory", "is_alone", "first"), [(0, True, "job0 of 2"), (100, False, "job0 of 1")]
)
def test_scheduler__heeds_the_limits_of_overrides(
    tmp_path: Path, memory: int, *, is_alone: bool, first: str
) -> None:
    job, second, *others = (make_job(number) for number in range(4))
    hall = SlowHall(remember(tmp_path, []), waiting="job0" if is_alone else "")

    limited = second._replace(memory=memory, is_alone=is_alone)
    work(hall, [job, limited, *others], 2, 99)

    assert {first, "job1 of 1"} <= {*hall.order}


def test_scheduler__starts_the_longest_first_and_the_unknown_in_the_middle(tmp_path: Path) -> None:
    jobs = [make_job(number) for number in range(4)]
    timings = [BuildTiming(seconds=seconds, peak_bytes=0) for seconds in (1.0, 9.0, 4.0)]
    hall = Hall(remember(tmp_path, jobs[:3], *timings))

    work(hall, jobs, 1, None)

    assert hall.order == ["job1", "job3", "job2", "job0"]


@pytest.mark.parametrize("damage", [b"", b"x", b"{}\n{}"])
def test_timings__a_damaged_record_is_ignored(tmp_path: Path, damage: bytes) -> None:
    jobs = [make_job(0)]
    timings = remember(tmp_path, jobs, BuildTiming(seconds=1.0, peak_bytes=2))
    known = timings.load(jobs[0])
    (record,) = tmp_path.iterdir()
    record.write_bytes(damage)

    assert known == BuildTiming(seconds=1.0, peak_bytes=2)
    assert timings.load(jobs[0]) is None


def test_timings__a_record_that_cannot_be_written_is_lost(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    jobs = [make_job(0)]

    timings = remember(tmp_path / "file", jobs, BuildTiming(seconds=1.0, peak_bytes=2))

    assert timings.load(jobs[0]) is None


def test_worker__an_unexpected_exception_ends_one_build_only(
    yard: Yard, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from wheelforge.build.session import BuildSession
    from wheelforge.cli import main

    honest, before = BuildSession.run, threading.active_count()

    def stumble(self: BuildSession) -> Outcome:
        if self.request.label.startswith("bad"):
            raise IndexError("nobody thought of that")
        return honest(self)

    monkeypatch.setattr(BuildSession, "run", stumble)

    code = main([str(yard.sdist("bad")), str(yard.sdist("good")), *yard.words])

    assert code == 1
    assert "error[unexpected]: `bad-1.0.tar.gz` is not built" in capsys.readouterr().err
    assert yard.results() == {"good"}
    wait_until(lambda: threading.active_count() <= before)
