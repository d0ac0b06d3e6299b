"""Built wheels: which wheel came of which inputs, so that it need not be built again.

The wheel is kept like any file that was fetched. A small record, published last and in one step,
says which one it is, and what the builder wants to know of it: all that the wheel depends on, whose
digest is the key. A record that is damaged, or whose wheel is damaged or gone, is no record.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge_isolation.cache.records import Record, parse_record, read_record
from wheelforge_isolation.cache.trees import DAMAGED_RECORD, KEY_LENGTH, Event, publish
from wheelforge_isolation.cache.wheels import WheelKey, raise_if_missing, read_wheel_key
from wheelforge_isolation.errors import FileAccessError, IsolationError
from wheelforge_isolation.files import fs
from wheelforge_isolation.files.atomic import replace_file
from wheelforge_isolation.files.locks import wait_for_lock
from wheelforge_isolation.formats.file_names import WHEEL_SUFFIX, parse_sdist_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from wheelforge_isolation.cache.layout import Layout
    from wheelforge_isolation.cache.wheels import WheelStore
    from wheelforge_isolation.files.locks import Lease


SALT = "salt"
_SALT_BYTES = 32
_FACTS = "facts"


class BuiltWheel(NamedTuple):
    """A wheel that was built here, and stays at least as long as this process uses the cache."""

    key: WheelKey
    path: Path
    facts: dict[str, Any]
    """As the builder gave them."""


class BuiltStore:
    """The wheels of one cache that were built here."""

    def __init__(
        self,
        layout: Layout,
        lease: Lease,
        wheels: WheelStore,
        report: Callable[[Event], None],
        below: BuiltStore | None = None,
    ) -> None:
        self._layout = layout
        self._lease = lease
        self._wheels = wheels
        self._report = report
        self._below = below
        self.has_grown = False
        """Whether something was kept here since the store was opened."""
        self.damaged = set[str]()
        """The keys of records that were found damaged, and removed."""

    @property
    def salt(self) -> bytes:
        """Random bytes of this cache, the same for all its processes and as long as it lasts."""
        if self._below is not None:
            return self._below.salt
        path = self._layout.built.root / SALT
        salt = _read_salt(path)
        if len(salt) != _SALT_BYTES:
            # Two at once would each go on with their own, and not find what the other has built.
            with wait_for_lock(self._layout.lock(SALT), lambda: None):
                if len(_read_salt(path)) != _SALT_BYTES:
                    with contextlib.suppress(IsolationError):
                        fs.ensure_directory(str(path.parent))
                        replace_file(str(path), os.urandom(_SALT_BYTES))
                salt = _read_salt(path)
        return salt

    def find(self, key: str) -> BuiltWheel | None:
        """Return the wheel that was built with ``key``, if its file is there whole.

        The file stays there at least as long as this process uses the cache.
        """
        found = self._find_here(key)
        return self._below.find(key) if found is None and self._below else found

    def _find_here(self, key: str) -> BuiltWheel | None:
        path = self._layout.built.record(_name(key))
        data = read_record(path)
        record = parse_record(data)
        if record is None or record.key != path.stem:
            if data is not None:
                self.damaged.add(key)
                self._report(Event(kind="healed", subject=path.stem, reason=DAMAGED_RECORD))
                with contextlib.suppress(FileAccessError):
                    fs.remove_tree(str(path))
            return None
        facts = record.about.pop(_FACTS)
        wheel = WheelKey(**record.about)
        try:
            file = self._wheels.keep_file(wheel.file_name, wheel.sha256, raise_if_missing)
        except FileAccessError:  # most likely it is gone
            return None
        for used in (path, file):
            fs.mark_used(str(used))
        return BuiltWheel(wheel, file, facts)

    def read(self, key: str) -> dict[str, Any] | None:
        """Return what the builder wanted to know of a wheel, which need not be there whole."""
        path = self._layout.built.record(_name(key))
        record = parse_record(read_record(path))
        if record is None or record.key != path.stem:
            return None if self._below is None else self._below.read(key)
        facts: dict[str, Any] = record.about[_FACTS]
        return facts

    def store(self, key: str, wheel: Path, facts: Mapping[str, object] | None = None) -> BuiltWheel:
        """Keep the file ``wheel`` as what was built with ``key``, in place of any before it.

        An sdist can be kept in the same way.
        """
        found = _read_key(wheel)
        copy = partial(fs.copy_file, str(wheel))
        file = self._wheels.keep_file(found.file_name, found.sha256, copy)
        facts = dict(facts or {})
        about = {**asdict(found), _FACTS: facts}
        record = Record(key=_name(key), tree="", boot="", about=about, entries={}, digests="")
        self.has_grown = True
        # Without a record the wheel is built again, and that is all.
        with contextlib.suppress(IsolationError):
            publish(record, self._layout.built, self._layout, self._lease)
        return BuiltWheel(found, file, facts)

    def add_record(self, content: bytes, used: int) -> None:
        """Keep a record of another cache, unless there is one, as if it was ``used`` then."""
        record = parse_record(content)
        if record is not None and not self._layout.built.record(record.key).exists():
            publish(record, self._layout.built, self._layout, self._lease, used)

    def examine(self, path: Path) -> str:
        """Return what is wrong with the record ``path``, or nothing; the file is not hashed."""
        from wheelforge_isolation.cache.listing import describe_built

        data = read_record(path)
        if describe_built(self._layout, path) is not None or read_record(path) != data:
            return ""
        record = parse_record(data)
        if record is None or record.key != path.stem:
            return "" if data is None else DAMAGED_RECORD
        return "the wheel that it names is gone"


def list_built_wheels(
    layout: Layout, sha256s: Collection[str] = ()
) -> Iterator[tuple[WheelKey, dict[str, Any]]]:
    """Yield each wheel that was built, with its builder's facts; the files are not looked at.

    Where ``sha256s`` are given, only wheels with these are yielded, and other records not parsed.
    """
    wanted = [sha256.encode() for sha256 in sha256s]
    for path in layout.built.list_records():
        data = read_record(path)
        if wanted and not any(sha256 in (data or b"") for sha256 in wanted):
            continue
        record = parse_record(data)
        if record is not None and record.key == path.stem:
            facts = record.about.pop(_FACTS)
            key = WheelKey(**record.about)
            is_wanted = not wanted or key.sha256 in sha256s
            if key.file_name.endswith(WHEEL_SUFFIX) and is_wanted:
                yield key, facts


def _read_key(path: Path) -> WheelKey:
    if path.name.endswith(WHEEL_SUFFIX):
        return read_wheel_key(path)
    found = parse_sdist_name(path.name)
    with fs.raising_file_errors("read", str(path)):
        sha256 = fs.digest(path)
    version = str(found.version)
    return WheelKey(name=found.name, version=version, file_name=path.name, sha256=sha256)


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:KEY_LENGTH]


def _read_salt(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
