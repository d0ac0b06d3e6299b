"""One resolution, from the question to the pins."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, cast

from resolvelib import BaseReporter, ResolutionError, ResolutionTooDeep, resolvers

from wheelforge.errors import RequirementsError, UsageError
from wheelforge.index.candidates import accepted_hashes
from wheelforge.resolve.catalogue import Catalogue, stated_hashes
from wheelforge.resolve.conflict import Explainer
from wheelforge.resolve.provider import Provider
from wheelforge.resolve.requirements import Choice, Key, Wish, read_constraints, read_wishes
from wheelforge.resolve.supply import Supply
from wheelforge.resolve.types import Pin, Resolution

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from resolvelib import ResolutionImpossible

    from wheelforge.index import Candidate
    from wheelforge.resolve.requirements import Demand
    from wheelforge.resolve.supply import Builder, IndexLike
    from wheelforge.resolve.types import Question

    Chosen = dict[Choice, list[Demand]]

ROUNDS = 20_000
"""More than any real set of build requirements needs."""


def search(question: Question, index: IndexLike, builder: Builder | None) -> Resolution:
    """Return the answer to ``question``, or raise the reason why there is none."""
    supply = Supply(index, builder, question.chain)
    catalogue = Catalogue(question, read_constraints(question), supply)
    provider = Provider(question, catalogue, supply)
    chosen = _choose(question, provider, catalogue)
    pins = [_make_pin(*pair, catalogue) for pair in _group_by_file(chosen)]
    if question.require_hashes:
        missing = [(f"{pin.name}=={pin.version}", pin.sha256) for pin in pins if not pin.accepted]
        if missing:
            raise UsageError("hashes-missing", tuple(missing))
    notes = _collect_notes(chosen, provider, catalogue)
    return Resolution(pins=tuple(pins), notes=tuple(notes))


def _choose(question: Question, provider: Provider, catalogue: Catalogue) -> Chosen:
    """Return what is needed, and nothing that only something given up would have asked for.

    That may admit a pre-release or a yanked version, which nobody who is left asks for; then it is
    looked for without.
    """
    roots = read_wishes(question)
    while True:
        chosen = _find_reachable(roots, _resolve(question, provider, catalogue, roots), provider)
        strays = [
            file
            for file, demands in _group_by_file(chosen)
            # What an extra asks of its own distribution is no wish of anybody's.
            if file
            not in catalogue.pick(file.name, {wish for wish, _ in demands if wish.only is None})
        ]
        if not strays:
            return chosen
        catalogue.bar(strays)


def _resolve(
    question: Question, provider: Provider, catalogue: Catalogue, roots: list[Wish]
) -> Mapping[Key, Choice]:
    provider.expect(wish.name for wish in roots)
    # Not through what calls this usually: that sorts out what is not needed, and does not come to
    # an end where such things need each other.
    search = resolvers.Resolution(provider, BaseReporter[Wish, Choice, Key]())
    try:
        return search.resolve(roots, max_rounds=ROUNDS).mapping
    except ResolutionTooDeep as error:
        raise RequirementsError(
            "resolution-unfinished", question.subject, error.round_count
        ) from error
    except ResolutionError as error:
        causes = cast("ResolutionImpossible[Wish, Choice]", error).causes
        explainer = Explainer(question, catalogue, provider.needs)
        raise explainer.explain([*causes], roots) from None


def _find_reachable(roots: list[Wish], mapping: Mapping[Key, Choice], provider: Provider) -> Chosen:
    """Return what is really needed of all that the search came by, each with who asks for it."""
    chosen: Chosen = {}
    pending: list[Demand] = [(wish, None) for wish in roots]
    while pending:
        wish, asker = pending.pop()
        choice = mapping[wish.key]
        if choice not in chosen:
            pending += [(need, choice) for need in provider.get_dependencies(choice)]
        chosen.setdefault(choice, []).append((wish, asker))
    return chosen


def _group_by_file(chosen: Chosen) -> Iterator[tuple[Candidate, list[Demand]]]:
    """Yield each file that is needed, by name, with all demands on it or on extras of it."""
    for choice in sorted(chosen, key=lambda choice: choice.key):
        if not choice.extra:
            name = choice.candidate.name
            every = (chosen[other] for other in chosen if other.candidate.name == name)
            yield choice.candidate, [*chain.from_iterable(every)]


def _make_pin(file: Candidate, demands: Sequence[Demand], catalogue: Catalogue) -> Pin:
    wishes = catalogue.all_wishes(file.name, [wish for wish, _ in demands])
    askers = {_describe(*demand) for demand in demands if demand[0].only is None}
    return Pin(
        name=file.name,
        version=str(file.version),
        file_name=file.file_name,
        url=file.url,
        sha256=file.hashes.get("sha256", ""),
        origin=file.origin,
        is_wheel=file.is_wheel,
        requested_by=tuple(sorted(askers)),
        accepted=accepted_hashes(file, stated_hashes(file, wishes)),
    )


def _describe(wish: Wish, asker: Choice | None) -> str:
    return wish.text if asker is None else f"{asker}: {wish.text}"


def _collect_notes(chosen: Chosen, provider: Provider, catalogue: Catalogue) -> Iterator[str]:
    """Yield what is odd about the answer, and need not be wrong."""
    for choice in sorted(chosen, key=str):
        file = choice.candidate
        if choice in provider.notes:
            yield provider.notes[choice]
        if not choice.extra and file.yanked is not None:
            yield f"`{choice}` was yanked{f': {file.yanked}' if file.yanked else ''}"
        if not choice.extra and catalogue.is_late(file):
            yield f"`{choice}` is the oldest that fits, as nothing that fits was there in time"
    keys = {choice.key for choice in chosen}
    for refused, reason in sorted(provider.refused.items(), key=str):
        if refused.key in keys:
            yield f"`{refused}` was passed over: {reason}"
