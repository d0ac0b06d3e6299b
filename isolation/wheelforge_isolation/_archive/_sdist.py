"""The Y rules about what an sdist says of itself: directory, metadata, project files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wheelforge_isolation._archive._members import Note
from wheelforge_isolation._archive._refusal import RuleError
from wheelforge_isolation.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wheelforge_isolation._archive._members import Contents, Member

    Find = Callable[[str], Member | None]

_FIELD = re.compile(r"^(Metadata-Version|Name|Version|License-File):(.*)$", re.MULTILINE)
_LONGEST_VERSION = 100
_SINCE_EXACT, _SINCE_LICENSES = (2, 2), (2, 4)


def judge_sdist(top: str, stem: str, find: Find, contents: Contents) -> Iterator[Note]:
    """Hold an archive's name, directory and metadata against each other.

    ``find`` returns the file that a path leads to, through whatever links.
    """
    if top != stem and not _releases(top) & _releases(stem):
        yield Note(rule="Y3", text=f"the top-level directory is {quoted(top)}, not {quoted(stem)}")
    has_project = any(find(f"{top}/{name}") for name in ("pyproject.toml", "setup.py"))
    member = find(f"{top}/PKG-INFO")
    if member is None:
        yield Note(rule="Y5", text="the archive has no PKG-INFO")
    if not has_project:
        text = f"no pyproject.toml or setup.py in {quoted(top)}"
        if member is not None:
            raise RuleError("Y6", text)
        yield Note(rule="Y6", text=text)
    if member is not None:
        # The first piece holds all the fields that are looked at, if the file is any PKG-INFO.
        header = next(contents.chunks(member), b"").decode("utf-8", "replace")
        header = header.replace("\r\n", "\n").partition("\n\n")[0]
        fields = [(key, value.strip()) for key, value in _FIELD.findall(header)]
        yield from _judge_metadata(top, stem, find, fields)


def _judge_metadata(
    top: str, stem: str, find: Find, fields: list[tuple[str, str]]
) -> Iterator[Note]:
    single = dict(fields)
    standard = _numbers(single.get("Metadata-Version", ""))
    releases = _releases(stem)
    if releases and {"Name", "Version"} <= single.keys():
        name, version = single["Name"], single["Version"]
        if _release(name, version) not in releases:
            text = f"PKG-INFO is about {quoted(f'{name} {version}')}"
            if standard >= _SINCE_EXACT:
                raise RuleError("Y4", text)
            yield Note(rule="Y4", text=text)
    for key, value in fields if standard >= _SINCE_LICENSES else ():
        if key == "License-File" and not find(f"{top}/{value}"):
            yield Note(rule="Y8", text=f"the licence file {quoted(value)} is missing")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text[:_LONGEST_VERSION].split(".") if part.isdecimal())


def _releases(text: str) -> set[tuple[str, object]]:
    """Return every release that ``text`` can mean: name and version may have hyphens too."""
    places = [place for place, character in enumerate(text) if character == "-"]
    found = (_release(text[:place], text[place + 1 :]) for place in places)
    return {release for release in found if release is not None}


def _release(name: str, version: str) -> tuple[str, object] | None:
    from packaging.utils import canonicalize_name
    from packaging.version import Version

    if len(version) > _LONGEST_VERSION:
        return None
    try:
        return canonicalize_name(name), Version(version)
    except ValueError:
        return None
