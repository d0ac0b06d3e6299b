"""The resolver's request and its answer: plain values, costing nothing to import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge_isolation.formats.sealed import fingerprint

if TYPE_CHECKING:
    from datetime import datetime

    from wheelforge.index import Candidate
    from wheelforge_isolation import Interpreter

    Builder = Callable[[Candidate], Path]
    """Makes a wheel of an sdist."""


class ResolutionRequest(NamedTuple):
    """Requirements to be resolved, for one Python, by one set of indexes."""

    requirements: tuple[str, ...]
    python: Interpreter
    index_identity: str = ""
    """The identity of the index settings."""
    constraints: tuple[str, ...] = ()
    hashes: Mapping[str, tuple[str, ...]] = {}
    """Per requirement or constraint, as it is spelled: the ``sha256:...`` that are accepted."""
    require_hashes: bool = False
    """Whether every file needs a hash that was stated."""
    exclude_newer: datetime | None = None
    """Files that were published at this time or later do not exist; local files always do."""
    oldest: bool = False
    """Whether, where nothing that fits was published in time, the oldest that fits will do."""
    prefers_wheels: bool = False
    """Whether an older wheel is better than a newer sdist."""
    subject: str = "the project"
    """The owner of the requirements, for messages."""
    chain: tuple[str, ...] = ()
    """The projects that are being built already, outermost first, if the request is for one."""
    places: tuple[str, ...] = ()
    """The local directories among the indexes; when they change, an answer is out of date."""
    replacements: tuple[str, ...] = ()
    """Requirements in the place of all of the same names, wherever these come from."""
    excluded: tuple[str, ...] = ()
    """Canonical names of which nothing is required, whatever says so."""
    overrides: str = ""
    """The digest of all overrides, which may change what is built on the way."""
    refuses_wheel: Callable[[str, str], bool] | None = None
    """Whether a release is not taken as a wheel; as ``overrides`` have it."""
    is_local: bool = False
    """Whether nothing but such directories is asked, which takes no network."""

    @property
    def digest(self) -> str:
        """The same for two requests that must have the same answer, as things are."""
        python = self.python
        cutoff = self.exclude_newer
        facts = (
            *(sorted(set(texts)) for texts in (self.requirements, self.constraints)),
            sorted((text, sorted(hashes)) for text, hashes in self.hashes.items()),
            (python.identity, python.version, sorted(python.markers.items()), python.tags),
            self.index_identity,
            cutoff and cutoff.astimezone(UTC).isoformat(),
            (self.require_hashes, self.oldest, self.prefers_wheels),
        )
        if not self.overrides:
            return fingerprint(facts)
        return fingerprint((facts, self.replacements, self.excluded, self.overrides))


class Pin(NamedTuple):
    """One file that was chosen: a wheel, or an sdist that a wheel is to be built of."""

    name: str
    version: str
    file_name: str
    url: str
    sha256: str
    """Of the file; empty as long as it is neither stated nor computed."""
    origin: str
    is_wheel: bool
    requested_by: tuple[str, ...] = ()
    """The requirements that led to it, those of other pins with the name and version before."""
    accepted: tuple[str, ...] = ()
    """The hashes that were stated for it, as ``sha256:...``; one of them has to be its own."""
    uploaded: str = ""
    """The day, as the index has it: ``2026-02-08``."""


class Resolution(NamedTuple):
    """The answer to a request."""

    pins: tuple[Pin, ...]
    """Sorted by name; each name once."""
    notes: tuple[str, ...] = ()
