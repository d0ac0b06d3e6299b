"""The values that travel through a build."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from wheelforge_isolation import Links


class Kind(Enum):
    """What can be built."""

    SDIST = "sdist"
    WHEEL = "wheel"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What one caller wants built; the same object for library and command line."""

    source: Path
    """Absolute; a directory or an sdist."""
    output: Path
    """Where the artifacts go."""
    kinds: tuple[Kind, ...] = ()
    """Unless given: a wheel from an sdist; from a directory an sdist, and a wheel through it."""
    links: Links | None = None
    chain: tuple[str, ...] = ()
    """What this is built for, outermost first, where it is a build requirement itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file that was built and delivered."""

    kind: Kind
    path: Path
