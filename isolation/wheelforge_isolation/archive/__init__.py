"""Foreign archives: read whole, judged whole, and only then written.

An archive is inflated into a spool to its very end, its members are read from there, a plan of the
tree on disk is made in memory, and the plan is written. An archive is refused before the first file
exists. Every rule is in RULES.md, by the number that its messages show.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, NamedTuple

from wheelforge_isolation.archive.contents import SpoolContents
from wheelforge_isolation.archive.file_kind import ZIP, check_magic, split_suffix
from wheelforge_isolation.archive.inflate import inflate
from wheelforge_isolation.archive.members import (
    Limits,
    Links,
    Member,
    Note,
    Plan,
    Source,
    find_newest,
)
from wheelforge_isolation.archive.names import fold
from wheelforge_isolation.archive.plan import PlanOptions, make_plan
from wheelforge_isolation.archive.rules import RuleError
from wheelforge_isolation.archive.second_opinion import ask_data_filter
from wheelforge_isolation.archive.tar import read_tar
from wheelforge_isolation.archive.wheel_metadata import read_wheel_metadata
from wheelforge_isolation.archive.wheel_zip import WheelZip, check_wheel_zip
from wheelforge_isolation.archive.writer import write_plan
from wheelforge_isolation.archive.zip import list_zip, read_zip
from wheelforge_isolation.errors import FileMissingError, file_access_error, is_full
from wheelforge_isolation.files import fs
from wheelforge_isolation.files.capabilities import FilesystemCapabilities

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = [
    "DEFAULT_LIMITS",
    "InspectedSdist",
    "Limits",
    "Links",
    "Member",
    "Note",
    "RuleError",
    "Source",
    "Unpacked",
    "WheelZip",
    "fold",
    "inspect_sdist",
    "open_wheel_zip",
    "read_wheel_metadata",
    "scan_wheel_zip",
    "unpack_archive",
]

DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """The result of unpacking an sdist."""

    root: Path
    """Its one top-level directory."""
    notes: tuple[Note, ...]
    """Notes on what was mended or left out."""
    newest: int | None
    """The latest time that a member states and that can be true; in seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedSdist:
    """The facts an sdist states about itself, read without unpacking it."""

    top: str
    """Its one top-level directory."""
    metadata: bytes | None
    """The content of its PKG-INFO, if it has one."""
    notes: tuple[Note, ...]
    """Notes on what unpacking would mend or leave out."""
    size_bytes: int
    sha256: str


class _CheckedSdist(NamedTuple):
    plan: Plan
    contents: SpoolContents
    notes: tuple[Note, ...]
    newest: int | None


def unpack_archive(
    archive: Path, directory: Path, *, links: Links | None = None, limits: Limits = DEFAULT_LIMITS
) -> Unpacked:
    """Unpack ``archive`` into ``directory``, private to the caller: all of it or nothing."""
    with _open_sdist(archive, directory, links, limits) as sdist:
        write_plan(sdist.plan, sdist.contents, str(directory))
    return Unpacked(root=directory / sdist.plan.top, notes=sdist.notes, newest=sdist.newest)


def inspect_sdist(archive: Path, limits: Limits = DEFAULT_LIMITS) -> InspectedSdist:
    """Return what ``archive`` is, checked as a whole; its directory is private and writable."""
    # The same links are refused whether they are kept or not, and keeping them needs no trial.
    with _open_sdist(archive, archive.parent, Links.KEEP, limits) as sdist:
        top = sdist.plan.top
        member = sdist.plan.files.get(f"{top}/PKG-INFO")
        metadata = None if member is None else b"".join(sdist.contents.chunks(member))
        size_bytes, sha256 = archive.stat().st_size, fs.digest(archive)
    return InspectedSdist(
        top=top, metadata=metadata, notes=sdist.notes, size_bytes=size_bytes, sha256=sha256
    )


@contextlib.contextmanager
def _open_sdist(
    archive: Path, directory: Path, links: Links | None, limits: Limits
) -> Generator[_CheckedSdist]:
    """Yield the plan of an sdist, which is to be unpacked into ``directory`` or not at all."""
    with _open(archive) as source, fs.spool(str(directory)) as spool:
        stem, suffix = split_suffix(archive.name)
        with _blaming_full_disk(directory):
            members, notes = _read_members(source, suffix, spool, limits)
        contents = SpoolContents(spool)
        ground = FilesystemCapabilities(str(directory))
        options = PlanOptions(
            stem=stem, is_zip=suffix == ZIP, limits=limits, ground=ground, links=links
        )
        plan = make_plan(members, contents, options)
        ask_data_filter(plan)
        notes += plan.notes
        newest = find_newest(members, time.time())
        yield _CheckedSdist(plan, contents, tuple(notes), newest)


@contextlib.contextmanager
def open_wheel_zip(archive: Path, workspace: Path, limits: Limits) -> Generator[WheelZip]:
    """Yield the content of a wheel; ``workspace`` is private and takes the spool."""
    with fs.spool(str(workspace)) as spool:
        with _open(archive) as source:
            members, notes = _read_members(source, ZIP, spool, limits)
            ground = FilesystemCapabilities(str(workspace))
            wheel = check_wheel_zip(members, SpoolContents(spool), limits, ground)
            wheel.plan.notes.extend(notes)
        yield wheel


@contextlib.contextmanager
def scan_wheel_zip(archive: Path, limits: Limits) -> Generator[WheelZip]:
    """Yield the same, read from the archive whenever it is asked for, and written nowhere."""
    with _open(archive) as source:
        size = os.fstat(source.fileno()).st_size
        check_magic(source, ZIP, size)
        members, notes, contents = list_zip(source, size, limits)
        wheel = check_wheel_zip(
            members, contents, limits, FilesystemCapabilities(str(archive.parent))
        )
        wheel.plan.notes.extend(notes)
        yield wheel


@contextlib.contextmanager
def _open(archive: Path) -> Generator[IO[bytes]]:
    """Open ``archive``, and name it in every error about it or about reading it."""
    try:
        with fs.translated("unpack", str(archive)), _open_file(archive) as source:
            yield source
    except RuleError as broken:
        raise broken.as_archive_error(archive.name) from None


def _open_file(archive: Path) -> IO[bytes]:
    if archive.is_file():
        with contextlib.suppress(FileNotFoundError):  # a collector may have removed it just now
            return archive.open("rb")
    raise FileMissingError("unpack", str(archive), "there is no such file")


@contextlib.contextmanager
def _blaming_full_disk(directory: Path) -> Generator[None]:
    """Name ``directory`` where the spool has no room: the archive is not to blame."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise file_access_error("unpack into", str(directory), error) from error
        raise


def _read_members(
    source: IO[bytes], suffix: str, spool: IO[bytes], limits: Limits
) -> tuple[list[Member], list[Note]]:
    """Fill ``spool`` with the content of the archive, and return its members."""
    size = os.fstat(source.fileno()).st_size
    check_magic(source, suffix, size)
    if suffix == ZIP:
        return read_zip(source, size, spool, limits)
    inflate(source, spool, limits)
    return read_tar(spool, spool.tell(), limits)
