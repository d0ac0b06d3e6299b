"""The lock on a directory: its owner, what others are told of it, and what is left behind."""

import contextlib
import errno
import fcntl
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.processes import NOBODY, in_threads, needs, run_at_once, run_unprivileged
from wheelforge_isolation import LockOwner, remove_tree, wait_for_turn
from wheelforge_isolation.errors import DirectoryHeldError, FileAccessError, WaitCancelledError
from wheelforge_isolation.files import directory_lock

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
    """Do nothing when a wait gets long."""


def is_free(directory: Path, announce: Callable[[LockOwner], None] = ignore) -> bool:
    """Return whether another thread could lock ``directory`` at once."""
    answers: list[bool] = []
    told: list[LockOwner] = []

    def look() -> None:
        try:
            with wait_for_turn(
                directory, told.append, is_cancelled=lambda: bool(told), announce_after_seconds=0
            ):
                answers.append(True)
        except WaitCancelledError:
            answers.append(False)

    run_at_once(look)
    for owner in told:
        announce(owner)
    return answers[0]


def refuse_flock(
    monkeypatch: pytest.MonkeyPatch, is_refused: Callable[[int], bool], number: int = errno.ENOLCK
) -> None:
    """Let a file system refuse to lock some of its files."""
    flock = fcntl.flock

    def refuse(descriptor: int, operation: int) -> None:
        if is_refused(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_directory_lock__leaves_nothing_and_has_no_note(project: Path, temporary: Path) -> None:
    with wait_for_turn(project, ignore) as note:
        within = list(project.iterdir())

    assert (note, within, list(project.iterdir()), list(temporary.iterdir())) == ("", [], [], [])


def test_directory_lock__is_released_by_an_error_inside(project: Path) -> None:
    with pytest.raises(ZeroDivisionError), wait_for_turn(project, ignore):
        _ = 1 / 0

    assert is_free(project)


@pytest.mark.parametrize("count", [8])
def test_directory_lock__is_never_held_by_two_threads(
    project: Path, temporary: Path, count: int
) -> None:
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

    run_at_once(*[build] * count)

    assert counts == [1] * 3 * count
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("spelling", ["project", "link", "project/../project"])
def test_directory_lock__taken_twice_by_one_thread_is_an_error(
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


def test_directory_lock__of_a_nested_directory_is_another_one(project: Path) -> None:
    (project / "nested").mkdir()

    with wait_for_turn(project, ignore), wait_for_turn(project / "nested", ignore) as note:
        assert not note


def test_directory_lock__cancelled_waiter_leaves_nothing(project: Path, temporary: Path) -> None:
    with wait_for_turn(project, ignore):
        (place,) = temporary.iterdir()
        free = is_free(project)
        kinds = [path.suffix for path in place.iterdir()]

    assert not free
    assert kinds == [".lock"]
    assert is_free(project)


def test_directory_lock__owner_is_told_to_waiting_threads(project: Path) -> None:
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
        run_at_once(look)

    (holder,) = told
    assert (holder.pid, holder.label[:20]) == (os.getpid(), "wheelforge build `x`")
    assert start <= holder.since <= time.time()


def test_directory_lock__wait_is_announced_once_after_two_seconds(
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
        run_at_once(look)

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


def test_directory_lock__follows_a_directory_that_was_replaced(project: Path) -> None:
    is_waiting = threading.Event()
    has_it = threading.Event()
    is_over = threading.Event()

    def build() -> None:
        with wait_for_turn(project, lambda _: is_waiting.set(), announce_after_seconds=0):
            has_it.set()
            is_over.wait()

    old = project.with_name("old")
    with contextlib.ExitStack() as stack:
        with wait_for_turn(project, ignore):
            stack.enter_context(in_threads(build))
            is_waiting.wait()
            project.rename(old)
            project.mkdir()
        has_it.wait()
        free = (is_free(old), is_free(project))
        is_over.set()

    assert free == (True, False)


def test_directory_lock__of_an_absent_directory_is_an_error_that_names_it(
    project: Path, temporary: Path
) -> None:
    with pytest.raises(FileAccessError) as caught, wait_for_turn(project / "absent", ignore):
        pass

    assert str(project / "absent") in str(caught.value)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EBADF, errno.EINVAL])
def test_directory_lock__falls_back_to_its_file_with_a_note(
    project: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse_flock(monkeypatch, stat.S_ISDIR, number)

    with wait_for_turn(project, ignore) as note:
        free = is_free(project)

    assert (free, is_free(project)) == (False, True)
    assert str(project) in note
    assert "one user" in note
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EACCES, errno.EAGAIN])
def test_directory_lock__is_waited_for_however_the_system_says_that_it_is_held(
    project: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse_flock(monkeypatch, stat.S_ISDIR, number)

    with (
        pytest.raises(WaitCancelledError),
        wait_for_turn(project, ignore, is_cancelled=lambda: True),
    ):
        pytest.fail("the directory is another's")


def test_directory_lock__without_any_locks_is_entered_with_a_note(
    project: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_flock(monkeypatch, lambda _: True)

    with wait_for_turn(project, ignore) as note:
        assert is_free(project)

    assert "no builds" in note
    assert list(temporary.iterdir()) == []


def test_directory_lock__on_windows_is_its_file_alone(
    project: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_lock, "_ON_WINDOWS", True)
    refuse_flock(monkeypatch, stat.S_ISDIR)

    with wait_for_turn(project, ignore) as note:
        free = is_free(project)

    assert (note, free, is_free(project)) == ("", False, True)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("kind", ["open to all", "a link", "a file", "another user's"])
def test_directory_lock__ignores_a_place_that_may_be_another_users(
    project: Path, temporary: Path, kind: str
) -> None:
    with wait_for_turn(project, ignore):
        (place,) = temporary.iterdir()
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


def test_directory_lock__removes_files_of_dead_processes_and_no_others(
    project: Path, temporary: Path
) -> None:
    with wait_for_turn(project, ignore):
        (lock,) = temporary.glob("*/*")
    lock.parent.mkdir(mode=0o700)
    other = lock.with_name("other.lock")
    for path in (lock, lock.with_suffix(".next"), other):
        path.write_bytes(b"?" * 1000)
    told: list[LockOwner] = []

    with wait_for_turn(project, ignore):
        during = is_free(project, told.append)
    assert (during, is_free(project), told[0].pid) == (False, True, os.getpid())
    assert list(lock.parent.iterdir()) == [other]


def test_directory_lock__excludes_without_its_file(project: Path, temporary: Path) -> None:
    with wait_for_turn(project, ignore):
        (place,) = temporary.iterdir()
        remove_tree(str(place))
        free = is_free(project)

    assert (free, is_free(project)) == (False, True)
    assert list(temporary.iterdir()) == []


def test_directory_lock__is_not_kept_by_a_forked_child(project: Path, temporary: Path) -> None:
    command = [sys.executable, "-c", _FORKER, str(project)]
    variables = {**os.environ, "TMPDIR": str(temporary)}

    done = subprocess.run(command, capture_output=True, text=True, check=True, env=variables)

    assert done.stdout == "free\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")
def test_directory_lock__excludes_other_users(
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
def test_directory_lock__of_an_unreadable_directory_has_a_note(
    tmp_path: Path, project: Path, temporary: Path
) -> None:
    temporary.chmod(0o1777)
    project.chmod(0o711)

    output = run_unprivileged(tmp_path, _STRANGER, before=_LOADED)

    assert output.startswith("inside `project` cannot be locked")
