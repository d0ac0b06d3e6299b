"""Foreign archives: read whole, judged whole, and only then written.

An archive is inflated into a spool to its very end, its members are read from there, a plan of what
will be on disk is made in memory, and the plan is written. Whoever refuses, refuses before the
first file exists. The rules have the numbers that their messages show: N names, L links, S types,
D duplicates, F tar and gzip, Z zip, X limits, Y the layout of an sdist.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from typing import IO, TYPE_CHECKING

from wheelforge_isolation import _fs
from wheelforge_isolation._ground import Ground
from wheelforge_isolation.archive.file_kind import ZIP, check_magic, split_suffix
from wheelforge_isolation.archive.inflate import inflate
from wheelforge_isolation.archive.members import (
    Limits,
    Links,
    Member,
    Note,
    Plan,
    find_newest,
)
from wheelforge_isolation.archive.names import fold
from wheelforge_isolation.archive.plan import Terms, make_plan
from wheelforge_isolation.archive.rules import RuleError
from wheelforge_isolation.archive.tar import read_tar
from wheelforge_isolation.archive.wheel_zip import WheelZip, check_wheel_zip
from wheelforge_isolation.archive.writer import write_plan
from wheelforge_isolation.archive.zip import list_zip, read_zip
from wheelforge_isolation.errors import FileMissingError, file_access_error, is_full
from wheelforge_isolation.values import Value, field

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

__all__ = [
    "DEFAULT_LIMITS",
    "InspectedSdist",
    "Limits",
    "Links",
    "Member",
    "Note",
    "RuleError",
    "Unpacked",
    "WheelZip",
    "fold",
    "inspect_sdist",
    "open_wheel_zip",
    "scan_wheel_zip",
    "unpack_archive",
]

_CHUNK = 1 << 20
DEFAULT_LIMITS = Limits()


class Unpacked(Value):
    """What an archive became."""

    root: Path
    """Its one top-level directory."""
    notes: tuple[Note, ...]
    """What was mended, and what was left out."""
    newest: int | None
    """The latest time that a member states and that can be true; in seconds since 1970."""


class InspectedSdist(Value):
    """What an sdist says of itself, found out without unpacking it."""

    top: str
    """Its one top-level directory."""
    metadata: bytes | None
    """What its PKG-INFO holds, if it has one."""
    notes: tuple[Note, ...]
    """What would be mended, or left out, by unpacking it."""
    size_bytes: int
    sha256: str


class _Judged(Value):
    plan: Plan
    contents: _SpoolContents
    notes: tuple[Note, ...]
    newest: int | None


def unpack_archive(
    archive: Path, directory: Path, *, links: Links | None = None, limits: Limits = DEFAULT_LIMITS
) -> Unpacked:
    """Unpack ``archive`` into ``directory``, private to the caller: all of it or nothing."""
    with _judged(archive, directory, links, limits) as judged:
        write_plan(judged.plan, judged.contents, str(directory))
    return Unpacked(root=directory / judged.plan.top, notes=judged.notes, newest=judged.newest)


def inspect_sdist(archive: Path, limits: Limits = DEFAULT_LIMITS) -> InspectedSdist:
    """Return what ``archive`` is, judged as a whole; its directory is private and writable."""
    # Links are judged alike whether they are kept or not, and keeping them needs no trial.
    with _judged(archive, archive.parent, Links.KEEP, limits) as judged:
        top = judged.plan.top
        member = judged.plan.files.get(f"{top}/PKG-INFO")
        metadata = None if member is None else b"".join(judged.contents.chunks(member))
        size_bytes, sha256 = archive.stat().st_size, _fs.digest(archive)
    return InspectedSdist(
        top=top, metadata=metadata, notes=judged.notes, size_bytes=size_bytes, sha256=sha256
    )


@contextlib.contextmanager
def _judged(
    archive: Path, directory: Path, links: Links | None, limits: Limits
) -> Generator[_Judged]:
    """Yield the plan of an sdist, which is to be unpacked into ``directory`` or not at all."""
    with _judging(archive) as source, _fs.spool(str(directory)) as spool:
        stem, suffix = split_suffix(archive.name)
        with _blaming_full_disk(directory):
            members, notes = _read_members(source, suffix, spool, limits)
        contents = _SpoolContents(spool=spool)
        ground = Ground(str(directory))
        terms = Terms(stem=stem, is_zip=suffix == ZIP, limits=limits, ground=ground, links=links)
        plan = make_plan(members, contents, terms)
        notes += plan.notes
        newest = find_newest(members, time.time())
        yield _Judged(plan=plan, contents=contents, notes=tuple(notes), newest=newest)


@contextlib.contextmanager
def open_wheel_zip(archive: Path, workspace: Path, limits: Limits) -> Generator[WheelZip]:
    """Yield what a zip holds that is no sdist; ``workspace`` is private and takes the spool."""
    with _fs.spool(str(workspace)) as spool:
        with _judging(archive) as source:
            members, notes = _read_members(source, ZIP, spool, limits)
            ground = Ground(str(workspace))
            plain = check_wheel_zip(members, _SpoolContents(spool=spool), limits, ground)
            plain.plan.notes.extend(notes)
        yield plain


@contextlib.contextmanager
def scan_wheel_zip(archive: Path, limits: Limits) -> Generator[WheelZip]:
    """Yield the same, read from the archive whenever it is asked for, and written nowhere."""
    with _judging(archive) as source:
        size = os.fstat(source.fileno()).st_size
        check_magic(source, ZIP, size)
        members, notes, contents = list_zip(source, size, limits)
        plain = check_wheel_zip(members, contents, limits, Ground(str(archive.parent)))
        plain.plan.notes.extend(notes)
        yield plain


@contextlib.contextmanager
def _judging(archive: Path) -> Generator[IO[bytes]]:
    """Open ``archive``; name it in whatever is found wrong with it or with reading it."""
    try:
        with _fs.translated("unpack", str(archive)), _open(archive) as source:
            yield source
    except RuleError as broken:
        raise broken.blame(archive.name) from None


def _open(archive: Path) -> IO[bytes]:
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
    """Fill ``spool`` with what the archive holds, and return its members."""
    size = os.fstat(source.fileno()).st_size
    check_magic(source, suffix, size)
    if suffix == ZIP:
        return read_zip(source, size, spool, limits)
    inflate(source, spool, limits)
    return read_tar(spool, spool.tell(), limits)


class _SpoolContents(Value):
    spool: IO[bytes]
    digests: dict[tuple[int, int], bytes] = field(default_factory=dict[tuple[int, int], bytes])

    def chunks(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of ``member``, a bounded piece at a time."""
        end = member.offset + member.size
        for start in range(member.offset, end, _CHUNK):
            self.spool.seek(start)
            yield self.spool.read(min(_CHUNK, end - start))

    def digest(self, member: Member) -> bytes:
        """Return the SHA-256 of the bytes of ``member``."""
        key = member.offset, member.size  # an empty member starts where the next one does
        if key not in self.digests:
            seal = hashlib.sha256()
            for chunk in self.chunks(member):
                seal.update(chunk)
            self.digests[key] = seal.digest()
        return self.digests[key]
