"""Locks that prove their owner alive, all of them taken through filelock.

A lock is a file that the operating system locks for one open descriptor and frees when its process
dies, however it dies; so a free lock proves its owner gone, on any host that shares the kernel, and
no process number is ever looked at. In the order in which one process may take them:

1. an environment's key, then one wheel's key, held while it is made: others that want it wait;
2. one of kept files, held while a file is pinned, and by a collector while it removes some;
3. a stage's lock and a process's lease, held as long as either lives: nothing ever waits for them.

The collector's lock stands apart: a second collector goes away.

A lock file is removed by its holder. So a process that has just locked a file looks whether the
path still leads to it: otherwise it holds a file without a name, which excludes nothing. The order
of removal differs: POSIX removes under the lock, Windows only once it is released, where a second
owner makes the removal fail, which is just right. `filelock.FileLock` keeps its files instead, and
falls back to soft locks, which outlive their owner; so its primitive for open files is used.

| the system says | so the lock is |
|---|---|
| yes | held by this process |
| EAGAIN, EACCES (some file systems) | held by another one |
| ENOLCK, ENOSYS, ENOTSUP, EINVAL, EBADF (NFS), EPERM (sandboxes) | not to be had here |
| anything else | an error that is told as it is |
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path

from wheelforge_isolation.errors import (
    DiskFullError,
    FileAccessError,
    IsolationError,
    LocksUnavailableError,
)
from wheelforge_isolation.files import fs

PATIENCE_SECONDS = 600.0
ANNOUNCEMENT_SECONDS = 2.0
_POLL_SECONDS = 0.02
_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_UNSUPPORTED = {
    *(errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP),
    *(errno.EINVAL, errno.EBADF, errno.EPERM),
}
_REMOVES_UNDER_LOCK = os.name != "nt"


class Lock:
    """A lock that is held; a child that inherits its descriptor keeps it alive."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    def release(self, *, remove: bool = True) -> None:
        """Give the lock up, and remove its file unless others are to find it."""
        try:
            if remove and _REMOVES_UNDER_LOCK:
                fs.remove_file(str(self.path))
        finally:
            os.close(self.descriptor)
        if remove and not _REMOVES_UNDER_LOCK:
            with contextlib.suppress(FileAccessError):
                fs.remove_file(str(self.path))


def try_lock(path: Path) -> Lock | None:
    """Take the lock ``path`` at once, or return nothing when it is held.

    The directory of ``path`` may vanish meanwhile, when its last user leaves: FileNotFoundError.
    """
    while True:
        descriptor = os.open(path, _OPEN, fs.FILE_MODE)
        try:
            if not lock_descriptor(descriptor, path):
                return None
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                    lock, descriptor = Lock(path, descriptor), -1
                    return lock
        finally:
            if descriptor >= 0:
                os.close(descriptor)


def lock_descriptor(descriptor: int, path: Path) -> bool:
    """Lock the open file or directory ``path``; return whether it is ours now."""
    import filelock  # only here: it takes longer to import than all that comes before it

    try:
        return filelock.lock_descriptor(descriptor, blocking=False)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            raise LocksUnavailableError(str(path)) from error
        raise


def unlock_descriptor(descriptor: int) -> None:
    """Give up a lock even for processes that were forked meanwhile and have a copy of it."""
    import filelock

    filelock.unlock_descriptor(descriptor)


@contextlib.contextmanager
def wait_for_lock(
    path: Path, announce: Callable[[], None], *, patience_seconds: float = PATIENCE_SECONDS
) -> Generator[None]:
    """Hold the lock ``path`` inside the block, so that only one process does what is done there.

    The lock spares work and is needed for nothing else: where there are no locks, and after a wait
    that is too long, the block is entered without it. ``announce`` is called when a wait gets long.
    """
    lock = None
    # A cache that can only be read has no locks either.
    with contextlib.suppress(IsolationError, OSError):
        fs.ensure_directory(str(path.parent))
        start = time.monotonic()
        is_announced = False
        while (lock := try_lock(path)) is None:
            waited = time.monotonic() - start
            if waited > patience_seconds:
                break
            if waited > ANNOUNCEMENT_SECONDS and not is_announced:
                is_announced = True
                announce()
            time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


