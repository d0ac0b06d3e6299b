"""Requirements as the resolver sees them: each about one name, and one extra of it or none."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from wheelforge.errors import RequirementInvalidError
from wheelforge_isolation.formats import FormatError, requirements
from wheelforge_isolation.formats.requirements import parse_specifier
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    from wheelforge.index import Candidate
    from wheelforge.resolve.types import Question

ANY = parse_specifier("")
Key = tuple[str, str]
"""A name, and one of its extras or nothing."""
_MOST_SHOWN = 200
_parse = lru_cache(maxsize=1 << 12)(requirements.parse_requirement)
"""Cached, as each extra of a file reads its metadata again."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Choice:
    """A file that may be chosen, or one extra of it; there is one object for each."""

    candidate: Candidate
    extra: str = ""

    @property
    def key(self) -> Key:
        """What it would be the choice for."""
        return self.candidate.name, self.extra

    def __str__(self) -> str:
        extra = f"[{self.extra}]" if self.extra else ""
        return f"{self.candidate.name}{extra} {self.candidate.version}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What one requirement asks of one name and extra."""

    name: str
    text: str
    """As it is spelled, without secrets."""
    extra: str = ""
    specifier: SpecifierSet = ANY
    url: str = ""
    hashes: tuple[str, ...] = ()
    only: Candidate | None = field(default=None, hash=False)
    """What an extra goes with, and nothing else."""
    is_vain: bool = False
    """Whether nothing can satisfy it, for the reason that is its text."""

    @property
    def key(self) -> Key:
        """What it is about."""
        return self.name, self.extra


Demand = tuple[Wish, Choice | None]
"""A wish, and the choice that has it; none where the question itself does."""


def read_wishes(question: Question) -> list[Wish]:
    """Return what is required, in an order that does not depend on how it was written down."""
    whose = question.subject
    found = _read_all(question.requirements, question, whose)
    return [part for wish, extras in found for part in expand(wish, extras)]


def read_constraints(question: Question) -> dict[str, list[Wish]]:
    """Return what is demanded of each name, if it is needed at all."""
    found: dict[str, list[Wish]] = {}
    for wish, extras in _read_all(question.constraints, question, "the constraints"):
        if extras:
            problem = "a constraint has no extras"
            raise RequirementInvalidError(wish.text, "the constraints", problem)
        found.setdefault(wish.name, []).append(wish)
    return found


def _read_all(
    texts: Iterable[str], question: Question, whose: str
) -> Iterator[tuple[Wish, list[str]]]:
    for text in sorted(set(texts)):
        requirement = parse_requirement(text, whose)
        wish, extras = _make_wish(requirement, text)
        if applies(requirement, whose, question.python.markers):
            yield replace(wish, hashes=question.hashes.get(text, ())), extras


def parse_requirement(text: str, whose: str) -> Requirement:
    """Return what ``text`` means, or refuse it in the name of its author."""
    try:
        return _parse(text)
    except FormatError as error:
        raise RequirementInvalidError(redact(text[:_MOST_SHOWN]), whose, str(error)) from error


def applies(
    requirement: Requirement, whose: str, markers: Mapping[str, str], extra: str = ""
) -> bool:
    """Return whether a requirement is one here, for somebody who wants ``extra``."""
    try:
        return requirements.applies(requirement, markers, extra)
    except FormatError as error:
        text = redact(str(requirement))
        raise RequirementInvalidError(text, whose, str(error)) from error


def read_needs(
    choice: Choice, requires: Iterable[str], markers: Mapping[str, str]
) -> Iterator[Wish]:
    """Yield what a file, or an extra of it, asks for according to its metadata."""
    for text in requires:
        requirement = parse_requirement(text, f"`{choice}`")
        is_wanted = applies(requirement, f"`{choice}`", markers, choice.extra)
        # What is needed without the extra is a wish of the file already.
        if is_wanted and choice.extra and applies(requirement, f"`{choice}`", markers):
            continue
        if is_wanted:
            yield from expand(*_make_wish(requirement, text))


def _make_wish(requirement: Requirement, text: str) -> tuple[Wish, list[str]]:
    wish = Wish(
        name=canonicalize_name(requirement.name),
        text=redact(" ".join(text.split())),
        specifier=requirement.specifier,
        url=requirement.url or "",
    )
    return wish, sorted({canonicalize_name(extra) for extra in requirement.extras})


def expand(wish: Wish, extras: Iterable[str]) -> Iterator[Wish]:
    """Yield a wish for the file itself, which decides, and one for each extra."""
    yield wish
    for extra in extras:
        yield replace(wish, extra=extra)


def vain(choice: Choice, reason: str) -> Wish:
    """Return a wish of ``choice`` by which it rules itself out."""
    return Wish(name="", extra=str(choice), text=reason, is_vain=True)
