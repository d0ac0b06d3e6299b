"""Turns: a directory is built in by one at a time, in the order in which they came.

Backends write into the directory that they build, so two builds of one directory would spoil each
other. Whoever has the turn holds two things, taken in this order and before any other lock:

1. a *ticket*, for the order and for a description of who holds the turn: a file with a number,
   locked by its owner. A ticket whose lock is free belongs to a dead one, and is removed by whoever
   comes next behind it, or leaves, so neither a dead holder nor a dead waiter keeps anybody.
2. the *lock of the directory itself*, for exclusion. It leaves nothing in the user's tree, and it
   holds whatever the cache, the user, the container or the path by which one came.

The tickets for one directory are in a private directory of their own among the temporary files,
which is gone when the last one leaves. A cache would be the wrong place: two builds may have two.
So would be the user's home: it is often read-only, on the network or without locks. Two who do not
see each other's tickets, being different users or having different places for temporary files,
exclude each other all the same; only their order is left to chance.

Windows cannot lock directories, and network file systems may refuse: there the tickets alone
exclude. Where there are no tickets either, everybody goes ahead, with a note. No program that is
started inherits either: a hook that outlives its killed frontend does not hold the turn.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge_isolation.errors import (
    DirectoryHeldError,
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

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_POLL_SECONDS = 0.02
_KEY_LENGTH = 20
_ON_WINDOWS = sys.platform == "win32"
_OPEN = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_held: set[tuple[int, str]] = set()
"""Each thread of this process with the directory that it holds or waits for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LockOwner:
    """Who has the turn, as far as that can be seen."""

    pid: int = 0
    """Nothing is known of the holder where this is zero."""
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
    """Hold the turn to build in ``directory``; yield what others are to know, or nothing.

    A wait may take hours, and ends only with the turn, an interrupt, or once ``is_cancelled``.
    Others are told ``label``; ``announce`` is told who holds the turn when a wait gets long.
    """
    patience = _Patience(directory, announce, is_cancelled, announce_after_seconds)
    turn = None
    while turn is None:
        turn = _take(directory, label, patience)
    try:
        yield turn.note
    finally:
        turn.leave()


class _Patience:
    """What one does while it is not yet one's turn."""

    def __init__(
        self,
        directory: Path,
        announce: Callable[[LockOwner], None],
        is_cancelled: Callable[[], bool],
        announce_after_seconds: float,
    ) -> None:
        self._directory = directory
        self._announce = announce
        self._is_cancelled = is_cancelled
        self._announcement = time.monotonic() + announce_after_seconds

    def pause(self, queue: _Queue) -> None:
        if self._is_cancelled():
            raise WaitCancelledError(str(self._directory))
        if time.monotonic() >= self._announcement:
            self._announcement = float("inf")
            self._announce(queue.find_holder())
        time.sleep(_POLL_SECONDS)


def _take(directory: Path, label: str, patience: _Patience) -> _Turn | None:
    """Wait for the turn; return nothing if the path leads to another directory by then."""
    with fs.translated("lock", str(directory)):
        turn = _arrive(directory)
    try:
        turn.queue.draw(label)
        while not turn.has_come():
            patience.pause(turn.queue)
        if not turn.is_over():
            return turn
    except BaseException:
        turn.leave()
        raise
    turn.leave()
    return None


def _arrive(directory: Path) -> _Turn:
    descriptor = _open_directory(directory)
    found = os.stat(directory) if descriptor < 0 else os.fstat(descriptor)
    # By a number, as a path has many spellings; some file systems on Windows have none.
    name = f"{found.st_dev}-{found.st_ino}" if found.st_ino else os.path.realpath(directory)
    claim = (threading.get_ident(), name)
    if claim in _held:
        _close(descriptor)
        raise DirectoryHeldError(str(directory))
    _held.add(claim)
    return _Turn(directory, descriptor, _Queue(name), claim)


def _open_directory(directory: Path) -> int:
    """Return a descriptor to lock, or -1 where there is none to be had."""
    if _ON_WINDOWS:
        return -1
    try:
        return os.open(directory, _OPEN)
    except PermissionError:
        return -1


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


class _Turn:
    """One arrival at one directory, up to the leaving."""

    def __init__(
        self, directory: Path, descriptor: int, queue: _Queue, claim: tuple[int, str]
    ) -> None:
        self._directory = directory
        self._descriptor = descriptor
        self._claim = claim
        self.queue = queue

    def has_come(self) -> bool:
        """Return whether the directory is ours now, or cannot be anybody's."""
        if not self.queue.is_next() or not self._lock_directory():
            return False
        self.queue.describe(since=time.time())
        return True

    def is_over(self) -> bool:
        """Return whether the directory was moved or removed while we waited for it."""
        if self._descriptor < 0:
            return False
        try:
            return not os.path.samestat(os.fstat(self._descriptor), os.stat(self._directory))
        except OSError:
            return True

    @property
    def note(self) -> str:
        """What limits the exclusion, or nothing."""
        if self._descriptor >= 0 or (_ON_WINDOWS and self.queue.is_open):
            return ""
        who = "only builds of one user on one machine" if self.queue.is_open else "no builds"
        return f"{quoted(str(self._directory))} cannot be locked: {who} take turns in it"

    def leave(self) -> None:
        """Let the next one have it."""
        # The ticket last: the next one, seeing it gone, finds the directory free.
        _unlock(self._descriptor)
        self._descriptor = -1
        self.queue.leave()
        _held.discard(self._claim)

    def _lock_directory(self) -> bool:
        if self._descriptor < 0:
            return True
        try:
            return lock_descriptor(self._descriptor, self._directory)
        except LocksUnavailableError:
            _close(self._descriptor)
            self._descriptor = -1
            return True


