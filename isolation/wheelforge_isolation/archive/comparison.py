"""Two archives side by side: the same bytes, the same but for how they are packed, or what differs.

What is not compared is what no reader of a wheel or an sdist goes by: the order of members, their
times, how they are compressed, what else the headers say, and the order of the lines of RECORD.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge_isolation.archive import DEFAULT_LIMITS, open_sdist, open_wheel_zip
from wheelforge_isolation.archive.members import Links, Member, Plan
from wheelforge_isolation.errors import quoted
from wheelforge_isolation.files import fs

if TYPE_CHECKING:
    from wheelforge_isolation.archive.spool import Contents

_RECORD = re.compile(r"[^/]+\.dist-info/RECORD")
_WHEEL = re.compile(r"[^/]+\.dist-info/WHEEL")
_BYTECODE = re.compile(r".*\.py[co]")
_GENERATOR = re.compile(rb"^Generator:.*\n?", re.MULTILINE)
_MOST_SHOWN_BYTES = 32 << 20
_LONGEST_LINE = 60


class Sameness(Enum):
    """How far two archives are the same, from most to least."""

    IDENTICAL = "identical"
    """Every byte."""
    EQUIVALENT = "equivalent"
    """Every file, with its content and whether it is a program."""
    SAME_CONTENT = "same content"
    """The same but for RECORD, the generator in WHEEL, and bytecode."""
    DIFFERENT = "different"


class Difference(NamedTuple):
    """A file that is not in both archives as it is in the other."""

    path: str
    text: str
    """The first difference in it."""


class Comparison(NamedTuple):
    """Two archives side by side."""

    sameness: Sameness
    differences: tuple[Difference, ...] = ()
    """Sorted by path."""


class _File(NamedTuple):
    digest: bytes
    is_program: bool
    size: int
    read: Callable[[], bytes]


def compare_archives(first: Path, second: Path) -> Comparison:
    """Return how far two wheels, or two sdists, are the same; an error if one cannot be read."""
    if fs.digest(first) == fs.digest(second):
        return Comparison(Sameness.IDENTICAL)
    with _open(first) as one, _open(second) as other:
        differences = tuple(_list_differences(one, other))
        is_small = all(_is_beside_the_point(each.path, one, other) for each in differences)
    if not differences:
        return Comparison(Sameness.EQUIVALENT)
    return Comparison(Sameness.SAME_CONTENT if is_small else Sameness.DIFFERENT, differences)


@contextlib.contextmanager
def _open(path: Path) -> Generator[dict[str, _File]]:
    if path.suffix == ".whl":
        with open_wheel_zip(path, DEFAULT_LIMITS) as archive:
            yield _list_files(archive.files, archive.contents)
        return
    with open_sdist(path, path.parent, Links.KEEP, DEFAULT_LIMITS) as (plan, contents, _):
        yield {**_list_files(plan.files, contents), **_list_links(plan)}


def _list_files(files: Mapping[str, Member], contents: Contents) -> dict[str, _File]:
    def describe(path: str, member: Member) -> _File:
        def read() -> bytes:
            content = b"".join(contents.chunks(member))
            return _sort_lines(content) if _RECORD.fullmatch(path) else content

        digest = read() if _RECORD.fullmatch(path) else contents.digest(member)
        return _File(digest, member.executable, member.size, read)

    return {path: describe(path, member) for path, member in files.items()}


def _list_links(plan: Plan) -> dict[str, _File]:
    return {
        path: _File(b"link " + target.encode(), is_program=False, size=0, read=target.encode)
        for path, target in plan.links.items()
    }


def _sort_lines(record: bytes) -> bytes:
    return b"".join(sorted(line + b"\n" for line in record.splitlines() if line))


def _list_differences(
    first: Mapping[str, _File], second: Mapping[str, _File]
) -> Iterator[Difference]:
    for path in sorted({*first, *second}):
        one, other = first.get(path), second.get(path)
        if one is None or other is None:
            yield Difference(path, "is only in the " + ("second" if one is None else "first"))
        elif one.digest != other.digest:
            yield Difference(path, _describe(one, other))
        elif one.is_program != other.is_program:
            yield Difference(path, "is a program in one of them only")


def _describe(one: _File, other: _File) -> str:
    if max(one.size, other.size) > _MOST_SHOWN_BYTES:
        return f"has {one.size:,} bytes and {other.size:,}"
    contents = one.read(), other.read()
    try:
        lines = [content.decode().splitlines() for content in contents]
    except UnicodeDecodeError:
        place = _find_first(*contents)
        shown = [content[place : place + 8].hex(" ") or "nothing" for content in contents]
        return f"byte {place:,}: {shown[0]}, and {shown[1]}"
    place = _find_first(*lines)
    texts = [quoted(each[place][:_LONGEST_LINE]) if place < len(each) else "none" for each in lines]
    return f"line {place + 1:,}: {texts[0]}, and {texts[1]}"


def _find_first(one: bytes | list[str], other: bytes | list[str]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, pair in pairs if pair[0] != pair[1]), min(len(one), len(other)))


def _is_beside_the_point(path: str, one: Mapping[str, _File], other: Mapping[str, _File]) -> bool:
    if _RECORD.fullmatch(path) or _BYTECODE.fullmatch(path):
        return True
    if not _WHEEL.fullmatch(path) or path not in one or path not in other:
        return False
    texts = [_GENERATOR.sub(b"", each[path].read()) for each in (one, other)]
    return texts[0] == texts[1]
