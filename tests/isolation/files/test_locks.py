"""Locks: taken at once or not at all, free when their owner is dead."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import filelock
import pytest

from tests.support.caches import refuse_with
from tests.support.processes import needs
from wheelforge_isolation.errors import ForgeError, LocksUnavailableError
from wheelforge_isolation.files.locks import Lock, try_lock

DESCRIPTORS = Path("/proc/self/fd")
_TRY = """
import sys
from pathlib import Path
from wheelforge_isolation.files.locks import try_lock

print(try_lock(Path(sys.argv[1])) is not None, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def held(path: Path) -> Iterator[Lock]:
    lock = try_lock(path)
    assert lock is not None
    yield lock
    lock.release()


def is_free(path: Path) -> bool:
    lock = try_lock(path)
    if lock is not None:
        lock.release(remove=False)
    return lock is not None


@pytest.mark.usefixtures("held")
def test_lock__held_is_refused_at_once(path: Path) -> None:
    assert try_lock(path) is None


@pytest.mark.usefixtures("held")
def test_lock__is_the_one_that_filelock_takes(path: Path) -> None:
    with path.open("r+b") as file:
        assert filelock.lock_descriptor(file.fileno(), blocking=False) is False


def test_lock__taken_by_filelock_is_held(path: Path) -> None:
    path.touch()
    with path.open("r+b") as file:
        assert filelock.lock_descriptor(file.fileno(), blocking=False) is True

        assert try_lock(path) is None


@pytest.mark.usefixtures("held")
def test_lock__held_is_refused_to_another_process(path: Path) -> None:
    command = [sys.executable, "-c", _TRY, str(path)]

    done = subprocess.run(command, input="", capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


def test_lock__is_free_once_its_owner_was_killed(path: Path) -> None:
    command = [sys.executable, "-c", _TRY, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline().split() == [b"True"]
        before = is_free(path)
        owner.kill()

    assert (before, is_free(path)) == (False, True)


@pytest.mark.parametrize("remove", [True, False])
def test_lock__released_is_free_and_its_file_is_removed_on_request(
    path: Path, *, remove: bool
) -> None:
    lock = try_lock(path)
    assert lock is not None

    lock.release(remove=remove)

    assert path.exists() is not remove
    assert is_free(path)


def test_lock__leaves_the_content_of_its_file(path: Path) -> None:
    path.write_text("precious", encoding="utf-8")

    assert is_free(path)

    assert path.read_text(encoding="utf-8") == "precious"


@needs(posix="the removal of open files")
def test_lock__on_an_unlinked_file_is_taken_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter([path])

    lock_descriptor = filelock.lock_descriptor

    def lock_after_removal(descriptor: int, *, blocking: bool) -> bool:
        for name in names:  # once: the previous owner left between our opening and our locking
            name.unlink()
        return lock_descriptor(descriptor, blocking=blocking)

    monkeypatch.setattr("filelock.lock_descriptor", lock_after_removal)

    lock = try_lock(path)

    assert lock is not None
    assert os.path.samestat(os.fstat(lock.descriptor), path.stat())
    lock.release()


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="needs /proc")
def test_lock__leaves_no_descriptor_open(path: Path, held: Lock) -> None:
    before = set(DESCRIPTORS.iterdir())

    for _ in range(3):
        assert try_lock(path) is None
        assert is_free(path.with_name("other"))
        with pytest.raises(FileNotFoundError):
            try_lock(path.parent / "absent" / "lock")

    assert set(DESCRIPTORS.iterdir()) == before
    assert held.path == path


def test_lock__is_released_though_its_file_cannot_be_removed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = try_lock(path)
    assert lock is not None

    def refuse(_: object) -> NoReturn:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    with monkeypatch.context() as patch:
        patch.setattr("wheelforge_isolation.files.fs.os.unlink", refuse)
        with pytest.raises(ForgeError):
            lock.release()

    assert is_free(path)


@needs(posix="symbolic links")
def test_lock__never_follows_a_link(path: Path) -> None:
    path.symlink_to("precious")

    with pytest.raises(OSError, match="lock"):
        try_lock(path)

    assert not path.with_name("precious").exists()


@needs(posix="inheritance by number")
@pytest.mark.parametrize("inherited", [False, True])
def test_lock__is_kept_by_a_child_that_inherits_it(path: Path, *, inherited: bool) -> None:
    lock = try_lock(path)
    assert lock is not None
    os.set_inheritable(lock.descriptor, inherited)
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        lock.release(remove=False)

        assert is_free(path) is not inherited
        child.stdin.close()


@pytest.mark.parametrize(
    "number", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL, errno.EPERM]
)
def test_lock__unavailable_is_an_error_of_its_own(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse_with(number, monkeypatch, "filelock.lock_descriptor")

    with pytest.raises(LocksUnavailableError) as caught:
        try_lock(path)

    assert str(path) in str(caught.value)
    assert caught.value.hint


@needs(posix="flock")
@pytest.mark.parametrize(
    ("number", "expected"), [(errno.EACCES, None), (errno.EAGAIN, None), (errno.EIO, errno.EIO)]
)
def test_lock__held_by_another_and_broken_are_told_apart(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: int | None
) -> None:
    import fcntl

    def refuse(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)

    answer: Lock | int | None
    try:
        answer = try_lock(path)
    except OSError as error:
        answer = error.errno

    assert answer == expected
