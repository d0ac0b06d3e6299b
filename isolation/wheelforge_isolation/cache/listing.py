"""What a cache has: wheels, environments, files, and what is known of those that were built."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelforge_isolation.cache.records import Record, parse_record, read_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wheelforge_isolation.cache.layout import Layout

_FILE_STATE = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One thing that the cache has."""

    kind: str
    """``wheel``, ``environment``, ``file`` or ``built``."""
    name: str
    version: str
    file: str
    size_bytes: int
    last_used: float
    path: Path
    """What makes it visible: its record, or the directory of the file."""
    tree: str = ""
    """The name of its directory, where a record makes it visible."""
    needs: str = ""
    """The place of the file without which it is nothing."""

    @property
    def place(self) -> str:
        """What it takes away with it when it goes."""
        return self.tree or str(self.path)


def list_entries(layout: Layout) -> Iterator[Entry]:
    """Yield all that is visible; what vanishes meanwhile is not."""
    for path in layout.wheels.list_records():
        if found := _read(path):
            yield _describe_wheel(path, *found)
    for path in layout.environments.list_records():
        if found := _read(path):
            yield _describe_environment(path, *found)
    for path in layout.list_files():
        yield from _describe_files(path)
    for path in layout.built.list_records():
        if entry := describe_built(layout, path):
            yield entry


def _read(path: Path) -> tuple[Record, float] | None:
    record = parse_record(read_record(path))
    with contextlib.suppress(FileNotFoundError):
        return None if record is None else (record, os.stat(path).st_mtime)
    return None


def _describe_wheel(path: Path, record: Record, last_used: float) -> Entry:
    return Entry(
        kind="wheel",
        name=record.about["name"],
        version=record.about["version"],
        file=record.about["file_name"],
        size_bytes=_measure(record),
        last_used=last_used,
        path=path,
        tree=record.tree,
    )


def _describe_environment(path: Path, record: Record, last_used: float) -> Entry:
    return Entry(
        kind="environment",
        name=record.about["python"],
        version=record.about["version"],
        file=", ".join(record.about["wheels"]),
        size_bytes=_measure(record),
        last_used=last_used,
        path=path,
        tree=record.tree,
    )


def describe_built(layout: Layout, path: Path) -> Entry | None:
    """Return what the record ``path`` says was built, if the file of that is there."""
    found = _read(path)
    if found is None:
        return None
    record, last_used = found
    file = layout.file(record.about["sha256"], record.about["file_name"])
    if record.key != path.stem or not os.path.exists(file):
        return None
    return Entry(
        kind="built",
        name=record.about["name"],
        version=record.about["version"],
        file=record.about["file_name"],
        size_bytes=len(record.to_bytes()),
        last_used=last_used,
        path=path,
        needs=str(file.parent),
    )


def _describe_files(directory: Path) -> Iterator[Entry]:
    try:
        with os.scandir(directory) as files:
            for file in files:
                if file.is_file(follow_symlinks=False):
                    found = file.stat()
                    yield Entry(
                        kind="file",
                        name="",
                        version="",
                        file=file.name,
                        size_bytes=found.st_size,
                        last_used=found.st_mtime,
                        path=directory,
                    )
    except (FileNotFoundError, NotADirectoryError):
        return


def _measure(record: Record) -> int:
    states = record.entries.values()
    return sum(int(state[2]) for state in states if len(state) == _FILE_STATE)


def measure_disk(layout: Layout) -> int:
    """Return the bytes that the cache takes on disk, each file counted once whatever its names."""
    seen: dict[tuple[int, int], int] = {}
    for directory, _, names in os.walk(layout.root):
        for name in names:
            try:
                found = os.lstat(os.path.join(directory, name))
            except FileNotFoundError:
                continue
            seen[found.st_dev, found.st_ino] = found.st_size
    return sum(seen.values())
