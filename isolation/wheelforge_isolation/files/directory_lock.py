"""A lock on a directory: it is built by one process at a time, and the others are told by which.

Backends write into the directory that they build, so two builds of one directory would spoil each
other. A builder takes three locks, in this order and before any other lock:

1. ``<key>.next``, given back as soon as it has the others. Only its holder tries to get them, so
   that a process that builds again and again cannot keep the others out.
2. ``<key>.lock``, which also holds a description of its owner.
3. *the directory itself*, for exclusion. It leaves nothing in the user's tree, and it holds
   whatever the cache, the user, the container or the path by which one came.

The files are in a private directory of their user among the temporary files, which is gone when
the last one leaves. A cache would be the wrong place: two builds may have two. So would be the
user's home: it is often read-only, on the network or without locks. Two builds that do not see each
other's files, because of different users or places for temporary files, exclude each other all the
same; they only cannot tell who it is that they wait for.

Windows cannot lock directories, and network file systems may refuse: there the files alone exclude.
Where there are no lock files either, every build goes ahead, with a note. No program that is
started inherits any lock: a hook that outlives its killed frontend does not hold the directory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from wheelforge_isolation.errors import (
    DirectoryHeldError,
    FileAccessError,
    IsolationError,
    LocksUnavailableError,
    WaitCancelledError,
    quoted,
)
from wheelforge_isolation.files import fs
from wheelforge_isolation.files.locks import (
    ANNOUNCEMENT_SECONDS,
    Lock,
    lock_descriptor,
    try_lock,
    unlock_descriptor,
)

_POLL_SECONDS = 0.02
_KEY_LENGTH = 20
_ON_WINDOWS = sys.platform == "win32"
_OPEN = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_held: set[tuple[int, str]] = set()
"""Each thread of this process with the directory that it holds or waits for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LockOwner:
    """The process that builds in a directory, as far as that can be seen."""

    pid: int = 0
    """Nothing is known of the owner where this is zero."""
    since: float = 0.0
    """In seconds since the epoch."""
    label: str = ""


@contextlib.contextmanager
def wait_for_turn(
    directory: Path,
    announce: Callable[[LockOwner], None],
    *,
    label: str = "",
    is_cancelled: Callable[[], bool] = lambda: False,
    announce_after_seconds: float = ANNOUNCEMENT_SECONDS,
) -> Generator[str]:
    """Hold the lock on ``directory``; yield a note of what limits it, or nothing.

    A wait may take hours, and ends only with the lock, an interrupt, or once ``is_cancelled``.
    Others are told ``label``; ``announce`` is told the owner when a wait gets long.
    """
    announcement = time.monotonic() + announce_after_seconds

    def pause(lock: _DirectoryLock) -> None:
        nonlocal announcement
        if is_cancelled():
            raise WaitCancelledError(str(directory))
        if time.monotonic() >= announcement:
            announcement = float("inf")
            announce(lock.files.read_owner())
        time.sleep(_POLL_SECONDS)

    lock = _DirectoryLock(directory)
    try:
        while not lock.acquire(label, pause):
            # The path leads to another directory by now.
            lock.release()
            lock = _DirectoryLock(directory)
        yield lock.note
    finally:
        lock.release()


