"""Zip members: the directory is the truth, and every byte of the file must agree with it.

A zip can be read from its end or from its start, and a hostile one says something else to each
reader. So local headers are held against the directory, members must lie side by side from the
first byte to the directory, and nothing but zeros may follow the end. The standard library's reader
looks at the directory alone, and what it objects to depends on its patch release.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import zlib
from typing import IO, TYPE_CHECKING

from wheelforge_isolation.archive.inflate import Meter
from wheelforge_isolation.archive.members import Kind, Member, Note
from wheelforge_isolation.archive.rules import RuleError
from wheelforge_isolation.archive.zip_directory import Entry, read_directory
from wheelforge_isolation.values import Value, field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wheelforge_isolation.archive.members import Limits

_CHUNK = 1 << 18
_STORED, _DEFLATED = 0, 8
_RAW_DEFLATE = -15
_UNIX_SYSTEMS = {3, 19}
_DOS_SYSTEMS = {0, 10, 14}
_MOST_TARGET = 1024
_FORMAT, _LINK, _DIRECTORY, _REGULAR = 0o170000, 0o120000, 0o040000, 0o100000


def read_zip(
    source: IO[bytes], size: int, spool: IO[bytes], limits: Limits
) -> tuple[list[Member], list[Note]]:
    """Inflate the zip file of ``size`` bytes into ``spool``; return its members, or refuse it."""
    entries, notes = _read_entries(source, size, limits)
    meter = Meter(limits)
    members: list[Member] = []
    for entry in entries:
        offset = spool.tell()
        for chunk in _inflate(entry, source, meter):
            spool.write(chunk)
        members.append(_describe(entry, offset, spool))
    members.sort(key=lambda member: member.index)
    return members, notes


def list_zip(
    source: IO[bytes], size: int, limits: Limits
) -> tuple[list[Member], list[Note], PackedContents]:
    """Return the members of a zip file that is to be read member by member."""
    entries, notes = _read_entries(source, size, limits)
    entries.sort(key=lambda entry: entry.index)
    members = [_describe(entry, entry.offset, None) for entry in entries]
    return members, notes, PackedContents(source=source, entries=entries, limits=limits)


class PackedContents(Value):
    """The contents of a zip file, inflated and checked each time that one is asked for."""

    source: IO[bytes]
    entries: list[Entry]
    limits: Limits
    digests: dict[int, bytes] = field(default_factory=dict[int, bytes])

    def chunks(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of ``member``; whether they are right shows at their end."""
        return _inflate(self.entries[member.index - 1], self.source, Meter(self.limits))

    def digest(self, member: Member) -> bytes:
        """Return the SHA-256 of the bytes of ``member``."""
        if member.index not in self.digests:
            seal = hashlib.sha256()
            for chunk in self.chunks(member):
                seal.update(chunk)
            self.digests[member.index] = seal.digest()
        return self.digests[member.index]


def _read_entries(source: IO[bytes], size: int, limits: Limits) -> tuple[list[Entry], list[Note]]:
    entries = read_directory(source, size, limits.members)
    for entry in entries:
        _refuse_odd(entry, limits)
    guessed = (entry for entry in entries if entry.has_guessed_name)
    return entries, [
        Note(rule="N14", text=f"{entry} has a name that is not UTF-8; it is taken as code page 437")
        for entry in guessed
    ]


def _refuse_odd(entry: Entry, limits: Limits) -> None:
    if entry.method not in {_STORED, _DEFLATED}:
        raise RuleError(
            "Z11", f"is packed with method {entry.method}, neither stored nor deflated", entry
        )
    if entry.size > limits.member_bytes:
        raise RuleError(
            "X3", f"declares {entry.size:,} bytes (limit {limits.member_bytes:,})", entry
        )
    if entry.method == _STORED and entry.packed != entry.size:
        raise RuleError("Z3", f"declares {entry.size:,} bytes and holds {entry.packed:,}", entry)


