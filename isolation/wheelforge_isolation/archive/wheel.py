"""The zip that a wheel is: checked as an archive here, and as a wheel in the room of wheels.

Of a wheel at an index only parts may be here: METADATA is read from the zip's directory and one
member, as strictly as from a whole wheel, so that a wheel has the same METADATA for the resolver as
for the environment.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, NamedTuple

from wheelforge_isolation.archive.members import Kind, Limits, Member, Note, Plan, RuleError, Source
from wheelforge_isolation.archive.plan import lay_out
from wheelforge_isolation.archive.spool import Contents, Meter
from wheelforge_isolation.archive.tree import build_tree, check_names
from wheelforge_isolation.archive.writer import write_plan
from wheelforge_isolation.archive.zip import inflate_entry, raise_if_unreadable
from wheelforge_isolation.archive.zip_directory import Entry, check_local, read_directory
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import normalize_name

if TYPE_CHECKING:
    from wheelforge_isolation.files.capabilities import FilesystemCapabilities

_MOST_TEXT_BYTES = 32 << 20
_METADATA = re.compile(r"([^/]+)-[^-/]+\.dist-info/METADATA")
_METADATA_LIMITS = Limits(member_bytes=16 << 20)


class WheelZip(NamedTuple):
    """A zip of files and directories, each name with one content."""

    plan: Plan
    contents: Contents

    @property
    def files(self) -> dict[str, Member]:
        """Every file by its path."""
        return self.plan.files

    def read(self, path: str, most: int = _MOST_TEXT_BYTES) -> bytes:
        """Return the content of a file that describes the wheel, of at most that many bytes."""
        member = self.files[path]
        if member.size > most:
            reason = f"has {member.size:,} bytes (limit {most:,} for a file that is parsed)"
            raise RuleError("X3", reason, member)
        return b"".join(self.contents.chunks(member))

    def write(self, directory: str) -> None:
        """Write everything into ``directory``, which must be private and empty."""
        write_plan(self.plan, self.contents, directory)


def check_wheel_zip(
    members: list[Member],
    notes: list[Note],
    contents: Contents,
    limits: Limits,
    capabilities: FilesystemCapabilities,
) -> WheelZip:
    """Refuse links and all that breaks an archive's rules wherever it is unpacked."""
    for member in members:
        if member.kind not in {Kind.FILE, Kind.DIRECTORY}:
            raise RuleError("Z13", "is a link, and a wheel has none", member)
    tree = build_tree(members, contents, limits, may_replace=False)
    tree.notes.extend(check_names(tree.entries, capabilities))
    tree.notes.extend(notes)
    return WheelZip(lay_out(tree, limits), contents)


def read_wheel_metadata(source: Source, size: int, *, file_name: str, project: str) -> bytes:
    """Return the METADATA of a wheel of ``project``, of ``size`` bytes; ``source`` can seek."""
    try:
        entry = check_local(source, _find_metadata(source, size, project))
        raise_if_unreadable(entry, _METADATA_LIMITS)
        return b"".join(inflate_entry(entry, source, Meter(_METADATA_LIMITS)))
    except RuleError as broken:
        raise broken.as_archive_error(file_name) from None


def _find_metadata(source: Source, size: int, project: str) -> Entry:
    found: list[Entry] = []
    for entry in read_directory(source, size, _METADATA_LIMITS.members):
        match = _METADATA.fullmatch(entry.member.name)
        with contextlib.suppress(FormatError):
            if match is not None and normalize_name(match[1]) == project:
                found.append(entry)
    if len(found) != 1:
        raise RuleError("W7", f"the wheel holds {len(found)} files that could be its METADATA")
    return found[0]
