"""Looking at every byte of a cache, and mending what is wrong."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelforge_isolation.cache.layout import list_directory
from wheelforge_isolation.cache.records import parse_record, read_record
from wheelforge_isolation.cache.trees import TreeStore
from wheelforge_isolation.files import fs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wheelforge_isolation.cache.built_wheels import BuiltStore
    from wheelforge_isolation.cache.layout import Layout
    from wheelforge_isolation.cache.wheels import WheelStore


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something in the cache that is not as it was left."""

    path: Path
    reason: str
    remedy: str = ""
    """The repair that was made, if any was."""


def verify(
    layout: Layout,
    built: BuiltStore,
    trees: tuple[TreeStore, TreeStore],
    wheels: WheelStore,
    *,
    repair: bool,
) -> Iterator[Problem]:
    """Hold everything that is visible against its hashes, and yield what is wrong.

    With ``repair`` it is set aside, and made anew where that needs no network.
    """
    for directory in layout.list_files():
        for path in list_directory(directory):
            reason, is_damaged = _examine_file(path)
            remedy = ""
            if repair and is_damaged:
                fs.remove_tree(str(path))
                remedy = "removed, to be fetched again"
            if reason:
                yield Problem(path=path, reason=reason, remedy=remedy)
    stores: list[BuiltStore | TreeStore] = [built, *trees]
    buckets = (layout.built, layout.wheels, layout.environments)
    for store, bucket in zip(stores, buckets, strict=True):
        for path in bucket.list_records():
            reason = store.examine(path)
            if reason:
                remedy = _mend(wheels, store, path, reason) if repair else ""
                yield Problem(path=path, reason=reason, remedy=remedy)


def _mend(wheels: WheelStore, store: BuiltStore | TreeStore, path: Path, reason: str) -> str:
    if not isinstance(store, TreeStore):
        fs.remove_tree(str(path))
        return "removed, to be built again"
    record = parse_record(read_record(path))
    store.set_aside(path, reason)
    if record is None or "file_name" not in record.about:
        return "set aside, to be made again"
    is_restored = wheels.restore(record.about)
    return "unpacked again" if is_restored else "set aside, to be fetched again"


def _examine_file(path: Path) -> tuple[str, bool]:
    """Return what is wrong with a file, and whether that is the file's fault."""
    try:
        is_right = fs.digest(path) == path.parent.name
    except FileNotFoundError:
        return "", False  # it was collected meanwhile
    except OSError as error:
        # It may be sound, and no more than out of reach for a moment.
        return error.strerror or str(error), error.errno == errno.EIO or path.is_dir()
    return ("", False) if is_right else ("the content is another one", True)
