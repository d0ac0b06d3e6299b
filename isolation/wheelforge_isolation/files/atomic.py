"""Atomic file replacement; leftovers of killed writers are swept.

A draft is locked by its writer from before its first byte until it has its name. One that can be
locked belongs to a dead process, and the next writer to the same directory removes it. Where there
are no locks that cannot be told, and drafts of dead processes stay.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from wheelforge_isolation.errors import FileAccessError, IsolationError, LocksUnavailableError
from wheelforge_isolation.files import fs
from wheelforge_isolation.files.locks import Lock, try_lock
from wheelforge_isolation.formats.sealed import fingerprint, seal_json, unseal_json

_DRAFT = re.compile(r"\.[0-9a-f]{32}\.wheelforge")
_ROUNDS = 3
_CHUNK = 1 << 20
_NAME_LENGTH = 32
_RENAMES_UNDER_LOCK = os.name != "nt"


def replace_file(path: str, content: bytes) -> None:
    """Give the file ``path``, there or not, this content: all of it at once, or nothing."""

    def write(descriptor: int) -> None:
        fs.write_all(descriptor, content)
        fs.copy_mode(path, descriptor)

    _publish(Path(path), write)


def deliver_file(source: Path, directory: Path, beside: Mapping[str, bytes] | None = None) -> Path:
    """Put a copy of the file ``source`` into ``directory``: whole and durable, or not at all.

    The files ``beside`` it get there first, by their names, once all of the copy is written. They
    are what they were before if the copy does not get its name.
    """
    destination = directory / source.name
    others = {directory / name: content for name, content in (beside or {}).items()}

    def write(descriptor: int) -> None:
        with open(source, "rb") as file:
            while chunk := file.read(_CHUNK):
                fs.write_all(descriptor, chunk)
        os.fsync(descriptor)
        for path, content in others.items():
            _publish(path, partial(_write_durably, content))

    fs.ensure_directory(str(directory))
    before = {path: path.read_bytes() if path.is_file() else None for path in others}
    try:
        _publish(destination, write)
    except BaseException:
        for path, content in before.items():
            with contextlib.suppress(IsolationError, OSError):
                fs.remove_file(str(path)) if content is None else replace_file(str(path), content)
        raise
    fs.flush_names(directory)
    return destination


def _write_durably(content: bytes, descriptor: int) -> None:
    fs.write_all(descriptor, content)
    os.fsync(descriptor)


def _publish(path: Path, write: Callable[[int], None]) -> None:
    sweep_drafts(path.parent)
    for attempt in range(_ROUNDS):
        try:
            return _try_to_publish(path, write)
        except FileAccessError:
            # On Windows somebody may have taken our draft for a dead one's at the very end.
            if _RENAMES_UNDER_LOCK or attempt == _ROUNDS - 1:
                raise
    return None


def _try_to_publish(path: Path, write: Callable[[int], None]) -> None:
    draft = path.with_name(f".{fs.new_name()}.wheelforge")
    lock = None
    try:
        with fs.raising_file_errors("write", str(path)):
            lock = _open(draft)
            write(lock.descriptor)
        if _RENAMES_UNDER_LOCK:
            fs.move(str(draft), str(path))
    except BaseException:
        if lock is not None:
            lock.release()
        raise
    lock.release(remove=False)
    if not _RENAMES_UNDER_LOCK:
        fs.move(str(draft), str(path))


def _open(draft: Path) -> Lock:
    """Create ``draft``, locked if that is possible."""
    while True:
        try:
            lock = try_lock(draft)
        except (LocksUnavailableError, OSError):
            fs.remove_file(str(draft))
            return Lock(path=draft, descriptor=fs.open_new_file(str(draft)))
        if lock is not None:  # else somebody looks just now whether it is a dead one's
            return lock


def sweep_drafts(directory: Path) -> None:
    """Remove what dead processes left in ``directory`` on the way to another name."""
    # No work is the worse for drafts that stay.
    with contextlib.suppress(OSError, IsolationError):
        for name in os.listdir(directory):
            if _DRAFT.fullmatch(name):
                lock = try_lock(directory / name)
                if lock is not None:
                    lock.release()


class JsonCache:
    """JSON objects by the facts that they depend on, each in a sealed file of ``directory``."""

    def __init__(self, directory: Path, kind: str) -> None:
        self._directory = directory
        self._kind = kind

    def _locate(self, facts: tuple[str, ...]) -> Path:
        return self._directory / f"{self._kind}-{self._subject(facts)[:_NAME_LENGTH]}.json"

    def read(self, *facts: str) -> dict[str, Any] | None:
        """Return the object that depends on ``facts``, or nothing unless it is there and sound."""
        try:
            content = self._locate(facts).read_bytes()
        except OSError:
            return None
        return unseal_json(content, self._subject(facts))

    def write(self, found: Mapping[str, object], *facts: str) -> None:
        """Keep an object; one that cannot be written is made again, and no build is the worse."""
        with contextlib.suppress(IsolationError):
            fs.ensure_directory(str(self._directory))
            replace_file(str(self._locate(facts)), seal_json(found, self._subject(facts)))

    def remove(self, *facts: str) -> None:
        """Have no object any longer that depends on ``facts``."""
        with contextlib.suppress(IsolationError):
            fs.remove_file(str(self._locate(facts)))

    def _subject(self, facts: tuple[str, ...]) -> str:
        return fingerprint([self._kind, *facts])
