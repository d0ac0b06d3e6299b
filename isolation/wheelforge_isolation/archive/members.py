"""The values that travel from the readers through the rules to the writer, and the broken rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple, Protocol

from wheelforge_isolation.errors import ArchiveError, WheelInvalidError, quoted


class Kind(Enum):
    """The kind of thing that a member claims to be."""

    FILE = auto()
    DIRECTORY = auto()
    SYMLINK = auto()
    HARDLINK = auto()


class Member(NamedTuple):
    """One member as the archive states it, as far as it has been read; nothing was judged yet."""

    number: int
    """Counted from 1, as messages count."""
    name: str
    kind: Kind = Kind.FILE
    offset: int = 0
    """Where the content starts: in the spool, or packed in the archive."""
    size: int = 0
    target: str = ""
    executable: bool = False
    mtime: float | None = None

    def __str__(self) -> str:
        return f"member {self.number} {quoted(self.name)}"


class Source(Protocol):
    """A file of which any part can be read."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a position."""
        ...

    def read(self, size: int = -1, /) -> bytes:
        """Return bytes from there on."""
        ...


class Links(Enum):
    """The ways to unpack an archive's symbolic links."""

    KEEP = "keep"
    COPY = "copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much an archive may ask for; no honest sdist comes near."""

    total_bytes: int = 4 << 30
    """All files together, copies made for links included."""
    member_bytes: int = 2 << 30
    members: int = 100_000
    """Extension headers included."""
    ratio: int = 100
    """Unpacked to packed bytes, looked at once the output exceeds ``ratio_from_bytes``."""
    ratio_from_bytes: int = 64 << 20
    path_bytes: int = 1024
    component_bytes: int = 255
    depth: int = 64
    link_hops: int = 40
    link_copies: int = 10_000
    """Entries made for links in copy mode: directory links can multiply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something odd that was mended or left out; nothing is dropped without one."""

    rule: str
    text: str
    is_warning: bool = True
    """Otherwise it is shown only where details are asked for."""

    def __str__(self) -> str:
        return f"{self.text} [{self.rule}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The tree that will be on disk, decided in full before the first byte is written."""

    top: str
    """The one top-level directory."""
    directories: dict[str, float | None]
    """Every directory, parents before children, with its time where the archive states one."""
    files: dict[str, Member]
    """Every path that will be a file, copies for links included, and whose bytes it gets."""
    links: dict[str, str]
    """Every path that will be a symbolic link, with its text."""
    notes: list[Note] = field(default_factory=list[Note])

    @property
    def total_bytes(self) -> int:
        """The size of all files together."""
        return sum(member.size for member in self.files.values())


class RuleError(Exception):
    """A broken rule, in a part of the code that does not know the name of the archive."""

    def __init__(self, rule: str, reason: str, member: Member | None = None) -> None:
        super().__init__(rule, reason, member)
        self.rule = rule
        self.reason = reason if member is None else f"{member} {reason}"
        self.member = "" if member is None else member.name

    def as_archive_error(self, archive: str) -> ArchiveError:
        """Return the error to show, for the archive of that name."""
        kind = WheelInvalidError if self.rule.startswith("W") else ArchiveError
        return kind(archive, self.rule, self.reason, self.member)
