"""The attestations that an index has of a file (PEP 740): signed words of its publisher.

`pypi-attestations` checks them. It is an extra, as it brings thirty packages, and asks Sigstore for
the keys that are in force.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING, NamedTuple, Protocol

from wheelforge.errors import PackageIndexError, ProvenanceError
from wheelforge.index.listing import ListingReader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    from wheelforge.index.settings import IndexSettings

_CHECKER = "pypi_attestations"
_ABSENT = "`{}` has attestations on its index; `wheelforge[attestations]` checks them"
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

    file: str = ""
    """Its name, if its index has some."""
    publishers: tuple[str, ...] = ()
    """The publishers that have attested it, in words."""
    note: str = ""
    """Why they were not checked."""


def check_attestations(
    file: Path, project: str, settings: IndexSettings, sha256: str = ""
) -> Attested:
    """Check all attestations that the index has of a file.

    If its ``sha256`` is given, the index may well have another file of that name, or no answer.
    """
    content = None
    with contextlib.closing(ListingReader(settings)) as reader:
        try:
            listing = reader.read(project)
            listed = listing and listing.find(file.name)
            if listed and sha256 in {"", listed.listed.hashes.get("sha256")}:
                content = reader.fetch_provenance(listed)
        except PackageIndexError as error:
            if not sha256:
                raise
            note = f"the attestations of `{file.name}` are not checked: {error}"
            return Attested(file.name, note=note)
    if content is None:
        return Attested()
    try:
        checker = importlib.import_module(_CHECKER)
    except ModuleNotFoundError:
        return Attested(file.name, note=_ABSENT.format(file.name))
    return Attested(file.name, tuple(dict.fromkeys(_check(checker, content, file))))


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
