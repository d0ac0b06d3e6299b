"""Requirements as the resolver sees them: each about one name, and one extra of it or none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from wheelforge.errors import RequirementInvalidError
from wheelforge.index.candidates import has_hash
from wheelforge_isolation.formats import FormatError, requirements
from wheelforge_isolation.formats.requirements import parse_specifier
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from resolvelib.structs import RequirementInformation

    from wheelforge.index import Candidate
    from wheelforge.resolve.types import ResolutionRequest

    Requested = RequirementInformation["WantedPackage", "ResolverCandidate"]
    """A requirement and its parent, which is None for those of the request itself."""

ANY = parse_specifier("")
Key = tuple[str, str]
"""A name, and one of its extras or nothing."""
_MOST_SHOWN = 200
_parse = lru_cache(maxsize=1 << 12)(requirements.parse_requirement)
"""Cached, as each extra of a file reads its metadata again."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ResolverCandidate:
    """A file that may be chosen, or one extra of it; there is one object for each."""

    file: Candidate
    extra: str = ""

    @property
    def key(self) -> Key:
        """The name and extra that it is a candidate for."""
        return self.file.name, self.extra

    def __str__(self) -> str:
        extra = f"[{self.extra}]" if self.extra else ""
        return f"{self.file.name}{extra} {self.file.version}"


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedPackage:
    """One requirement, as far as it is about one name and extra."""

    name: str
    text: str
    """As it is spelled, without secrets."""
    extra: str = ""
    specifier: SpecifierSet = ANY
    url: str = ""
    hashes: tuple[str, ...] = ()
    only: Candidate | None = field(default=None, hash=False)
    """The file that an extra belongs to, and no other."""
    is_impossible: bool = False
    """Whether no file can satisfy it, for the reason that is its text."""

    @property
    def key(self) -> Key:
        """The name and extra that it is about."""
        return self.name, self.extra

    def is_satisfied_by(self, file: Candidate) -> bool:
        """Return whether a file of the right name is wanted, if it may be used."""
        if self.only is not None:
            return self.only is file
        return self.specifier.contains(file.version, prereleases=True) and has_hash(
            file, self.hashes
        )


def read_requirements(request: ResolutionRequest) -> list[WantedPackage]:
    """Return what is required, in an order that does not depend on how it was written down."""
    texts = request.requirements
    return [part for parts in _read_all(texts, request, request.subject) for part in parts]


def read_constraints(request: ResolutionRequest) -> dict[str, list[WantedPackage]]:
    """Return what is demanded of each name, if it is needed at all."""
    found: dict[str, list[WantedPackage]] = {}
    for wanted, *extras in _read_all(request.constraints, request, "the constraints"):
        if extras:
            problem = "a constraint has no extras"
            raise RequirementInvalidError(wanted.text, "the constraints", problem)
        found.setdefault(wanted.name, []).append(wanted)
    return found


def _read_all(
    texts: Iterable[str], request: ResolutionRequest, whose: str
) -> Iterator[list[WantedPackage]]:
    for text in sorted(set(texts)):
        parts = parse(text, whose, request)
        if parts:
            yield [replace(part, hashes=request.hashes.get(text, ())) for part in parts]


def read_dependencies(
    candidate: ResolverCandidate, requires: Iterable[str], request: ResolutionRequest
) -> Iterator[WantedPackage]:
    """Yield what a file, or an extra of it, requires according to its metadata."""
    for text in requires:
        yield from parse(text, f"`{candidate}`", request, candidate.extra)


def parse(
    text: str, whose: str, request: ResolutionRequest, extra: str = ""
) -> list[WantedPackage]:
    """Return what a requirement wants: the file itself, which decides, and each extra.

    Nothing if it does not apply to this Python, or not to ``extra`` in particular. A requirement
    that is none is refused in the name of its author.
    """
    try:
        requirement = _parse(text)
    except FormatError as error:
        raise RequirementInvalidError(redact(text[:_MOST_SHOWN]), whose, str(error)) from error
    markers = request.python.markers
    try:
        applies = requirements.applies(requirement, markers, extra)
        # A requirement that applies without the extra is one of the file itself.
        if applies and extra:
            applies = not requirements.applies(requirement, markers)
    except FormatError as error:
        shown = redact(str(requirement))
        raise RequirementInvalidError(shown, whose, str(error)) from error
    if not applies:
        return []
    name = canonicalize_name(requirement.name)
    instead = [
        each for each in request.replacements if canonicalize_name(_parse(each).name) == name
    ]
    if name in request.excluded or (instead and text not in instead):
        found = (parse(each, "the overrides", request) for each in instead)
        return [wanted for parts in found for wanted in parts]
    wanted = WantedPackage(
        name=name,
        text=redact(" ".join(text.split())),
        specifier=requirement.specifier,
        url=requirement.url or "",
    )
    extras = sorted({canonicalize_name(extra) for extra in requirement.extras})
    return [wanted, *(replace(wanted, extra=extra) for extra in extras)]
