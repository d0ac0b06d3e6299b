"""Turns: who holds a directory, what others hear of him, and what is left behind."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.processes import NOBODY, needs, run_unprivileged
from wheelforge_isolation import LockOwner, wait_for_turn
from wheelforge_isolation.errors import DirectoryHeldError, FileAccessError, WaitCancelledError
from wheelforge_isolation.files import directory_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [needs(posix="locks on directories"), pytest.mark.usefixtures("temporary")]

_FORKER = """
import os, sys
from pathlib import Path
from wheelforge_isolation import wait_for_turn

directory = Path(sys.argv[1])
reader, writer = os.pipe()
with wait_for_turn(directory, print):
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
with wait_for_turn(directory, print, is_cancelled=lambda: True):
    print("free")
os.close(writer)
os.waitpid(child, 0)
"""
_LOADED = """
import codecs, wheelforge_isolation.files.directory_lock
codecs.lookup("unicode_escape")
"""
_STRANGER = """
import tempfile
from wheelforge_isolation import wait_for_turn

tempfile.tempdir = "temporary"
told = []
try:
    with wait_for_turn(
        Path("project"), told.append, is_cancelled=lambda: told, announce_after_seconds=0
    ) as note:
        print("inside", note)
except ForgeError as error:
    print(error.code, *told)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    path.mkdir()
    return path


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place for temporary files."""
    path = tmp_path / "temporary"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


def ignore(_: LockOwner) -> None:
    """Hear of a holder and do nothing about it."""


def is_free(directory: Path) -> bool:
    """Return whether a thread that has nothing to do with it could have the turn at once."""
    answers: list[bool] = []

    def look() -> None:
        try:
            with wait_for_turn(directory, ignore, is_cancelled=lambda: True):
                answers.append(True)
        except WaitCancelledError:
            answers.append(False)

    run(look)
    return answers[0]


def run(function: Callable[[], None]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def refuse_flock(
    monkeypatch: pytest.MonkeyPatch, is_refused: Callable[[int], bool], number: int = errno.ENOLCK
) -> None:
    """Let a file system have no locks for some of what is on it."""
    flock = fcntl.flock

    def refuse(descriptor: int, operation: int) -> None:
        if is_refused(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_nothing_is_left_anywhere_and_there_is_nothing_to_note(
    project: Path, temporary: Path
) -> None:
    with wait_for_turn(project, ignore) as note:
        within = list(project.iterdir())

    assert (note, within, list(project.iterdir()), list(temporary.iterdir())) == ("", [], [], [])


def test_what_was_raised_inside_comes_out_and_leaves_the_directory_free(project: Path) -> None:
    with pytest.raises(ZeroDivisionError), wait_for_turn(project, ignore):
        _ = 1 / 0

    assert is_free(project)


@pytest.mark.parametrize("count", [8])
def test_threads_take_turns_and_are_never_two(project: Path, temporary: Path, count: int) -> None:
    inside = 0
    counts: list[int] = []

    def build() -> None:
        nonlocal inside
        for _ in range(3):
            with wait_for_turn(project, ignore):
                inside += 1
                counts.append(inside)
                time.sleep(0)
                inside -= 1

    threads = [threading.Thread(target=build) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counts == [1] * 3 * count
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("spelling", ["project", "link", "project/../project"])
def test_who_has_the_turn_already_is_told_so_rather_than_left_to_wait(
    project: Path, spelling: str
) -> None:
    project.with_name("link").symlink_to(project)
    again = project.parent / spelling

    with wait_for_turn(project, ignore):
        with pytest.raises(DirectoryHeldError) as caught, wait_for_turn(again, ignore):
            pass
        before = is_free(project)

    assert str(again) in str(caught.value)
    assert caught.value.hint
    assert (before, is_free(project)) == (False, True)
    with wait_for_turn(again, ignore) as note:
        assert not note


def test_who_builds_may_build_in_another_directory_meanwhile(project: Path) -> None:
    (project / "nested").mkdir()

    with wait_for_turn(project, ignore), wait_for_turn(project / "nested", ignore) as note:
        assert not note


def test_who_cancels_leaves_the_line(project: Path, temporary: Path) -> None:
    with wait_for_turn(project, ignore):
        (place,) = temporary.iterdir()
        free = is_free(project)
        tickets = [path.name for path in place.iterdir()]

    assert not free
    assert tickets == ["1.lock"]
    assert is_free(project)


def test_what_is_known_of_the_holder_is_told_to_who_waits(project: Path) -> None:
    told: list[LockOwner] = []
    start = time.time()

    def look() -> None:
        with (
            pytest.raises(WaitCancelledError),
            wait_for_turn(
                project, told.append, is_cancelled=lambda: bool(told), announce_after_seconds=0
            ),
        ):
            pass

    with wait_for_turn(project, ignore, label="wheelforge build `x`\n\udcff" + "y" * 9000):
        run(look)

    (holder,) = told
    assert (holder.pid, holder.label[:20]) == (os.getpid(), "wheelforge build `x`")
    assert start <= holder.since <= time.time()


def test_a_wait_is_announced_once_after_two_seconds_and_goes_on(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock()
    monkeypatch.setattr(directory_lock, "time", clock)
    announced: list[float] = []

    def look() -> None:
        with (
            pytest.raises(WaitCancelledError),
            wait_for_turn(
                project,
                lambda _: announced.append(clock.now),
                is_cancelled=lambda: clock.now > 10_000,
            ),
        ):
            pass

    with wait_for_turn(project, ignore):
        run(look)

    assert announced == [pytest.approx(2, abs=1)]


class _Clock:
    """Lets half a second pass whenever somebody waits for a fraction of it."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1.0 + self.now

    def sleep(self, _: float) -> None:
        self.now += 0.5 if self.now < 10 else 5000


