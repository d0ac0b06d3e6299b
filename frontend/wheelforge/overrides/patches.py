"""Unified diffs, applied strictly: every line has to be as the patch says, and nothing is guessed.

A hunk may have moved, if its lines are in one place only; then it is not taken for another. Binary
patches, links and renames are refused. A library that parses such patches applies none; the one
that applies them follows links, guesses prefixes and takes what was applied before for done.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_REFUSED = (b"GIT binary patch", b"Binary files ", b"rename from ", b"copy from ")
_LINK = re.compile(rb"(?:new|old|new file) mode 1[26]0000")
_NOTHING = b"/dev/null"
_NO_END = b"\\"


class Hunk(NamedTuple):
    """Lines that are replaced by others."""

    line: int
    """In the patch."""
    start: int
    """The line of the old file where it should begin, from 0."""
    old: list[bytes]
    new: list[bytes]


class FilePatch(NamedTuple):
    """All that a patch changes of one file."""

    path: str
    is_new: bool
    is_deleted: bool
    hunks: list[Hunk]


def parse_patch(content: bytes) -> list[FilePatch]:
    """Return what a patch changes; ValueError where it is none, or not one that can be applied."""
    lines = content.splitlines(keepends=True)
    found: list[FilePatch] = []
    number = 0
    while number < len(lines):
        line = lines[number]
        if line.startswith(_REFUSED) or _LINK.match(line):
            raise ValueError(
                f"line {number + 1}: binary patches, renames and links are not applied"
            )
        if line.startswith(b"--- ") and lines[number + 1 : number + 2]:
            number = _parse_file(lines, number, found)
            continue
        number += 1
    if not found:
        raise ValueError("it is no unified diff")
    return found


def _parse_file(lines: list[bytes], number: int, found: list[FilePatch]) -> int:
    """Add what is changed of the file whose header is at ``number``; return where that ends."""
    old = lines[number][4:].split(b"\t")[0].strip()
    if not lines[number + 1].startswith(b"+++ "):
        return number + 1
    new = lines[number + 1][4:].split(b"\t")[0].strip()
    path = _strip(old if new == _NOTHING else new, number)
    if _NOTHING not in {old, new} and _strip(old, number) != path:
        raise ValueError(f"line {number + 1}: renames are not applied")
    hunks: list[Hunk] = []
    number += 2
    while number < len(lines) and (match := _HUNK.match(lines[number])):
        hunk, number = _parse_hunk(lines, number, match)
        hunks.append(hunk)
    if not hunks:
        raise ValueError(f"line {number + 1}: a hunk is expected")
    found.append(FilePatch(path, old == _NOTHING, new == _NOTHING, hunks))
    return number


def _strip(path: bytes, number: int) -> str:
    first, _, rest = path.decode("utf-8", "replace").partition("/")
    if not rest or first.startswith('"'):
        raise ValueError(f"line {number + 1}: `{first}` has no plain directory to be stripped")
    return rest


def _parse_hunk(lines: list[bytes], number: int, match: re.Match[bytes]) -> tuple[Hunk, int]:
    begin = number
    start, old_count, _, new_count = (1 if text is None else int(text) for text in match.groups())
    old: list[bytes] = []
    new: list[bytes] = []
    number += 1
    while len(old) < old_count or len(new) < new_count or lines[number : number + 1] == [b"\n"]:
        if number >= len(lines) or len(old) > old_count or len(new) > new_count:
            raise ValueError(f"line {begin + 1}: the hunk has not as many lines as it says")
        if len(old) == old_count and len(new) == new_count:
            break
        sign, text = lines[number][:1], lines[number][1:]
        if sign in {b"\n", b"\r"}:  # editors take the blank of an empty line away
            sign, text = b" ", lines[number]
        if sign not in {b" ", b"-", b"+"}:
            raise ValueError(f"line {number + 1}: neither context nor change")
        old += [text] if sign != b"+" else []
        new += [text] if sign != b"-" else []
        number += 1
        if lines[number : number + 1] and lines[number].startswith(_NO_END):
            for side in ([old] if sign != b"+" else []) + ([new] if sign != b"-" else []):
                side[-1] = side[-1].rstrip(b"\r\n")
            number += 1
    return Hunk(begin + 1, max(start - (1 if old_count else 0), 0), old, new), number


def apply_patch(content: bytes, read: Callable[[str], bytes | None]) -> dict[str, bytes | None]:
    """Return the new contents of all files that a patch changes; ``read`` returns the old ones."""
    changes: dict[str, bytes | None] = {}
    for file in parse_patch(content):
        before = changes[file.path] if file.path in changes else read(file.path)
        if file.is_new and before is not None:
            raise ValueError(f"`{file.path}` is to be made, and is there already")
        if not file.is_new and before is None:
            raise ValueError(f"there is no file `{file.path}`")
        after = _apply_hunks(file, before or b"")
        if file.is_deleted and after:
            raise ValueError(f"`{file.path}` is to be deleted, and has more lines than that")
        changes[file.path] = None if file.is_deleted else after
    return changes


def _apply_hunks(file: FilePatch, content: bytes) -> bytes:
    lines, result, done, shift = content.splitlines(keepends=True), list[bytes](), 0, 0
    for hunk in file.hunks:
        place = _find(lines, hunk, done, hunk.start + shift)
        if place is None:
            where = f"the hunk of line {hunk.line} of the patch"
            raise ValueError(f"{where} does not fit `{file.path}` near line {hunk.start + 1}")
        shift = place - hunk.start
        result += [*lines[done:place], *hunk.new]
        done = place + len(hunk.old)
    return b"".join([*result, *lines[done:]])


def _find(lines: list[bytes], hunk: Hunk, first: int, wanted: int) -> int | None:
    size = len(hunk.old)
    if wanted >= first and wanted <= len(lines) and lines[wanted : wanted + size] == hunk.old:
        return wanted
    if not size:
        return None
    places = [at for at in range(first, len(lines) - size + 1) if lines[at : at + size] == hunk.old]
    return places[0] if len(places) == 1 else None
