"""Zip members: every byte of the file has to agree with the directory, and belong to one member.

The content is inflated here, as `ZipFile.open` stops at the stated size, whatever follows it, and
says nothing of bytes that no deflate stream needs. Size and checksum have to be as stated.
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Iterator
from typing import IO

from wheelforge_isolation.archive.members import Kind, Limits, Member, Note, RuleError, Source
from wheelforge_isolation.archive.spool import Contents, Meter
from wheelforge_isolation.archive.zip_directory import Entry, check_local, read_directory

_CHUNK = 1 << 18
_STORED, _DEFLATED = 0, 8
_RAW_DEFLATE = -15
_UNIX_SYSTEMS = {3, 19}
_DOS_SYSTEMS = {0, 10, 14}
_MOST_TARGET = 1024
_FORMAT, _LINK, _DIRECTORY, _REGULAR = 0o170000, 0o120000, 0o040000, 0o100000


def read_zip(
    source: Source, size: int, spool: IO[bytes], limits: Limits
) -> tuple[list[Member], list[Note]]:
    """Inflate the zip file of ``size`` bytes into ``spool``; return its members, or refuse it."""
    entries, notes = _read_entries(source, size, limits)
    meter = Meter(limits)
    members: list[Member] = []
    for entry in entries:
        offset = spool.tell()
        for chunk in inflate_entry(entry, source, meter):
            spool.write(chunk)
        member = _describe(entry)._replace(offset=offset)
        if member.kind is Kind.SYMLINK:
            spool.seek(offset)
            target = spool.read(member.size).decode("utf-8", "surrogateescape")
            member = member._replace(target=target, size=0)
        members.append(member)
    members.sort(key=lambda member: member.number)
    return members, notes


def list_zip(
    source: Source, size: int, limits: Limits
) -> tuple[list[Member], list[Note], Contents]:
    """Return the members of a zip file whose contents are inflated each time they are asked for."""
    entries, notes = _read_entries(source, size, limits)
    entries.sort(key=lambda entry: entry.member.number)

    def read(member: Member) -> Iterator[bytes]:
        return inflate_entry(entries[member.number - 1], source, Meter(limits))

    return [_describe(entry) for entry in entries], notes, Contents(read)


def _read_entries(source: Source, size: int, limits: Limits) -> tuple[list[Entry], list[Note]]:
    found = read_directory(source, size, limits.members)
    entries = [check_local(source, entry) for entry in found]
    for entry in entries:
        raise_if_unreadable(entry, limits)
    return entries, [
        Note(
            rule="N14",
            text=f"{entry.member} has a name that is not UTF-8; it is taken as code page 437",
        )
        for entry in entries
        if entry.has_guessed_name
    ]


def raise_if_unreadable(entry: Entry, limits: Limits) -> None:
    """Refuse what cannot be inflated here, or declares too much."""
    info, member = entry.info, entry.member
    if info.compress_type not in {_STORED, _DEFLATED}:
        reason = f"is packed with method {info.compress_type}, neither stored nor deflated"
        raise RuleError("Z11", reason, member)
    if info.file_size > limits.member_bytes:
        limit = f"{limits.member_bytes:,}"
        raise RuleError("X3", f"declares {info.file_size:,} bytes (limit {limit})", member)
    if info.compress_type == _STORED and info.compress_size != info.file_size:
        reason = f"declares {info.file_size:,} bytes and holds {info.compress_size:,}"
        raise RuleError("Z3", reason, member)


def inflate_entry(entry: Entry, source: Source, meter: Meter) -> Iterator[bytes]:
    """Yield the content of ``entry``, which must be just what the directory says."""
    found, crc = 0, 0
    for chunk in _unpack(entry, source, meter):
        found += len(chunk)
        crc = zlib.crc32(chunk, crc)
        meter.count(unpacked=len(chunk))
        if found > entry.info.file_size:
            break
        yield chunk
    if found != entry.info.file_size:
        stated = f"{entry.info.file_size:,}"
        raise RuleError("Z3", f"declares {stated} bytes and holds another number", entry.member)
    if crc != entry.info.CRC:
        raise RuleError("Z4", "is damaged (CRC mismatch)", entry.member)


def _unpack(entry: Entry, source: Source, meter: Meter) -> Iterator[bytes]:
    """Yield the content of ``entry``, a bounded piece at a time."""
    packed = _read_packed(entry, source, meter)
    # Some writers mark a directory as deflated, and store no stream for it.
    has_no_stream = not entry.info.compress_size and _is_directory(entry)
    if entry.info.compress_type == _STORED or has_no_stream:
        yield from packed
        return
    engine = zlib.decompressobj(_RAW_DEFLATE)
    pending = b""
    while not engine.eof:
        pending = pending or next(packed, b"")
        try:
            output = engine.decompress(pending, _CHUNK * 4)
        except zlib.error as error:
            raise RuleError("Z4", f"is damaged ({error})", entry.member) from error
        if not pending and not output:
            raise RuleError("F10", "ends early", entry.member)
        pending = engine.unconsumed_tail
        yield output
    if engine.unused_data or next(packed, b""):
        raise RuleError("Z3", "ends before its content does", entry.member)


def _read_packed(entry: Entry, source: Source, meter: Meter) -> Iterator[bytes]:
    for start in range(0, entry.info.compress_size, _CHUNK):
        source.seek(entry.start + start)
        data = source.read(min(_CHUNK, entry.info.compress_size - start))
        meter.count(packed=len(data))
        yield data


def _describe(entry: Entry) -> Member:
    try:
        # A DOS time, read as UTC; some are no date.
        mtime = dt.datetime(*entry.info.date_time, tzinfo=dt.UTC).timestamp()
    except ValueError:
        mtime = None
    return entry.member._replace(
        name=_find_path(entry),
        kind=_find_kind(entry),
        offset=entry.start,
        size=entry.info.file_size,
        executable=bool(_find_mode(entry) & 0o111),
        mtime=mtime,
    )


def _find_path(entry: Entry) -> str:
    name = entry.member.name
    return name.replace("\\", "/") if entry.info.create_system in _DOS_SYSTEMS else name


def _find_mode(entry: Entry) -> int:
    """Return what Unix says of the member, which stands in the upper half of the attributes."""
    return entry.info.external_attr >> 16 if entry.info.create_system in _UNIX_SYSTEMS else 0


def _is_directory(entry: Entry) -> bool:
    form = _find_mode(entry) & _FORMAT
    return form == _DIRECTORY or (form != _LINK and _find_path(entry).endswith("/"))


def _find_kind(entry: Entry) -> Kind:
    form = _find_mode(entry) & _FORMAT
    if form not in {0, _REGULAR, _DIRECTORY, _LINK}:
        raise RuleError("S1", "is a device or a fifo", entry.member)
    if form == _LINK:
        if entry.info.file_size > _MOST_TARGET:
            raise RuleError("L19", "has a target that is too long", entry.member)
        return Kind.SYMLINK
    if not _is_directory(entry):
        return Kind.FILE
    if entry.info.file_size or entry.info.CRC:
        raise RuleError("Z16", "is a directory with content", entry.member)
    return Kind.DIRECTORY
