"""What a file asks for, read without having all of it.

A wheel is a zip, whose directory is at its end and whose METADATA usually stands just before; so
the end of a wheel is asked for first, and most build backends are so small that this is all.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import Version

from wheelforge._index.models import Metadata
from wheelforge.errors import MetadataInvalidError
from wheelforge_isolation.formats.metadata import (
    all_values,
    first_value,
    only_value,
    parse_fields,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wheelforge._index.models import Candidate
    from wheelforge_isolation.formats.metadata import Fields

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s2B5H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_MOST_COMMENT = 0xFFFF
_SPARE = 1 << 10
"""For what a local header may hold beyond the central one."""
_MOST_METADATA = 16 << 20
_PATH = re.compile(r"([^/]+)-[^-/]+\.dist-info/METADATA")
_STORED, _DEFLATED = 0, 8


class Window:
    """A file of which some is here; the rest is read when it is asked for."""

    def __init__(
        self, size_bytes: int, start: int, content: bytes, read: Callable[[int, int], bytes]
    ) -> None:
        self.size_bytes = size_bytes
        self._start, self._content = start, content
        self._read = read

    @property
    def whole(self) -> bytes | None:
        """The whole file, if it is here."""
        return None if self._start else self._content

    def slice(self, start: int, stop: int) -> bytes:
        """Return the bytes between two positions, less where the file ends before."""
        start, stop = max(0, start), min(stop, self.size_bytes)
        if start >= self._start:
            return self._content[start - self._start : stop - self._start]
        return self._read(start, stop) if start < stop else b""


class _Member(NamedTuple):
    path: str
    method: int
    crc: int
    packed: int
    size: int
    offset: int


def read_wheel_metadata(window: Window, candidate: Candidate) -> Metadata:
    """Return what a wheel asks for; refuse one that does not say, or is another wheel."""
    try:
        text = _read_member(window, _find_member(window, candidate.name))
    except (struct.error, ValueError, zlib.error) as error:
        raise MetadataInvalidError(candidate.file_name, str(error)) from error
    return parse_metadata(text, candidate)


def parse_metadata(content: bytes, candidate: Candidate) -> Metadata:
    """Return what core metadata asks for; refuse those of something else."""
    fields = parse_fields(content)
    _check_identity(fields, candidate)
    return Metadata(
        requires=tuple(all_values(fields, "Requires-Dist")),
        requires_python=first_value(fields, "Requires-Python"),
        extras=frozenset(map(canonicalize_name, all_values(fields, "Provides-Extra"))),
    )


def _check_identity(fields: Fields, candidate: Candidate) -> None:
    name, version = only_value(fields, "Name"), only_value(fields, "Version")
    try:
        is_same = name is not None and canonicalize_name(name) == candidate.name
        is_same = is_same and version is not None and Version(version) == candidate.version
    except ValueError:  # no version, or a number that is too long to be read
        is_same = False
    if not is_same:
        stated = " ".join(all_values(fields, "Name") + all_values(fields, "Version"))
        raise MetadataInvalidError(candidate.file_name, f"its metadata are of `{stated}`")


# The zip


def _find_member(window: Window, name: str) -> _Member:
    found = [member for member in _read_directory(window) if _is_metadata(member.path, name)]
    if len(found) != 1:
        raise ValueError(f"it holds {len(found)} files that could be its METADATA")
    return found[0]


def _is_metadata(path: str, name: str) -> bool:
    match = _PATH.fullmatch(path)
    return match is not None and canonicalize_name(match[1]) == name


def _read_directory(window: Window) -> Iterator[_Member]:
    start, length = _find_directory(window)
    directory, position = window.slice(start, start + length), 0
    while position < length:
        fields = _CENTRAL.unpack_from(directory, position)
        if fields[0] != b"PK\1\2":
            raise ValueError("its directory is damaged")
        name_length, extra, comment = fields[11:14]
        begin = position + _CENTRAL.size
        path = directory[begin : begin + name_length].decode("utf-8", "replace")
        method, (crc, packed, size), offset = fields[5], fields[8:11], fields[-1]
        yield _Member(path, method, crc, packed, size, offset)
        position = begin + name_length + extra + comment


def _find_directory(window: Window) -> tuple[int, int]:
    """Return where the zip's directory is, and how long."""
    start = max(0, window.size_bytes - _END.size - _MOST_COMMENT)
    tail = window.slice(start, window.size_bytes)
    end = tail.rfind(b"PK\5\6")
    if end < 0:
        raise ValueError("it is no zip")
    *_, length, offset, _ = _END.unpack_from(tail, end)
    position = start + end - _LOCATOR.size
    locator = window.slice(position, position + _LOCATOR.size) if position >= 0 else b""
    if locator.startswith(b"PK\6\7"):
        place = _LOCATOR.unpack(locator)[2]
        *_, length, offset = _END64.unpack(window.slice(place, place + _END64.size))
    return offset, length


def _read_member(window: Window, member: _Member) -> bytes:
    if max(member.packed, member.size) > _MOST_METADATA:
        raise ValueError("its METADATA is too large")
    most = _LOCAL.size + len(member.path.encode()) + _SPARE
    packed = window.slice(member.offset, member.offset + most + member.packed)
    signature, *_, name_length, extra = _LOCAL.unpack_from(packed)
    begin = _LOCAL.size + name_length + extra
    if begin > most or signature != b"PK\3\4":
        raise ValueError("its METADATA is damaged")
    content = _unpack(packed[begin : begin + member.packed], member)
    if len(content) != member.size or zlib.crc32(content) != member.crc:
        raise ValueError("its METADATA is damaged")
    return content


def _unpack(packed: bytes, member: _Member) -> bytes:
    if member.method == _STORED:
        return packed
    if member.method != _DEFLATED:
        raise ValueError(f"its METADATA is packed by an unknown method, {member.method}")
    # The stated size bounds what a hostile wheel can unfold to.
    return zlib.decompressobj(-15).decompress(packed, member.size + 1)
