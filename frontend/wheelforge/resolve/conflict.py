"""Why there is no answer, in words."""

from __future__ import annotations

import contextlib
from itertools import islice
from typing import TYPE_CHECKING

from wheelforge.errors import RequirementsError
from wheelforge.index.candidates import MOST_SHOWN, group_by_reason, list_versions
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import parse_version
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    from wheelforge.resolve.catalogue import Catalogue
    from wheelforge.resolve.provider import Cause
    from wheelforge.resolve.requirements import Choice, Demand, Wish
    from wheelforge.resolve.types import Question

_MOST_LINES = 8


class Explainer:
    """Puts the causes that the search ended with into words."""

    def __init__(
        self, question: Question, catalogue: Catalogue, needs: Mapping[Choice, Sequence[Wish]]
    ) -> None:
        self._question = question
        self._catalogue = catalogue
        self._needs = needs
        """What each file that was looked at asks for."""

    def explain(self, causes: Sequence[Cause], roots: Sequence[Wish]) -> RequirementsError:
        """Return the error that says which requirement of whom excludes what."""
        names = sorted({cause.requirement.name for cause in causes} - {""})
        wishes = {
            name: [c.requirement for c in causes if c.requirement.name == name] for name in names
        }
        stuck = [name for name in names if not self._catalogue.pick(name, wishes[name])]
        every = [(cause.requirement, cause.parent) for cause in causes]
        every += self._find_grounds(every, roots)
        details = [
            *_shorten([*_describe_demands(every, self._question.subject)]),
            *(line for name in stuck or names for line in self._describe(name, wishes[name])),
        ]
        summary = self._summarize(stuck, names, causes)
        return RequirementsError(
            "requirements-conflict", tuple(stuck or names), summary, tuple(details)
        )

    def _find_grounds(self, demands: Sequence[Demand], roots: Sequence[Wish]) -> list[Demand]:
        """Return why those who ask for something are there, up to what was asked for directly."""
        grounds: list[Demand] = []
        pending = [parent.candidate.name for _, parent in demands if parent]
        seen = set[str]()
        while pending:
            name = pending.pop(0)
            direct: list[Demand] = [(root, None) for root in roots if root.name == name]
            found = direct or self._find_askers(name)[:1]
            grounds += found if name not in seen else ()
            pending += [parent.candidate.name for _, parent in found if parent and name not in seen]
            seen.add(name)
        return grounds

    def _find_askers(self, name: str) -> list[Demand]:
        return [
            (wish, choice)
            for choice, wishes in self._needs.items()
            for wish in wishes
            if wish.name == name and wish.only is None
        ]

    def _summarize(self, stuck: list[str], names: list[str], causes: Sequence[Cause]) -> str:
        subject = self._question.subject
        if not names:
            unusable = sorted({cause.parent.candidate.name for cause in causes if cause.parent})
            return f"no version of {_join(unusable)} can be used"
        if not stuck:
            return f"{_join(names)} conflict"
        name = stuck[0]
        has_url = any(cause.requirement.url for cause in causes if cause.requirement.name == name)
        if not has_url and not self._catalogue.project(name):
            return f"there is nothing of `{name}` that could be used"
        askers = {(c.parent, c.requirement.text) for c in causes if c.requirement.name == name}
        constrained = len(self._catalogue.all_wishes(name, ()))
        if len(askers) + constrained == 1:
            ((parent, text),) = askers
            return f"no version of `{name}` is what {_who(parent, subject)} asks for: `{text}`"
        return f"no version of `{name}` suits all who ask for it"

    def _describe(self, name: str, wishes: Sequence[Wish]) -> Iterator[str]:
        every = self._catalogue.all_wishes(name, ())
        yield from (f"the constraints demand `{wish.text}`" for wish in every)
        wishes = [*wishes, *every]
        urls = sorted({wish.url for wish in wishes if wish.url})
        if urls:
            yield from self._describe_direct(name, urls, wishes)
        else:
            yield from self._describe_versions(name, wishes)
            yield from filter(None, [self._catalogue.explain(name)])

    def _describe_direct(
        self, name: str, urls: Sequence[str], wishes: Sequence[Wish]
    ) -> Iterator[str]:
        for url in urls:
            found = self._catalogue.find_direct(name, url, wishes)
            what = f"of no use: {found}" if isinstance(found, str) else f"`{name}` {found.version}"
            yield f"what `{redact(url)}` leads to is {what}"

    def _describe_versions(self, name: str, wishes: Sequence[Wish]) -> Iterator[str]:
        reasons = self._catalogue.explain_versions(name, wishes)
        free = [version for version, reason in reasons.items() if not reason]
        if free:
            yield f"available: `{name}` {list_versions(free)}{_describe_closest(free, wishes)}"
        groups = group_by_reason(reasons, [wish.specifier for wish in wishes])
        for reason, versions in islice(groups, _MOST_LINES):
            yield f"`{name}` {versions} cannot be taken: {reason}"


def _describe_demands(demands: Iterable[Demand], subject: str) -> Iterator[str]:
    """Yield a line for each requirement; versions that ask for the same thing share one."""
    found: dict[tuple[str, str, bool], list[Choice]] = {}
    for wish, parent in demands:
        asker = "" if parent is None else parent.key[0]
        askers = found.setdefault((asker, wish.text, wish.is_vain), [])
        askers.extend([parent] if parent and parent not in askers else [])
    for (_, text, is_vain), parents in found.items():
        who = _who_all(parents, subject)
        verb = "asks" if len(parents) <= 1 else "ask"
        yield f"{who} cannot be used: {text}" if is_vain else f"{who} {verb} for `{text}`"


def _who(parent: Choice | None, subject: str) -> str:
    return subject if parent is None else f"`{parent}`"


def _who_all(parents: Sequence[Choice], subject: str) -> str:
    if not parents:
        return subject
    versions = sorted({parent.candidate.version for parent in parents}, reverse=True)
    name = str(parents[0]).rpartition(" ")[0]
    return f"`{name}` {list_versions(versions)}" if len(versions) > 1 else f"`{parents[0]}`"


def _describe_closest(versions: Sequence[Version], wishes: Iterable[Wish]) -> str:
    """Return which of ``versions``, newest first, are next to those that ``wishes`` name."""
    shown = versions[:MOST_SHOWN]
    bounds = {bound for wish in wishes for bound in _named_versions(wish.specifier)}
    closest = {
        found
        for bound in bounds
        for found in (
            next((each for each in versions if each <= bound), bound),
            next((each for each in reversed(versions) if each >= bound), bound),
        )
    }
    hidden = sorted(closest.intersection(versions).difference(shown), reverse=True)
    return f"; closest to what is asked for: {list_versions(hidden)}" if hidden else ""


def _named_versions(specifier: SpecifierSet) -> Iterator[Version]:
    for part in specifier:
        with contextlib.suppress(FormatError):
            yield parse_version(part.version.removesuffix(".*"))


def _shorten(lines: list[str]) -> list[str]:
    lines = [*dict.fromkeys(lines)]
    more = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], f"and {more} more demands"] if more > 0 else lines


def _join(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return " and ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))