def _unlock(descriptor: int) -> None:
    if descriptor < 0:
        return
    # To close is not enough: a process forked meanwhile has a copy that would keep the lock.
    with contextlib.suppress(OSError):
        unlock_descriptor(descriptor)
    os.close(descriptor)


class _Queue:
    """The tickets for one directory, as one who has drawn one, or could not, sees them."""

    def __init__(self, name: str) -> None:
        self._name = hashlib.sha256(os.fsencode(name)).hexdigest()[:_KEY_LENGTH]
        self._place = Path()
        self._number = 0
        self._lock: Lock | None = None
        self._label = ""

    @property
    def is_open(self) -> bool:
        """Whether there are tickets, and we have one."""
        return self._lock is not None

    def draw(self, label: str) -> None:
        """Take the number behind all others; where that is impossible, do without."""
        self._label = label
        user = f"-{os.geteuid()}" if sys.platform != "win32" else ""
        with contextlib.suppress(OSError, IsolationError):
            self._place = Path(fs.temporary_place()) / f"wheelforge-turns{user}-{self._name}"
            while _is_ours(self._place) and self._lock is None:
                self._try_to_draw()
        self.describe(since=0)

    def _try_to_draw(self) -> None:
        number = 1 + max(self._numbers(), default=0)
        try:
            # Before it is locked somebody may take it for a dead one's, and remove it. Then it is
            # created anew, so that two never have the same.
            self._number, self._lock = number, try_lock(self._ticket(number))
        except FileNotFoundError:
            pass  # the last one has just left, and taken the place with him
        except LocksUnavailableError:
            fs.remove_file(str(self._ticket(number)))
            fs.remove_empty_directory(str(self._place))
            raise

    def is_next(self) -> bool:
        """Return whether nobody living is before us; remove the dead."""
        if self._lock is None:
            return True
        before = (number for number in self._numbers() if number < self._number)
        return all(_removed_dead(self._ticket(number)) for number in sorted(before, reverse=True))

    def describe(self, *, since: float) -> None:
        """Tell others who we are, and since when we hold the turn, if we do."""
        if self._lock is None:
            return
        holder = LockOwner(pid=os.getpid(), since=since, label=self._label)
        with contextlib.suppress(OSError):  # then they know no more than that there is somebody
            # From the second byte: on Windows nobody may read the first, which is locked.
            os.lseek(self._lock.descriptor, 1, os.SEEK_SET)
            os.write(self._lock.descriptor, json.dumps(asdict(holder)).encode())

    def find_holder(self) -> LockOwner:
        """Return who says that he has the turn, or an unknown one."""
        if self._lock is None:
            return LockOwner()
        for number in sorted(self._numbers(), reverse=True):
            holder = _read_holder(self._ticket(number))
            if holder.since:
                return holder
        return LockOwner()

    def leave(self) -> None:
        """Give the ticket back, and remove the place if nobody else is there."""
        if self._lock is not None:
            with contextlib.suppress(IsolationError, OSError):
                self._lock.release()
            self._lock = None
            # Behind a dead one at the end of the line nobody may come for long.
            with contextlib.suppress(IsolationError, OSError):
                for number in self._numbers():
                    _removed_dead(self._ticket(number))
                fs.remove_empty_directory(str(self._place))

    def _ticket(self, number: int) -> Path:
        return self._place / f"{number}.lock"

    def _numbers(self) -> list[int]:
        with fs.translated("list", str(self._place)):
            try:
                names = [name.partition(".")[0] for name in os.listdir(self._place)]
            except FileNotFoundError:
                return []
        return [int(name) for name in names if name.isdecimal()]


def _is_ours(place: Path) -> bool:
    """Make sure that there is such a private directory; return whether it is one, and ours."""
    with contextlib.suppress(IsolationError):
        fs.create_directory(str(place), mode=fs.PRIVATE_MODE)
    # Anybody may create anything among the temporary files, and wait for us there.
    found = os.lstat(place)
    if sys.platform == "win32":
        return stat.S_ISDIR(found.st_mode)
    is_private = stat.S_IMODE(found.st_mode) == fs.PRIVATE_MODE
    return stat.S_ISDIR(found.st_mode) and is_private and found.st_uid == os.geteuid()


def _removed_dead(ticket: Path) -> bool:
    """Remove ``ticket`` if nobody holds it; return whether nobody did."""
    try:
        lock = try_lock(ticket)
    except FileNotFoundError:
        return True
    except OSError:  # Windows refuses what is just being removed: look again
        return False
    if lock is None:
        return False
    with contextlib.suppress(IsolationError):
        lock.release()
    return True


def _read_holder(ticket: Path) -> LockOwner:
    try:
        descriptor = os.open(ticket, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError:
        return LockOwner()
    try:
        os.lseek(descriptor, 1, os.SEEK_SET)
        return LockOwner(**json.loads(os.read(descriptor, 1 << 16)))
    except (OSError, ValueError, TypeError):
        return LockOwner()  # it is just being written
    finally:
        os.close(descriptor)
