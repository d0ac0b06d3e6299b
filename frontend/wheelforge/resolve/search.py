"""The search for one resolution: what resolvelib asks, and from its result to the pins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, cast

from resolvelib import AbstractProvider, BaseReporter, ResolutionError, ResolutionTooDeep, resolvers
from resolvelib.structs import RequirementInformation

from wheelforge.errors import (
    MetadataInvalidError,
    RequirementInvalidError,
    RequirementsError,
    UsageError,
)
from wheelforge.index.candidates import accepted_hashes, check_python
from wheelforge.resolve.conflict import Explainer
from wheelforge.resolve.finder import CandidateFinder, stated_hashes
from wheelforge.resolve.requirements import (
    Key,
    ResolverCandidate,
    WantedPackage,
    read_dependencies,
    read_requirements,
)
from wheelforge.resolve.types import Pin, Resolution
from wheelforge_isolation.formats.requirements import is_exact
from wheelforge_isolation.formats.urls import local_path

if TYPE_CHECKING:
    from resolvelib import ResolutionImpossible

    from wheelforge.index import Candidate, Index, Metadata
    from wheelforge.resolve.requirements import Requested
    from wheelforge.resolve.types import Builder, ResolutionRequest

    Chosen = dict[ResolverCandidate, list[Requested]]

ROUNDS = 20_000
"""More than any real set of build requirements needs."""


class Provider(AbstractProvider[WantedPackage, ResolverCandidate, Key]):
    """The answers to what resolvelib asks in one resolution."""

    def __init__(self, request: ResolutionRequest, finder: CandidateFinder) -> None:
        self._request = request
        self._finder = finder
        self._candidates: dict[tuple[str, str], ResolverCandidate] = {}
        self._expected: set[str] = set()
        self.dependencies: dict[ResolverCandidate, list[WantedPackage]] = {}
        self.notes: dict[ResolverCandidate, str] = {}
        self.refused: dict[ResolverCandidate, str] = {}

    def identify(self, requirement_or_candidate: WantedPackage | ResolverCandidate) -> Key:
        """Return the name and the extra."""
        return requirement_or_candidate.key

    def get_preference(
        self,
        identifier: Key,
        resolutions: Mapping[Key, ResolverCandidate],  # ruff: ignore[unused-method-argument]
        candidates: Mapping[Key, Iterator[ResolverCandidate]],  # ruff: ignore[unused-method-argument]
        information: Mapping[Key, Iterator[Requested]],
        backtrack_causes: Sequence[Requested],
    ) -> tuple[bool, bool, bool, Key]:
        """Say what to decide first: what leaves least choice, and what was trouble."""
        wanted = [cause.requirement for cause in information[identifier]]
        is_fixed = any(each.url or each.only or is_exact(each.specifier) for each in wanted)
        is_bound = any(len(each.specifier) for each in wanted)
        is_trouble = any(
            identifier == cause.requirement.key or (cause.parent and cause.parent.key == identifier)
            for cause in backtrack_causes
        )
        return not is_fixed, not is_trouble, not is_bound, identifier

    def find_matches(
        self,
        identifier: Key,
        requirements: Mapping[Key, Iterator[WantedPackage]],
        incompatibilities: Mapping[Key, Iterator[ResolverCandidate]],
    ) -> list[ResolverCandidate]:
        """Return the candidates for a name, or for an extra of it, best first."""
        name, extra = identifier
        wanted = {*requirements[identifier]}
        if any(each.is_impossible for each in wanted):
            return []
        # A package that is wanted with an extra is wanted without as well, and that decides.
        wanted |= {*requirements[name, ""]} if extra else set()
        excluded = {*incompatibilities[identifier]}
        every = (
            self._candidates.setdefault(
                (file.url, extra), ResolverCandidate(file=file, extra=extra)
            )
            for file in self._finder.pick(name, wanted)
        )
        found = [candidate for candidate in every if candidate not in excluded]
        # The first will most likely be asked about, and meanwhile others can be decided.
        self._finder.index.prefetch_metadata(candidate.file for candidate in found[:1])
        return found

    def is_satisfied_by(self, requirement: WantedPackage, candidate: ResolverCandidate) -> bool:
        """Return whether a candidate is still right."""
        file, url = candidate.file, requirement.url
        return requirement.is_satisfied_by(file) and (not url or self._finder.is_at(file, url))

    def get_dependencies(self, candidate: ResolverCandidate) -> list[WantedPackage]:
        """Return what a candidate requires."""
        if candidate not in self.dependencies:
            self.dependencies[candidate] = found = self._find_dependencies(candidate)
            self.expect(wanted.name for wanted in found)
        return self.dependencies[candidate]

    def expect(self, names: Iterable[str]) -> None:
        """Let the index know early which names it will be asked about."""
        new = {*names} - self._expected - {""}
        self._expected |= new
        if new:
            self._finder.index.prefetch(sorted(new))

    def _find_dependencies(self, candidate: ResolverCandidate) -> list[WantedPackage]:
        try:
            metadata = self._finder.read_metadata(candidate.file)
            reason = check_python(metadata.requires_python, self._request.python.version)
            if not reason:
                return [*self._read_dependencies(candidate, metadata)]
        except RequirementInvalidError as error:
            reason = f"`{error.requirement}` is among its requirements: {error.reason}"
        except (MetadataInvalidError, ValueError) as error:
            reason = str(error)
        # Old versions with broken metadata must not spoil what is resolved without them: such a
        # candidate rules itself out.
        self.refused[candidate] = reason
        return [WantedPackage(name="", extra=str(candidate), text=reason, is_impossible=True)]

    def _read_dependencies(
        self, candidate: ResolverCandidate, metadata: Metadata
    ) -> Iterator[WantedPackage]:
        file = candidate.file
        if candidate.extra:
            if candidate.extra not in metadata.extras:
                note = f"`{file.name} {file.version}` has no extra `{candidate.extra}`"
                self.notes[candidate] = note
            yield WantedPackage(name=file.name, text=f"{file.name}=={file.version}", only=file)
        for wanted in read_dependencies(candidate, metadata.requires, self._request):
            if local_path(wanted.url) and not local_path(file.url):
                problem = f"it comes from a server and asks for a local file: `{wanted.text}`"
                raise ValueError(problem)
            if wanted.name != file.name or wanted.url:
                yield wanted
                continue
            # A self-requirement must not let the resolver backtrack off this version.
            if not wanted.is_satisfied_by(file):
                raise ValueError(f"it asks for `{wanted.text}`")
            if wanted.extra:
                yield replace(wanted, only=file)


def resolve(request: ResolutionRequest, index: Index, builder: Builder | None = None) -> Resolution:
    """Return the files that satisfy a request; ``builder`` makes wheels of sdists."""
    finder = CandidateFinder(request, index, builder)
    provider = Provider(request, finder)
    chosen = _choose(request, provider, finder)
    pins = [_make_pin(*pair, finder) for pair in _group_by_file(chosen)]
    if request.require_hashes:
        missing = [(f"{pin.name}=={pin.version}", pin.sha256) for pin in pins if not pin.accepted]
        if missing:
            raise UsageError("hashes-missing", tuple(missing))
    notes = _collect_notes(chosen, provider, finder)
    return Resolution(pins=tuple(pins), notes=tuple(notes))


def _choose(request: ResolutionRequest, provider: Provider, finder: CandidateFinder) -> Chosen:
    """Resolve, then drop the candidates that only abandoned candidates required.

    One of these may have admitted a pre-release or a yanked version, which no candidate that is
    left asks for; then the search is done again without that version.
    """
    roots = read_requirements(request)
    while True:
        mapping = _search(request, provider, finder, roots)
        chosen: Chosen = {}
        pending: list[Requested] = [RequirementInformation(root, None) for root in roots]
        while pending:
            requested = pending.pop()
            candidate = mapping[requested.requirement.key]
            if candidate not in chosen:
                dependencies = provider.get_dependencies(candidate)
                pending += [RequirementInformation(each, candidate) for each in dependencies]
            chosen.setdefault(candidate, []).append(requested)
        orphans: list[Candidate] = []
        for file, requests in _group_by_file(chosen):
            # An extra's requirement of its own distribution does not count.
            wanted = {each.requirement for each in requests if each.requirement.only is None}
            orphans += [file] if file not in finder.pick(file.name, wanted) else []
        if not orphans:
            return chosen
        finder.bar(orphans)


def _search(
    request: ResolutionRequest,
    provider: Provider,
    finder: CandidateFinder,
    roots: list[WantedPackage],
) -> Mapping[Key, ResolverCandidate]:
    provider.expect(root.name for root in roots)
    # Not through what calls this usually: that sorts out what is not needed, and does not come to
    # an end where such things need each other.
    search = resolvers.Resolution(provider, BaseReporter[WantedPackage, ResolverCandidate, Key]())
    try:
        return search.resolve(roots, max_rounds=ROUNDS).mapping
    except ResolutionTooDeep as error:
        raise RequirementsError(
            "resolution-unfinished", request.subject, error.round_count
        ) from error
    except ResolutionError as error:
        impossible = cast("ResolutionImpossible[WantedPackage, ResolverCandidate]", error)
        explainer = Explainer(request, finder, provider.dependencies)
        raise explainer.explain([*impossible.causes], roots) from None


def _group_by_file(chosen: Chosen) -> Iterator[tuple[Candidate, list[Requested]]]:
    """Yield each file that is needed, by name, with all requests for it or for extras of it."""
    for candidate in sorted(chosen, key=lambda candidate: candidate.key):
        if not candidate.extra:
            name = candidate.file.name
            every = (chosen[other] for other in chosen if other.file.name == name)
            yield candidate.file, [*chain.from_iterable(every)]


def _make_pin(file: Candidate, requests: Sequence[Requested], finder: CandidateFinder) -> Pin:
    every = finder.with_constraints(file.name, [each.requirement for each in requests])
    requested_by = {
        wanted.text if parent is None else f"{parent}: {wanted.text}"
        for wanted, parent in requests
        if wanted.only is None
    }
    return Pin(
        name=file.name,
        version=str(file.version),
        file_name=file.file_name,
        url=file.url,
        sha256=file.hashes.get("sha256", ""),
        origin=file.origin,
        is_wheel=file.is_wheel,
        requested_by=tuple(sorted(requested_by)),
        accepted=accepted_hashes(file, stated_hashes(file, every)),
        uploaded=f"{file.uploaded:%Y-%m-%d}" if file.uploaded else "",
    )


def _collect_notes(chosen: Chosen, provider: Provider, finder: CandidateFinder) -> Iterator[str]:
    """Yield what is odd about the answer, and need not be wrong."""
    for candidate in sorted(chosen, key=str):
        file = candidate.file
        if candidate in provider.notes:
            yield provider.notes[candidate]
        if not candidate.extra and file.yanked is not None:
            yield f"`{candidate}` was yanked{f': {file.yanked}' if file.yanked else ''}"
        if not candidate.extra and finder.is_late(file):
            yield f"`{candidate}` is the oldest that fits, as nothing that fits was there in time"
    keys = {candidate.key for candidate in chosen}
    for refused, reason in sorted(provider.refused.items(), key=str):
        if refused.key in keys:
            yield f"`{refused}` was passed over: {reason}"
