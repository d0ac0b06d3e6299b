"""The directory of a zip file: zipfile reads it, and all else that the file says has to agree.

zipfile believes the directory. It counts nothing, compares no local header before a member is read,
and lets members overlap, bytes precede the first one and follow the last. A second end, or an
extra field with another name, is read differently by different releases. None of that passes here.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from wheelforge_isolation.archive.members import Member, RuleError, Source
from wheelforge_isolation.errors import quoted

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s2xBxH18x3H12x")
"""Of a record of the directory: signature, version, flags and the lengths of its texts."""
_NEWEST_VERSION = 63
_LOCAL = struct.Struct("<6x2H4x3L2H")
"""Of a local header: flags, method, checksum, packed and unpacked size, lengths of its texts."""
_DESCRIPTORS = {
    struct.calcsize(layout) + len(mark): (mark, struct.Struct(layout))
    for layout in ("<3L", "<L2Q")
    for mark in (b"", b"PK\7\x08")
}
"""The ways to state checksum and sizes behind a member, by their length."""
TWO_ENDS = "the archive has two ends"
_MOST_COMMENT = 0xFFFF
_MOST_BEHIND = 1 << 16
"""How far from the end of the file zipfile looks for the end record."""
_SMALL, _LARGE = 0xFFFF, 0xFFFFFFFF
_ENCRYPTED = 0x2041
"""The flags for encryption, strong encryption and a masked directory."""
_STREAMED, _UTF8 = 0x8, 0x800
_ZIP64, _UNICODE_NAME = 0x0001, 0x7075
_WIDE_BYTES = 8
_UNICODE_NAME_HEAD = struct.Struct("<BL")


class Entry(NamedTuple):
    """One member: what zipfile reads in the directory, and where its content starts."""

    member: Member
    """Its place in the directory and its name."""
    raw_name: bytes
    has_guessed_name: bool
    """Whether the name is neither marked as UTF-8 nor could be."""
    info: zipfile.ZipInfo
    end: int = 0
    """Where the next member starts, or the directory."""
    start: int = 0
    """Where the content starts, once the local header was read."""


def read_directory(source: Source, size: int, most: int) -> list[Entry]:
    """Return the entries in the order of their content, with their local headers still unread."""
    start, length, count = _find_directory(source, size)
    if count > most:
        raise RuleError("X4", f"the archive has more than {most:,} members")
    source.seek(start)
    names = list(_check_records(source.read(length), count))
    entries: list[Entry] = []
    for (raw, text, is_guessed), info in zip(names, _read_infos(source, start, count), strict=True):
        member = Member(len(entries) + 1, text)
        if info.flag_bits & _ENCRYPTED:
            raise RuleError("Z10", "is encrypted", member)
        if info.volume:
            raise RuleError("Z10", "is on another part of the archive", member)
        entries.append(Entry(member, raw, is_guessed, info))
    entries.sort(key=lambda entry: entry.info.header_offset)
    if entries[0].info.header_offset if entries else start:
        raise RuleError("Z8", "bytes that belong to no member precede the first one")
    ends = [*(entry.info.header_offset for entry in entries), start][1:]
    return [entry._replace(end=end) for entry, end in zip(entries, ends, strict=True)]


def _read_infos(source: Source, start: int, count: int) -> list[zipfile.ZipInfo]:
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise RuleError("Z12", f"the record of a member cannot be read ({error})") from error
    infos = archive.infolist()
    if archive.start_dir != start or len(infos) != count:
        raise RuleError("Z9", TWO_ENDS)
    return infos


def _find_directory(source: Source, size: int) -> tuple[int, int, int]:
    tail_size = min(size, _END.size + _MOST_COMMENT + _MOST_BEHIND)
    source.seek(size - tail_size)
    tail = source.read(tail_size)
    found = tail.rfind(b"PK\5\6", 0, tail_size - _END.size + 4)
    if found < 0:
        raise RuleError("F10", "the file has no end record; it ends early")
    _raise_if_second_end(tail, found)
    _, *disks, here, count, length, start, comment = _END.unpack_from(tail, found)
    behind = tail[found + _END.size + comment :]
    is_cut = tail_size < found + _END.size + comment
    if is_cut or comment + len(behind) > _MOST_BEHIND or behind.strip(b"\0"):
        raise RuleError("Z8", "bytes that belong to nothing follow the end of the archive")
    if b"PK\5\6" in tail[found + _END.size :]:
        raise RuleError("Z9", TWO_ENDS)
    end = size - tail_size + found
    locator = tail[max(0, found - _LOCATOR.size) : found]
    if len(locator) == _LOCATOR.size and locator.startswith(b"PK\6\7"):
        return _find_directory64(source, end, locator, (here, count, length, start))
    if any(disks) or here != count:
        raise RuleError("Z10", "the archive is one part of several")
    if start + length != end:
        raise RuleError("Z8", "the directory is not where the archive says")
    return start, length, count


def _raise_if_second_end(tail: bytes, found: int) -> None:
    """Refuse an end record inside the comment of another: each reader would choose its own."""
    earlier = tail.rfind(b"PK\5\6", 0, found)
    while earlier >= 0:
        comment = int.from_bytes(tail[earlier + 20 : earlier + 22], "little")
        end = earlier + _END.size + comment
        if found < end <= len(tail) and not tail[end:].strip(b"\0"):
            raise RuleError("Z9", TWO_ENDS)
        earlier = tail.rfind(b"PK\5\6", 0, earlier)


def _find_directory64(
    source: Source, end: int, locator: bytes, short: tuple[int, ...]
) -> tuple[int, int, int]:
    """Follow the locator before the end record to the one with wide fields."""
    _, disk, position, parts = _LOCATOR.unpack(locator)
    is_before = position + _END64.size + _LOCATOR.size == end
    source.seek(position if is_before else 0)
    record = source.read(_END64.size)
    if not is_before or not record.startswith(b"PK\6\6"):
        raise RuleError("Z12", "the wide end record is not where the archive says")
    _, length_of_record, _, _, *disks, here, count, length, start = _END64.unpack(record)
    if length_of_record != _END64.size - 12:
        raise RuleError("Z12", "the wide end record has more than it should")
    if disk or parts > 1 or any(disks) or here != count:
        raise RuleError("Z10", "the archive is one part of several")
    wide = (here, count, length, start)
    sentinels = (_SMALL, _SMALL, _LARGE, _LARGE)
    if any(a not in {b, c} for a, b, c in zip(short, wide, sentinels, strict=True)):
        raise RuleError("Z12", "the two end records disagree")
    if start + length != position:
        raise RuleError("Z8", "the directory is not where the archive says")
    return start, length, count


def _check_records(data: bytes, count: int) -> Iterator[tuple[bytes, str, bool]]:
    """Yield the name of every record, raw and decoded, and whether it had to be guessed.

    There must be as many records as the end record says.
    """
    position = 0
    for number in range(1, count + 1):
        fixed = data[position : position + _CENTRAL.size]
        if len(fixed) < _CENTRAL.size or not fixed.startswith(b"PK\1\2"):
            raise RuleError("Z7", f"{count:,} members are announced and {number - 1:,} are there")
        _, version, flags, *lengths = _CENTRAL.unpack(fixed)
        name_length, extra_length, comment_length = lengths
        position += _CENTRAL.size
        raw = data[position : position + name_length]
        extra = data[position + name_length : position + name_length + extra_length]
        position += name_length + extra_length + comment_length
        if position > len(data):
            raise RuleError("Z7", "the directory ends early")
        member = Member(number, raw.decode("utf-8", "surrogateescape"))
        if version > _NEWEST_VERSION:
            raise RuleError("Z11", f"needs version {version / 10} of zip", member)
        yield raw, *_decode_name(raw, flags, _parse_extra(extra, member), member)
    if position != len(data):
        raise RuleError("Z7", f"{count:,} members are announced and more are there")


def _parse_extra(data: bytes, member: Member) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    position = 0
    while position + 4 <= len(data):
        key = int.from_bytes(data[position : position + 2], "little")
        length = int.from_bytes(data[position + 2 : position + 4], "little")
        position += 4 + length
        if position > len(data):
            raise RuleError("Z12", "has an extra field that is cut", member)
        if key in found and key in {_ZIP64, _UNICODE_NAME}:
            raise RuleError("Z12", "has an extra field twice", member)
        found[key] = data[position - length : position]
    return found


def _decode_name(
    raw: bytes, flags: int, extra: dict[int, bytes], member: Member
) -> tuple[str, bool]:
    """Return the name, and whether it had to be guessed.

    It is UTF-8 where it says so or can be so, and of the DOS code page otherwise.
    """
    if _UNICODE_NAME in extra:
        text = _read_unicode_name(raw, extra[_UNICODE_NAME], member)
        if text is not None:
            return text, False
    try:
        return raw.decode("utf-8"), False
    except UnicodeDecodeError:
        if flags & _UTF8:
            reason = "has a name that is marked as UTF-8 and is not"
            raise RuleError("N14", reason, member) from None
        return raw.decode("cp437"), True


def _read_unicode_name(raw: bytes, field: bytes, member: Member) -> str | None:
    """Return the name of a unicode name field, or nothing where it is about another name."""
    head, other = field[: _UNICODE_NAME_HEAD.size], field[_UNICODE_NAME_HEAD.size :]
    if len(head) == _UNICODE_NAME_HEAD.size:
        version, crc = _UNICODE_NAME_HEAD.unpack(head)
        if crc != zlib.crc32(raw):
            return None
        if raw.isascii() and other != raw:
            raise RuleError("Z1", f"a member has two names, {_show(raw)} and {_show(other)}")
        text = other.decode("utf-8", "replace")
        if version == 1 and text and text.encode() == other:
            return text
    raise RuleError("Z12", "has a unicode name that is none", member)


def _show(raw: bytes) -> str:
    return quoted(raw.decode("utf-8", "surrogateescape"))


def check_local(source: Source, entry: Entry) -> Entry:
    """Hold the header before the content against the directory; return where the content starts."""
    info, member = entry.info, entry.member
    source.seek(info.header_offset)
    fixed = source.read(_LOCAL.size)
    if len(fixed) < _LOCAL.size or not fixed.startswith(b"PK\3\4"):
        raise RuleError("Z7", "is not where the directory says", member)
    flags, method, *found, name_length, extra_length = _LOCAL.unpack(fixed)
    name = source.read(name_length)
    if name != entry.raw_name:
        raise RuleError("Z1", f"is called {_show(name)} by its local header", member)
    if (flags, method) != (info.flag_bits, info.compress_type):
        raise RuleError("Z2", "is packed in another way by its local header", member)
    extra = _parse_extra(source.read(extra_length), member)
    other, _ = _decode_name(name, flags, extra, member)
    if other != member.name:
        raise RuleError("Z1", f"is called {quoted(other)} by its local header", member)
    stated = info.CRC, info.compress_size, info.file_size
    blank = {0} if flags & _STREAMED else set[int]()
    if any(a not in {b, *blank} for a, b in zip(_widen(found, extra, member), stated, strict=True)):
        raise RuleError("Z2", "has another size or checksum in its local header", member)
    start = info.header_offset + _LOCAL.size + name_length + extra_length
    _check_end(source, entry, start + info.compress_size)
    return entry._replace(start=start)


def _widen(found: list[int], extra: dict[int, bytes], member: Member) -> list[int]:
    """Replace each size that does not fit its field by the wide one; the unpacked size is first."""
    if _ZIP64 not in extra:
        return found
    crc, packed, size = found
    wide = [int.from_bytes(extra[_ZIP64][at : at + 8], "little") for at in (8, 0)]
    if len(extra[_ZIP64]) < _WIDE_BYTES * (packed, size).count(_LARGE):
        raise RuleError("Z12", "lacks a wide size", member)
    size = wide.pop() if size == _LARGE else size
    return [crc, wide.pop() if packed == _LARGE else packed, size]


def _check_end(source: Source, entry: Entry, found: int) -> None:
    """Make sure that ``entry`` ends where the next begins, its data descriptor between them."""
    info, gap = entry.info, entry.end - found
    is_streamed = info.flag_bits & _STREAMED
    if gap < 0:
        raise RuleError("Z5", "overlaps what follows it", entry.member)
    if gap == 0 and not is_streamed:
        return
    if gap not in _DESCRIPTORS or not is_streamed:
        raise RuleError("Z7", "is followed by bytes that belong to no member", entry.member)
    source.seek(found)
    mark, layout = _DESCRIPTORS[gap]
    descriptor = source.read(gap)
    sizes = layout.unpack_from(descriptor, len(mark))
    if not descriptor.startswith(mark) or sizes != (info.CRC, info.compress_size, info.file_size):
        reason = "has a data descriptor that disagrees with the directory"
        raise RuleError("Z2", reason, entry.member)
