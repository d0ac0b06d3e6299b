"""The one door through which files are created, linked, replaced and removed.

Nothing elsewhere changes a file system, so that failing each of its operations in turn is possible.
What the operating system says comes out of here as one of our errors, naming the path. Files are
created exclusively and never through a link; modes are set, whatever the umask. Where Windows says
that a scanner or an indexer holds a file, the operation is tried again for ten seconds.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import IO, TypeVar

from wheelforge_isolation.errors import (
    DestinationNotEmptyError,
    LinksUnavailableError,
    file_access_error,
    is_held_elsewhere,
)

T = TypeVar("T")

FILE_MODE = 0o644
PROGRAM_MODE = DIRECTORY_MODE = 0o755
PRIVATE_MODE, SECRET_MODE = 0o700, 0o600
PATIENCE_SECONDS = 10.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.01, 1.0
_COARSEST_SECONDS = 10.0
_TOUCH_SECONDS = 3600
_SPOOL_MEMORY_BYTES = 32 << 20
_CHUNK = 1 << 20
_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY
_UNSUPPORTED = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
"""The answers of file systems without modes or links."""


@contextlib.contextmanager
def raising_file_errors(action: str, path: str) -> Generator[None]:
    """Turn what the operating system refuses inside the block into an error that names ``path``."""
    try:
        yield
    except OSError as error:
        raise file_access_error(action, path, error) from error


def long_path(path: str) -> str:
    """Return ``path`` in the form that frees Windows of its limit of 260 characters."""
    path = os.path.abspath(path)
    if os.name != "nt" or path.startswith("\\\\"):
        return path
    return f"\\\\?\\{path}"


def create_file(
    path: str, chunks: Iterable[bytes], *, executable: bool = False, mtime: int | None = None
) -> None:
    """Create the file ``path``, which must not exist, with that content, mode and time."""
    mode = PROGRAM_MODE if executable else FILE_MODE
    try:
        _write_file(os.open(path, _NEW_FILE, mode), chunks, mode)
        if mtime is not None:
            os.utime(path, (mtime, mtime))
    except OSError as error:
        raise file_access_error("write", path, error) from error


def _write_file(descriptor: int, chunks: Iterable[bytes], mode: int) -> None:
    try:
        for chunk in chunks:
            write_all(descriptor, chunk)
        _set_mode(descriptor, mode)
    finally:
        os.close(descriptor)


def open_new_file(path: str) -> int:
    """Return a descriptor to write to the file ``path``, which must not exist."""
    return os.open(path, _NEW_FILE, FILE_MODE)


def create_private_file(path: str, content: bytes) -> None:
    """Create the file ``path``, which must not exist, with that content, for its owner alone."""
    with raising_file_errors("write", path):
        _write_file(os.open(path, _NEW_FILE, SECRET_MODE), [content], SECRET_MODE)


def write_all(descriptor: int, chunk: bytes) -> None:
    """Write all of ``chunk``, however little the system takes at once."""
    written = os.write(descriptor, chunk)
    while written < len(chunk):
        chunk = chunk[written:]
        written = os.write(descriptor, chunk)


def _set_mode(descriptor: int, mode: int) -> None:
    """Set the mode whatever the umask; there are file systems, and a platform, without modes."""
    if not hasattr(os, "fchmod"):
        return
    try:
        # A look is cheap; a change is written to the journal, even where it changes nothing.
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
            os.fchmod(descriptor, mode)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def copy_mode(path: str, descriptor: int) -> None:
    """Give the open file the mode of the regular file ``path``, if there is one.

    A report that was private stays so.
    """
    with contextlib.suppress(FileNotFoundError):
        status = os.lstat(path)
        if stat.S_ISREG(status.st_mode):
            _set_mode(descriptor, stat.S_IMODE(status.st_mode))


def create_directory(path: str, *, mode: int = DIRECTORY_MODE) -> None:
    """Create the directory ``path``, which must not exist."""
    with raising_file_errors("create", path):
        os.mkdir(path, mode)


def ensure_directory(path: str) -> None:
    """Make sure that the directory ``path`` exists, and its parents."""
    with raising_file_errors("create", path):
        os.makedirs(path, DIRECTORY_MODE, exist_ok=True)


def ensure_private_directories(path: str) -> None:
    """Make sure that the directory ``path`` exists; what is missing of it, only we may enter."""
    with raising_file_errors("create", path):
        missing: list[str] = []
        while path not in {"", *missing} and not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path)
        for place in reversed(missing):
            with contextlib.suppress(FileExistsError):
                os.mkdir(place, PRIVATE_MODE)
                _chmod(place, PRIVATE_MODE)  # a umask may have taken even our own rights


def ensure_private_directory(path: str) -> bool:
    """Make sure that ``path`` is a directory that only we may enter.

    A link in its place is removed, never followed. Return whether the directory is ours; one of
    another user is left alone.
    """
    with raising_file_errors("create", path):
        while True:
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, PRIVATE_MODE)
                break
            with contextlib.suppress(FileNotFoundError):  # its last user has just removed it
                status = os.lstat(path)
                if not stat.S_ISLNK(status.st_mode):
                    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
                        return False
                    break
                os.unlink(path)
        _chmod(path, PRIVATE_MODE)
    return True


def _chmod(path: str, mode: int) -> None:
    try:
        os.chmod(path, mode)
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.ENOENT, *_UNSUPPORTED}:
            raise


def ensure_file(path: str, content: bytes) -> None:
    """Create the file ``path`` with ``content`` unless it is there."""
    # One that is empty was created by somebody who was killed before he wrote to it. All write the
    # same, so they write in place: a draft would be left by the killed, and belong to nobody.
    if os.path.exists(path) and (os.path.getsize(path) or not content):
        return
    with raising_file_errors("write", path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | _SAFELY, FILE_MODE)
        _write_file(descriptor, (content,), FILE_MODE)


def settle_directory(path: str, mtime: float) -> None:
    """Give a directory that is complete its mode and time."""
    try:
        os.chmod(path, DIRECTORY_MODE)
        os.utime(path, (mtime, mtime))
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise file_access_error("write", path, error) from error


def mark_used(path: str) -> None:
    """Give ``path`` the time of its use, once an hour: what was unused for longest goes first."""
    with contextlib.suppress(OSError):
        if os.stat(path).st_mtime < time.time() - _TOUCH_SECONDS:
            os.utime(path)


def set_back(top: str) -> None:
    """Give whatever below ``top`` was just written a time in the past.

    So a later change gives it another time, however coarse the times of the file system are.
    """
    latest = int(time.time() - _COARSEST_SECONDS) & ~1  # FAT has no odd seconds
    with raising_file_errors("write", top):
        for directory, _, names in os.walk(top, topdown=False):
            for path in (*(os.path.join(directory, name) for name in names), directory):
                found = os.lstat(path)
                if found.st_mtime > latest and not stat.S_ISLNK(found.st_mode):
                    os.utime(path, (latest, latest))


def create_link(path: str, target: str, *, to_directory: bool) -> None:
    """Create the symbolic link ``path``."""
    try:
        os.symlink(target, path, target_is_directory=to_directory)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            problem = "the file system has no symbolic links"
            raise LinksUnavailableError("link", path, problem) from error
        raise file_access_error("link", path, error) from error


@contextlib.contextmanager
def temporary_directory(parent: str | None = None) -> Generator[str]:
    """Yield a private directory that nobody needs afterwards, in ``parent`` if it is given."""
    made = tempfile.mkdtemp(prefix="wheelforge-", dir=parent)  # ruff: ignore[banned-api]
    path = os.path.realpath(made)
    try:
        yield path
    finally:
        remove_tree(path)


def new_name() -> str:
    """Return a name that nobody has."""
    return os.urandom(16).hex()


def spool(directory: str | None = None) -> IO[bytes]:
    """Return a file that has no name, and that stays in memory while it is small."""
    return tempfile.SpooledTemporaryFile(_SPOOL_MEMORY_BYTES, dir=directory)


def move(source: str, destination: str) -> None:
    """Rename ``source``; a file at ``destination`` is replaced, a directory never unless empty."""
    try:
        patiently(lambda: os.replace(source, destination))
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR}:
            raise DestinationNotEmptyError(destination) from error
        raise file_access_error("write", destination, error) from error


def copy_file(source: str, destination: str, *, executable: bool = False) -> None:
    """Copy the content of ``source`` to the new file ``destination``."""
    with raising_file_errors("copy", source), open(source, "rb") as file:
        chunks = iter(functools.partial(file.read, _CHUNK), b"")
        create_file(destination, chunks, executable=executable)


def digest(path: Path) -> str:
    """Return the SHA-256 of the file ``path``."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush_tree(path: str) -> None:
    """Have the disk keep every file below ``path``, whatever happens to the machine."""
    with raising_file_errors("write", path):
        for directory, _, names in os.walk(path):
            for name in names:
                file = os.path.join(directory, name)
                if not os.path.islink(file):
                    _flush(file)


