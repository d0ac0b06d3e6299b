"""Unique, locked directories to work in, with paths that stay the same from build to build.

A stage is named by what is done in it, so that compilers' caches recognise the paths. It is locked
as long as it is used: a second user of the same name gets the next slot at once, ``name.1``, and
nobody ever waits or shares. Each slot holds its own lock file; the owner's death frees the lock,
and what it left is removed by whoever takes the slot next, or by ``collect_stages``. A stage that
is kept on request is marked, and left alone by both.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from wheelforge_isolation.errors import FileAccessError, LocksUnavailableError, StageLostError
from wheelforge_isolation.files import fs
from wheelforge_isolation.files.locks import Lock, try_lock

_LOCK, _KEPT = ".lock", ".kept"
_KEY_LENGTH = 12
_ODD = re.compile(r"[^A-Za-z0-9._+-]+|^\.+")
_SUFFIX = re.compile(r"\.(tar\.gz|zip)$")
_DAY_SECONDS = 86400


def stage_name(label: str, *inputs: str) -> str:
    """Return the name of the stage in which ``label``, an sdist mostly, is made from ``inputs``."""
    key = hashlib.sha256("\0".join(inputs).encode("utf-8", "surrogateescape")).hexdigest()
    return f"{_ODD.sub('-', _SUFFIX.sub('', label))[:80]}-{key[:_KEY_LENGTH]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A private directory that is ours until the end of the block that opened it."""

    path: Path
    lock: Lock | None
    """Nothing where the file system has no locks; the directory's name is unique there instead."""
    identity: tuple[int, int] = (0, 0)
    """Device and inode of the directory."""

    def check(self) -> None:
        """Raise `StageLostError` if another file, or none, has taken the directory's place."""
        if _identify(self.path) != self.identity:
            raise StageLostError(str(self.path))

    def keep(self) -> None:
        """Leave the directory behind at the end, for somebody to look at."""
        fs.ensure_file(str(self.path / _KEPT), b"")


@contextlib.contextmanager
def open_stage(parent: Path, name: str) -> Generator[Stage]:
    """Yield an empty stage below ``parent``, and remove it on the way out unless it is kept."""
    fs.ensure_directory(str(parent))
    stage = _claim(parent, name)
    try:
        yield stage
    finally:
        # A failed removal must not fail the work that was done; the collector tries again.
        with contextlib.suppress(OSError, FileAccessError):
            _leave(stage)


def _claim(parent: Path, name: str) -> Stage:
    """Take the first slot of ``name`` that nobody uses."""
    with fs.raising_file_errors("stage in", str(parent)):
        for number in itertools.count():
            path = parent / (f"{name}.{number}" if number else name)
            try:
                stage = _claim_slot(path)
            except LocksUnavailableError:
                path = parent / f"{name}.{os.getpid()}-{time.time_ns():x}"
                fs.create_directory(str(path), mode=fs.PRIVATE_MODE)
                return Stage(path=path, lock=None, identity=_identify(path))
            if stage is not None:
                return stage
    raise AssertionError


def _claim_slot(path: Path) -> Stage | None:
    lock = _lock_slot(path)
    if lock is None:
        return None
    with contextlib.ExitStack() as unless_ours:
        unless_ours.callback(lock.release, remove=False)
        if (path / _KEPT).exists():
            return None
        _empty(path)
        unless_ours.pop_all()
    return Stage(path=path, lock=lock, identity=_identify(path))


def _identify(path: Path) -> tuple[int, int]:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return (0, 0)
    return (status.st_dev, status.st_ino)


def _lock_slot(path: Path) -> Lock | None:
    while True:
        if not fs.ensure_private_directory(str(path)):
            return None  # another user's
        try:
            return try_lock(path / _LOCK)
        except FileNotFoundError:
            continue  # its last user has just removed it
        except (LocksUnavailableError, OSError):
            # A slot that cannot be locked goes, if it holds no more than its lock.
            with contextlib.suppress(OSError, FileAccessError):
                if os.listdir(path) == [_LOCK]:
                    fs.remove_file(str(path / _LOCK))
            fs.remove_empty_directory(str(path))
            raise


def _leave(stage: Stage) -> None:
    """Give up a slot: remove all of it, its lock last, unless it is kept."""
    # A hook may have closed it, or put a link in its place.
    fs.ensure_private_directory(str(stage.path))
    is_kept = (stage.path / _KEPT).exists()
    try:
        if not is_kept:
            _empty(stage.path)
    finally:
        if stage.lock is not None:
            stage.lock.release(remove=not is_kept)
        fs.remove_empty_directory(str(stage.path))


def _empty(path: Path) -> None:
    """Remove all that a slot holds but its lock."""
    for entry in os.listdir(path):
        if entry != _LOCK:
            fs.remove_tree(str(path / entry))


@dataclass(frozen=True, kw_only=True, slots=True)
class Collection:
    """The stages that a collector found."""

    removed: list[Path] = field(default_factory=list[Path])
    in_use: list[Path] = field(default_factory=list[Path])
    kept: list[Path] = field(default_factory=list[Path])


def collect_stages(parent: Path, name: str = "", *, kept_days: float = 14) -> Collection:
    """Remove what dead owners left below ``parent``, and what was kept longer than ``kept_days``.

    Only slots of ``name`` are looked at, where one is given. Living owners are neither disturbed
    nor waited for.
    """
    found = Collection()
    failure: FileAccessError | None = None
    for path in _list_slots(parent, name):
        try:
            with fs.raising_file_errors("collect", str(path)):
                _collect(path, kept_days, found)
        except FileAccessError as error:
            failure = error  # go on, and report the last failure
    if failure is not None:
        raise failure
    return found


def _list_slots(parent: Path, name: str) -> list[Path]:
    try:
        with os.scandir(parent) as entries:
            slots = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    return [parent / slot for slot in slots if not name or f"{slot}.".startswith(f"{name}.")]


def _collect(path: Path, kept_days: float, found: Collection) -> None:
    lock = _lock_slot(path)
    if lock is None:
        found.in_use.append(path)
        return
    with contextlib.suppress(FileNotFoundError):
        if (path / _KEPT).stat().st_mtime > time.time() - kept_days * _DAY_SECONDS:
            lock.release(remove=False)
            found.kept.append(path)
            return
    fs.remove_file(str(path / _KEPT))
    _leave(Stage(path=path, lock=lock))
    found.removed.append(path)
