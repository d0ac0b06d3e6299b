"""A cache as one file, for the caches of CI services: its wheels, and how they are found.

The file is a line for each entry, as JSON, each followed by the bytes of that entry. It has no
paths: an entry says what it is, and the cache knows where that belongs. Before anything of a file
is taken over, all of it is read, and every hash is compared. Environments are made again where they
are used.

Times of use are rounded by an hour. So an hour more counts as used, and an entry that is taken over
looks as if it was used two hours ago: the next export leaves it out unless it is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from wheelforge_isolation.cache.built_wheels import SALT
from wheelforge_isolation.cache.layout import list_directory
from wheelforge_isolation.cache.records import parse_record, read_record
from wheelforge_isolation.cache.wheels import raise_if_missing
from wheelforge_isolation.errors import CacheFileError, FileAccessError
from wheelforge_isolation.files import fs
from wheelforge_isolation.files.atomic import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wheelforge_isolation.cache.open import Cache

_MAGIC = b"wheelforge cache 1\n"
_FILE, _BUILT, _ANSWER, _SALT, _END = "file", "built", "answer", "salt", "end"
_ANSWER_NAME = re.compile(r"(?!tools-)[a-z]+-[0-9a-f]{32}\.json")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_LINE = 4096
_MOST_SMALL_BYTES = 16 << 20
_MOST_FILE_BYTES = 4 << 30
_MOST_ENTRIES = 1_000_000
_CHUNK = 1 << 20
_ROUNDED_SECONDS = 3600
_AGED_SECONDS = 2 * _ROUNDED_SECONDS


class Transferred(NamedTuple):
    """The amount that was written or taken over."""

    wheels: int
    built: int
    size_bytes: int


class _Head(NamedTuple):
    """The line before the bytes of an entry."""

    kind: str
    name: str
    sha256: str
    size: int


def export_cache(cache: Cache, path: str, since: float = 0.0) -> Transferred:
    """Write the wheels that were used ``since`` that time, and how they are found, to ``path``."""
    draft, counts = f"{path}.{fs.new_name()}", [0, 0, 0]
    fs.ensure_directory(os.path.dirname(path))
    try:
        with fs.raising_file_errors("write", path), os.fdopen(fs.open_new_file(draft), "wb") as out:
            out.write(_MAGIC)
            for head, source in _list_entries(cache, since - _ROUNDED_SECONDS):
                out.write(json.dumps(head).encode() + b"\n")
                _copy(source, out, head.size)
                counts[0] += head.kind == _FILE
                counts[1] += head.kind == _BUILT
            out.write(json.dumps(_Head(_END, "", "", 0)).encode() + b"\n")
            counts[2] = out.tell()
        fs.move(draft, path)
    finally:
        fs.remove_file(draft)
    return Transferred(*counts)


def import_cache(cache: Cache, path: str) -> Transferred:
    """Take over what `export_cache` has written; nothing, if anything in it is wrong."""
    try:
        with open(path, "rb") as file:
            for head in _read_heads(file, path):
                _check(file, head, path)
            size = file.tell()
            file.seek(0)
            kinds = [_take_over(cache, file, head) for head in _read_heads(file, path)]
    except OSError as error:
        raise CacheFileError(path, error.strerror or str(error)) from error
    return Transferred(kinds.count(_FILE), kinds.count(_BUILT), size)


def _list_entries(cache: Cache, since: float) -> Iterator[tuple[_Head, str | bytes]]:
    """Yield what is written, files before the records that name them."""
    layout = cache.layout
    salt = cache.built.salt
    yield _Head(_SALT, "", hashlib.sha256(salt).hexdigest(), len(salt)), salt
    for path in list_directory(layout.manifests):
        if _ANSWER_NAME.fullmatch(path.name):
            yield from _describe_small(_ANSWER, path)
    yield from _list_wheels(cache, since)


def _list_wheels(cache: Cache, since: float) -> Iterator[tuple[_Head, str | bytes]]:
    layout, seen = cache.layout, set[str]()
    for bucket in (layout.wheels, layout.built):
        for path in bucket.list_records():
            record = parse_record(read_record(path)) if _is_used(path, since) else None
            if record is None or record.key != path.stem:
                continue
            name, sha256 = record.about["file_name"], record.about["sha256"]
            try:
                kept = cache.wheels.keep_file(name, sha256, raise_if_missing)
            except FileAccessError:  # it is gone: the record is worth nothing
                continue
            if sha256 not in seen:
                seen.add(sha256)
                yield _Head(_FILE, name, sha256, kept.stat().st_size), str(kept)
            if bucket is layout.built:
                yield from _describe_small(_BUILT, path)


def _is_used(path: Path, since: float) -> bool:
    try:
        return path.stat().st_mtime >= since
    except OSError:
        return False


def _describe_small(kind: str, path: Path) -> Iterator[tuple[_Head, bytes]]:
    content = read_record(path)
    if content:
        yield _Head(kind, path.name, hashlib.sha256(content).hexdigest(), len(content)), content


def _copy(source: str | bytes, output: IO[bytes], size: int) -> None:
    if isinstance(source, bytes):
        output.write(source)
        return
    with open(source, "rb") as file:
        left = size
        while left and (chunk := file.read(min(_CHUNK, left))):
            output.write(chunk)
            left -= len(chunk)


def _read_heads(file: IO[bytes], path: str) -> Iterator[_Head]:
    """Yield the heads of all entries; the caller reads what is behind each."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise CacheFileError(path, "it was not written by `wheelforge cache export`")
    for _ in range(_MOST_ENTRIES):
        head = _read_head(file.readline(_LONGEST_LINE), path)
        if head.kind == _END:
            if file.read(1):
                raise CacheFileError(path, "there is something behind its end")
            return
        yield head
    raise CacheFileError(path, "it has too many entries")


