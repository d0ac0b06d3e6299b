"""Keeping a cache in order while others use it: what is too much goes, what is wrong is found.

A collector takes nothing that is in use and makes nobody wait. The order of its steps is what makes
that true:

1. list all directories and drafts, the candidates;
2. remove the records of what is too old or too much, so that nobody takes it into use anew;
3. read the leases: whoever uses or makes a candidate has said so before he did;
4. remove the candidates that no lease names, unless a record names them after all: one may have
   been published, and its maker gone, before the third step.

Interrupted anywhere, it leaves litter for the next one. Where the file system has no locks,
the dead cannot be told from the living, and it refuses to begin.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelforge_isolation import _fs
from wheelforge_isolation._inventory import Entry, list_entries
from wheelforge_isolation._locks import read_leases, try_lock
from wheelforge_isolation._record import parse_record, read_record
from wheelforge_isolation._staging import collect_stages
from wheelforge_isolation.errors import FileAccessError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from wheelforge_isolation._layout import Bucket, Layout

_DAY_SECONDS = 86400.0
KEPT_DAYS = 14.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a cache is to be brought back to."""

    max_bytes: int | None = None
    max_age_days: float | None = None
    kept_days: float = KEPT_DAYS
    """How long to leave what was kept for somebody to look at."""

    @property
    def oldest(self) -> float:
        """When something must have been used last to be young enough now."""
        days = float("inf") if self.max_age_days is None else self.max_age_days
        return time.time() - days * _DAY_SECONDS

    def choose(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return what must go: all that is too old, then what was unused for longest."""
        oldest = self.oldest
        latest_first = sorted(entries, key=lambda entry: -entry.last_used)
        victims: list[Entry] = []
        total = 0
        for entry in latest_first:
            total += entry.size_bytes
            is_too_much = self.max_bytes is not None and total > self.max_bytes
            if is_too_much or entry.last_used <= oldest:
                victims.append(entry)
        return victims


@dataclass(slots=True, kw_only=True)
class Collected:
    """What a collector did."""

    removed: int = 0
    freed_bytes: int = 0
    in_use: int = 0
    """How much would have gone if nobody used it."""
    is_done: bool = True
    """Unless another collector was at work already, and this one went away."""


def collect_garbage(layout: Layout, bounds: Bounds) -> Collected:
    """Remove what is out of ``bounds`` and not in use, and all that dead processes left."""
    _fs.ensure_directory(str(layout.lock("gc").parent))
    with _fs.translated("collect", str(layout.root)):
        lock = try_lock(layout.lock("gc"))
        if lock is None:
            return Collected(is_done=False)
        try:
            return _Collector(layout, bounds).run()
        finally:
            lock.release()


class _Collector:
    """One collection."""

    def __init__(self, layout: Layout, bounds: Bounds) -> None:
        self._layout = layout
        self._buckets = (layout.wheels, layout.environments)
        self._bounds = bounds
        self._collected = Collected()

    def run(self) -> Collected:
        layout = self._layout
        trees = [(bucket, tree) for bucket in self._buckets for tree in bucket.list_trees()]
        places = layout.list_files()
        drafts = layout.list_drafts()
        wanted = self._unpublish()
        leases = read_leases(layout.leases)
        pins = set[str]().union(*leases.values())
        for bucket, tree in trees:
            if tree.name not in wanted and not _is_visible(bucket, tree):
                self._remove(tree, bucket.pin(tree.name), pins)
        for place in places:
            if str(place) not in wanted:
                self._remove(place, layout.pin_file(place.name), pins)
        self._sweep(drafts, leases.keys())
        return self._collected

    def _unpublish(self) -> set[str]:
        """Remove the records of what must go; return which trees and places are to stay."""
        records = {path for bucket in self._buckets for path in bucket.list_records()}
        entries = list(list_entries(self._layout))
        victims = self._bounds.choose(entries)
        for path in records - {entry.path for entry in entries}:
            if parse_record(read_record(path)) is None:
                _discard(path)
        for entry in victims:
            if entry.tree:
                _discard(entry.path)
        gone = {entry.tree or str(entry.path) for entry in victims}
        return {entry.tree or str(entry.path) for entry in entries} - gone

    def _remove(self, path: Path, pin: str, pins: set[str]) -> None:
        if pin in pins:
            self._collected.in_use += 1
            return
        size = _measure(path)
        if _discard(path):
            self._collected.removed += 1
            self._collected.freed_bytes += size

    def _sweep(self, drafts: list[Path], alive: Iterable[str]) -> None:
        """Remove what dead processes left, and what was kept for long enough."""
        living = set(alive)
        for draft in drafts:
            if draft.name.partition(".")[0] not in living:
                _discard(draft)
        for path in self._layout.list_locks():
            with contextlib.suppress(OSError):  # of what is not a file
                lock = None if path.stem == "gc" else try_lock(path)
                if lock is not None:
                    lock.release()
        oldest_kept = time.time() - self._bounds.kept_days * _DAY_SECONDS
        _discard_old(self._layout.list_quarantine(), oldest_kept)
        _discard_old(self._layout.list_answers(), self._bounds.oldest)
        stages = collect_stages(self._layout.stages, kept_days=self._bounds.kept_days)
        self._collected.removed += len(stages.removed)


def _discard_old(paths: Iterable[Path], oldest: float) -> None:
    for path in paths:
        if _since(path) <= oldest:
            _discard(path)


def _discard(path: Path) -> bool:
    """Remove ``path``; what cannot be removed now, on Windows above all, is left for later."""
    try:
        _fs.remove_tree(str(path))
    except FileAccessError:
        return False
    return True


def _since(path: Path) -> float:
    """Return when ``path`` was set aside: a record keeps its time, the reason beside it is new."""
    for place in (path.with_suffix(".why"), path):
        with contextlib.suppress(OSError):
            return os.lstat(place).st_mtime
    return 0


def _is_visible(bucket: Bucket, tree: Path) -> bool:
    record = parse_record(read_record(bucket.record(tree.name.partition(".")[0])))
    return record is not None and record.tree == tree.name


def _measure(path: Path) -> int:
    size = 0
    for directory, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):  # somebody else removes it as well
                size += os.lstat(os.path.join(directory, name)).st_size
    return size