class Lease:
    """The things that one process says it uses, for as long as it lives.

    ``<id>.lock`` is held from beginning to end, ``<id>.pins`` grows by a line for each thing taken
    into use or given back. They are two files because a lock on Windows keeps others from reading.
    """

    def __init__(self, directory: Path) -> None:
        self.id = f"{os.getpid()}-{fs.new_name()}"
        self._path = directory / f"{self.id}.pins"
        self._lock: Lock | None = None
        self._pins = -1
        self._is_mute = False
        self._counts: Counter[str] = Counter()
        self._mutex = threading.Lock()

    def pin(self, name: str) -> None:
        """Say that ``name`` is in use, before looking whether it is still there."""
        with self._mutex:
            if not self._counts[name]:
                self._write(f"\n+{name}")
            self._counts[name] += 1

    def unpin(self, name: str) -> None:
        """Say that one user of ``name`` has done with it."""
        with self._mutex:
            self._counts[name] -= 1
            if not self._counts[name] and self._lock is not None:
                # If unpinning fails, the entry just stays pinned until this process ends.
                with contextlib.suppress(FileAccessError):
                    self._write(f"\n-{name}")

    def _write(self, line: str) -> None:
        """Write a line; it begins with the line's end, lest it continues one that was cut short."""
        if self._lock is None and not self._is_mute:
            try:
                self._open()
            except DiskFullError:
                raise
            except IsolationError:
                # A cache without locks, or that cannot be written to, has no collector either.
                self._is_mute = True
        if not self._is_mute:
            data = line.encode()
            with fs.raising_file_errors("write", str(self._path)):
                if os.write(self._pins, data) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _open(self) -> None:
        lock = None
        with fs.raising_file_errors("write", str(self._path)):
            fs.ensure_directory(str(self._path.parent))
            while lock is None:  # a collector may take a file not yet locked for a dead one's
                lock = try_lock(self._path.with_suffix(".lock"))
            try:
                self._pins = os.open(self._path, _OPEN | os.O_APPEND, fs.FILE_MODE)
            except OSError:
                lock.release()
                raise
        self._lock = lock

    def close(self) -> None:
        """Give everything back."""
        with self._mutex:
            if self._lock is None:
                return
            os.close(self._pins)
            fs.remove_file(str(self._path))
            self._lock.release()
            self._lock = None


def read_leases(directory: Path) -> dict[str, set[str]]:
    """Return what each living process uses, by its lease; remove what dead ones left."""
    leases: dict[str, set[str]] = {}
    for path in _list_leases(directory):
        lock = try_lock(path)
        notes = path.with_suffix(".pins")
        if lock is None:
            leases[path.stem] = _read_notes(notes)
        else:
            fs.remove_file(str(notes))
            lock.release()
    return leases


def _list_leases(directory: Path) -> list[Path]:
    """Return the locks of all leases; where they cannot be listed, nobody is taken for dead."""
    try:
        with os.scandir(directory) as entries:
            is_file = {entry.name: entry.is_file(follow_symlinks=False) for entry in entries}
    except FileNotFoundError:
        return []
    # A loss of power may have left notes without their lock.
    stems = {name[:-5] for name in is_file if name.endswith((".lock", ".pins"))}
    return [directory / f"{stem}.lock" for stem in stems if is_file.get(f"{stem}.lock", True)]


def _read_notes(path: Path) -> set[str]:
    counts: Counter[str] = Counter()
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_text(encoding="utf-8").splitlines():
            counts[line[1:]] += 1 if line.startswith("+") else -1
    return {name for name, count in counts.items() if count > 0}
