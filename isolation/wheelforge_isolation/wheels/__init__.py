"""One wheel: judged as a whole before it gets a name anywhere, and then written out as it is.

A wheel that is let in has one meaning for every reader: its file name, directory names, metadata
and RECORD agree, each file goes to one place, and every byte is what RECORD says. So nothing that
stands on a stored wheel has to look at any of this again. The rules are in the list of the archive
room, W0 to W16. The first line of a script, and the files left out of an environment, are decided
when the wheel is installed: the tree written here is the archive's, unchanged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge_isolation.archive import DEFAULT_LIMITS, open_wheel_zip
from wheelforge_isolation.archive.members import Limits, Note, RuleError
from wheelforge_isolation.files import fs
from wheelforge_isolation.formats import FormatError, file_names
from wheelforge_isolation.wheels.files import (
    Scheme,
    WheelFile,
    check_record,
    find_dist_info,
    lay_out_files,
)
from wheelforge_isolation.wheels.metadata import (
    EntryPoint,
    check_metadata,
    check_wheel,
    find_repeated_scripts,
    read_entry_points,
)

if TYPE_CHECKING:
    from wheelforge_isolation.archive.wheel import WheelZip
    from wheelforge_isolation.formats.file_names import WheelName

__all__ = [
    "EntryPoint",
    "InspectedWheel",
    "Scheme",
    "Wheel",
    "WheelFile",
    "inspect_wheel",
    "open_wheel",
    "parse_wheel_name",
]


class Wheel(NamedTuple):
    """A wheel in which everything was found to agree."""

    name: WheelName
    dist_info: str
    """The name of its ``.dist-info`` directory."""
    files: dict[str, WheelFile]
    """Every file by its path in the archive."""
    entry_points: tuple[EntryPoint, ...]
    notes: tuple[Note, ...]
    """Notes on oddities that were let pass."""
    archive: WheelZip


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedWheel:
    """The facts a wheel states about itself, read without writing any of it."""

    name: str
    """Normalised, as is the version."""
    version: str
    metadata: bytes
    """The content of its METADATA."""
    notes: tuple[Note, ...]
    size_bytes: int
    sha256: str


def parse_wheel_name(file_name: str) -> WheelName:
    """Return what ``file_name`` says, or refuse it with the reason."""
    try:
        return file_names.parse_wheel_name(file_name)
    except FormatError as error:
        raise RuleError("W0", str(error)).as_archive_error(file_name) from error


@contextlib.contextmanager
def open_wheel(
    path: Path, limits: Limits = DEFAULT_LIMITS, *, workspace: Path | None = None
) -> Generator[Wheel]:
    """Yield the wheel at ``path``, all of it judged before the block is entered.

    ``workspace`` is private, writable and on the file system that the wheel is for; unless given,
    the wheel's own directory is all that.
    """
    name = parse_wheel_name(path.name)
    with open_wheel_zip(path, limits, workspace or path.parent) as archive:
        yield _check(archive, name)


def inspect_wheel(path: Path, limits: Limits = DEFAULT_LIMITS) -> InspectedWheel:
    """Return what the wheel at ``path`` is, once all of it was judged."""
    name = parse_wheel_name(path.name)
    with open_wheel_zip(path, limits) as archive:
        wheel = _check(archive, name)
        metadata = archive.read(f"{wheel.dist_info}/METADATA")
        size_bytes, sha256 = path.stat().st_size, fs.digest(path)
    return InspectedWheel(
        name=name.name,
        version=str(name.version),
        metadata=metadata,
        notes=wheel.notes,
        size_bytes=size_bytes,
        sha256=sha256,
    )


def _check(archive: WheelZip, name: WheelName) -> Wheel:
    try:
        return _read_wheel(archive, name)
    except RuleError as broken:
        raise broken.as_archive_error(name.file_name) from None


def _read_wheel(archive: WheelZip, name: WheelName) -> Wheel:
    dist_info = find_dist_info(archive, name)
    hashes, notes = check_record(archive, dist_info)
    check_metadata(archive, dist_info, name)
    root, oddities = check_wheel(archive, dist_info, name)
    files = lay_out_files(archive, hashes, dist_info, root)
    entry_points = read_entry_points(archive, dist_info)
    repeated = find_repeated_scripts(entry_points, files.values())
    notes = [*archive.plan.notes, *notes, *oddities, *repeated]
    return Wheel(name, dist_info, files, entry_points, tuple(notes), archive)
