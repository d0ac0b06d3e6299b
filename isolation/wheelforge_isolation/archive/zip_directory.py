"""The directory of a zip file, held against everything else that the file says."""

from __future__ import annotations

import struct
import zlib
from typing import IO, TYPE_CHECKING, NamedTuple

from wheelforge_isolation.archive.members import Subject
from wheelforge_isolation.archive.rules import RuleError
from wheelforge_isolation.errors import quoted
from wheelforge_isolation.values import replace

if TYPE_CHECKING:
    from collections.abc import Iterator

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s2B5H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_DESCRIPTORS = {
    struct.calcsize(layout) + len(mark): (mark, struct.Struct(layout))
    for layout in ("<3L", "<L2Q")
    for mark in (b"", b"PK\7\x08")
}
"""The ways to state checksum and sizes behind a member, by their length."""
TWO_ENDS = "the archive has two ends"
_MOST_COMMENT = 0xFFFF
_MOST_PADDING = 1 << 16
_SMALL, _LARGE = 0xFFFF, 0xFFFFFFFF
_ENCRYPTED = 0x2041
"""The flags for encryption, strong encryption and a masked directory."""
_STREAMED, _UTF8 = 0x8, 0x800
_ZIP64, _UNICODE_NAME = 0x0001, 0x7075
_WIDE_BYTES = 8
_UNICODE_NAME_HEAD = struct.Struct("<BL")


class _Fields(NamedTuple):
    """The fixed part of one record of the directory."""

    signature: bytes
    made_by: int
    system: int
    needed: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    packed: int
    size: int
    name_length: int
    extra_length: int
    comment_length: int
    disk: int
    internal: int
    attributes: int
    offset: int


class Entry(Subject):
    """One member as the directory states it."""

    raw_name: bytes
    has_guessed_name: bool
    """Whether the name is neither marked as UTF-8 nor could be."""
    system: int
    flags: int
    method: int
    date: int
    time: int
    crc: int
    packed: int
    size: int
    offset: int
    """Where the local header starts; once checked, where the content starts."""
    attributes: int


def read_directory(source: IO[bytes], size: int, most: int) -> list[Entry]:
    """Return the entries in the order of their content, when all that the file says agrees."""
    start, length, count = _find_directory(source, size)
    if count > most:
        raise RuleError("X4", f"the archive has more than {most:,} members")
    source.seek(start)
    entries = list(_parse_directory(source.read(length), count))
    entries.sort(key=lambda entry: entry.offset)
    if entries[0].offset if entries else start:
        raise RuleError("Z8", "bytes that belong to no member precede the first one")
    ends = [*(entry.offset for entry in entries), start][1:]
    return [_check_local(source, entry, end) for entry, end in zip(entries, ends, strict=True)]


def _find_directory(source: IO[bytes], size: int) -> tuple[int, int, int]:
    """Return where the directory starts, its length, and how many entries it has."""
    tail_size = min(size, _END.size + _MOST_COMMENT + _MOST_PADDING)
    source.seek(size - tail_size)
    tail = source.read(tail_size)
    found = tail.rfind(b"PK\5\6", 0, tail_size - _END.size + 4)
    if found < 0:
        raise RuleError("F10", "the file has no end record; it ends early")
    _refuse_second_end(tail, found)
    _, *disks, here, count, length, start, comment = _END.unpack_from(tail, found)
    behind = tail[found + _END.size + comment :]
    is_cut = tail_size < found + _END.size + comment
    if is_cut or len(behind) > _MOST_PADDING or behind.strip(b"\0"):
        raise RuleError("Z8", "bytes that belong to nothing follow the end of the archive")
    if b"PK\5\6" in tail[found + _END.size :]:
        raise RuleError("Z9", TWO_ENDS)
    end = size - tail_size + found
    if tail[:found][-_LOCATOR.size :].startswith(b"PK\6\7"):
        return _find_directory64(source, end, (here, count, length, start))
    if any(disks) or here != count:
        raise RuleError("Z10", "the archive is one part of several")
    if start + length != end:
        raise RuleError("Z8", "the directory is not where the archive says")
    return start, length, count


