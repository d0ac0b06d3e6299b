"""The entries of a cache: wheels, environments, files, and wheels that were built."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelforge_isolation.cache.layout import list_directory
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
    """Its record, or the directory of the file: removing that makes it invisible."""
    tree: str = ""
    """The name of its directory, where a record makes it visible."""
    wheels: tuple[str, ...] = ()
    """The files that an environment is made of."""
    needs: str = ""
    """The place of the file without which it is nothing."""

    @property
    def identity(self) -> str:
        """The name of its tree, or its path: the thing that goes with it."""
        return self.tree or str(self.path)


def list_entries(layout: Layout) -> Iterator[Entry]:
    """Yield all that is visible; what vanishes meanwhile is not."""
    for kind, bucket in (("wheel", layout.wheels), ("environment", layout.environments)):
        for path in bucket.list_records():
            record, last_used = _read(path)
            if record is not None:
                yield _describe(kind, path, record, last_used)
    for directory in layout.list_files():
        for path in list_directory(directory):
            with contextlib.suppress(FileNotFoundError):
                found = os.lstat(path)
                if stat.S_ISREG(found.st_mode):
                    yield Entry(
                        kind="file",
                        name="",
                        version="",
                        file=path.name,
                        size_bytes=found.st_size,
                        last_used=found.st_mtime,
                        path=directory,
                    )
    yield from list_built(layout)


def list_built(layout: Layout) -> Iterator[Entry]:
    """Yield what was built and is there."""
    for path in layout.built.list_records():
        if entry := describe_built(layout, path):
            yield entry


def describe_built(layout: Layout, path: Path) -> Entry | None:
    """Return what the record ``path`` says was built, if the file of that is there."""
    record, last_used = _read(path)
    if record is None:
        return None
    file = layout.file(record.about["sha256"], record.about["file_name"])
    if record.key != path.stem or not os.path.exists(file):
        return None
    return _describe("built", path, record, last_used, needs=str(file.parent))


def _read(path: Path) -> tuple[Record | None, float]:
    record = parse_record(read_record(path))
    with contextlib.suppress(FileNotFoundError):
        return record, os.stat(path).st_mtime
    return None, 0


def _describe(kind: str, path: Path, record: Record, last_used: float, needs: str = "") -> Entry:
    about = record.about
    is_environment = kind == "environment"
    sizes = (int(state[2]) for state in record.entries.values() if len(state) == _FILE_STATE)
    return Entry(
        kind=kind,
        name=about["python" if is_environment else "name"],
        version=about["version"],
        file="" if is_environment else about["file_name"],
        wheels=tuple(about["wheels"]) if is_environment else (),
        size_bytes=len(record.to_bytes()) if needs else sum(sizes),
        last_used=last_used,
        path=path,
        tree=record.tree,
        needs=needs,
    )


def measure_disk(layout: Layout) -> int:
    """Return the bytes that the cache takes on disk, each file counted once whatever its names."""
    seen: dict[tuple[int, int], int] = {}
    for directory, _, names in os.walk(layout.root):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                found = os.lstat(os.path.join(directory, name))
                seen[found.st_dev, found.st_ino] = found.st_size
    return sum(seen.values())
