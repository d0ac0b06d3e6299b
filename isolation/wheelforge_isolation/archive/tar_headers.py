"""Raw tar blocks: what tarfile takes leniently is looked at here, before tarfile acts on it.

The functions are pure. They judge single blocks and extension data; their meaning, names and
numbers included, is tarfile's to read.
"""

from __future__ import annotations

import math
import re

from wheelforge_isolation.archive.members import RuleError

BLOCK = 512
ZEROS = bytes(BLOCK)
FLAG = slice(156, 157)
NAME, TARGET, PREFIX, MTIME = slice(0, 100), slice(157, 257), slice(345, 500), slice(136, 148)
_MAGIC, _CHECKSUM = slice(257, 263), slice(148, 156)
_NUMBERS = {"checksum": _CHECKSUM, "mode": slice(100, 108), "size": slice(124, 136), "mtime": MTIME}
"""The numbers that are used. tarfile reads the others too, and refuses what it cannot read."""
_NUMBER = re.compile(rb"[\x80\xff].*| *[0-7]*[\0 ]*", re.DOTALL)
"""Octal digits, or a binary number with GNU's mark. tarfile also takes `0o17`, `1_7` and `-1`."""
_PAX_DECISIVE = {b"path", b"linkpath", b"size"}
_PAX_SPARSE = b"GNU.sparse."
_LATEST = 1 << 40
"""A time beyond the thirty-fifth millennium is a mistake, not a date."""


def has_right_checksum(block: bytes) -> bool:
    """Return whether the header's checksum is right, as unsigned or, from old tars, signed sum."""
    field = block[_CHECKSUM].strip(b"\0 ")
    if not field.isdigit() or re.search(rb"[89]", field):
        return False
    counted = block[:148] + b" " * 8 + block[156:]
    unsigned = sum(counted)
    return int(field, 8) in {unsigned, unsigned - 256 * sum(byte >> 7 for byte in counted)}


def find_bad_number(block: bytes) -> str:
    """Return the name of a number field that holds something else, if there is one."""
    fields = _NUMBERS.items()
    bad = (name for name, at in fields if not _NUMBER.fullmatch(block, at.start, at.stop))
    return next(bad, "")


def has_prefix(block: bytes) -> bool:
    """Return whether the name continues in the prefix, which only ustar keeps in that place."""
    return block[_MAGIC] == b"ustar\0" and block[PREFIX.start] != 0


def cut(text: bytes) -> str:
    """Return ``text`` up to its first NUL, as tarfile reads it."""
    return text.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def has_inner_nul(text: bytes) -> bool:
    """Return whether more text follows a NUL: tarfile ends a text at the first one."""
    return b"\0" in text.rstrip(b"\0")


def parse_pax(data: bytes) -> dict[bytes, bytes]:
    """Return the records that decide something; refuse malformed, repeated and sparse ones.

    Releases of tarfile differ in what they take for a record.
    """
    found: dict[bytes, bytes] = {}
    start = 0
    while start < len(data):
        digits, space, _ = data[start : start + 10].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        record = data[start + len(digits) + 1 : start + length]
        key, equals, value = record[:-1].partition(b"=")
        is_whole = len(digits) + 1 + len(record) == length
        if not (is_whole and key and equals and record.endswith(b"\n")):
            raise RuleError("F6", "a pax header is malformed")
        if key.startswith(_PAX_SPARSE):
            raise RuleError("S4", "the archive holds a sparse file")
        if key in found:
            raise RuleError("F6", f"a pax header states '{key.decode()}' twice")
        if key in _PAX_DECISIVE:
            found[key] = value
        start += length
    return found


def parse_time(value: str) -> float | None:
    """Return a pax time, or nothing where it is no date; tarfile takes that for 1970."""
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and abs(seconds) < _LATEST else None
