"""A batch: from wishes to outcomes."""

from __future__ import annotations

import contextlib
import itertools
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge._batch._cores import can_share, count_cores, make_pipe, open_tokens, share_out
from wheelforge._batch._crew import Crew
from wheelforge._batch._deliveries import Deliveries, digest_settings
from wheelforge._batch._jobs import Job, arrange
from wheelforge._batch._memory import find_free_memory
from wheelforge._batch._past import Past
from wheelforge._batch._pool import TokenPool
from wheelforge._batch._shop import Shop
from wheelforge._batch._wishes import applies, list_requirements, merge
from wheelforge._batch._worker import Worker
from wheelforge._events import BuildEvent, ignore
from wheelforge._models import Outcome
from wheelforge._places import find_layout, find_python, read_index_settings
from wheelforge._records import Records
from wheelforge._workshop import pass_on
from wheelforge_isolation import (
    ForgeError,
    IsolationError,
    choose_layout,
    open_stage,
    temporary_directory,
)
from wheelforge_isolation.values import Value, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from wheelforge._batch._cores import Tokens
    from wheelforge._batch._wishes import Wish
    from wheelforge._events import Reporter
    from wheelforge._settings import Settings
    from wheelforge_isolation import Layout


class BatchTerms(Value):
    """How a batch is done."""

    pythons: tuple[str | None, ...] = (None,)
    at_once: int = 0
    """How many builds; 0: as many as there are cores."""
    keeps_going: bool = True
    """Whether a build that fails leaves the others alone."""
    resumes: bool = False
    """Whether what was delivered before, and is still there, is left as it is."""
    with_dependencies: bool = False
    """Whether requirements come with all that they require at run time."""
    no_binary: frozenset[str] = frozenset()
    """Of these, what is built although there is a wheel: normalised names, or ``:all:``."""


