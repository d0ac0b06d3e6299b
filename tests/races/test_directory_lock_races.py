"""Processes that build in one directory: never two at once, none starved, none kept by the dead."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.filesystems.mounts import mounted
from tests.support.processes import _end, needs
from tests.support.stock import chance_of
from wheelforge_isolation import wait_for_turn
from wheelforge_isolation.errors import WaitCancelledError

pytestmark = needs(posix="TMPDIR and signals")

NAMES = ("one", "two", "three", "four", "five")
FEW_VISITS = 60
"""Of a twentieth of a second each: three seconds, where a minute would be too long."""
_BUILDER = """
import os, sys, time
from pathlib import Path
from wheelforge_isolation import wait_for_turn

directory, log, name, mode = sys.argv[1:]
log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
announced = []

def note(word):
    os.write(log, f"{word}\\n".encode())

def announce(owner):
    if not announced:
        print("waiting", owner.pid, owner.label, sep="\\t", flush=True)
    announced.append(owner)

def build(limit):
    note(name)
    if mode == "hold":
        print("inside", limit, sep="\\t", flush=True)
        sys.stdin.read()
    elif mode in {"once", "greedy"}:
        time.sleep(0.05)
    note(f"-{name}")

try:
    rounds = int(mode) if mode.isdecimal() else 10**6 if mode == "greedy" else 1
    for _ in range(rounds):
        with wait_for_turn(
            Path(directory), announce, label=f"build of {name}", announce_after_seconds=0
        ) as limit:
            build(limit)
except KeyboardInterrupt:
    print("interrupted")
