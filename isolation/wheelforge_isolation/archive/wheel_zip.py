"""The zip that a wheel is: checked as an archive; its layout is checked with the wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge_isolation.archive.members import Kind, Plan
from wheelforge_isolation.archive.names import check_names
from wheelforge_isolation.archive.plan import raise_if_too_large
from wheelforge_isolation.archive.rules import RuleError
from wheelforge_isolation.archive.tree import build_tree
from wheelforge_isolation.archive.writer import write_below

if TYPE_CHECKING:
    from wheelforge_isolation.archive.members import Contents, Limits, Member
    from wheelforge_isolation.files.capabilities import FilesystemCapabilities

_MOST_TEXT_BYTES = 32 << 20


class WheelZip:
    """A zip of files and directories, each name with one content."""

    def __init__(self, plan: Plan, contents: Contents) -> None:
        self.plan = plan
        self.contents = contents

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
        write_below(self.plan, self.contents, directory)


def check_wheel_zip(
    members: list[Member], contents: Contents, limits: Limits, ground: FilesystemCapabilities
) -> WheelZip:
    """Refuse links and all that breaks an archive's rules wherever it is unpacked."""
    for member in members:
        if member.kind not in {Kind.FILE, Kind.DIRECTORY}:
            raise RuleError("Z13", "is a link, and a wheel has none", member)
    tree = build_tree(members, contents, limits, may_replace=False)
    tree.notes.extend(check_names(tree.entries, ground))
    plan = Plan(top="", directories={}, files={}, links={}, notes=tree.notes)
    for path, member in tree.entries.items():
        if member.kind is Kind.DIRECTORY:
            plan.directories[path] = member.mtime
        else:
            plan.files[path] = member
    raise_if_too_large(plan, limits)
    return WheelZip(plan, contents)
