"""The garbage collector: what is too old or too much goes, whoever uses the cache meanwhile.

It takes nothing that is in use and makes nobody wait for long. The order of its steps makes that
true; PROTOCOL.md tells it, with the tests that prove it. Interrupted anywhere, it leaves litter for
the next one. Where the file system has no locks, the dead cannot be told from the living, and it
refuses to begin.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelforge_isolation.cache.layout import FOREIGN, list_directory
from wheelforge_isolation.cache.listing import Entry, describe_built, list_built, list_entries
from wheelforge_isolation.cache.ownership import claim_cache
from wheelforge_isolation.cache.records import parse_record, read_record
from wheelforge_isolation.errors import FileAccessError
from wheelforge_isolation.files import fs
from wheelforge_isolation.files.atomic import sweep_drafts
from wheelforge_isolation.files.locks import read_leases, try_lock
from wheelforge_isolation.files.staging import collect_stages

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from wheelforge_isolation.cache.layout import CacheBucket, Layout

_DAY_SECONDS = 86400.0
KEPT_DAYS = 14.0
ANSWER_DAYS = 90.0
"""How long an answer is remembered that nobody asked for again, unless an age is given.

It is small, and whoever is offline can do nothing without it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """The size and age that a cache is brought back to."""

    max_bytes: int | None = None
    max_age_days: float | None = None
    kept_days: float = KEPT_DAYS
    """How long to leave what was kept for somebody to look at."""

    def oldest(self, days: float = float("inf")) -> float:
        """Return when something must have been used last to be young enough now."""
        age = days if self.max_age_days is None else self.max_age_days
        return time.time() - _DAY_SECONDS * age

    def choose(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return what must go: all that is too old, then what was unused for longest."""
        oldest = self.oldest()
        victims: list[Entry] = []
        total = 0
        for entry in sorted(entries, key=lambda entry: -entry.last_used):
            total += entry.size_bytes
            is_too_much = self.max_bytes is not None and total > self.max_bytes
            if is_too_much or entry.last_used <= oldest:
                victims.append(entry)
        return victims


@dataclass(kw_only=True, slots=True)
class Collected:
    """The result of one collection."""

    removed: int = 0
    freed_bytes: int = 0
    in_use: int = 0
    """How much would have gone if nobody used it."""
    is_done: bool = True
    """Unless another collector was at work already, and this one went away."""


def collect_garbage(layout: Layout, bounds: Bounds) -> Collected:
    """Remove what is out of ``bounds`` and not in use, and all that dead processes left."""
    claim_cache(layout)
    fs.ensure_directory(str(layout.lock("gc").parent))
    with fs.raising_file_errors("collect", str(layout.root)):
        lock = try_lock(layout.lock("gc"))
        if lock is None:
            return Collected(is_done=False)
        try:
            return _Collector(layout, bounds).run()
        finally:
            lock.release()


class _Collector:
    def __init__(self, layout: Layout, bounds: Bounds) -> None:
        self._layout = layout
        self._buckets = (layout.wheels, layout.environments, layout.built)
        self._bounds = bounds
        self._collected = Collected()

    def run(self) -> Collected:
        layout = self._layout
        trees = [(bucket, tree) for bucket in self._buckets for tree in bucket.list_trees()]
        places = layout.list_files()
        drafts = list_directory(layout.drafts)
        wanted = self._unpublish()
        seen = read_leases(layout.leases)
        unwanted_trees = [(bucket, tree) for bucket, tree in trees if tree.name not in wanted]
        hidden = [found for found in unwanted_trees if not _is_visible(*found)]
        # Again: a tree may have been pinned after the first read and have lost its record since.
        leases = read_leases(layout.leases)
        pins = set[str]().union(*seen.values(), *leases.values())
        for bucket, tree in hidden:
            if not _is_visible(bucket, tree):
                self._remove(tree, bucket.pin(tree.name), pins)
        wanted |= {entry.needs for entry in list_built(layout)}
        unwanted = (place for place in places if str(place) not in wanted)
        for path, sharing in itertools.groupby(
            unwanted, lambda place: layout.file_lock(place.name)
        ):
            self._remove_files(path, list(sharing))
        for draft in drafts:
            if draft.name.partition(".")[0] not in leases:
                _discard(draft)
        self._sweep()
        return self._collected

    def _unpublish(self) -> set[str]:
        """Remove the records of what must go; return which trees and places are to stay."""
        records = {path for bucket in self._buckets for path in bucket.list_records()}
        entries = list(list_entries(self._layout))
        gone = {entry.identity for entry in self._bounds.choose(entries)}
        for path in records - {entry.path for entry in entries}:
            if not self._is_sound(path):
                _discard(path)
        for entry in entries:
            if entry.tree and entry.tree in gone:
                _discard(entry.path)
            elif entry.needs and {entry.identity, entry.needs} & gone:
                self._remove(entry.path, "", set())
        return {entry.identity for entry in entries} - gone

    def _is_sound(self, path: Path) -> bool:
        if path.is_relative_to(self._layout.built.root):
            return describe_built(self._layout, path) is not None
        return parse_record(read_record(path)) is not None

    def _remove_files(self, path: Path, places: list[Path]) -> None:
        """Remove what nobody uses of the files that share the lock ``path``.

        Kept files have a fixed name: a process can pin one after the leases were read.
        """
        lock = try_lock(path)
        if lock is None:  # one of them is just being taken into use
            self._collected.in_use += len(places)
            return
        try:
            pins = set[str]().union(*read_leases(self._layout.leases).values())
            for place in places:
                self._remove(place, self._layout.pin_file(place.name), pins)
        finally:
            lock.release()

    def _remove(self, path: Path, pin: str, pins: set[str]) -> None:
        if pin in pins:
            self._collected.in_use += 1
            return
        size = _measure(path)
        if _discard(path):
            self._collected.removed += 1
            self._collected.freed_bytes += size

    def _sweep(self) -> None:
        """Remove what dead processes left, and what was kept for long enough."""
        layout = self._layout
        for path in list_directory(layout.locks):
            with contextlib.suppress(OSError):  # of what is not a file
                lock = None if path.stem == "gc" else try_lock(path)
                if lock is not None:
                    lock.release()
        answers = (layout.interpreters, layout.resolutions, layout.guesses, layout.manifests)
        for directory in answers:
            sweep_drafts(directory)
        for path in list_directory(layout.root):
            if path.name.startswith(FOREIGN):
                _discard(path)
        _discard_old(layout.quarantine, time.time() - self._bounds.kept_days * _DAY_SECONDS)
        for directory in (*answers, layout.logs):
            _discard_old(directory, self._bounds.oldest(ANSWER_DAYS))
        stages = collect_stages(layout.stages, kept_days=self._bounds.kept_days)
        self._collected.removed += len(stages.removed)


def _discard_old(directory: Path, oldest: float) -> None:
    for path in list_directory(directory):
        if _since(path) <= oldest:
            _discard(path)


def _discard(path: Path) -> bool:
    """Remove ``path``; what cannot be removed now, on Windows above all, is left for later."""
    try:
        fs.remove_tree(str(path))
    except FileAccessError:
        return False
    return True


def _since(path: Path) -> float:
    """Return when ``path`` was set aside: a record keeps its time, the reason beside it is new.

    What cannot be looked at just now is not old.
    """
    for place in (path.with_suffix(".why"), path):
        try:
            return os.lstat(place).st_mtime
        except FileNotFoundError:
            continue
        except OSError:
            break
    return float("inf")


def _is_visible(bucket: CacheBucket, tree: Path) -> bool:
    record = parse_record(read_record(bucket.record(tree.name.partition(".")[0])))
    return record is not None and record.tree == tree.name


def _measure(path: Path) -> int:
    size = 0
    below = (os.path.join(top, name) for top, _, names in os.walk(path) for name in names)
    for file in below if os.path.isdir(path) else (path,):
        with contextlib.suppress(OSError):  # another process may remove it meanwhile
            size += os.lstat(file).st_size
    return size
