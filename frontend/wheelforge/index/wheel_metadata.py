"""The metadata of a wheel, read without having all of it.

A wheel is a zip, whose directory is at its end and whose METADATA usually stands just before. So
the end of a wheel is asked for first, and most build backends are so small that this is all.
"""

from __future__ import annotations

from io import SEEK_END, SEEK_SET
from typing import IO, TYPE_CHECKING

from packaging.utils import canonicalize_name

from wheelforge.errors import MetadataInvalidError
from wheelforge.index.models import Metadata
from wheelforge_isolation import ArchiveError, read_wheel_metadata
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import normalize_name, parse_version
from wheelforge_isolation.formats.metadata import (
    all_values,
    first_value,
    only_value,
    parse_fields,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from wheelforge.index.models import Candidate
    from wheelforge_isolation.formats.metadata import Fields

_MOST_REQUIREMENTS = 20_000
_AHEAD_BYTES = 64 << 10
"""More than nearly every METADATA; another request takes longer than these bytes."""
_SHOWN = 200


class PartialFile:
    """A file of which the end is here; what is asked for before it is read in larger parts."""

    def __init__(
        self, size_bytes: int, start: int, content: bytes, read: Callable[[int, int], bytes]
    ) -> None:
        self.size_bytes = size_bytes
        self._parts = [(start, content)]
        self._read_part = read
        self._position = 0

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int:
        """Move to a position, from the start or, as zipfile does, from the end."""
        target = offset + (self.size_bytes if whence == SEEK_END else 0)
        if target < 0:
            raise OSError("before the start of the file")
        self._position = target
        return target

    def read(self, size: int = -1, /) -> bytes:
        """Return the bytes at the position, less where the file ends before."""
        wanted = self.size_bytes if size < 0 else self._position + size
        start, stop = self._position, min(wanted, self.size_bytes)
        if start >= stop:
            return b""
        self._position = stop
        part_start, part = self._find_part(start, stop)
        return part[start - part_start : stop - part_start]

    def _find_part(self, start: int, stop: int) -> tuple[int, bytes]:
        for begin, content in self._parts:
            if begin <= start and stop <= begin + len(content):
                return begin, content
        end = min(max(stop, start + _AHEAD_BYTES), self.size_bytes)
        # A member whose start was read first is not far from its end.
        self._parts[1:] = [(start, self._read_part(start, end))]
        return self._parts[1]


def read_metadata(file: IO[bytes] | PartialFile, size_bytes: int, candidate: Candidate) -> Metadata:
    """Return the metadata of a wheel; refuse one that has none, or those of another wheel."""
    try:
        content = read_wheel_metadata(
            file, size_bytes, file_name=candidate.file_name, project=candidate.name
        )
    except ArchiveError as error:
        raise MetadataInvalidError(candidate.file_name, error.reason) from error
    return parse_metadata(content, candidate)


def parse_metadata(content: bytes, candidate: Candidate) -> Metadata:
    """Return what core metadata asks for; refuse those of something else."""
    fields = parse_fields(content)
    _check_identity(fields, candidate)
    requires = tuple(all_values(fields, "Requires-Dist"))
    if len(requires) > _MOST_REQUIREMENTS:
        reason = f"it has more than {_MOST_REQUIREMENTS:,} requirements"
        raise MetadataInvalidError(candidate.file_name, reason)
    return Metadata(
        requires=requires,
        requires_python=first_value(fields, "Requires-Python"),
        extras=frozenset(map(canonicalize_name, all_values(fields, "Provides-Extra"))),
    )


def _check_identity(fields: Fields, candidate: Candidate) -> None:
    name, version = only_value(fields, "Name"), only_value(fields, "Version")
    try:
        is_same = name is not None and normalize_name(name) == candidate.name
        is_same = is_same and version is not None and parse_version(version) == candidate.version
    except FormatError:
        is_same = False
    if not is_same:
        stated = " ".join(all_values(fields, "Name") + all_values(fields, "Version"))
        raise MetadataInvalidError(candidate.file_name, f"its metadata are of `{stated[:_SHOWN]}`")
