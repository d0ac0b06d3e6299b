"""Attestation objects, and the provenance objects that an index has of them (PEP 740)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from wheelforge.errors import ProvenanceError
from wheelforge.provenance.statement import parse_object

if TYPE_CHECKING:
    from pathlib import Path

    Facts = dict[str, Any]

PROVENANCE = "application/vnd.pypi.integrity.v1+json"
"""The content type of a provenance object."""
_PUBLISHER = "wheelforge"


def read_attestation(path: Path) -> Facts | None:
    """Return the attestation object in a file; nothing if it has a statement in another form."""
    try:
        found = parse_object(path.name, path.read_bytes())
    except (OSError, ProvenanceError):
        return None
    return found if "verification_material" in found else None


def compose_provenance(attestation: Facts) -> bytes:
    """Return the provenance object of a file that has one attestation, which this server made."""
    bundle = {"publisher": {"kind": _PUBLISHER}, "attestations": [attestation]}
    return json.dumps({"version": 1, "attestation_bundles": [bundle]}).encode()
