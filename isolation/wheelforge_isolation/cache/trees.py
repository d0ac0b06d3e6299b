"""Directories that are complete, immutable, shared by all processes and checked at every use.

A directory gets a random name and is filled where it will stay: it is never renamed, because
scanners, overlays and other mounts make the renaming of directories fail. One small record, written
last and replaced in one step, makes it visible: it names the directory and every file in it.
Without a record a directory is litter. The order of publishing and using is in PROTOCOL.md.

Size, time and mode of every file are compared with the record. Where they differ, or where the
machine was started anew since (what the disk had not yet written may be lost), every byte is hashed
once. What is wrong is set aside with its reason, and made again: a damaged cache costs time, never
a build. An older or newer release has another bucket.

A cache that can only be read lies below another one, which lasts as long as its process: what is
sound there is used where it is, everything else is made above it.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from wheelforge_isolation.cache.records import (
    About,
    Record,
    boot_id,
    describe,
    find_damage,
    find_suspects,
    is_same_content,
    list_tree,
    parse_record,
    read_record,
)
from wheelforge_isolation.errors import FileAccessError
from wheelforge_isolation.files import fs
from wheelforge_isolation.files.locks import wait_for_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wheelforge_isolation.cache.layout import CacheBucket, Layout
    from wheelforge_isolation.files.locks import Lease

KEY_LENGTH = 32
"""Of the hexadecimal keys; with the nonce short enough for the first line of a script."""
DAMAGED_RECORD = "the record is damaged"
_NONCE_LENGTH = 8
_SHOWN_LENGTH = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happened to the cache and that its user may want to know."""

    kind: str
    """``healed``, ``waiting``, ``refreshed`` or ``unwritable``."""
    subject: str
    reason: str


class LeasedTree(NamedTuple):
    """A directory in use; it cannot be collected until it is given back."""

    path: Path
    record: Record
    lease: Lease
    pin: str

    def give_back(self) -> None:
        """Say that it is no longer in use here."""
        self.lease.unpin(self.pin)


