"""The part of builds that are done which a server keeps: so much, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from wheelforge_isolation import remove_tree


class Retention(NamedTuple):
    """The bounds of a server; an index keeps its wheels apart."""

    runs: int = 1000
    requests: int = 10_000
    """Those for builds that are done, with their keys."""
    artifact_bytes: int = 20 << 30
    log_bytes: int = 64 << 20
    """Of the events of one build; output beyond that is left out."""


def remove_oldest(place: Path, most_bytes: int) -> None:
    """Remove directories with one file each, those made first, until the rest has so many bytes."""
    found = list[tuple[float, int, Path]]()
    for directory in place.iterdir():
        for path in directory.iterdir():
            status = path.stat()
            found.append((status.st_ctime, status.st_size, directory))
    whole = sum(size for _, size, _ in found)
    for _, size, directory in sorted(found):
        if whole <= most_bytes:
            return
        remove_tree(str(directory))
        whole -= size
