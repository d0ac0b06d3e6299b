"""Locks that prove their owner alive.

A lock is a file that the operating system locks for one open descriptor and frees when its process
dies, however it dies; so a free lock proves its owner gone, on any host that shares the kernel, and
no process number is ever looked at. Nobody waits for these locks: they are taken at once or not at
all.

A lock file is removed by its holder. Whoever has just locked a file therefore looks whether the
path still leads to it: otherwise it holds a file without a name, which excludes nobody. The order
of removal differs: POSIX removes under the lock, Windows only once it is released, where a second
owner makes the removal fail, which is just right.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelforge_isolation import _fs
from wheelforge_isolation.errors import FileAccessError, LocksUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
_REMOVES_UNDER_LOCK = os.name != "nt"


@dataclass(slots=True, kw_only=True)
class Lock:
    """A lock that is held."""

    path: Path
    descriptor: int
    """A child that inherits it keeps the lock alive."""

    def release(self, *, remove: bool = True) -> None:
        """Give the lock up, and remove its file unless others are to find it."""
        if remove and _REMOVES_UNDER_LOCK:
            _fs.remove_file(str(self.path))
        os.close(self.descriptor)
        if remove and not _REMOVES_UNDER_LOCK:
            with contextlib.suppress(FileAccessError):
                _fs.remove_file(str(self.path))


def try_lock(path: Path) -> Lock | None:
    """Take the lock ``path`` at once, or return nothing when somebody else holds it.

    The directory of ``path`` may vanish meanwhile, when its last user leaves: FileNotFoundError.
    """
    while True:
        descriptor = os.open(path, _OPEN, _fs.FILE_MODE)
        try:
            is_held = _lock(descriptor, path)
            if is_held and _is_still_there(descriptor, path):
                lock, descriptor = Lock(path=path, descriptor=descriptor), -1
                return lock
            if not is_held:
                return None
        finally:
            if descriptor >= 0:
                os.close(descriptor)


def _lock(descriptor: int, path: Path) -> bool:
    from filelock import lock_descriptor

    try:
        return lock_descriptor(descriptor, blocking=False)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            raise LocksUnavailableError(str(path)) from error
        raise


def _is_still_there(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
