"""Why requirements cannot be resolved, in words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from resolvelib.structs import RequirementInformation

from wheelforge.errors import PackageNotFoundError, RequirementsError
from wheelforge.index.candidates import MOST_SHOWN, group_by_reason, list_versions
from wheelforge.resolve.requirements import ANY
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import parse_version
from wheelforge_isolation.formats.requirements import is_exact
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    from packaging.version import Version

    from wheelforge.errors import BuildError
    from wheelforge.resolve.finder import CandidateFinder
    from wheelforge.resolve.requirements import Requested, ResolverCandidate, WantedPackage
    from wheelforge.resolve.types import ResolutionRequest

_MOST_LINES = 8


class Explainer:
    """Puts the causes that the search ended with into words."""

    def __init__(
        self,
        request: ResolutionRequest,
        finder: CandidateFinder,
        dependencies: Mapping[ResolverCandidate, Sequence[WantedPackage]],
    ) -> None:
        self._subject = request.subject
        self._finder = finder
        self._dependencies = dependencies
        """Those of each file that was looked at."""

    def explain(self, causes: Sequence[Requested], roots: Sequence[WantedPackage]) -> BuildError:
        """Return the error that says which requirement of which parent excludes what."""
        wanted: dict[str, list[WantedPackage]] = {}
        for cause in sorted(causes, key=lambda cause: cause.requirement.name):
            if cause.requirement.name:
                wanted.setdefault(cause.requirement.name, []).append(cause.requirement)
        names = [*wanted]
        stuck = [name for name in names if not self._finder.pick(name, wanted[name])]
        details = _describe_requests([*causes, *self._find_reasons(causes, roots)], self._subject)
        absent = self._find_absent(stuck, wanted)
        if absent is not None:
            return PackageNotFoundError(absent.name, absent.searched, tuple(details))
        for name in stuck or names:
            details += self._describe(name, wanted[name])
        summary = self._summarize(stuck, names, causes)
        return RequirementsError(
            "requirements-conflict", tuple(stuck or names), summary, tuple(details)
        )

    def _find_absent(
        self, names: Sequence[str], wanted: Mapping[str, Sequence[WantedPackage]]
    ) -> PackageNotFoundError | None:
        """Return the error of the first name that no index has, if it is not to come from a URL."""
        asked = (name for name in names if not any(each.url for each in wanted[name]))
        return next(filter(None, map(self._finder.find_absence, asked)), None)

    def _find_reasons(
        self, causes: Sequence[Requested], roots: Sequence[WantedPackage]
    ) -> Iterator[Requested]:
        """Yield why the parents of causes are there, up to the requirements of the request."""
        pending = [parent.file.name for _, parent in causes if parent]
        seen: set[str] = set()
        while pending:
            name = pending.pop(0)
            if name in seen:
                continue
            seen.add(name)
            found: list[Requested] = [
                RequirementInformation(root, None) for root in roots if root.name == name
            ]
            if not found:
                found = [
                    RequirementInformation(wanted, candidate)
                    for candidate, every in self._dependencies.items()
                    for wanted in every
                    if wanted.name == name and wanted.only is None
                ][:1]
            yield from found
            pending += [parent.file.name for _, parent in found if parent]

    def _summarize(self, stuck: list[str], names: list[str], causes: Sequence[Requested]) -> str:
        if not names:
            unusable = sorted({cause.parent.file.name for cause in causes if cause.parent})
            return f"no version of {_join(unusable)} can be used"
        if not stuck:
            return f"{_join(names)} conflict"
        name = stuck[0]
        found = [cause for cause in causes if cause.requirement.name == name]
        if not any(cause.requirement.url for cause in found) and not self._finder.project(name):
            return f"no file of `{name}` can be used"
        requests = {(cause.parent, cause.requirement.text) for cause in found}
        if len(requests) == 1 and not self._finder.with_constraints(name, ()):
            ((parent, text),) = requests
            whose = self._subject if parent is None else f"`{parent}`"
            return f"no version of `{name}` satisfies `{text}`, which {whose} asks for"
        return f"no version of `{name}` satisfies all requirements"

    def _describe(self, name: str, wanted: Sequence[WantedPackage]) -> Iterator[str]:
        constraints = self._finder.with_constraints(name, ())
        yield from (f"the constraints demand `{each.text}`" for each in constraints)
        wanted = [*wanted, *constraints]
        urls = sorted({each.url for each in wanted if each.url})
        for url in urls:
            found = self._finder.find_direct(name, url, wanted)
            what = f"cannot be used: {found}" if isinstance(found, str) else f"is {found.version}"
            yield f"`{name}` at `{redact(url)}` {what}"
        if urls:
            return
        reasons = self._finder.explain_versions(name, wanted)
        free = [version for version, reason in reasons.items() if not reason]
        if free:
            yield f"available: `{name}` {list_versions(free)}{_describe_closest(free, wanted)}"
        # Versions that only `a` without a version admits say nothing about `a>=2`.
        bounds = [each.specifier for each in wanted if each.specifier] or [ANY]
        groups = group_by_reason(reasons, bounds)
        for reason, versions in islice(groups, _MOST_LINES):
            yield f"`{name}` {versions} cannot be taken: {reason}"
        left_out = self._finder.explain_left_out(name)
        if left_out and (not free or any(is_exact(bound) for bound in bounds)):
            yield left_out


def _describe_requests(requests: Iterable[Requested], subject: str) -> list[str]:
    """Return a line for each requirement; versions that ask for the same thing share one."""
    found: dict[tuple[str, str, bool], list[ResolverCandidate]] = {}
    for wanted, parent in requests:
        key = (parent.file.name if parent else "", wanted.text, wanted.is_impossible)
        parents = found.setdefault(key, [])
        parents.extend([parent] if parent and parent not in parents else [])
    lines: dict[str, None] = {}
    for (_, text, is_impossible), parents in found.items():
        versions = sorted({parent.file.version for parent in parents}, reverse=True)
        whose = f"`{parents[0]}`" if parents else subject
        if len(versions) > 1:
            name = str(parents[0]).rpartition(" ")[0]
            whose = f"`{name}` {list_versions(versions)}"
        what = f"{'asks' if len(parents) <= 1 else 'ask'} for `{text}`"
        lines[f"{whose} {f'cannot be used: {text}' if is_impossible else what}"] = None
    more = len(lines) - _MOST_LINES
    shown = [*islice(lines, _MOST_LINES)]
    return [*shown, f"and {more} more demands"] if more > 0 else shown


def _describe_closest(versions: Sequence[Version], wanted: Iterable[WantedPackage]) -> str:
    """Return which of ``versions``, newest first, are next to those that ``wanted`` name."""
    closest: set[Version] = set()
    for part in (part for each in wanted for part in each.specifier):
        with contextlib.suppress(FormatError):
            bound = parse_version(part.version.removesuffix(".*"))
            closest |= {*[each for each in versions if each <= bound][:1]}
            closest |= {*[each for each in versions if each >= bound][-1:]}
    hidden = sorted(closest.difference(versions[:MOST_SHOWN]), reverse=True)
    return f"; closest to what is asked for: {list_versions(hidden)}" if hidden else ""


def _join(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return " and ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))
