"""One tar header of 512 bytes: v7, ustar or GNU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge_isolation.archive.members import Kind
from wheelforge_isolation.archive.rules import RuleError

if TYPE_CHECKING:
    from wheelforge_isolation.archive.members import Named

BLOCK = 512

_KINDS = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"1": Kind.HARDLINK,
    b"2": Kind.SYMLINK,
    b"5": Kind.DIRECTORY,
}
_DEVICES = {b"3": "a character device", b"4": "a block device", b"6": "a fifo"}


def has_right_checksum(block: bytes) -> bool:
    """Return whether the header's checksum is right, as unsigned or, from old tars, signed sum."""
    try:
        stated = parse_number(block[148:156], "checksum")
    except RuleError:
        return False
    counted = block[:148] + b" " * 8 + block[156:]
    unsigned = sum(counted)
    # Counting signed takes ten times as long, and is hardly ever wanted.
    return stated == unsigned or stated == unsigned - 256 * sum(byte >> 7 for byte in counted)


def parse_kind(block: bytes, subject: Named) -> Kind:
    """Return what the header says the member is; only files, directories and links are known."""
    flag = block[156:157]
    if flag in _KINDS:
        return _KINDS[flag]
    if flag == b"S":
        raise RuleError("S4", "is a sparse file", subject)
    if flag in _DEVICES:
        raise RuleError("S1", f"is {_DEVICES[flag]}", subject)
    raise RuleError("S2", f"is of the unknown type {flag!r}", subject)


def parse_name(block: bytes) -> bytes:
    """Return the member's name, with the prefix that only ustar keeps in that place."""
    name = trim_text(block[:100])
    if block[257:263] != b"ustar\0" or not block[345]:
        return name
    return trim_text(block[345:500]) + b"/" + name


def parse_target(block: bytes) -> bytes:
    """Return where a link points."""
    return trim_text(block[157:257])


def parse_size(block: bytes, subject: Named | None = None) -> int:
    """Return how many bytes of content the header announces."""
    return parse_number(block[124:136], "size", subject)


def is_executable(block: bytes, subject: Named) -> bool:
    """Return whether anybody may execute the member; no other bit of the mode is looked at."""
    return bool(parse_number(block[100:108], "mode", subject) & 0o111)


def parse_mtime(block: bytes, subject: Named) -> int | None:
    """Return the header's time, or nothing where the field is blank."""
    field = block[136:148]
    return parse_number(field, "mtime", subject) if field.strip(b"\0 ") else None


def trim_text(field: bytes) -> bytes:
    """Return the text without its padding; a NUL inside stays, for the rules to see."""
    return field.rstrip(b"\0")


def parse_number(field: bytes, what: str, subject: Named | None = None) -> int:
    """Return an octal number, or GNU's binary one; a blank field is 0."""
    if field[0] & 0x80:
        bits = 8 * len(field) - 1
        number = int.from_bytes(field, "big") & ((1 << bits) - 1)
        return number - (1 << bits) if field[0] & 0x40 else number
    digits = field.strip(b"\0 ")
    if not digits:
        return 0
    try:
        if digits.isdigit():
            return int(digits, 8)
    except ValueError:
        pass
    raise RuleError("F18", f"has a header whose {what} is no number", subject)
