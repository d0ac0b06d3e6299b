"""One wheel: judged as a whole before it gets a name anywhere, and then written out as it is.

A wheel that is let in has one meaning for every reader: its file name, directory names, metadata
and RECORD agree, each file goes to one place, and every byte is what RECORD says. So nothing that
stands on a stored wheel has to look at any of this again. The rules have the numbers W0 to W15;
beneath them are those of the archive itself. What a script's first line should be, and what is left
out of an environment, is for whoever installs: the tree written here is the archive's, unchanged.
"""

from __future__ import annotations

import contextlib
import os
from importlib import import_module
from typing import TYPE_CHECKING

from wheelforge_isolation import _fs
from wheelforge_isolation._wheels._entrypoints import (
    EntryPoint,
    describe_contests,
    read_entry_points,
)
from wheelforge_isolation._wheels._metadata import judge_metadata, judge_wheel
from wheelforge_isolation._wheels._name import parse_wheel_name
from wheelforge_isolation._wheels._places import Scheme, WheelFile, find_dist_info, place_files
from wheelforge_isolation._wheels._record import check_record
from wheelforge_isolation.archive import (
    DEFAULT_LIMITS,
    Limits,
    Note,
    RuleError,
    WheelZip,
    open_wheel_zip,
    scan_wheel_zip,
)
from wheelforge_isolation.values import Value

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from wheelforge_isolation.formats.file_names import WheelName

__all__ = [
    "EntryPoint",
    "InspectedWheel",
    "Scheme",
    "Wheel",
    "WheelFile",
    "WrittenFile",
    "inspect_wheel",
    "open_wheel",
    "parse_wheel_name",
]


class WrittenFile(Value):
    """One file of a wheel as it is on disk."""

    path: str
    """Below the directory that was written to, with forward slashes."""
    size: int
    sha256: str
    mtime_ns: int


class Wheel(Value):
    """A wheel in which everything was found to agree."""

    name: WheelName
    dist_info: str
    """The name of its ``.dist-info`` directory."""
    root_is_purelib: bool
    files: dict[str, WheelFile]
    """Every file by its path in the archive."""
    entry_points: tuple[EntryPoint, ...]
    notes: tuple[Note, ...]
    """What is odd about it and was let pass."""
    _plain: WheelZip

    def write(self, directory: str) -> tuple[WrittenFile, ...]:
        """Write the archive's files into ``directory``, private and empty; return what is there.

        After an error the caller removes the directory.
        """
        self._plain.write(directory)
        root = _fs.long_path(directory) + os.sep
        with _fs.translated("examine", directory):
            return tuple(_describe(root, path, file) for path, file in self.files.items())


class InspectedWheel(Value):
    """What a wheel says of itself, found out without writing anything of it."""

    name: str
    """Normalised, as is the version."""
    version: str
    metadata: bytes
    """What its METADATA holds."""
    notes: tuple[Note, ...]
    size_bytes: int
    sha256: str


def _describe(root: str, path: str, file: WheelFile) -> WrittenFile:
    found = os.stat(root + path.replace("/", os.sep))
    return WrittenFile(
        path=path, size=found.st_size, sha256=file.sha256, mtime_ns=found.st_mtime_ns
    )


@contextlib.contextmanager
def open_wheel(
    path: Path,
    limits: Limits = DEFAULT_LIMITS,
    *,
    workspace: Path | None = None,
    accept_unlisted: bool = False,
) -> Generator[Wheel]:
    """Yield the wheel at ``path``, all of it judged before the block is entered.

    ``workspace`` is private, writable and on the file system that the wheel is for; unless given,
    the wheel's own directory is all that. ``accept_unlisted`` lets files pass that RECORD forgot.
    """
    name = parse_wheel_name(path.name)
    with open_wheel_zip(path, workspace or path.parent, limits) as plain:
        yield _judge(plain, name, accept_unlisted=accept_unlisted)


def load_readers() -> None:
    """Import what reading a wheel needs, for whoever has nothing else to do meanwhile."""
    import_module("packaging.utils")


def inspect_wheel(path: Path, limits: Limits = DEFAULT_LIMITS) -> InspectedWheel:
    """Return what the wheel at ``path`` is, once all of it was judged."""
    name = parse_wheel_name(path.name)
    with scan_wheel_zip(path, limits) as plain:
        wheel = _judge(plain, name, accept_unlisted=False)
        metadata = plain.read(f"{wheel.dist_info}/METADATA")
        size_bytes, sha256 = path.stat().st_size, _fs.digest(path)
    return InspectedWheel(
        name=name.name,
        version=str(name.version),
        metadata=metadata,
        notes=wheel.notes,
        size_bytes=size_bytes,
        sha256=sha256,
    )


def _judge(plain: WheelZip, name: WheelName, *, accept_unlisted: bool) -> Wheel:
    try:
        return _read_wheel(plain, name, accept_unlisted=accept_unlisted)
    except RuleError as broken:
        raise broken.as_archive_error(name.file_name) from None


def _read_wheel(plain: WheelZip, name: WheelName, *, accept_unlisted: bool) -> Wheel:
    dist_info = find_dist_info(plain, name)
    hashes, notes = check_record(plain, dist_info, accept_unlisted=accept_unlisted)
    judge_metadata(plain, dist_info, name)
    root, oddities = judge_wheel(plain, dist_info, name)
    files = place_files(plain, hashes, dist_info, root)
    entry_points = read_entry_points(plain, dist_info)
    contests = describe_contests(entry_points, files.values())
    return Wheel(
        name=name,
        dist_info=dist_info,
        root_is_purelib=root is Scheme.PURELIB,
        files=files,
        entry_points=entry_points,
        notes=(*plain.plan.notes, *notes, *oddities, *contests),
        _plain=plain,
    )