class _DirectoryLock:
    """One attempt to lock the directory that a path leads to just now."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with fs.raising_file_errors("lock", str(directory)):
            self._descriptor = _open_directory(directory)
            found = os.stat(directory) if self._descriptor < 0 else os.fstat(self._descriptor)
        # By a number, as a path has many spellings; some file systems on Windows have none.
        name = f"{found.st_dev}-{found.st_ino}" if found.st_ino else os.path.realpath(directory)
        self._claim = (threading.get_ident(), name)
        if self._claim in _held:
            self._close()
            raise DirectoryHeldError(str(directory))
        _held.add(self._claim)
        self.files = _LockFiles(name)

    def acquire(self, label: str, pause: Callable[[_DirectoryLock], None]) -> bool:
        """Wait for all locks; return whether the path still leads to the directory."""
        steps = (
            partial(self.files.try_take, "next"),
            partial(self.files.try_take, "lock"),
            self._try_take_directory,
        )
        for try_take in steps:
            while not try_take():
                pause(self)
        self.files.describe(LockOwner(pid=os.getpid(), since=time.time(), label=label))
        self.files.give_back("next")
        if self._descriptor < 0:
            return True
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self._directory))
        except OSError:
            return False

    def _try_take_directory(self) -> bool:
        """Return whether the directory is ours now, or cannot be locked at all."""
        if self._descriptor < 0:
            return True
        try:
            return lock_descriptor(self._descriptor, self._directory)
        except LocksUnavailableError:
            self._close()
            return True

    @property
    def note(self) -> str:
        """A sentence about the limits of the exclusion, or nothing."""
        if self._descriptor >= 0 or (_ON_WINDOWS and self.files.are_usable):
            return ""
        who = "only builds of one user on one machine" if self.files.are_usable else "no builds"
        return f"{quoted(str(self._directory))} cannot be locked: {who} take turns in it"

    def release(self) -> None:
        """Let the next one have it."""
        # The files last: the next one, getting them, finds the directory free.
        if self._descriptor >= 0:
            # To close is not enough: a process forked meanwhile has a copy that would keep it.
            with contextlib.suppress(OSError):
                unlock_descriptor(self._descriptor)
        self._close()
        self.files.give_back("lock", "next")
        _held.discard(self._claim)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _open_directory(directory: Path) -> int:
    """Return a descriptor to lock, or -1 where there is none to be had."""
    if _ON_WINDOWS:
        return -1
    try:
        return os.open(directory, _OPEN)
    except PermissionError:
        return -1


class _LockFiles:
    def __init__(self, name: str) -> None:
        user = f"-{os.geteuid()}" if sys.platform != "win32" else ""
        self._place = Path(os.path.realpath(tempfile.gettempdir())) / f"wheelforge-locks{user}"
        self._key = hashlib.sha256(os.fsencode(name)).hexdigest()[:_KEY_LENGTH]
        self._locks: dict[str, Lock] = {}
        self.are_usable = True

    def _path(self, kind: str) -> Path:
        return self._place / f"{self._key}.{kind}"

    def try_take(self, kind: str) -> bool:
        """Return whether a lock is ours now, or cannot be had at all."""
        if not self.are_usable:
            return True
        try:
            lock = self._try_lock(self._path(kind))
        except LocksUnavailableError:
            self._tidy(self._path(kind))
            self.are_usable = False
        except (OSError, IsolationError):
            self.are_usable = False
        else:
            if lock is not None:
                self._locks[kind] = lock
            return lock is not None
        return True

    def _try_lock(self, path: Path) -> Lock | None:
        while True:
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._place, fs.PRIVATE_MODE)
            # The last user of the place may just have removed it.
            with contextlib.suppress(FileNotFoundError):
                _check_privacy(self._place)
                lock = fs.patiently(partial(try_lock, path))
                if lock is not None:
                    os.ftruncate(lock.descriptor, 0)  # a dead owner may have described itself
                return lock

    def describe(self, owner: LockOwner) -> None:
        """Tell others who has the directory."""
        lock = self._locks.get("lock")
        if lock is not None:
            with contextlib.suppress(OSError):  # then they know no more than that it is locked
                # From the second byte: on Windows the first cannot be read, being locked.
                os.lseek(lock.descriptor, 1, os.SEEK_SET)
                os.write(lock.descriptor, json.dumps(asdict(owner)).encode())

    def read_owner(self) -> LockOwner:
        """Return who has the directory, or an unknown one."""
        try:
            with open(self._path("lock"), "rb") as file:
                file.seek(1)
                return LockOwner(**json.loads(file.read()))
        except (OSError, ValueError, TypeError):
            return LockOwner()  # it is just being written, or has nothing to say

    def give_back(self, *kinds: str) -> None:
        """Release those of the locks that are held; the last one removes the place."""
        for kind in kinds:
            lock = self._locks.pop(kind, None)
            if lock is not None:
                with contextlib.suppress(OSError, IsolationError):
                    lock.release()
                self._tidy()

    def _tidy(self, *paths: Path) -> None:
        with contextlib.suppress(IsolationError):
            for path in paths:
                fs.remove_file(str(path))
        fs.remove_empty_directory(str(self._place))


def _check_privacy(place: Path) -> None:
    """Raise unless nobody else may write to ``place``, as anybody may among temporary files."""
    found = os.lstat(place)
    is_ours = sys.platform == "win32" or (
        stat.S_IMODE(found.st_mode) == fs.PRIVATE_MODE and found.st_uid == os.geteuid()
    )
    if not is_ours or not stat.S_ISDIR(found.st_mode):
        raise FileAccessError("lock in", str(place), "it may be another user's")