"""
"""Notes in a common log when it gets the directory and when it leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """A process that has the directory, or waits for it."""

    name: str
    process: subprocess.Popen[str]
    words: list[str]
    """Its first line: ``inside`` and a note, or ``waiting``, and for which process."""

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def interrupt(self) -> str:
        """Send Ctrl-C; return its last words."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate()[0]


@dataclass(slots=True, kw_only=True)
class Site:
    """A directory, and all processes that build in it."""

    directory: Path
    place: Path
    """The directory of the log and the temporary files."""
    processes: list[subprocess.Popen[str]] = field(default_factory=list["subprocess.Popen[str]"])

    @property
    def log(self) -> list[str]:
        """The builders in the order in which they had the directory; a dash where one left."""
        log = self.place / "log"
        return log.read_text(encoding="ascii").split() if log.exists() else []

    @property
    def litter(self) -> list[str]:
        """The files that they left in the directory and among the temporary files."""
        return [path.name for path in (*self.directory.iterdir(), *self.temporary.iterdir())]

    @property
    def temporary(self) -> Path:
        place = self.place / "temporary"
        place.mkdir(exist_ok=True)
        return place

    def start(
        self,
        name: str,
        mode: str = "hold",
        *,
        directory: Path | None = None,
        variables: dict[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        words = [str(directory or self.directory), str(self.place / "log"), name, mode]
        process = subprocess.Popen(
            [sys.executable, "-c", _BUILDER, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(self.temporary), **(variables or {})},
        )
        self.processes.append(process)
        return process

    def join(
        self, name: str, directory: Path | None = None, *, variables: dict[str, str] | None = None
    ) -> Builder:
        """Start a builder; return when it has the directory, or waits for it."""
        process = self.start(name, directory=directory, variables=variables)
        assert process.stdout is not None
        words = process.stdout.readline().rstrip("\n").split("\t")
        assert words[0] in {"inside", "waiting"}, "it died before"
        return Builder(name=name, process=process, words=words)


@contextlib.contextmanager
def open_site(directory: Path, place: Path) -> Generator[Site]:
    """Yield a directory to build in; at the end all processes are let through."""
    directory.mkdir(exist_ok=True)
    found = Site(directory=directory, place=place)
    try:
        yield found
    finally:
        let_go(*found.processes)
        for process in found.processes:
            _end(process)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with open_site(tmp_path / "project", tmp_path) as found:
        yield found


def let_go(*processes: subprocess.Popen[str]) -> None:
    """Let processes leave as soon as they have had the directory."""
    for process in processes:
        if process.stdin is not None:
            process.stdin.close()
            process.stdin = None


def finish(*builders: Builder) -> None:
    """Let all of them leave at once; return when they are gone."""
    let_go(*(builder.process for builder in builders))
    for builder in builders:
        builder.process.communicate()
        assert builder.process.returncode == 0


def visits(*names: str) -> list[str]:
    """Return what the log says of visits of which each was over before the next one began."""
    return [word for name in names for word in (name, f"-{name}")]


def entered(log: list[str]) -> list[str]:
    return [word for word in log if word[0] != "-"]


def test_directory_lock__ten_waiting_processes_are_not_starved_by_one_that_comes_again_and_again(
    site: Site,
) -> None:
    first = site.join("first")
    names = [f"w{number}" for number in range(10)]
    greedy = site.start("greedy", "greedy")
    waiting = [site.start(name, "once") for name in names]
    words = [process.stdout.readline()[:7] for process in (greedy, *waiting) if process.stdout]

    finish(first)
    for process in waiting:
        process.communicate()
    greedy.kill()

    log = entered(site.log)
    assert words == ["waiting"] * 11
    assert sorted({*log} - {"first", "greedy"}) == sorted(names)
    sys.stdout.write(f"the last of ten is number {max(map(log.index, names))}\n")
    assert max(map(log.index, names)) < FEW_VISITS


def test_directory_lock__that_is_freed_is_for_a_waiting_process_and_not_for_its_last_owner(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(site.temporary))
    with wait_for_turn(site.directory, print):
        waiting = site.join("waiting")
        # However slow it is to see that the directory is free, nobody is faster.
        waiting.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, waiting.process.pid, os.WSTOPPED)

    with (
        pytest.raises(WaitCancelledError),
        wait_for_turn(site.directory, print, is_cancelled=lambda: True),
    ):
        pytest.fail("the last owner has it again")
    waiting.process.send_signal(signal.SIGCONT)
    finish(waiting)

    assert (site.log, site.litter) == (visits("waiting"), [])


def test_directory_lock__waiting_processes_are_told_the_owner(site: Site) -> None:
    first, *others = [site.join(name) for name in NAMES[:3]]

    assert [builder.words for builder in others] == [
        ["waiting", str(first.process.pid), "build of one"]
    ] * 2


@pytest.mark.parametrize("number", range(len(NAMES)))
def test_directory_lock__of_a_killed_process_is_free(site: Site, number: int) -> None:
    builders = [site.join(name) for name in NAMES]

    builders.pop(number).kill()
    finish(*builders)

    others = [name for name in NAMES if name != NAMES[number]]
    log = site.log[1:] if number == 0 else site.log
    assert log == visits(*entered(log))
    assert sorted(entered(log)) == sorted(others)
    assert site.litter == []


def test_directory_lock__is_free_after_all_were_killed(site: Site) -> None:
    for builder in [site.join(name) for name in NAMES[:4]][::-1]:
        builder.kill()

    last = site.join("five")
    finish(last)

    assert last.words[0] == "inside"
    assert site.litter == []


@pytest.mark.parametrize("number", [0, 1])
def test_directory_lock__interrupted_process_lets_the_next_one_in(site: Site, number: int) -> None:
    builders = [site.join(name) for name in NAMES[:3]]

    words = builders.pop(number).interrupt()
    finish(*builders)

    assert words == "interrupted\n"
    assert sorted(entered(site.log)[-2:]) == sorted(builder.name for builder in builders)
    assert site.litter == []


def test_directory_lock__cannot_be_got_around_by_cache_home_or_path(site: Site) -> None:
    link = site.place / "link"
    link.symlink_to(site.directory)
    builders = [
        site.join("one"),
        site.join("two", link),
        site.join("three", variables={"HOME": str(link), "XDG_CACHE_HOME": str(link)}),
        site.join("four", site.directory / ".." / "project"),
    ]

    finish(*builders)

    assert site.log == visits(*entered(site.log))
    assert [builder.words[0] for builder in builders] == ["inside"] + ["waiting"] * 3
    assert site.litter == []


def test_directory_lock__excludes_processes_with_other_temporary_directories(site: Site) -> None:
    elsewhere = site.place / "elsewhere"
    elsewhere.mkdir()
    first = site.join("one")
    second = site.join("two", variables={"TMPDIR": str(elsewhere)})

    finish(second, first)

    assert second.words == ["waiting", "0", ""]
    assert site.log == visits("one", "two")
    assert [*site.litter, *elsewhere.iterdir()] == []


@pytest.mark.parametrize("rounds", [10, pytest.param(500, marks=pytest.mark.stress)])
def test_directory_lock__is_never_held_twice_by_many_that_come_and_go(
    site: Site, rounds: int
) -> None:
    processes = [site.start(name, str(rounds)) for name in NAMES]

    for process in processes:
        process.communicate()

    assert [process.returncode for process in processes] == [0] * len(NAMES)
    assert site.log == visits(*entered(site.log))
    assert sorted(site.log) == sorted(visits(*NAMES) * rounds)
    assert site.litter == []


@pytest.mark.parametrize("kills", [15, pytest.param(500, marks=pytest.mark.stress)])
def test_directory_lock__is_never_held_twice_however_many_are_killed(
    site: Site, kills: int
) -> None:
    chance = chance_of(17)
    builders = [site.join(f"b{number}") for number in range(4)]

    for number in range(kills):
        builders.pop(chance.randrange(len(builders))).kill()
        builders.append(site.join(f"c{number}"))
    finish(*builders)

    left = [word[1:] for word in site.log if word[0] == "-"]
    sys.stdout.write(f"{len(entered(site.log))} visits, {kills} killed\n")
    assert sorted(left) == sorted(builder.name for builder in builders)
    assert site.log[-2 * len(left) :] == visits(*left)
    assert site.litter == []


@pytest.mark.filesystems
@pytest.mark.parametrize("kind", ["exfat", "ntfs", "btrfs"])
def test_directory_lock__works_on_every_file_system(tmp_path: Path, kind: str) -> None:
    with mounted(kind, tmp_path / "mount") as place, open_site(place / "project", tmp_path) as site:
        builders = [site.join(name) for name in NAMES[:3]]

        finish(*builders)

        assert [builder.words[0] for builder in builders] == ["inside", "waiting", "waiting"]
        assert site.log == visits(*entered(site.log))
        assert site.litter == []