def _read_head(line: bytes, path: str) -> _Head:
    try:
        kind, name, sha256, size = json.loads(line)
    except (ValueError, TypeError) as error:
        raise CacheFileError(path, "it was cut, or is damaged") from error
    most = _MOST_FILE_BYTES if kind == _FILE else _MOST_SMALL_BYTES
    is_text = all(isinstance(each, str) for each in (kind, name, sha256))
    if not is_text or type(size) is not int or not 0 <= size <= most:
        raise CacheFileError(path, "it has an entry that makes no sense")
    if kind != _END and not _SHA256.fullmatch(sha256):
        raise CacheFileError(path, "it has an entry without a SHA-256")
    return _Head(kind, name, sha256, size)


def _check(file: IO[bytes], head: _Head, path: str) -> None:
    """Read an entry, and refuse it unless it is what its head says."""
    digest, content = hashlib.sha256(), b""
    for chunk in _read_chunks(file, head.size):
        digest.update(chunk)
        content = chunk if head.kind == _FILE else content + chunk
    if digest.hexdigest() != head.sha256:
        raise CacheFileError(path, f"{head.name or head.kind!r} has other bytes than it says")
    reason = _find_fault(head, content)
    if reason:
        raise CacheFileError(path, f"{head.name!r} {reason}")


def _find_fault(head: _Head, content: bytes) -> str:
    if head.kind == _FILE:
        is_name = head.name.isprintable() and head.name not in {"", ".", ".."}
        return "" if is_name and not {"/", "\\"} & {*head.name} else "is no name of a file"
    if head.kind == _BUILT:
        return "" if _is_record(head, content) else "is no record of a wheel that was built"
    if head.kind == _ANSWER:
        return "" if _ANSWER_NAME.fullmatch(head.name) else "is no remembered answer"
    return "" if head.kind == _SALT else "is of a kind that there is not"


def _is_record(head: _Head, content: bytes) -> bool:
    try:
        record = parse_record(content)
        return record is not None and f"{record.key}.json" == head.name and _has_file(record.about)
    except (ValueError, TypeError):
        return False


def _has_file(about: dict[str, Any]) -> bool:
    names = {"name", "version", "file_name", "sha256", "facts"}
    return about.keys() == names and bool(_SHA256.fullmatch(about["sha256"]))


def _read_chunks(file: IO[bytes], size: int) -> Iterator[bytes]:
    left = size
    while left and (chunk := file.read(min(_CHUNK, left))):
        left -= len(chunk)
        yield chunk


def _take_over(cache: Cache, file: IO[bytes], head: _Head) -> str:
    """Put an entry, which was checked before, where it belongs; return of which kind it is."""
    layout, end, then = cache.layout, file.tell() + head.size, int(time.time() - _AGED_SECONDS)
    if head.kind == _FILE:
        chunks = _read_chunks(file, head.size)
        cache.wheels.keep_file(
            head.name, head.sha256, lambda path: fs.create_file(path, chunks, mtime=then)
        )
    elif head.kind == _BUILT:
        cache.built.add_record(file.read(head.size), then)
    else:
        is_salt = head.kind == _SALT
        target = layout.built.root / SALT if is_salt else layout.manifests / head.name
        if not target.exists():
            fs.ensure_directory(str(target.parent))
            replace_file(str(target), file.read(head.size))
    file.seek(end)
    return head.kind
