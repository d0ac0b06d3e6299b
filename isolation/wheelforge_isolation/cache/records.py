"""The record of a finished directory: what is in it, and how to see whether that is still so.

A wheel that was built has a record without a directory: its key, and what it is about.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge_isolation.formats.sealed import seal_json, unseal_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_DIGEST_LENGTH = 64
_FILE_STATE = 5
_CHANGE_TIME = 3
_SIZE = 2
_LARGE_BYTES = 1 << 18
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

About = dict[str, Any]
Entries = dict[str, list[int | str]]


class Record(NamedTuple):
    """The file that makes a directory visible: its name, its content, and what it is about."""

    key: str
    tree: str
    boot: str
    """The run of the machine in which the content was known to be right."""
    about: About
    entries: Entries
    """Of each file the mode, the time in nanoseconds, the size, the time of its last change and the
    inode; of each directory, the top one among them, mode and time; of each link its text."""
    digests: str
    """The SHA-256 of every file, in order: one long text is read faster than many short ones."""

    def to_bytes(self) -> bytes:
        """Return the record as it is written."""
        return seal_json(self)


def read_record(path: Path) -> bytes | None:
    """Return what the file ``path`` holds, or nothing where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        # Something may be there that is no record, or we may not even look.
        return b"" if os.path.lexists(path) else None


def parse_record(data: bytes | None) -> Record | None:
    """Return the record that ``data`` is, or nothing unless it is one and whole."""
    fields = unseal_json(data)
    return None if fields is None else Record(*fields)


@functools.cache
def boot_id() -> str:
    """Return the name of this run of the machine, or nothing where the system gives it none."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def describe(key: str, name: str, tree: Path, about: About) -> Record:
    """Return the record of ``tree`` as it is now."""
    # Before the bytes are read: what changes meanwhile has another time when it is next looked at.
    entries = dict(_list_entries(str(tree)))
    digests = "".join(_digest(tree, path, size) for path, size in _files(entries))
    return Record(key=key, tree=name, boot=boot_id(), about=about, entries=entries, digests=digests)


def find_suspects(record: Record, tree: Path) -> list[str] | None:
    """Return the files of ``tree`` whose content has to be looked at, or nothing for all of it.

    Times of modification can be put back, times of change cannot; but a file also changes when it
    is linked into another environment, so of such a file the content decides.
    """
    top = f"{tree}{os.sep}"
    suspects: list[str] = []
    try:
        for path, then in record.entries.items():
            now = _state(top + path)
            if now != then:
                if now[:_CHANGE_TIME] + now[_CHANGE_TIME + 1 :] != (
                    then[:_CHANGE_TIME] + then[_CHANGE_TIME + 1 :]
                ):
                    return None
                suspects.append(path)
    except OSError:
        return None
    return suspects


def is_same_content(record: Record, tree: Path, paths: Collection[str]) -> bool:
    """Return whether those files of ``tree`` still hold every byte."""
    try:
        return not any(_find_changed_content(record, tree, paths))
    except OSError:
        return False


def list_tree(tree: Path) -> Entries:
    """Return all that is in ``tree``, or nothing where that cannot be known."""
    try:
        return dict(_list_entries(str(tree)))
    except OSError:
        return {}


def find_damage(record: Record, tree: Path, found: Entries) -> str:
    """Hash every byte of ``tree``, in which ``found`` is; return what is wrong, or nothing."""
    if not found:
        return "it is gone, or cannot be read"
    changed: set[str] = set()
    for path in record.entries.keys() | found.keys():
        then, now = record.entries.get(path, []), found.get(path, [])
        # All but times and inodes, which an unpacked copy of a cache does not keep.
        if (then[:1], then[_SIZE:_CHANGE_TIME]) != (now[:1], now[_SIZE:_CHANGE_TIME]):
            changed.add(path)
    try:
        changed = changed or {*_find_changed_content(record, tree)}
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return f"{min(changed)} was changed, added or removed" if changed else ""


def _find_changed_content(
    record: Record, tree: Path, paths: Collection[str] | None = None
) -> Iterator[str]:
    for number, (path, size) in enumerate(_files(record.entries)):
        if paths is not None and path not in paths:
            continue
        start = number * _DIGEST_LENGTH
        if _digest(tree, path, size) != record.digests[start : start + _DIGEST_LENGTH]:
            yield path


def _list_entries(directory: str, path: str = "") -> Iterator[tuple[str, list[int | str]]]:
    if not path:
        yield os.curdir, _state(directory)
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            yield path + entry.name, _state(entry.path)
            if entry.is_dir(follow_symlinks=False):
                yield from _list_entries(entry.path, f"{path}{entry.name}{os.sep}")


def _state(path: str) -> list[int | str]:
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        return [os.readlink(path)]
    if stat.S_ISDIR(found.st_mode):
        return [found.st_mode, found.st_mtime_ns]
    return [found.st_mode, found.st_mtime_ns, found.st_size, found.st_ctime_ns, found.st_ino]


def _files(entries: Entries) -> Iterator[tuple[str, int]]:
    return (
        (path, int(state[_SIZE])) for path, state in entries.items() if len(state) == _FILE_STATE
    )


def _digest(tree: Path, path: str, size: int) -> str:
    with open(f"{tree}{os.sep}{path}", "rb") as file:
        if size < _LARGE_BYTES:  # `file_digest` allocates a large buffer first
            return hashlib.sha256(file.read()).hexdigest()
        return hashlib.file_digest(file, "sha256").hexdigest()
