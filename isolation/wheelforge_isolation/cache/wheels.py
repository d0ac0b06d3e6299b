"""The wheel cache: every wheel that a build needed, unpacked once and shared by all.

A wheel's key is made of its name, version, file name and SHA-256: two versions, or one version for
two platforms or with two contents, never meet. The file itself is kept beside the directory it was
unpacked into, so a damaged directory is made again without a network.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from wheelforge_isolation.cache.trees import KEY_LENGTH, Event
from wheelforge_isolation.errors import (
    ArchiveError,
    FileAccessError,
    FileMissingError,
    HashMismatchError,
    IsolationError,
)
from wheelforge_isolation.files import fs
from wheelforge_isolation.files.locks import wait_for_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from wheelforge_isolation.cache.layout import Layout
    from wheelforge_isolation.cache.records import About
    from wheelforge_isolation.cache.trees import LeasedTree, TreeStore
    from wheelforge_isolation.files.locks import Lease
    from wheelforge_isolation.wheels import Wheel

_ROUNDS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class WheelKey:
    """Which wheel is meant: this one file, and no other of its name."""

    name: str
    version: str
    file_name: str
    sha256: str

    @property
    def digest(self) -> str:
        """The key as one short word."""
        text = f"{self.name}\n{self.version}\n{self.file_name}\n{self.sha256}"
        return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def read_wheel_key(path: Path) -> WheelKey:
    """Return the key of the wheel in the file ``path``."""
    from wheelforge_isolation.wheels import parse_wheel_name

    name = parse_wheel_name(path.name)
    with fs.raising_file_errors("read", str(path)):
        sha256 = fs.digest(path)
    return WheelKey(name=name.name, version=str(name.version), file_name=path.name, sha256=sha256)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredWheel:
    """An unpacked wheel in use; it stays where it is until it is given back."""

    key: WheelKey
    item: LeasedTree


class WheelStore:
    """The wheels of one cache."""

    def __init__(
        self, layout: Layout, store: TreeStore, lease: Lease, below: WheelStore | None = None
    ) -> None:
        self._layout = layout
        self._trees = store
        self._lease = lease
        self._below = below

    def find(self, key: WheelKey) -> StoredWheel | None:
        """Return the wheel if it is there and sound."""
        item = self._trees.get(key.digest)
        return None if item is None else StoredWheel(key=key, item=item)

    def is_likely_here(self, key: WheelKey) -> bool:
        """Return whether the wheel, or its file, is there at a glance; nothing is promised."""
        file = self._layout.file(key.sha256, key.file_name)
        is_here = self._trees.is_likely_here(key.digest) or os.path.lexists(file)
        return is_here or (self._below is not None and self._below.is_likely_here(key))

    def add(self, path: Path) -> StoredWheel:
        """Store the wheel in the file ``path``."""
        return self.get_or_create(read_wheel_key(path), partial(fs.copy_file, str(path)))

    def get_or_create(self, key: WheelKey, fetch: Callable[[str], None]) -> StoredWheel:
        """Return the wheel; where it is missing, let ``fetch`` write the file to the path given."""
        item = self._trees.get_or_create(key.digest, partial(self._unpack, key, fetch))
        return StoredWheel(key=key, item=item)

    def restore(self, about: About) -> bool:
        """Unpack a wheel anew from its kept file; return whether that was possible."""
        key = WheelKey(**{name: about[name] for name in ("name", "version", "file_name", "sha256")})
        try:
            self.get_or_create(key, raise_if_missing).item.give_back()
        except IsolationError:
            return False
        return True

    def _unpack(self, key: WheelKey, fetch: Callable[[str], None], tree: Path) -> About:
        for _ in range(_ROUNDS):
            path = self.keep_file(key.file_name, key.sha256, fetch)
            # A collector that had not seen our pin may have removed the file just now.
            with contextlib.suppress(FileMissingError), _judged(path, tree) as wheel:
                wheel.archive.write(str(tree))
                return {
                    **asdict(key),
                    "files": {
                        path: [file.scheme.value, file.destination, file.sha256]
                        for path, file in wheel.files.items()
                    },
                    "scripts": [
                        [entry.name, entry.module, entry.attribute, entry.kind]
                        for entry in wheel.entry_points
                    ],
                }
        raise FileMissingError("unpack", key.file_name, "it is removed again and again")

    def keep_file(self, name: str, sha256: str, fetch: Callable[[str], None]) -> Path:
        """Return where the file with that content is, fetched unless it is there whole.

        It stays there at least as long as this process uses the cache.
        """
        # Unlike a directory it has but one name, made again or not: a collector that has read the
        # leases before must have finished.
        with wait_for_lock(self._layout.file_lock(sha256), lambda: None):
            self._lease.pin(self._layout.pin_file(sha256))
        return self.find_file(name, sha256) or self._fetch(name, sha256, fetch)

    def find_file(self, name: str, sha256: str) -> Path | None:
        """Return where the file with that content is, if it is there whole."""
        path = self._layout.file(sha256, name)
        try:
            if fs.digest(path) == sha256:
                return path
        except OSError as error:
            # Something may be there that is no file, or we may not even look.
            if isinstance(error, FileNotFoundError) or not os.path.lexists(path):
                return self._below.find_file(name, sha256) if self._below else None
        self._trees.report(Event(kind="healed", subject=name, reason="the kept file is damaged"))
        with contextlib.suppress(FileAccessError):
            fs.remove_tree(str(path))
        return None

    def _fetch(self, name: str, sha256: str, fetch: Callable[[str], None]) -> Path:
        path = self._layout.file(sha256, name)
        draft = self._layout.drafts / f"{self._lease.id}.{fs.new_name()}"
        fs.ensure_directory(str(draft.parent))
        try:
            fetch(str(draft))
            with fs.raising_file_errors("fetch", name):
                found = fs.digest(draft)
            if found != sha256:
                raise HashMismatchError(name, sha256, found)
            for attempt in range(_ROUNDS):
                try:
                    fs.ensure_directory(str(path.parent))
                    fs.move(str(draft), str(path))
                    break
                except FileAccessError:
                    # A collector that had not seen our pin may just have removed the place.
                    if attempt == _ROUNDS - 1:
                        raise
        finally:
            fs.remove_file(str(draft))
        return path


@contextlib.contextmanager
def _judged(path: Path, tree: Path) -> Generator[Wheel]:
    """Yield the wheel in the file ``path``, which does not stay unless it is one."""
    from wheelforge_isolation.wheels import open_wheel

    try:
        with open_wheel(path, workspace=tree) as wheel:
            yield wheel
    except ArchiveError:
        with contextlib.suppress(FileAccessError):
            fs.remove_file(str(path))
            fs.remove_empty_directory(str(path.parent))
        raise


def raise_if_missing(path: str) -> None:
    """Fetch nothing: a file that is not here is an error."""
    raise FileMissingError("fetch", path, "it is not to be had here")
