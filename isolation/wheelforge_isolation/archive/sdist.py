"""The Y rules about what an sdist says of itself: directory, metadata, project files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge_isolation.archive.members import Note
from wheelforge_isolation.archive.rules import RuleError
from wheelforge_isolation.errors import quoted
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import normalize_name, parse_version, read_releases
from wheelforge_isolation.formats.metadata import all_values, first_value, parse_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from packaging.version import Version

    from wheelforge_isolation.archive.members import Contents, Member
    from wheelforge_isolation.formats.metadata import Fields

    Find = Callable[[str], Member | None]

_LONGEST_VERSION = 100
_SINCE_EXACT, _SINCE_LICENSES = (2, 2), (2, 4)


def check_sdist(top: str, stem: str, find: Find, contents: Contents) -> Iterator[Note]:
    """Hold an archive's name, directory and metadata against each other.

    ``find`` returns the file that a path leads to, through whatever links.
    """
    if top != stem and set(read_releases(top)).isdisjoint(read_releases(stem)):
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
        fields = parse_fields(next(contents.chunks(member), b""))
        yield from _check_metadata(top, stem, find, fields)


def _check_metadata(top: str, stem: str, find: Find, fields: Fields) -> Iterator[Note]:
    standard = _numbers(first_value(fields, "Metadata-Version"))
    releases = set(read_releases(stem))
    name, version = first_value(fields, "Name"), first_value(fields, "Version")
    if name and version and releases and not _is_among(releases, name, version):
        text = f"PKG-INFO is about {quoted(f'{name} {version}')}"
        if standard >= _SINCE_EXACT:
            raise RuleError("Y4", text)
        yield Note(rule="Y4", text=text)
    for path in all_values(fields, "License-File") if standard >= _SINCE_LICENSES else ():
        if not find(f"{top}/{path}"):
            yield Note(rule="Y8", text=f"the licence file {quoted(path)} is missing")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text[:_LONGEST_VERSION].split(".") if part.isdecimal())


def _is_among(releases: set[tuple[str, Version]], name: str, version: str) -> bool:
    try:
        return (normalize_name(name), parse_version(version)) in releases
    except FormatError:
        return False
