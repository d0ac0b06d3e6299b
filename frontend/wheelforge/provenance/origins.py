"""Where the wheels of environments have come from: an index, a directory, or a build of ours."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.errors import ProvenanceError
from wheelforge.provenance.options import STATEMENT
from wheelforge_isolation.formats.tables import as_table
from wheelforge_isolation.formats.urls import local_path, without_secrets

if TYPE_CHECKING:
    from wheelforge.models import Artifact
    from wheelforge.provenance.options import Provenance
    from wheelforge.resolve import FetchPlan


class Origin(NamedTuple):
    """Where a wheel has come from."""

    url: str
    """Of the file; of the sdist if the wheel was built here."""
    is_built: bool = False
    sdist: str = ""
    """The SHA-256 of that sdist, if it is known."""
    statement: str = ""
    """The SHA-256 of the statement about a wheel that was built here."""
    uploaded: str = ""
    """The day on which the file was published, as ``2026-02-08``, if the index tells it."""


class WheelOrigins:
    """The origins of all wheels that a forge has met."""

    def __init__(self, options: Provenance) -> None:
        self._options = options
        self._origins: dict[str, Origin] = {}
        self._statements: dict[str, str] = {}
        self._sdists: dict[str, str] = {}

    def note_sdist(self, url: str, sha256: str) -> None:
        """Take note of the digest of an sdist that is required, which an index may not state."""
        self._sdists[url] = sha256

    def note_build(self, artifact: Artifact) -> Path:
        """Take note of a wheel that was built to be required, and return where it is."""
        self._statements[artifact.sha256] = artifact.statement
        return artifact.path

    def note(self, plan: FetchPlan) -> None:
        """Take note of the wheels of an environment."""
        for key, pin in zip(plan.keys, plan.resolution.pins, strict=True):
            told = self._read_beside(pin.url, key.sha256) if pin.is_wheel else None
            self._origins[key.sha256] = told or Origin(
                url=without_secrets(pin.url),
                is_built=not pin.is_wheel,
                sdist="" if pin.is_wheel else pin.sha256 or self._sdists.get(pin.url, ""),
                statement=self._statements.get(key.sha256, ""),
                uploaded=pin.uploaded,
            )

    def _read_beside(self, url: str, sha256: str) -> Origin | None:
        """Return what a statement beside the wheel of a directory says, if it is about that one.

        So a wheel that was built earlier in a batch is known by its statement.
        """
        place = local_path(url) if self._options.statements else None
        if place is None or not Path(f"{place}{STATEMENT}").is_file():
            return None
        from wheelforge.provenance.envelope import open_envelope
        from wheelforge.provenance.statement import Statement

        path = Path(f"{place}{STATEMENT}")
        with contextlib.suppress(ProvenanceError, OSError):
            statement = Statement(path.name, open_envelope(path.name, path.read_bytes())[0])
            if statement.subject[1] == sha256:
                pinned = as_table(statement.source.get("digest"))
                return Origin(
                    url=str(statement.source.get("uri", "")),
                    is_built=True,
                    sdist=str(pinned.get("sha256", "")),
                    statement=statement.sha256,
                )
        return None

    def find(self, sha256: str) -> Origin | None:
        """Return where the wheel with that digest has come from, if it is known."""
        return self._origins.get(sha256)
