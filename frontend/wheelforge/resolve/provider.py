"""The rules of the search: what resolvelib asks, and what it is told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from resolvelib import AbstractProvider

from wheelforge.errors import MetadataInvalidError, RequirementInvalidError
from wheelforge.index.candidates import judge_python
from wheelforge.resolve.catalogue import is_satisfied
from wheelforge.resolve.requirements import Choice, Key, Wish, read_needs, vain
from wheelforge_isolation.formats.requirements import is_exact
from wheelforge_isolation.formats.urls import local_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from resolvelib.structs import RequirementInformation

    from wheelforge.index import Candidate, Metadata
    from wheelforge.resolve.catalogue import Catalogue
    from wheelforge.resolve.supply import Supply
    from wheelforge.resolve.types import Question

    Cause = RequirementInformation[Wish, Choice]


class Provider(AbstractProvider[Wish, Choice, Key]):
    """What one resolution knows."""

    def __init__(self, question: Question, catalogue: Catalogue, supply: Supply) -> None:
        self._question = question
        self._catalogue = catalogue
        self._supply = supply
        self._choices: dict[tuple[str, str], Choice] = {}
        self.needs: dict[Choice, list[Wish]] = {}
        self._expected: set[str] = set()
        self.notes: dict[Choice, str] = {}
        self.refused: dict[Choice, str] = {}

    def identify(self, requirement_or_candidate: Wish | Choice) -> Key:
        """Return the name and the extra."""
        return requirement_or_candidate.key

    def get_preference(
        self,
        identifier: Key,
        resolutions: Mapping[Key, Choice],  # ruff: ignore[unused-method-argument]
        candidates: Mapping[Key, Iterator[Choice]],  # ruff: ignore[unused-method-argument]
        information: Mapping[Key, Iterator[Cause]],
        backtrack_causes: Sequence[Cause],
    ) -> tuple[bool, bool, bool, Key]:
        """Say what to decide first: what leaves least choice, and what was trouble."""
        wishes = [cause.requirement for cause in information[identifier]]
        is_fixed = any(wish.url or wish.only or is_exact(wish.specifier) for wish in wishes)
        is_bound = any(len(wish.specifier) for wish in wishes)
        is_trouble = any(
            identifier == cause.requirement.key or (cause.parent and cause.parent.key == identifier)
            for cause in backtrack_causes
        )
        return not is_fixed, not is_trouble, not is_bound, identifier

    def find_matches(
        self,
        identifier: Key,
        requirements: Mapping[Key, Iterator[Wish]],
        incompatibilities: Mapping[Key, Iterator[Choice]],
    ) -> list[Choice]:
        """Return what may be chosen for a name, or for an extra of it, best first."""
        name, extra = identifier
        wishes = {*requirements[identifier]}
        if any(wish.is_vain for wish in wishes):
            return []
        # Whatever is wished for with an extra is wished for without as well, and that decides.
        wishes |= {*requirements[name, ""]} if extra else set()
        excluded = {*incompatibilities[identifier]}
        found = [self._choice(file, extra) for file in self._catalogue.pick(name, wishes)]
        found = [choice for choice in found if choice not in excluded]
        # The first will most likely be asked about, and meanwhile others can be decided.
        self._supply.index.prefetch_metadata(choice.candidate for choice in found[:1])
        return found

    def is_satisfied_by(self, requirement: Wish, candidate: Choice) -> bool:
        """Return whether a choice is still right."""
        file = candidate.candidate
        if requirement.url:
            return self._catalogue.is_at(file, requirement.url) and is_satisfied(requirement, file)
        return is_satisfied(requirement, file)

    def get_dependencies(self, candidate: Choice) -> list[Wish]:
        """Return what comes with a choice."""
        if candidate not in self.needs:
            self.needs[candidate] = self._find_needs(candidate)
            self.expect(wish.name for wish in self.needs[candidate])
        return self.needs[candidate]

    def expect(self, names: Iterable[str]) -> None:
        """Let the index know early what it will be asked about."""
        new = {*names} - self._expected - {""}
        self._expected |= new
        if new:
            self._supply.index.prefetch(sorted(new))

    def _choice(self, file: Candidate, extra: str) -> Choice:
        return self._choices.setdefault((file.url, extra), Choice(candidate=file, extra=extra))

    def _find_needs(self, choice: Choice) -> list[Wish]:
        try:
            metadata = self._supply.read_metadata(choice.candidate)
            reason = judge_python(metadata.requires_python, self._question.python.version)
            if not reason:
                return [*self._read_needs(choice, metadata)]
        except RequirementInvalidError as error:
            reason = f"`{error.requirement}` is among its requirements: {error.reason}"
        except (MetadataInvalidError, ValueError) as error:
            reason = str(error)
        # Old versions with broken metadata must not spoil what is resolved without them.
        self.refused[choice] = reason
        return [vain(choice, reason)]

    def _read_needs(self, choice: Choice, metadata: Metadata) -> Iterator[Wish]:
        file = choice.candidate
        if choice.extra:
            if choice.extra not in metadata.extras:
                self.notes[choice] = f"`{file.name} {file.version}` has no extra `{choice.extra}`"
            yield Wish(name=file.name, text=f"{file.name}=={file.version}", only=file)
        for wish in read_needs(choice, metadata.requires, self._question.python.markers):
            if local_path(wish.url) and not local_path(file.url):
                raise ValueError(f"it comes from a server and asks for a local file: `{wish.text}`")
            if wish.name != file.name or wish.url:
                yield wish
                continue
            # Left to the search this would be a wish of a version that may be given up for it.
            if not is_satisfied(wish, file):
                raise ValueError(f"it asks for `{wish.text}`")
            if wish.extra:
                yield replace(wish, only=file)
