"""Shared libraries of Linux and most Unixes: the names they have, and the ones they need."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = b"\x7fELF"
_IS_64, _IS_LITTLE = 2, 1
_LOAD, _DYNAMIC = 1, 2
_NEEDED, _STRINGS, _SONAME = 1, 5, 14
_LONGEST_NAME = 4096
_MOST_ENTRIES = 10_000


class Library(NamedTuple):
    """The dynamic section of one file."""

    soname: str
    """Empty where it has none, as most modules of Python."""
    needed: tuple[str, ...]


class _Segment(NamedTuple):
    kind: int
    offset: int
    address: int
    size: int


class _Format(NamedTuple):
    """The layout of numbers in one file."""

    order: str
    is_64: bool

    def unpack(self, layout: str, content: bytes, offset: int) -> tuple[int, ...]:
        return struct.unpack_from(self.order + layout, content, offset)


def read_library(content: bytes) -> Library | None:
    """Return the names in a library, or nothing where ``content`` is none, or is damaged."""
    if content[:4] != _MAGIC:
        return None
    try:
        return _read(content)
    except (struct.error, IndexError, OverflowError, ValueError):
        return None


def _read(content: bytes) -> Library | None:
    form = _Format("<" if content[5] == _IS_LITTLE else ">", content[4] == _IS_64)
    segments = list(_list_segments(form, content))
    dynamic = next((each for each in segments if each.kind == _DYNAMIC), None)
    if dynamic is None:
        return None
    entries = list(_list_entries(form, content, dynamic))
    (strings,) = (value for tag, value in entries if tag == _STRINGS)
    start = _locate(segments, strings)
    names = [(tag, _read_name(content, start + value)) for tag, value in entries if tag != _STRINGS]
    return Library(
        soname=next((name for tag, name in names if tag == _SONAME), ""),
        needed=tuple(name for tag, name in names if tag == _NEEDED),
    )


def _list_segments(form: _Format, content: bytes) -> Iterator[_Segment]:
    (table,) = form.unpack("Q" if form.is_64 else "I", content, 32 if form.is_64 else 28)
    size, count = form.unpack("HH", content, 54 if form.is_64 else 42)
    for number in range(count):
        place = table + number * size
        if form.is_64:
            kind, _, offset, address, _, length = form.unpack("IIQQQQ", content, place)
        else:
            kind, offset, address, _, length = form.unpack("IIIII", content, place)
        yield _Segment(kind, offset, address, length)


def _list_entries(form: _Format, content: bytes, dynamic: _Segment) -> Iterator[tuple[int, int]]:
    """Yield the entries of the dynamic section that are about names."""
    layout = "qQ" if form.is_64 else "iI"
    size = struct.calcsize(f"={layout}")
    for number in range(min(dynamic.size // size, _MOST_ENTRIES)):
        tag, value = form.unpack(layout, content, dynamic.offset + number * size)
        if not tag:
            return
        if tag in {_NEEDED, _STRINGS, _SONAME}:
            yield tag, value


def _locate(segments: list[_Segment], address: int) -> int:
    """Return where in the file the bytes are that are loaded to ``address``."""
    for each in segments:
        if each.kind == _LOAD and each.address <= address < each.address + each.size:
            return address - each.address + each.offset
    raise ValueError(address)


def _read_name(content: bytes, start: int) -> str:
    end = content.index(b"\0", start, start + _LONGEST_NAME)
    return content[start:end].decode()