def _refuse_second_end(tail: bytes, found: int) -> None:
    """Refuse an end record inside the comment of another: each reader would choose its own."""
    earlier = tail.rfind(b"PK\5\6", 0, found)
    while earlier >= 0:
        comment = int.from_bytes(tail[earlier + 20 : earlier + 22], "little")
        end = earlier + _END.size + comment
        if found < end <= len(tail) and not tail[end:].strip(b"\0"):
            raise RuleError("Z9", TWO_ENDS)
        earlier = tail.rfind(b"PK\5\6", 0, earlier)


def _find_directory64(source: IO[bytes], end: int, short: tuple[int, ...]) -> tuple[int, int, int]:
    """Follow the locator before the end record to the one with wide fields."""
    source.seek(end - _LOCATOR.size)
    _, disk, position, _ = _LOCATOR.unpack(source.read(_LOCATOR.size))
    if position + _END64.size + _LOCATOR.size != end:
        raise RuleError("Z12", "the wide end record is not where the archive says")
    source.seek(position)
    record = source.read(_END64.size)
    if not record.startswith(b"PK\6\6"):
        raise RuleError("Z12", "the wide end record is not where the archive says")
    _, length_of_record, _, _, *disks, here, count, length, start = _END64.unpack(record)
    if length_of_record != _END64.size - 12:
        raise RuleError("Z12", "the wide end record has more than it should")
    if disk or any(disks) or here != count:
        raise RuleError("Z10", "the archive is one part of several")
    wide = (here, count, length, start)
    sentinels = (_SMALL, _SMALL, _LARGE, _LARGE)
    if any(a not in {b, c} for a, b, c in zip(short, wide, sentinels, strict=True)):
        raise RuleError("Z12", "the two end records disagree")
    if start + length != position:
        raise RuleError("Z8", "the directory is not where the archive says")
    return start, length, count


def _parse_directory(data: bytes, count: int) -> Iterator[Entry]:
    position = 0
    for index in range(1, count + 1):
        fixed = data[position : position + _CENTRAL.size]
        if len(fixed) < _CENTRAL.size or not fixed.startswith(b"PK\1\2"):
            raise RuleError("Z7", f"{count:,} members are announced and {index - 1:,} are there")
        fields = _Fields._make(_CENTRAL.unpack(fixed))
        position += _CENTRAL.size
        end = position + fields.name_length + fields.extra_length + fields.comment_length
        if end > len(data):
            raise RuleError("Z7", "the directory ends early")
        yield _parse_entry(index, fields, data[position:end])
        position = end
    if position != len(data):
        raise RuleError("Z7", f"{count:,} members are announced and more are there")


def _parse_entry(index: int, fields: _Fields, texts: bytes) -> Entry:
    raw_name = texts[: fields.name_length]
    subject = Subject(index=index, name=raw_name.decode("utf-8", "surrogateescape"))
    extra = _parse_extra(texts[fields.name_length :][: fields.extra_length], subject)
    size, packed, offset = _widen(extra, (fields.size, fields.packed, fields.offset), subject)
    name, is_guessed = _decode_name(raw_name, fields.flags, extra)
    entry = Entry(
        index=index,
        raw_name=raw_name,
        name=name,
        has_guessed_name=is_guessed,
        system=fields.system,
        flags=fields.flags,
        method=fields.method,
        date=fields.date,
        time=fields.time,
        crc=fields.crc,
        packed=packed,
        size=size,
        offset=offset,
        attributes=fields.attributes,
    )
    if entry.flags & _ENCRYPTED:
        raise RuleError("Z10", "is encrypted", entry)
    if fields.disk:
        raise RuleError("Z10", "is on another part of the archive", entry)
    return entry


def _parse_extra(data: bytes, subject: Subject) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    position = 0
    while position + 4 <= len(data):
        key = int.from_bytes(data[position : position + 2], "little")
        length = int.from_bytes(data[position + 2 : position + 4], "little")
        position += 4 + length
        if position > len(data):
            raise RuleError("Z12", "has an extra field that is cut", subject)
        if key in found and key in {_ZIP64, _UNICODE_NAME}:
            raise RuleError("Z12", "has an extra field twice", subject)
        found[key] = data[position - length : position]
    return found


