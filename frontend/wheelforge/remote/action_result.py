"""The body of an action in Bazel's caches: an `ActionResult`, which lists files by their digests.

Of the protocol buffers of Bazel's remote execution API three messages are written, with the fields
that are needed: a server that checks bodies accepts them, and may add fields of its own, which are
skipped when they are read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FILES = 2
"""Of `ActionResult`: its output files."""
_PATH, _DIGEST, _CONTENTS = 1, 2, 5
"""Of `OutputFile`."""
_HASH, _SIZE = 1, 2
"""Of `Digest`."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}
_MOST_BITS = 63
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_FILES = 16


class OutputFile(NamedTuple):
    """A file of an action."""

    sha256: str
    size: int
    contents: bytes = b""
    """The bytes of a small file, which need not be asked for then."""


def encode_action(files: Mapping[str, OutputFile]) -> bytes:
    """Return the body of an action with these files, by their names."""
    found = b""
    for name, file in files.items():
        digest = _write_bytes(_HASH, file.sha256.encode()) + _write_number(_SIZE, file.size)
        output = _write_bytes(_PATH, name.encode()) + _write_bytes(_DIGEST, digest)
        if file.contents:
            output += _write_bytes(_CONTENTS, file.contents)
        found += _write_bytes(_FILES, output)
    return found


def decode_action(body: bytes) -> dict[str, OutputFile]:
    """Return the files of an action by their names; ValueError if ``body`` is none."""
    files: dict[str, OutputFile] = {}
    for number, value in _read_fields(body):
        if number != _FILES:
            continue
        fields = dict(_read_fields(_as_bytes(value)))
        digest = dict(_read_fields(_as_bytes(fields.get(_DIGEST, b""))))
        name, sha256 = (_as_bytes(each).decode() for each in (fields[_PATH], digest[_HASH]))
        size = digest.get(_SIZE, 0)  # the default of a number is not written
        if not _SHA256.fullmatch(sha256) or not isinstance(size, int) or len(files) > _MOST_FILES:
            raise ValueError("it has no SHA-256, or no size")
        files[name] = OutputFile(sha256, size, _as_bytes(fields.get(_CONTENTS, b"")))
    return files


def _write_bytes(number: int, content: bytes) -> bytes:
    return _write_varint(number << 3 | _BYTES) + _write_varint(len(content)) + content


def _write_number(number: int, value: int) -> bytes:
    return _write_varint(number << 3 | _VARINT) + _write_varint(value)


def _write_varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:  # ruff: ignore[magic-value-comparison]
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a field has another type")  # ruff: ignore[type-check-without-type-error]
    return value


def _read_fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and the value of each field that is a number or bytes."""
    place = 0
    while place < len(content):
        key, place = _read_varint(content, place)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, place = _read_varint(content, place)
            yield number, value
            continue
        if kind == _BYTES:
            size, place = _read_varint(content, place)
        elif kind in _FIXED_BYTES:
            size = _FIXED_BYTES[kind]
        else:
            raise ValueError("it has a field of an unknown type")
        end = place + size
        if end > len(content):
            raise ValueError("it was cut")
        if kind == _BYTES:
            yield number, content[place:end]
        place = end


def _read_varint(content: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, _MOST_BITS + 1, 7):
        if place >= len(content):
            raise ValueError("it was cut")
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte <= 0x7F:  # ruff: ignore[magic-value-comparison]
            return value, place
    raise ValueError("it has a number that is too large")
