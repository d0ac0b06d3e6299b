"""From a file to the bytes of its members: its kind, inflating under limits, and the spool.

A gzip file is inflated to its true end, as the end of the tar inside is not that of the file: a
wrong checksum, a cut trailer or a second archive behind the first show only there.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from typing import IO

from wheelforge_isolation.archive.members import Limits, Member, RuleError
from wheelforge_isolation.archive.tar_headers import BLOCK, has_right_checksum
from wheelforge_isolation.formats.file_names import OLD_SDIST, OLD_SDIST_SUFFIXES

TAR_GZ, ZIP = ".tar.gz", ".zip"
_GZIP_MAGIC = b"\x1f\x8b"
_MAGIC = {TAR_GZ: _GZIP_MAGIC, ZIP: b"PK"}
_KINDS = {
    _GZIP_MAGIC: "gzip",
    b"PK": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x1f\x9d": "compress",
    b"<": "HTML or XML",
}
_ZIP_END, _ZIP_END_SIZE = b"PK\5\6", 22
_MOST_TAIL = _ZIP_END_SIZE + 0xFFFF
_CHUNK = 1 << 18
_MOST_STREAMS = 64
_MOST_PADDING = 1 << 16
_MEMBER_OVERHEAD = 3 * 512
"""The bytes of a member in the stream beside its content: header, padding, extensions."""
_GZIP = 31
"""zlib's number for gzip framing, with its checksum and length verified."""


def split_suffix(file_name: str) -> tuple[str, str]:
    """Return the stem and the suffix of an archive's name; refuse what is not unpacked here."""
    for suffix in _MAGIC:
        if file_name.lower().endswith(suffix) and len(file_name) > len(suffix):
            return file_name[: -len(suffix)], suffix
    if file_name.lower().endswith(OLD_SDIST_SUFFIXES):
        raise RuleError("F21", OLD_SDIST)
    raise RuleError("F21", "the name ends neither in .tar.gz nor in .zip")


def check_magic(source: IO[bytes], suffix: str, size: int) -> None:
    """Refuse a file that is not what its name says, or that is two things at once."""
    start = source.read(BLOCK)
    if not size:
        raise RuleError("F20", "the file is empty")
    if not start.startswith(_MAGIC[suffix]):
        found = (kind for magic, kind in _KINDS.items() if start.startswith(magic))
        raise RuleError("F21", f"the file is not {suffix[1:]} but {next(found, 'something else')}")
    if suffix == ZIP:
        is_two = start[257:262] == b"ustar" and has_right_checksum(start)
    else:
        source.seek(max(0, size - _MOST_TAIL))
        tail = source.read(_MOST_TAIL)
        found_at = tail.rfind(_ZIP_END)
        comment = int.from_bytes(tail[found_at + 20 : found_at + 22], "little")
        is_two = found_at >= 0 and found_at + _ZIP_END_SIZE + comment == len(tail)
    if is_two:
        raise RuleError("F21", "the file is a tar and a zip at once")
    source.seek(0)


class Meter:
    """Counts what goes in and comes out, and stops a bomb while it is still small."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._packed = 0
        self._unpacked = 0
        self._ceiling = limits.total_bytes + limits.members * _MEMBER_OVERHEAD

    def count(self, *, packed: int = 0, unpacked: int = 0) -> None:
        """Add bytes of input and output; refuse the archive when there are too many."""
        self._packed += packed
        self._unpacked += unpacked
        limits = self._limits
        if self._unpacked > self._ceiling:
            raise RuleError("X1", f"the archive expands past {limits.total_bytes:,} bytes")
        is_large = self._unpacked > limits.ratio_from_bytes
        if is_large and self._unpacked > limits.ratio * self._packed:
            raise RuleError("X2", f"the archive expands more than {limits.ratio} times")


def inflate(source: IO[bytes], spool: IO[bytes], limits: Limits) -> None:
    """Write to ``spool`` what the gzip streams in ``source`` hold."""
    meter = Meter(limits)
    pending = source.read(_CHUNK)
    for _ in range(_MOST_STREAMS):
        pending = _inflate_stream(pending, source, spool, meter)
        if pending.startswith(_GZIP_MAGIC):
            continue
        size = 0
        while pending:
            size += len(pending)
            if size > _MOST_PADDING or pending.strip(b"\0"):
                raise RuleError("F12", "bytes that are no gzip data follow the archive")
            pending = source.read(_CHUNK)
        return
    raise RuleError("F11", f"the file has more than {_MOST_STREAMS} gzip streams")


def _inflate_stream(pending: bytes, source: IO[bytes], spool: IO[bytes], meter: Meter) -> bytes:
    """Inflate one stream, and return what was read beyond it."""
    engine = zlib.decompressobj(_GZIP)
    beyond = b""
    while not engine.eof:
        data = pending or source.read(_CHUNK)
        if not data:
            raise RuleError("F10", "the file ends early")
        try:
            output = engine.decompress(data, _CHUNK * 4)
        except zlib.error as error:
            raise RuleError("F9", f"the gzip data is damaged ({error})") from error
        pending = engine.unconsumed_tail
        beyond = engine.unused_data
        meter.count(packed=len(data) - len(pending) - len(beyond), unpacked=len(output))
        spool.write(output)
    return beyond if len(beyond) >= len(_GZIP_MAGIC) else beyond + source.read(_CHUNK)


class Contents:
    """The bytes of members, checked before anything is planned."""

    def __init__(self, read: Callable[[Member], Iterator[bytes]]) -> None:
        self.chunks = read
        """Yields the bytes of a member, a bounded piece at a time."""
        self._digests: dict[tuple[int, int], bytes] = {}

    def digest(self, member: Member) -> bytes:
        """Return the SHA-256 of the bytes of ``member``."""
        key = member.offset, member.size  # an empty member starts where the next one does
        if key not in self._digests:
            digest = hashlib.sha256()
            for chunk in self.chunks(member):
                digest.update(chunk)
            self._digests[key] = digest.digest()
        return self._digests[key]


def open_spool(spool: IO[bytes]) -> Contents:
    """Return the contents of an archive that lies inflated in ``spool``."""

    def read(member: Member) -> Iterator[bytes]:
        end = member.offset + member.size
        for start in range(member.offset, end, 4 * _CHUNK):
            spool.seek(start)
            yield spool.read(min(4 * _CHUNK, end - start))

    return Contents(read)