class TreeStore:
    """The directories of one bucket."""

    def __init__(
        self,
        layout: Layout,
        bucket: CacheBucket,
        lease: Lease,
        report: Callable[[Event], None],
        below: TreeStore | None = None,
    ) -> None:
        self._layout = layout
        self._bucket = bucket
        self._lease = lease
        self._below = below
        self.report = report
        self.has_grown = False
        """Whether something was made here since the store was opened."""

    def get_or_create(self, key: str, fill: Callable[[Path], About]) -> LeasedTree:
        """Return the directory ``key``; make it with ``fill`` unless it is there and sound.

        Of many that ask at once one makes it and the others wait for that one.
        """
        item = self.get(key)
        if item is not None:
            return item
        subject = f"{self._bucket.root.name.partition('-')[0]}/{key[:_SHOWN_LENGTH]}"
        waiting = Event(kind="waiting", subject=subject, reason="another process is making it")
        key = self._bucket.locate(key)
        with wait_for_lock(self._layout.lock(key), lambda: self.report(waiting)):
            return self._take(key) or self._make(key, fill)

    def get(self, key: str) -> LeasedTree | None:
        """Return the directory ``key`` if it is there and sound."""
        item = self._take(self._bucket.locate(key))
        return self._below.get(key) if item is None and self._below else item

    def is_likely_here(self, key: str) -> bool:
        """Return whether the directory ``key`` is there at a glance; nothing is promised."""
        is_here = os.path.lexists(self._bucket.record(self._bucket.locate(key)))
        return is_here or (self._below is not None and self._below.is_likely_here(key))

    def _take(self, key: str) -> LeasedTree | None:
        path = self._bucket.record(key)
        data = read_record(path)
        while data is not None:
            record = parse_record(data)
            if record is None or record.key != key:
                self.set_aside(path, DAMAGED_RECORD)
                return None
            pin = self._bucket.pin(record.tree)
            self._lease.pin(pin)
            # A collector removes the record before it reads the pins: what is still here is pinned.
            before, data = data, read_record(path)
            item = self._check(record, path) if data == before else None
            if item is None:
                self._lease.unpin(pin)
            if data == before:
                return item
            # Another process has refreshed the record meanwhile: no reason to make another tree.
        return None

    def _item(self, record: Record) -> LeasedTree:
        path = self._bucket.tree(record.tree)
        return LeasedTree(path, record, self._lease, self._bucket.pin(record.tree))

    def _check(self, record: Record, path: Path) -> LeasedTree | None:
        tree = self._bucket.tree(record.tree)
        suspects = find_suspects(record, tree) if record.boot == boot_id() else None
        if suspects == []:
            fs.mark_used(str(path))
            return self._item(record)
        found = list_tree(tree)
        boot = record.boot
        if not suspects or not is_same_content(record, tree, frozenset(suspects)):
            boot = boot_id()
            problem = find_damage(record, tree, found)
            if problem:
                self.set_aside(path, problem)
                return None
            reason = "its times changed, or the machine was started anew; every byte is as it was"
            self.report(Event(kind="refreshed", subject=record.key, reason=reason))
        record = record._replace(boot=boot, entries=found)
        with contextlib.suppress(FileAccessError):
            _secure(tree)
            publish(record, self._bucket, self._layout, self._lease)
        return self._item(record)

    def examine(self, path: Path) -> str:
        """Hash all that the record ``path`` names; return what is wrong, or nothing."""
        data = read_record(path)
        record = parse_record(data)
        if record is None or record.key != path.stem:
            return "" if data is None else DAMAGED_RECORD
        pin = self._bucket.pin(record.tree)
        self._lease.pin(pin)
        try:
            if read_record(path) != data:
                return ""
            tree = self._bucket.tree(record.tree)
            return find_damage(record, tree, list_tree(tree))
        finally:
            self._lease.unpin(pin)

    def set_aside(self, path: Path, reason: str) -> None:
        """Take a record out of sight; its directory, if it has one, is collected later."""
        self.report(Event(kind="healed", subject=path.stem, reason=reason))
        place = self._layout.quarantine / f"{path.stem}.{fs.new_name()}"
        with contextlib.suppress(FileAccessError):
            if not os.path.isfile(path):
                fs.remove_tree(str(path))
                return
            fs.ensure_directory(str(place.parent))
            fs.create_file(f"{place}.why", [reason.encode("utf-8", "replace")])
            fs.move(str(path), f"{place}.json")

    def _make(self, key: str, fill: Callable[[Path], About]) -> LeasedTree:
        name = f"{key}.{fs.new_name()[:_NONCE_LENGTH]}"
        tree = self._bucket.tree(name)
        self._lease.pin(self._bucket.pin(name))
        try:
            record = _fill_tree(key, tree, fill)
            publish(record, self._bucket, self._layout, self._lease)
        except BaseException:
            fs.remove_tree(str(tree))
            self._lease.unpin(self._bucket.pin(name))
            raise
        self.has_grown = True
        return self._item(record)


def publish(
    record: Record, bucket: CacheBucket, layout: Layout, lease: Lease, used: int | None = None
) -> None:
    """Make ``record`` visible in one step, or not at all; ``used`` is the time of its last use."""
    path = bucket.record(record.key)
    # Drafts are named by lease, so that a collector can tell whether their writer is dead.
    draft = layout.drafts / f"{lease.id}.{fs.new_name()}"
    fs.ensure_directory(str(draft.parent))
    fs.ensure_directory(str(path.parent))
    fs.create_file(str(draft), [record.to_bytes()], mtime=used)
    fs.move(str(draft), str(path))


def _fill_tree(key: str, tree: Path, fill: Callable[[Path], About]) -> Record:
    fs.ensure_directory(str(tree))
    about = fill(tree)
    fs.set_back(str(tree))
    _secure(tree)
    with fs.raising_file_errors("read", str(tree)):
        return describe(key, tree.name, tree, about)


def _secure(tree: Path) -> None:
    """Have the disk keep every byte of ``tree``, before a record vouches for it."""
    if not boot_id():  # where there is one, a loss of power shows, and every byte is looked at
        fs.flush_tree(str(tree))
