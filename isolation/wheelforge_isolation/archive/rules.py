"""How a rule says no: by its number, which decides the kind of error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge_isolation import errors

if TYPE_CHECKING:
    from wheelforge_isolation.archive.members import Named

_KINDS: dict[str, type[errors.ArchiveError]] = {
    "D": errors.MembersClashError,
    "F": errors.ArchiveDamagedError,
    "L": errors.MemberLinkError,
    "N": errors.MemberNameError,
    "S": errors.MemberTypeError,
    "W": errors.WheelInvalidError,
    "X": errors.ArchiveTooLargeError,
    "Y": errors.ArchiveLayoutError,
    "Z": errors.ArchiveDamagedError,
    "F21": errors.ArchiveKindError,
    "F23": errors.MemberEscapesError,
    "L6": errors.MemberEscapesError,
    "L7": errors.MemberEscapesError,
    "L8": errors.MemberEscapesError,
    "L17": errors.MemberEscapesError,
    "N2": errors.MemberEscapesError,
    "N13": errors.MembersClashError,
    "Z6": errors.MembersClashError,
    "Z10": errors.ArchiveKindError,
    "Z11": errors.ArchiveKindError,
    "Z13": errors.MemberLinkError,
}


class RuleError(Exception):
    """A broken rule, before anyone has said which archive it was found in."""

    def __init__(self, rule: str, reason: str, member: Named | None = None) -> None:
        super().__init__(rule, reason, member)
        self.rule = rule
        self.reason = reason if member is None else f"{member} {reason}"
        self.member = "" if member is None else member.name

    def as_archive_error(self, archive: str) -> errors.ArchiveError:
        """Return the error to show, for the archive of that name."""
        kind = _KINDS.get(self.rule) or _KINDS[self.rule[0]]
        return kind(archive, self.rule, self.reason, self.member)