def _widen(extra: dict[int, bytes], values: tuple[int, ...], subject: Subject) -> list[int]:
    """Replace each value that does not fit its field by the wide one, in their fixed order."""
    if _ZIP64 not in extra:
        return list(values)
    wide = [int.from_bytes(extra[_ZIP64][at : at + 8], "little") for at in (16, 8, 0)]
    if len(extra[_ZIP64]) < _WIDE_BYTES * values.count(_LARGE):
        raise RuleError("Z12", "lacks a wide size", subject)
    return [wide.pop() if value == _LARGE else value for value in values]


def _decode_name(raw: bytes, flags: int, extra: dict[int, bytes]) -> tuple[str, bool]:
    """Return the name, and whether it had to be guessed.

    It is UTF-8 where it says so or can be so, and of the DOS code page otherwise.
    """
    other = extra.get(_UNICODE_NAME, b"")
    head, other = other[: _UNICODE_NAME_HEAD.size], other[_UNICODE_NAME_HEAD.size :]
    if len(head) == _UNICODE_NAME_HEAD.size and head[1:] == zlib.crc32(raw).to_bytes(4, "little"):
        if raw.isascii() and other != raw:
            raise RuleError("Z1", f"a member has two names, {_show(raw)} and {_show(other)}")
        return other.decode("utf-8", "surrogateescape"), False
    try:
        return raw.decode("utf-8", "surrogateescape" if flags & _UTF8 else "strict"), False
    except UnicodeDecodeError:
        return raw.decode("cp437"), True


def _show(raw: bytes) -> str:
    return quoted(raw.decode("utf-8", "surrogateescape"))


def _check_local(source: IO[bytes], entry: Entry, end: int) -> Entry:
    """Hold the header before the content against the directory; return where the content starts."""
    source.seek(entry.offset)
    fixed = source.read(_LOCAL.size)
    if len(fixed) < _LOCAL.size or not fixed.startswith(b"PK\3\4"):
        raise RuleError("Z7", "is not where the directory says", entry)
    _, _, flags, method, _, _, crc, packed, size, name_length, extra_length = _LOCAL.unpack(fixed)
    name = source.read(name_length)
    if name != entry.raw_name:
        raise RuleError("Z1", f"is called {_show(name)} by its local header", entry)
    if (flags, method) != (entry.flags, entry.method):
        raise RuleError("Z2", "is packed in another way by its local header", entry)
    extra = _parse_extra(source.read(extra_length), entry)
    other, _ = _decode_name(name, flags, extra)
    if other != entry.name:
        raise RuleError("Z1", f"is called {quoted(other)} by its local header", entry)
    size, packed = _widen(extra, (size, packed), entry)
    meant = (entry.crc, entry.packed, entry.size)
    blank = {0} if flags & _STREAMED else set[int]()
    if any(a not in {b, *blank} for a, b in zip((crc, packed, size), meant, strict=True)):
        raise RuleError("Z2", "has another size or checksum in its local header", entry)
    start = entry.offset + _LOCAL.size + name_length + extra_length
    _check_end(source, entry, start + entry.packed, end)
    return replace(entry, offset=start)


def _check_end(source: IO[bytes], entry: Entry, found: int, end: int) -> None:
    """Make sure that ``entry`` ends where the next begins, its data descriptor between them."""
    if found > end:
        raise RuleError("Z5", "overlaps what follows it", entry)
    gap = end - found
    if gap == 0 and not entry.flags & _STREAMED:
        return
    if gap not in _DESCRIPTORS or not entry.flags & _STREAMED:
        raise RuleError("Z7", "is followed by bytes that belong to no member", entry)
    source.seek(found)
    mark, layout = _DESCRIPTORS[gap]
    descriptor = source.read(gap)
    sizes = layout.unpack_from(descriptor, len(mark))
    if not descriptor.startswith(mark) or sizes != (entry.crc, entry.packed, entry.size):
        raise RuleError("Z2", "has a data descriptor that disagrees with the directory", entry)