def run_batch(
    wishes: Sequence[Wish],
    settings: Settings,
    terms: BatchTerms,
    reporter: Reporter = ignore,
    hear: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Build each source with each Python; return the outcomes in the order of the wishes.

    ``hear`` is told of each as soon as there is one. Only what makes all of it senseless is raised.
    """
    wishes = merge(wishes)
    terms = replace(terms, at_once=terms.at_once or count_cores())
    with contextlib.ExitStack() as stack:
        worker = _open_worker(stack, wishes, settings, terms, reporter)
        return _Batch(wishes, terms, worker, hear or _ignore_outcome).run()


def _open_worker(
    stack: contextlib.ExitStack,
    wishes: Sequence[Wish],
    settings: Settings,
    terms: BatchTerms,
    reporter: Reporter,
) -> Worker:
    """Return who does the jobs; what it uses is given back by ``stack``."""
    report = partial(pass_on, reporter)
    layout, _ = stack.enter_context(choose_layout(find_layout(settings.cache_dir), report))
    settings = replace(settings, cache_dir=layout.root)
    place = stack.enter_context(_open_place(layout))
    pythons = {
        python: find_python(replace(settings, python=python), layout) for python in terms.pythons
    }
    deliveries = Deliveries(
        records=Records(directory=layout.resolutions, kind="delivered"),
        settings=digest_settings(settings, read_index_settings(settings)),
    )
    builds = min(terms.at_once, len(wishes) * len(pythons))
    tokens, variables = _share_machine(stack, place, settings.variables, builds)
    forges = stack.enter_context(contextlib.ExitStack())
    shop = Shop(
        settings=replace(settings, variables=variables),
        # Entered last, so that no server outlives the environment that it is in.
        pool=stack.enter_context(TokenPool(tokens)),
        reporter=reporter,
        stack=forges,
        place=place,
        pythons=pythons,
        accepted=_list_accepted(wishes),
    )
    return Worker(
        shop=shop,
        tokens=tokens,
        past=Past(records=Records(directory=layout.resolutions, kind="past")),
        deliveries=deliveries,
        place=place,
        resumes=terms.resumes,
    )


def _share_machine(
    stack: contextlib.ExitStack, place: Path, variables: Mapping[str, str], builds: int
) -> tuple[Tokens, dict[str, str]]:
    """Return tokens for all, and what ``builds`` at a time are told of them."""
    cores = count_cores()
    pipe = make_pipe(place / "jobs") if can_share(variables) else None
    tokens = stack.enter_context(open_tokens(cores, pipe))
    return tokens, share_out(variables, cores, builds, str(pipe or ""))


class _Batch:
    """One run."""

    def __init__(
        self,
        wishes: Sequence[Wish],
        terms: BatchTerms,
        worker: Worker,
        hear: Callable[[Outcome], None],
    ) -> None:
        self._wishes = wishes
        self._terms = terms
        self._worker = worker
        self._hear_outcome = hear
        self._numbers = itertools.count()
        self._outcomes: dict[int, Outcome] = {}

    def run(self) -> list[Outcome]:
        """Do it."""
        jobs = arrange(list(self._list_jobs()), self._worker.place / "looked-at")
        for job in jobs:
            event = BuildEvent(kind="queued", build=job.request.label)
            self._worker.shop.tell(job.python, event)
        if self._terms.keeps_going or not self._outcomes:
            crew = Crew(self._worker, jobs, find_free_memory)
            try:
                crew.run(self._terms.at_once, self._hear)
            finally:
                self._outcomes |= crew.outcomes
        return [self._outcomes[number] for number in sorted(self._outcomes)]

    def _hear(self, outcome: Outcome) -> bool:
        self._hear_outcome(outcome)
        return outcome.error is None or self._terms.keeps_going

    def _list_jobs(self) -> Iterator[Job]:
        for python, interpreter in self._worker.shop.pythons.items():
            others = self._wishes
            if self._terms.with_dependencies:
                stated, others = list_requirements(self._wishes)
                yield from self._list_set(stated, python)
            for wish in others:
                if applies(wish.requirement, interpreter.markers):
                    yield Job(
                        number=next(self._numbers),
                        request=wish.request,
                        python=python,
                        accepted=wish.accepted,
                    )

    def _list_set(self, stated: dict[str, tuple[str, ...]], python: str | None) -> list[Job]:
        """Return the jobs of a whole set; one that cannot be chosen is an outcome."""
        from wheelforge._batch._whole_set import WholeSet, make_pattern

        if not stated:
            return []
        worker = self._worker
        pattern = next(make_pattern(wish.request) for wish in self._wishes if wish.requirement)
        whole = WholeSet(
            shop=worker.shop,
            deliveries=worker.deliveries,
            stated=stated,
            pattern=pattern,
            no_binary=self._terms.no_binary,
            place=worker.place,
            resumes=worker.resumes,
        )
        try:
            return list(whole.list_jobs(python, self._numbers))
        except ForgeError as error:
            version = worker.shop.pythons[python].version
            request = replace(pattern, source=", ".join(stated))
            outcome = Outcome(request=request, python=version, error=error)
            self._outcomes[next(self._numbers)] = outcome
            self._hear_outcome(outcome)
            return []


@contextlib.contextmanager
def _open_place(layout: Layout) -> Generator[Path]:
    """Yield a private directory, in the cache unless that cannot be written to."""
    with contextlib.ExitStack() as stack:
        try:
            place = stack.enter_context(open_stage(layout.stages, "batch")).path
        except IsolationError:
            place = Path(stack.enter_context(temporary_directory()))
        yield place


def _list_accepted(wishes: Sequence[Wish]) -> dict[str, tuple[str, ...]]:
    return {
        wish.request.source: wish.accepted
        for wish in wishes
        if isinstance(wish.request.source, str) and wish.accepted
    }


def _ignore_outcome(_: Outcome) -> None:
    """Take no note."""
