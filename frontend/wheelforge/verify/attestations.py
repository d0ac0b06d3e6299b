"""The attestations that an index has of a file (PEP 740): signed words of its publisher.

`pypi-attestations` checks them, where it is installed: it is no requirement of ours, as it brings
thirty packages. It asks Sigstore for the keys that are in force.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple, Protocol

from wheelforge.errors import ProvenanceError
from wheelforge.index.listing import ListingReader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    from wheelforge.index.settings import IndexSettings

_CHECKER = "pypi_attestations"
_ABSENT = (
    "its index has attestations of it; they are checked where `pypi-attestations` is installed"
)
_LONGEST = 300


class _Publisher(Protocol):
    def model_dump(self, *, exclude_none: bool) -> Mapping[str, object]: ...


class _Attestation(Protocol):
    def verify(self, identity: _Publisher, dist: object) -> object: ...


class _Bundle(Protocol):
    publisher: _Publisher
    attestations: Sequence[_Attestation]


class Attested(NamedTuple):
    """The result of a check of the attestations of a file."""

    publishers: tuple[str, ...] = ()
    """The publishers that have attested it, in words."""
    note: str = ""
    """Why they were not checked, if there are some."""


def check_attestations(file: Path, project: str, settings: IndexSettings) -> Attested:
    """Check all attestations that the index has of a file, which is the one that it has sent."""
    reader = ListingReader(settings)
    try:
        listing = reader.read(project)
        listed = listing and listing.find(file.name)
        content = reader.fetch_provenance(listed) if listed else None
    finally:
        reader.close()
    if content is None:
        return Attested()
    try:
        checker = importlib.import_module(_CHECKER)
    except ModuleNotFoundError:
        return Attested(note=_ABSENT)
    return Attested(tuple(dict.fromkeys(_check(checker, content, file))))


def _check(checker: ModuleType, content: bytes, file: Path) -> list[str]:
    """Return the publishers of all attestations; an error if one of these is no good."""
    found = list[str]()
    try:
        distribution = checker.Distribution.from_file(file)
        bundles: Sequence[_Bundle]
        bundles = checker.Provenance.model_validate_json(content).attestation_bundles
        for bundle in bundles:
            for attestation in bundle.attestations:
                attestation.verify(bundle.publisher, distribution)
                found.append(_describe(bundle.publisher))
    except ValueError as error:  # its own errors, and those of pydantic
        raise ProvenanceError("attestation-invalid", file.name, _shorten(error)) from error
    except Exception as error:  # it asks a network, and reads what others have written
        raise ProvenanceError("attestation-unchecked", file.name, _shorten(error)) from error
    if not found:
        raise ProvenanceError("attestation-invalid", file.name, "there is none")
    return found


def _describe(publisher: _Publisher) -> str:
    """Return a publisher in words, as `GitHub pypa/sampleproject release.yml`."""
    facts = {**publisher.model_dump(exclude_none=True)}
    facts.pop("claims", None)
    kind = str(facts.pop("kind", ""))
    return " ".join([kind, *map(str, facts.values())])


def _shorten(error: Exception) -> str:
    """Return the first line of what a library says."""
    line = (str(error).splitlines() or [""])[0]
    return (line or type(error).__name__)[:_LONGEST]