def flush_names(directory: Path) -> None:
    """Have the disk keep the names in ``directory``, and those that lead there."""
    for place in (directory, *directory.parents):
        try:
            _flush(str(place), os.O_RDONLY)
        except OSError as error:
            # Windows flushes no directories, and some may be entered and not be read.
            if error.errno not in {errno.EACCES, *_UNSUPPORTED}:
                raise file_access_error("write", str(place), error) from error


def _flush(path: str, access: int = os.O_RDWR) -> None:
    descriptor = os.open(path, access | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def patiently(operation: Callable[[], T]) -> T:
    """Do ``operation``, again and again while Windows says that another program has the file."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return operation()
        except OSError as error:
            if not is_held_elsewhere(error) or time.monotonic() > deadline:
                raise
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def remove_tree(path: str) -> None:
    """Remove ``path`` and all below it, whatever its modes; never what a link in it leads to."""
    with raising_file_errors("remove", path):
        patiently(lambda: _remove_tree(path))


def _remove_tree(path: str) -> None:
    # Another process that removes something in it makes the removal stop halfway.
    while os.path.lexists(path):
        with contextlib.suppress(FileNotFoundError):
            try:
                _remove(path)
            except PermissionError:
                _open_up(path)
                _remove(path)


def _remove(path: str) -> None:
    if not _is_real_directory(path):
        os.unlink(path)
        return
    try:
        shutil.rmtree(path)  # ruff: ignore[banned-api]
    except RecursionError:
        _flatten(path)
        shutil.rmtree(path)  # ruff: ignore[banned-api]


def _flatten(path: str) -> None:
    """Bring every directory below ``path`` up to it: some backend went deeper than a stack goes."""
    pending = [path]
    while pending:
        with os.scandir(pending.pop()) as entries:
            deeper = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        for directory in deeper:
            pending.append(os.path.join(path, new_name()))
            os.rename(directory, pending[-1])


def _is_real_directory(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _open_up(path: str) -> None:
    """Let us into every directory below ``path``, and at every file where a file's mode matters."""
    pending = [path]
    while pending:
        place = pending.pop()
        if _is_real_directory(place):
            os.chmod(place, PRIVATE_MODE)
            pending += [os.path.join(place, name) for name in os.listdir(place)]
        elif os.name == "nt" and not os.path.islink(place):
            os.chmod(place, stat.S_IWRITE)


def remove_file(path: str) -> None:
    """Remove the file ``path``, if it is there."""
    with raising_file_errors("remove", path), contextlib.suppress(FileNotFoundError):
        patiently(lambda: os.unlink(path))


def remove_empty_directory(path: str) -> bool:
    """Remove the directory ``path`` unless it holds something; return whether it is gone."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def free_bytes(path: str) -> int:
    """Return how much may still be written to the file system of ``path``."""
    with raising_file_errors("examine", path):
        return shutil.disk_usage(path).free
