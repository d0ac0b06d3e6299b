"""Pax records: the extensions that a tar member may carry before its header."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from wheelforge_isolation.archive.rules import RuleError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wheelforge_isolation.archive.members import Named

_DECISIVE = {b"path", b"linkpath", b"size"}
_KNOWN = {*_DECISIVE, b"mtime"}
_SPARSE = b"GNU.sparse."
_MOST_DIGITS = 20
_LATEST = 1 << 40
"""A time beyond the thirty-fifth millennium is a mistake, not a date."""


def parse_pax(data: bytes) -> dict[bytes, bytes]:
    """Return the records that matter here; refuse malformed, repeated and sparse ones."""
    found: dict[bytes, bytes] = {}
    for key, value in _split_records(data):
        if key.startswith(_SPARSE):
            raise RuleError("S4", "the archive holds a sparse file")
        if key in _DECISIVE and key in found:
            raise RuleError("F6", f"a pax header states '{key.decode()}' twice")
        if key in _KNOWN:
            found[key] = value
    return found


def refuse_global(records: dict[bytes, bytes]) -> None:
    """Refuse a global header that would give every member the same name, target or size."""
    for key in sorted(_DECISIVE & records.keys()):
        raise RuleError("F5", f"a global pax header states '{key.decode()}' for every member")


def _split_records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    start = 0
    while start < len(data):
        digits, space, _ = data[start : start + 10].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        record = data[start + len(digits) + 1 : start + length]
        key, equals, value = record[:-1].partition(b"=")
        whole = len(digits) + 1 + len(record) == length
        if not (whole and key and equals and record.endswith(b"\n")):
            raise RuleError("F6", "a pax header is malformed")
        yield key, value
        start += length


def parse_size(value: bytes, subject: Named) -> int:
    """Return a pax size, which is plain decimal."""
    if value.startswith(b"-"):
        raise RuleError("F16", "declares a negative size", subject)
    if not value.isdigit() or len(value) > _MOST_DIGITS:
        raise RuleError("F7", "declares a size that is no number", subject)
    return int(value)


def parse_time(value: bytes) -> float | None:
    """Return a pax time, or nothing where it is no date."""
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and abs(seconds) < _LATEST else None
