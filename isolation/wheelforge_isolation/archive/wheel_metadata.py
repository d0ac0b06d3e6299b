"""METADATA of a wheel of which only parts may be here: the directory of the zip and one member.

The directory is read as strictly as that of a wheel that is unpacked, so that a wheel has the same
METADATA for the resolver as for the environment.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wheelforge_isolation.archive.inflate import Meter
from wheelforge_isolation.archive.members import MEBIBYTE, Limits
from wheelforge_isolation.archive.rules import RuleError
from wheelforge_isolation.archive.zip import inflate_entry, raise_if_odd
from wheelforge_isolation.archive.zip_directory import Entry, check_local, read_directory
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import normalize_name

if TYPE_CHECKING:
    from wheelforge_isolation.archive.members import Source

_PATH = re.compile(r"([^/]+)-[^-/]+\.dist-info/METADATA")
_LIMITS = Limits(member_bytes=16 * MEBIBYTE)


def read_wheel_metadata(source: Source, size: int, *, file_name: str, project: str) -> bytes:
    """Return the METADATA of a wheel of ``project``, of ``size`` bytes; ``source`` can seek."""
    try:
        entries = read_directory(source, size, _LIMITS.members)
        entry = check_local(source, _find_metadata(entries, project))
        raise_if_odd(entry, _LIMITS)
        return b"".join(inflate_entry(entry, source, Meter(_LIMITS)))
    except RuleError as broken:
        raise broken.as_archive_error(file_name) from None


def _find_metadata(entries: list[Entry], project: str) -> Entry:
    found = [entry for entry in entries if _is_metadata(entry.name, project)]
    if len(found) != 1:
        raise RuleError("W7", f"the wheel holds {len(found)} files that could be its METADATA")
    return found[0]


def _is_metadata(path: str, project: str) -> bool:
    match = _PATH.fullmatch(path)
    try:
        return match is not None and normalize_name(match[1]) == project
    except FormatError:
        return False