def _inflate(entry: Entry, source: IO[bytes], meter: Meter) -> Iterator[bytes]:
    """Yield the content of ``entry``, which must be just what the directory says."""
    found, crc = 0, 0
    for chunk in _unpack(entry, source, meter):
        found += len(chunk)
        crc = zlib.crc32(chunk, crc)
        meter.count(unpacked=len(chunk))
        if found > entry.size:
            break
        yield chunk
    if found != entry.size:
        raise RuleError("Z3", f"declares {entry.size:,} bytes and holds another number", entry)
    if crc != entry.crc:
        raise RuleError("Z4", "is damaged (CRC mismatch)", entry)


def _unpack(entry: Entry, source: IO[bytes], meter: Meter) -> Iterator[bytes]:
    """Yield the content of ``entry``, a bounded piece at a time."""
    packed = _read_packed(entry, source, meter)
    # Some writers mark a directory as deflated and write no bytes, not even an empty stream.
    is_blank = entry.name.endswith("/") and not entry.packed and not entry.size
    if entry.method == _STORED or is_blank:
        yield from packed
        return
    engine = zlib.decompressobj(_RAW_DEFLATE)
    pending = b""
    while not engine.eof:
        pending = pending or next(packed, b"")
        try:
            output = engine.decompress(pending, _CHUNK * 4)
        except zlib.error as error:
            raise RuleError("Z4", f"is damaged ({error})", entry) from error
        if not pending and not output:
            raise RuleError("F10", "ends early", entry)
        pending = engine.unconsumed_tail
        yield output
    if engine.unused_data or next(packed, b""):
        raise RuleError("Z3", "ends before its content does", entry)


def _read_packed(entry: Entry, source: IO[bytes], meter: Meter) -> Iterator[bytes]:
    for start in range(0, entry.packed, _CHUNK):
        source.seek(entry.offset + start)
        data = source.read(min(_CHUNK, entry.packed - start))
        meter.count(packed=len(data))
        yield data


def _describe(entry: Entry, offset: int, spool: IO[bytes] | None) -> Member:
    """Return the member; what Unix says of it stands in the upper half of the attributes."""
    name = entry.name.replace("\\", "/") if entry.system in _DOS_SYSTEMS else entry.name
    mode = entry.attributes >> 16 if entry.system in _UNIX_SYSTEMS else 0
    kind = _find_kind(entry, name, mode)
    target = ""
    if kind is Kind.SYMLINK and spool is not None:
        spool.seek(offset)
        target = spool.read(entry.size).decode("utf-8", "surrogateescape")
    return Member(
        index=entry.index,
        name=name,
        kind=kind,
        offset=offset,
        size=0 if target else entry.size,
        target=target,
        executable=bool(mode & 0o111),
        mtime=_parse_time(entry.date, entry.time),
    )


def _find_kind(entry: Entry, name: str, mode: int) -> Kind:
    form = mode & _FORMAT
    if form not in {0, _REGULAR, _DIRECTORY, _LINK}:
        raise RuleError("S1", "is a device or a fifo", entry)
    if form == _LINK:
        if entry.size > _MOST_TARGET:
            raise RuleError("L19", "has a target that is too long", entry)
        return Kind.SYMLINK
    if form == _DIRECTORY or name.endswith("/"):
        if entry.size or entry.crc:
            raise RuleError("Z16", "is a directory with content", entry)
        return Kind.DIRECTORY
    return Kind.FILE


def _parse_time(date: int, time: int) -> float | None:
    """Return a DOS time, read as UTC, or nothing where it is no date."""
    try:
        moment = dt.datetime(
            1980 + (date >> 9),
            date >> 5 & 0xF,
            date & 0x1F,
            time >> 11,
            time >> 5 & 0x3F,
            (time & 0x1F) * 2,
            tzinfo=dt.UTC,
        )
    except ValueError:
        return None
    return moment.timestamp()
