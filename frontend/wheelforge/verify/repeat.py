"""Artifacts that are built a second time in other circumstances, and compared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wheelforge.build.forge import Components, open_forge
from wheelforge.models import Kind, Reuse
from wheelforge.provenance.options import Provenance
from wheelforge.verify.circumstances import OtherCircumstances, find_clock, open_place
from wheelforge_isolation import (
    ForgeError,
    Sameness,
    compare_archives,
    ensure_directory,
    open_stage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from wheelforge.models import Artifact, Outcome
    from wheelforge.settings import Settings

_MOST_SHOWN = 5


class Repeater:
    """Builds again what was built, with the same Python or one of the same version."""

    def __init__(self, settings: Settings) -> None:
        policy = replace(settings.policy, reuse=Reuse.OFF)
        # A list that is in a wheel is a part of it; what comes beside it is not looked at.
        sbom = settings.provenance.sbom
        self._settings = replace(settings, policy=policy, provenance=Provenance(sbom=sbom))
        self.has_differences = False
        """Whether something came out different, or could not be built again."""
        self._same: list[str] = []
        """Circumstances that cannot be other ones on this machine."""
        self._is_told = False

    def repeat(self, outcome: Outcome) -> Outcome:
        """Return how a build has ended, with remarks on how its second time was."""
        made = [each for each in outcome.artifacts if each.kind is not Kind.EDITABLE]
        if outcome.error is not None or not made:
            return outcome
        try:
            remarks = self._repeat(outcome, made)
        except ForgeError as error:
            remarks = self._repeat_at_the_same_time(outcome, made)
            if not remarks:
                self.has_differences = True
                remarks = (f"the second time it cannot be built: {outcome.summarize(error)}",)
        if self._same and not self._is_told:
            self._is_told = True
            remarks += (f"the second time has the same {' and '.join(self._same)} on this machine",)
        return replace(
            outcome,
            notes=(*outcome.notes, *remarks),
            remarks=(*outcome.remarks, *remarks),
        )

    def _repeat_at_the_same_time(self, outcome: Outcome, made: list[Artifact]) -> tuple[str, ...]:
        """Build where another time may be what has failed: programs fail below libfaketime."""
        if not find_clock():
            return ()
        try:
            remarks = self._repeat(outcome, made, changes_time=False)
        except ForgeError:
            return ()
        return (
            "the second time it cannot be built in another year, but at the same time",
            *remarks,
        )

    def _repeat(
        self, outcome: Outcome, made: list[Artifact], *, changes_time: bool = True
    ) -> tuple[str, ...]:
        with open_place() as (place, reorders):
            again = self._build(outcome, place, reorders=reorders, changes_time=changes_time)
            return tuple(self._compare(made, {each.path.name: each.path for each in again}))

    def _compare(self, made: list[Artifact], again: Mapping[str, Path]) -> Iterator[str]:
        for artifact in made:
            name = artifact.path.name
            if name not in again:
                self.has_differences = True
                yield f"`{name}`: the second time it is not made"
                continue
            found = compare_archives(artifact.path, again[name])
            self.has_differences |= found.sameness is Sameness.DIFFERENT
            yield f"`{name}`: the second time it is {found.sameness.value}"
            for each in found.differences[:_MOST_SHOWN]:
                yield f"`{name}`: `{each.path}`: {each.text}"
            if len(found.differences) > _MOST_SHOWN:
                yield f"`{name}`: {len(found.differences) - _MOST_SHOWN} more files differ"

    def _build(
        self, outcome: Outcome, place: Path, *, reorders: bool, changes_time: bool
    ) -> tuple[Artifact, ...]:
        request, elsewhere = outcome.request, place / "built-elsewhere"
        ensure_directory(str(elsewhere))
        given = self._settings.variables if request.variables is None else request.variables
        settings = replace(self._settings, python=self._settings.python or outcome.python)
        with OtherCircumstances(elsewhere, reorders=reorders) as others:
            self._same = others.unchanged
            variables = others.change(given, changes_time=changes_time)
            request = replace(request, output=place / "out", tree=None, variables=variables)
            components = Components(
                pool=others, staging=lambda name: open_stage(elsewhere, f"again-{name}")
            )

            def build() -> tuple[Artifact, ...]:
                with open_forge(settings, components=components) as forge:
                    return forge.build(request).artifacts

            return others.run(build)
