"""Foreign archives: read whole, judged whole, and only then written.

An archive is inflated into a spool to its very end, its members are read from there, a plan of the
tree on disk is made in memory, and the plan is written. An archive is refused before the first file
exists. Every rule is in RULES.md, by the number that its messages show.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from wheelforge_isolation.archive.members import Limits, Links, Member, Note, Plan, RuleError
from wheelforge_isolation.archive.plan import PlanOptions, make_plan
from wheelforge_isolation.archive.spool import (
    ZIP,
    Contents,
    check_magic,
    inflate,
    open_spool,
    split_suffix,
)
from wheelforge_isolation.archive.tar import read_tar
from wheelforge_isolation.archive.wheel import WheelZip, check_wheel_zip
from wheelforge_isolation.archive.writer import write_plan
from wheelforge_isolation.archive.zip import list_zip, read_zip
from wheelforge_isolation.errors import FileMissingError, file_access_error, is_full
from wheelforge_isolation.files import fs
from wheelforge_isolation.files.capabilities import FilesystemCapabilities

DEFAULT_LIMITS = Limits()
UNLIMITED = Limits(
    total_bytes=sys.maxsize, member_bytes=sys.maxsize, members=sys.maxsize, ratio=sys.maxsize
)
"""For an archive that was made here, of which nothing is written."""
_FIRST_TRUE_TIME = 631152000
"""1990: what states an earlier time states none."""


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


def unpack_archive(
    archive: Path, directory: Path, *, links: Links | None = None, limits: Limits = DEFAULT_LIMITS
) -> Unpacked:
    """Unpack ``archive`` into ``directory``, private to the caller: all of it or nothing."""
    with open_sdist(archive, directory, links, limits) as (plan, contents, newest):
        write_plan(plan, contents, str(directory))
    return Unpacked(root=directory / plan.top, notes=tuple(plan.notes), newest=newest)


def inspect_sdist(archive: Path, limits: Limits = DEFAULT_LIMITS) -> InspectedSdist:
    """Return what ``archive`` is, checked as a whole; its directory is private and writable."""
    # The same links are refused whether they are kept or not, and keeping them needs no trial.
    with open_sdist(archive, archive.parent, Links.KEEP, limits) as (plan, contents, _):
        member = plan.files.get(f"{plan.top}/PKG-INFO")
        return InspectedSdist(
            top=plan.top,
            metadata=None if member is None else b"".join(contents.chunks(member)),
            notes=tuple(plan.notes),
            size_bytes=archive.stat().st_size,
            sha256=fs.digest(archive),
        )


@contextlib.contextmanager
def open_sdist(
    archive: Path, directory: Path, links: Links | None, limits: Limits
) -> Generator[tuple[Plan, Contents, int | None]]:
    """Yield plan, contents and newest time of an sdist to be unpacked into ``directory``."""
    with _open(archive) as source, fs.spool(str(directory)) as spool:
        stem, suffix = split_suffix(archive.name)
        try:
            members, notes = _read_members(source, suffix, spool, limits)
        except OSError as error:
            if is_full(error):  # the spool has no room: the archive is not to blame
                raise file_access_error("unpack into", str(directory), error) from error
            raise
        contents = open_spool(spool)
        capabilities = FilesystemCapabilities(str(directory))
        plan = make_plan(
            members, contents, PlanOptions(stem, suffix == ZIP, limits, capabilities, links)
        )
        plan.notes[:0] = notes
        now = time.time()
        times = (member.mtime for member in members if member.mtime is not None)
        true_times = (int(each) for each in times if _FIRST_TRUE_TIME <= each <= now)
        yield plan, contents, max(true_times, default=None)


@contextlib.contextmanager
def open_wheel_zip(
    archive: Path, limits: Limits, workspace: Path | None = None
) -> Generator[WheelZip]:
    """Yield the content of a wheel; ``workspace`` is private and takes the spool.

    Without one nothing is written: each content is read from the archive when it is asked for.
    """
    capabilities = FilesystemCapabilities(str(workspace or archive.parent))
    if workspace is None:
        with _open(archive) as source:
            size = os.fstat(source.fileno()).st_size
            check_magic(source, ZIP, size)
            members, notes, contents = list_zip(source, size, limits)
            yield check_wheel_zip(members, notes, contents, limits, capabilities)
        return
    with fs.spool(str(workspace)) as spool:
        yield _inflate_wheel(archive, spool, limits, capabilities)


def _inflate_wheel(
    archive: Path, spool: IO[bytes], limits: Limits, capabilities: FilesystemCapabilities
) -> WheelZip:
    with _open(archive) as source:
        members, notes = _read_members(source, ZIP, spool, limits)
        return check_wheel_zip(members, notes, open_spool(spool), limits, capabilities)


@contextlib.contextmanager
def _open(archive: Path) -> Generator[IO[bytes]]:
    """Open ``archive``, and name it in every error about it or about reading it."""
    try:
        with fs.raising_file_errors("unpack", str(archive)), _open_file(archive) as source:
            yield source
    except RuleError as broken:
        raise broken.as_archive_error(archive.name) from None


def _open_file(archive: Path) -> IO[bytes]:
    if archive.is_file():
        with contextlib.suppress(FileNotFoundError):  # a collector may have removed it just now
            return archive.open("rb")
    reason = "it is no regular file" if archive.exists() else "there is no such file"
    reason = "it is a directory" if archive.is_dir() else reason
    raise FileMissingError("unpack", str(archive), reason)


def _read_members(
    source: IO[bytes], suffix: str, spool: IO[bytes], limits: Limits
) -> tuple[list[Member], list[Note]]:
    size = os.fstat(source.fileno()).st_size
    check_magic(source, suffix, size)
    if suffix == ZIP:
        return read_zip(source, size, spool, limits)
    inflate(source, spool, limits)
    return read_tar(spool, spool.tell(), limits)
