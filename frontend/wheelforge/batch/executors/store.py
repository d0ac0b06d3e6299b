"""A directory that all machines of a cluster see: files by their contents, and runs of tasks."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge_isolation import (
    copy_file,
    create_file,
    digest,
    ensure_directory,
    move,
    raising_file_errors,
    remove_file,
    remove_tree,
)
from wheelforge_isolation.errors import HashMismatchError

if TYPE_CHECKING:
    from wheelforge.batch.executors.tasks import File

EVENTS = "events"
_MARKER = "marker"


class Store:
    """The directory ``root``; anything read from it is checked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs = root / "runs"
        self._files = root / "files"

    @classmethod
    def make(cls, root: Path) -> tuple[Store, str]:
        """Return a new store, and the content of its marker."""
        store, marker = cls(root), uuid.uuid4().hex
        for path in (store.runs, store._files):
            ensure_directory(str(path))
        create_file(str(root / _MARKER), [marker.encode()])
        return store, marker

    def has(self, marker: str) -> bool:
        """Return whether this is the store with that marker, as seen from here."""
        try:
            return (self.root / _MARKER).read_text(encoding="ascii") == marker
        except (OSError, ValueError):
            return False

    def add(self, path: Path, run: Path | None = None) -> str:
        """Put a file into the store, or into a run, and return its digest."""
        directory = run or self._files
        draft = directory / f"draft-{uuid.uuid4().hex}"
        copy_file(str(path), str(draft))
        return _settle(draft, directory)

    def add_text(self, text: str) -> str:
        """Put a text into the store, and return its digest."""
        draft = self._files / f"draft-{uuid.uuid4().hex}"
        create_file(str(draft), [text.encode("ascii")])
        return _settle(draft, self._files)

    def read(self, sha256: str) -> str:
        """Return the text with that digest."""
        path = self._files / sha256
        _check(path, sha256)
        return path.read_text(encoding="ascii")

    def copy(self, file: File, directory: Path, run: Path | None = None) -> Path:
        """Put a copy of a file into ``directory``, under its name, and return its path."""
        if Path(file.name).name != file.name or not file.sha256.isalnum():
            raise ValueError(f"`{file.name}` is no name of a file")
        ensure_directory(str(directory))
        path = directory / file.name
        copy_file(str((run or self._files) / file.sha256), str(path))
        _check(path, file.sha256)
        return path

    def open_run(self, task: str) -> Path:
        """Return a new directory for a run of ``task``."""
        path = self.runs / task / uuid.uuid4().hex
        ensure_directory(str(path))
        return path

    def drop(self, sha256: str) -> None:
        """Remove a file that no task needs any more."""
        remove_file(str(self._files / sha256))

    def drop_runs(self, task: str) -> None:
        """Remove all runs of ``task``."""
        remove_tree(str(self.runs / task))


def _settle(draft: Path, directory: Path) -> str:
    sha256 = digest(draft)
    move(str(draft), str(directory / sha256))
    return sha256


def _check(path: Path, sha256: str) -> None:
    with raising_file_errors("read", str(path)):
        found = digest(path)
    if found != sha256:
        raise HashMismatchError(path.name, sha256, found)
