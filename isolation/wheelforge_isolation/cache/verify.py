"""Looking at every byte of a cache, and mending what is wrong."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelforge_isolation.cache.layout import list_directory
from wheelforge_isolation.cache.records import parse_record, read_record
from wheelforge_isolation.files import fs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wheelforge_isolation.cache.built_wheels import BuiltStore
    from wheelforge_isolation.cache.layout import Layout
    from wheelforge_isolation.cache.trees import TreeStore
    from wheelforge_isolation.cache.wheels import WheelStore


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something in the cache that is not as it was left."""

    path: Path
    reason: str
    remedy: str = ""
    """What was done about it, if anything was."""


class Verifier:
    """Holds everything that is visible against its hashes."""

    def __init__(
        self, layout: Layout, wheels: WheelStore, built: BuiltStore, trees: tuple[TreeStore, ...]
    ) -> None:
        self._layout = layout
        self._wheels = wheels
        self._built = built
        self._trees = trees

    def run(self, *, repair: bool) -> Iterator[Problem]:
        """Yield what is wrong; set it aside, and make it anew where that needs no network."""
        yield from self._check_files(repair=repair)
        yield from self._check_built(repair=repair)
        for store in self._trees:
            for path in store.list_records():
                reason = store.examine(path)
                if reason:
                    remedy = self._mend(store, path, reason) if repair else ""
                    yield Problem(path=path, reason=reason, remedy=remedy)

    def _mend(self, store: TreeStore, path: Path, reason: str) -> str:
        record = parse_record(read_record(path))
        store.set_aside(path, reason)
        if record is not None and "file_name" in record.about:
            if self._wheels.restore(record.about):
                return "unpacked again"
            return "set aside, to be fetched again"
        return "set aside, to be made again"

    def _check_files(self, *, repair: bool) -> Iterator[Problem]:
        for directory in self._layout.list_files():
            for path in list_directory(directory):
                reason, is_damaged = _examine_file(path)
                if reason:
                    is_mended = repair and is_damaged
                    if is_mended:
                        fs.remove_tree(str(path))
                    remedy = "removed, to be fetched again" if is_mended else ""
                    yield Problem(path=path, reason=reason, remedy=remedy)

    def _check_built(self, *, repair: bool) -> Iterator[Problem]:
        for path in self._layout.built.list_records():
            reason = self._built.examine(path)
            if reason:
                if repair:
                    fs.remove_tree(str(path))
                remedy = "removed, to be built again" if repair else ""
                yield Problem(path=path, reason=reason, remedy=remedy)


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
