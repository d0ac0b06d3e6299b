"""The options of files that come beside artifacts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wheelforge.provenance.envelope import Signer


class Sbom(Enum):
    """Where the list of what is in a wheel goes: beside the wheel, or into it."""

    OFF = "off"
    SIDECAR = "sidecar"
    EMBED = "embed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Files that come beside artifacts; none unless they are asked for."""

    statements: bool = False
    """Whether each wheel and sdist has a statement beside it of what it was built of."""
    signer: Signer | None = None
    """Signs statements."""
    sbom: Sbom = Sbom.OFF

    @property
    def key(self) -> dict[str, str]:
        """The facts on which the bytes of a wheel depend."""
        return {"sbom": self.sbom.value} if self.sbom is Sbom.EMBED else {}

    @property
    def is_wanted(self) -> bool:
        """Whether there are any."""
        return self.statements or self.sbom is not Sbom.OFF
