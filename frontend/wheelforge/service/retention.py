"""The part of builds that are done which a server keeps: so much, and no more."""

from __future__ import annotations

import contextlib
import heapq
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge_isolation import remove_file, remove_tree, replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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

    def list_kept() -> Iterator[Kept]:
        for entry in _scan(place):
            for each in _scan(entry.path) if entry.is_dir() else (entry,):
                status = each.stat()
                size = max(status.st_size, _LEAST_BYTES)
                yield Kept(status.st_ctime, size, Path(entry.path))

    for surplus in _choose_surplus(list_kept, most_bytes):
        remove = remove_tree if surplus.path.is_dir() else remove_file
        remove(str(surplus.path))


def find_surplus(place: Path, most_bytes: int, used_before: float) -> list[Path]:
    """Return what was last used before then, until the rest has so many bytes."""

    def list_kept() -> Iterator[Kept]:
        for entry in _scan(place):
            files = _scan(entry.path) if entry.is_dir() else (entry,)
            size = sum(max(file.stat().st_size, _LEAST_BYTES) for file in files)
            yield Kept(entry.stat().st_mtime, size, Path(entry.path))

    surplus = _choose_surplus(list_kept, most_bytes)
    return [each.path for each in surplus if each.used < used_before]


def _scan(place: str | Path) -> Iterator[os.DirEntry[str]]:
    """Yield what is in a directory, if it is there, without a list of it."""
    with contextlib.suppress(FileNotFoundError), os.scandir(place) as entries:
        yield from entries


def _choose_surplus(list_kept: Callable[[], Iterator[Kept]], most_bytes: int) -> list[Kept]:
    """Return what has to go, that which was used longest ago first.

    A server may have a million of them, and looks each minute: no more are in memory than go.
    """
    excess = sum(each.size_bytes for each in list_kept()) - most_bytes
    if excess <= 0:
        return []
    chosen, size = list[tuple[float, Kept]](), 0
    for each in list_kept():
        heapq.heappush(chosen, (-each.used, each))
        size += each.size_bytes
        # The one that was used last stays if those before it are enough.
        while size - chosen[0][1].size_bytes >= excess:
            size -= heapq.heappop(chosen)[1].size_bytes
    return sorted(each for _, each in chosen)


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