def test_who_waited_for_a_directory_that_was_replaced_gets_the_new_one(project: Path) -> None:
    is_waiting = threading.Event()
    has_it = threading.Event()
    is_over = threading.Event()

    def build() -> None:
        with wait_for_turn(project, lambda _: is_waiting.set(), announce_after_seconds=0):
            has_it.set()
            is_over.wait()

    thread = threading.Thread(target=build)
    old = project.with_name("old")
    with wait_for_turn(project, ignore):
        thread.start()
        is_waiting.wait()
        project.rename(old)
        project.mkdir()
    has_it.wait()
    free = (is_free(old), is_free(project))
    is_over.set()
    thread.join()

    assert free == (True, False)


def test_a_directory_that_is_not_there_is_an_error_that_names_it(
    project: Path, temporary: Path
) -> None:
    with pytest.raises(FileAccessError) as caught, wait_for_turn(project / "absent", ignore):
        pass

    assert str(project / "absent") in str(caught.value)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EBADF, errno.EINVAL])
def test_where_directories_cannot_be_locked_tickets_exclude_and_a_note_says_so(
    project: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse_flock(monkeypatch, stat.S_ISDIR, number)

    with wait_for_turn(project, ignore) as note:
        free = is_free(project)

    assert not free
    assert str(project) in note
    assert "one user" in note
    assert is_free(project)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EACCES, errno.EAGAIN])
def test_directory_lock__that_another_holds_is_waited_for_however_the_system_says_so(
    project: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse_flock(monkeypatch, stat.S_ISDIR, number)

    with (
        pytest.raises(WaitCancelledError),
        wait_for_turn(project, ignore, is_cancelled=lambda: True),
    ):
        pytest.fail("the directory is another's")


def test_without_any_locks_it_goes_ahead_with_a_note(
    project: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_flock(monkeypatch, lambda _: True)

    with wait_for_turn(project, ignore) as note:
        assert is_free(project)

    assert "no builds" in note
    assert list(temporary.iterdir()) == []


def test_on_windows_tickets_alone_exclude_and_that_is_enough(
    project: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_lock, "_ON_WINDOWS", True)
    refuse_flock(monkeypatch, stat.S_ISDIR)

    with wait_for_turn(project, ignore) as note:
        free = is_free(project)

    assert (note, free, is_free(project)) == ("", False, True)
    assert list(temporary.iterdir()) == []


def find_place(project: Path, temporary: Path) -> Path:
    with wait_for_turn(project, ignore):
        (place,) = temporary.iterdir()
    return place


@pytest.mark.parametrize("kind", ["open to all", "a link", "a file", "another user's"])
def test_a_place_that_somebody_else_may_have_made_is_not_used(
    project: Path, temporary: Path, kind: str
) -> None:
    place = find_place(project, temporary)
    bait = temporary / "bait"
    bait.mkdir(mode=0o700)
    if kind == "a link":
        place.symlink_to(bait)
    elif kind == "a file":
        place.touch()
    else:
        place.mkdir(mode=0o700)
        if kind == "open to all":
            place.chmod(0o777)
        elif os.geteuid() == 0:
            os.chown(place, NOBODY, NOBODY)
        else:
            pytest.skip("needs root, to give a directory away")

    with wait_for_turn(project, ignore) as note:
        free = is_free(project)
        left = [*bait.iterdir(), *(place.iterdir() if place.is_dir() else ())]

    assert (note, free, left) == ("", False, [])
    assert place.is_symlink() or place.exists()


def test_what_is_no_ticket_and_what_was_left_by_the_dead_is_in_nobodys_way(
    project: Path, temporary: Path
) -> None:
    place = find_place(project, temporary)
    place.mkdir(mode=0o700)
    for name in ("1.lock", "7.lock", "foreign", "x.lock"):
        (place / name).write_bytes(b"?")

    assert is_free(project)

    assert sorted(path.name for path in place.iterdir()) == ["foreign", "x.lock"]


def test_tickets_that_vanish_take_the_order_with_them_and_nothing_else(
    project: Path, temporary: Path
) -> None:
    with wait_for_turn(project, ignore):
        (place,) = temporary.iterdir()
        (place / "1.lock").unlink()
        place.rmdir()
        free = is_free(project)

    assert not free
    assert is_free(project)
    assert list(temporary.iterdir()) == []


def test_a_child_that_was_forked_meanwhile_does_not_keep_the_turn(
    project: Path, temporary: Path
) -> None:
    command = [sys.executable, "-c", _FORKER, str(project)]
    variables = {**os.environ, "TMPDIR": str(temporary)}

    done = subprocess.run(command, capture_output=True, text=True, check=True, env=variables)

    assert done.stdout == "free\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")
def test_another_user_waits_and_hears_that_somebody_has_it(
    tmp_path: Path, project: Path, temporary: Path
) -> None:
    temporary.chmod(0o1777)

    with wait_for_turn(project, ignore):
        during = run_unprivileged(tmp_path, _STRANGER, before=_LOADED)
    afterwards = run_unprivileged(tmp_path, _STRANGER, before=_LOADED)

    assert during == "wait-cancelled LockOwner(pid=0, since=0.0, label='')\n"
    assert afterwards == "inside \n"
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")
def test_a_directory_that_one_may_enter_and_not_read_is_built_with_a_note(
    tmp_path: Path, project: Path, temporary: Path
) -> None:
    temporary.chmod(0o1777)
    project.chmod(0o711)

    output = run_unprivileged(tmp_path, _STRANGER, before=_LOADED)

    assert output.startswith("inside `project` cannot be locked")
