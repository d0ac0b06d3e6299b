"""The options of files that come beside artifacts."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from wheelforge.provenance.envelope import Signer


BESIDE = STATEMENT, SBOM = ".provenance.json", ".cdx.json"
"""The ends of the names of files beside an artifact, after its own name."""


def read_beside(artifact: Path) -> dict[str, bytes]:
    """Return the files that were delivered with an artifact, by their names."""
    paths = (artifact.with_name(f"{artifact.name}{suffix}") for suffix in BESIDE)
    return {path.name: path.read_bytes() for path in paths if path.is_file()}


class Sbom(Enum):
    """Where the list of what is in a wheel goes: beside the wheel, or into it."""

    OFF = "off"
    SIDECAR = "sidecar"
    EMBED = "embed"


class StatementForm(Enum):
    """The form of a signed statement."""

    DSSE = "dsse"
    PEP740 = "pep740"
    """An attestation object, without the log entry that a signing service would give."""


class Provenance(NamedTuple):
    """Files that come beside artifacts; none unless they are asked for."""

    statements: bool = False
    """Whether each wheel and sdist has a statement beside it of what it was built of."""
    signer: Signer | None = None
    """Signs statements."""
    sbom: Sbom = Sbom.OFF
    form: StatementForm = StatementForm.DSSE

    @property
    def identity(self) -> tuple[bool, str, str, str]:
        """The facts on which files beside artifacts depend."""
        key_id = self.signer.key_id if self.signer else ""
        return self.statements, key_id, self.sbom.value, self.form.value

    def sign(self, statement: bytes) -> bytes:
        """Return a statement as it is delivered."""
        if self.signer is None:
            return statement
        is_attested = self.form is StatementForm.PEP740
        return self.signer.attest(statement) if is_attested else self.signer.sign(statement)

    @property
    def key(self) -> dict[str, str]:
        """The facts on which the bytes of a wheel depend."""
        return {"sbom": self.sbom.value} if self.sbom is Sbom.EMBED else {}

    @property
    def is_wanted(self) -> bool:
        """Whether there are any."""
        return self.statements or self.sbom is not Sbom.OFF
