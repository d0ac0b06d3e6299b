"""Decompression under limits, to the true end of the file.

The end of the tar inside is not the end of the file: only who reads on sees a wrong checksum, a cut
trailer, or a second archive behind the first.
"""

from __future__ import annotations

import zlib
from typing import IO, TYPE_CHECKING

from wheelforge_isolation.archive.rules import RuleError

if TYPE_CHECKING:
    from wheelforge_isolation.archive.members import Limits

_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 18
_MOST_STREAMS = 64
_MOST_PADDING = 1 << 16
_MEMBER_OVERHEAD = 3 * 512
"""What a member takes in the stream beside its content: header, padding, extensions."""
_GZIP = 31
"""zlib's number for gzip framing, with its checksum and length verified."""


def inflate(source: IO[bytes], spool: IO[bytes], limits: Limits) -> None:
    """Write to ``spool`` what the gzip streams in ``source`` hold."""
    meter = Meter(limits)
    pending = source.read(_CHUNK)
    for _ in range(_MOST_STREAMS):
        pending = _inflate_stream(pending, source, spool, meter)
        if not pending.startswith(_MAGIC):
            _raise_if_trailing_bytes(pending, source)
            return
    raise RuleError("F11", f"the file has more than {_MOST_STREAMS} gzip streams")


class Meter:
    """Counts what goes in and comes out, and stops a bomb while it is still small."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.packed = 0
        self.unpacked = 0
        self.ceiling = limits.total_bytes + limits.members * _MEMBER_OVERHEAD

    def count(self, *, packed: int = 0, unpacked: int = 0) -> None:
        """Add bytes of input and output; refuse the archive when there are too many."""
        self.packed += packed
        self.unpacked += unpacked
        limits = self.limits
        if self.unpacked > self.ceiling:
            raise RuleError("X1", f"the archive expands past {limits.total_bytes:,} bytes")
        is_large = self.unpacked > limits.ratio_from_bytes
        if is_large and self.unpacked > limits.ratio * self.packed:
            raise RuleError("X2", f"the archive expands more than {limits.ratio} times")


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
        used = len(data) - len(pending) - len(beyond)
        meter.count(packed=used, unpacked=len(output))
        spool.write(output)
    return beyond if len(beyond) >= len(_MAGIC) else beyond + source.read(_CHUNK)


def _raise_if_trailing_bytes(pending: bytes, source: IO[bytes]) -> None:
    size = 0
    while pending:
        size += len(pending)
        if size > _MOST_PADDING or pending.strip(b"\0"):
            raise RuleError("F12", "bytes that are no gzip data follow the archive")
        pending = source.read(_CHUNK)
