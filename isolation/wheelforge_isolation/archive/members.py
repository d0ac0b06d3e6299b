"""The values that travel from the readers through the rules to the writer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple, Protocol

from wheelforge_isolation.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30
_FIRST_TRUE_TIME = 631152000
"""1990: what states an earlier time states none."""


class Kind(Enum):
    """What a member claims to be."""

    FILE = auto()
    DIRECTORY = auto()
    SYMLINK = auto()
    HARDLINK = auto()


class Links(Enum):
    """What becomes of an archive's symbolic links."""

    KEEP = "keep"
    COPY = "copy"


class Named(Protocol):
    """What a message can be about."""

    @property
    def name(self) -> str:
        """The name as the archive states it."""
        ...


class Source(Protocol):
    """A file of which any part can be read."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a position."""
        ...

    def read(self, size: int = -1, /) -> bytes:
        """Return bytes from there on."""
        ...


class Subject(NamedTuple):
    """A member of which no more than its place and its name is known yet."""

    number: int
    """Counted from 1, as messages count."""
    name: str

    def __str__(self) -> str:
        return f"member {self.number} {quoted(self.name)}"


class Member(NamedTuple):
    """One member as the archive states it; nothing about it has been judged yet."""

    number: int
    """Counted from 1, as messages count."""
    name: str
    kind: Kind
    offset: int = 0
    """Where the content starts in the spool."""
    size: int = 0
    target: str = ""
    executable: bool = False
    mtime: float | None = None

    def __str__(self) -> str:
        return f"member {self.number} {quoted(self.name)}"


def find_newest(members: Iterable[Member], now: float) -> int | None:
    """Return the latest time of all that can be true."""
    times = (member.mtime for member in members if member.mtime is not None)
    return max((int(time) for time in times if _FIRST_TRUE_TIME <= time <= now), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much an archive may ask for; no honest sdist comes near."""

    total_bytes: int = 4 * GIBIBYTE
    """All files together, copies made for links included."""
    member_bytes: int = 2 * GIBIBYTE
    members: int = 100_000
    """Extension headers included."""
    ratio: int = 100
    """Unpacked to packed bytes, looked at once the output exceeds ``ratio_from_bytes``."""
    ratio_from_bytes: int = 64 * MEBIBYTE
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
    """Otherwise worth a line only to those who asked for detail."""

    def __str__(self) -> str:
        return f"{self.text} [{self.rule}]"


class Contents(Protocol):
    """The unpacked bytes of every member, checked before anything is planned."""

    def chunks(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of ``member``."""
        ...

    def digest(self, member: Member) -> bytes:
        """Return what tells the content of ``member`` from any other; computed once for each."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be on disk, decided in full before the first byte is written."""

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
        """What the files take together."""
        return sum(member.size for member in self.files.values())
