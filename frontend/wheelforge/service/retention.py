"""The part of builds that are done which a server keeps: so much, and no more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge_isolation import remove_file, remove_tree, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable

LOG_BYTES = 1 << 20
"""Of the output of a server in the background; as much of what was before is kept beside it."""


class Retention(NamedTuple):
    """The bounds of a server."""

    runs: int = 1000
    requests: int = 10_000
    """Those for builds that are done, with their keys."""
    artifact_bytes: int = 20 << 30
    log_bytes: int = 64 << 20
    """Of the events of one build; output beyond that is left out."""
    run_bytes: int = 4 << 30
    """Of events and logs of all builds that are done."""
    wheel_bytes: int = 100 << 30
    """Of the wheels of an index: one that is gone is built again when it is asked for.

    As much of files of other indexes that it has passed on.
    """
    waiting: int = 10_000
    """Builds that are queued or at work; further ones are refused."""
    in_use_seconds: float = 3600.0
    """A file of the index that was used since then is kept, whatever its size."""
    sets: int = 1000
    """Announced sets, with their pages and the releases that they want."""


class Kept(NamedTuple):
    """A file, or a directory with files, that may have to go."""

    used: float
    size_bytes: int
    path: Path


def remove_oldest(place: Path, most_bytes: int) -> None:
    """Remove files, and directories with one each, the oldest first, down to so many bytes."""
    found = list[Kept]()
    for entry in place.iterdir() if place.is_dir() else ():
        for path in entry.iterdir() if entry.is_dir() else (entry,):
            status = path.stat()
            found.append(Kept(status.st_ctime, max(status.st_size, _LEAST_BYTES), entry))
    for surplus in _choose_surplus(found, most_bytes):
        remove = remove_tree if surplus.path.is_dir() else remove_file
        remove(str(surplus.path))


def find_surplus(place: Path, most_bytes: int, used_before: float) -> list[Path]:
    """Return what was last used before then, until the rest has so many bytes."""
    found = list[Kept]()
    for entry in place.iterdir() if place.is_dir() else ():
        files = entry.iterdir() if entry.is_dir() else (entry,)
        size = sum(max(file.stat().st_size, _LEAST_BYTES) for file in files)
        found.append(Kept(entry.stat().st_mtime, size, entry))
    return [each.path for each in _choose_surplus(found, most_bytes) if each.used < used_before]


def _choose_surplus(found: Iterable[Kept], most_bytes: int) -> list[Kept]:
    """Return what has to go, that which was used longest ago first."""
    ordered, surplus = sorted(found), list[Kept]()
    whole = sum(each.size_bytes for each in ordered)
    for each in ordered:
        if whole <= most_bytes:
            break
        surplus.append(each)
        whole -= each.size_bytes
    return surplus


_LEAST_BYTES = 1 << 13
"""A file and its directory take about so much, however small it is."""


def count_within(place: Path, names: Iterable[str], most_bytes: int) -> int:
    """Return how many of the directories, the first ones, have so many bytes together."""
    whole = count = 0
    for name in names:
        for top, _, files in os.walk(place / name):
            whole += sum((Path(top) / file).lstat().st_size for file in files)
        if whole > most_bytes:
            break
        count += 1
    return count


def limit_log(path: Path, most_bytes: int = LOG_BYTES) -> None:
    """Move the last that is in a log to another file, if it is too large.

    Processes that append to it need not open it again; a line that comes just now may be lost.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size <= most_bytes:
                return
            file.seek(-most_bytes, os.SEEK_END)
            content = file.read()
    except FileNotFoundError:
        return
    replace_file(f"{path}.1", content)
    os.truncate(path, 0)
