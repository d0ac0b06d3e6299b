"""A batch, from its inputs to their outcomes."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.batch.executors.local import LocalExecutor
from wheelforge.batch.forges import Forges
from wheelforge.batch.history import Deliveries, Timings, digest_settings
from wheelforge.batch.inputs import find_gap, list_requirements, merge
from wheelforge.batch.jobs import Job, limit, toposort
from wheelforge.batch.machine import (
    can_share,
    count_cores,
    find_free_memory,
    make_pipe,
    open_tokens,
    share_out,
)
from wheelforge.batch.scheduler import Scheduler
from wheelforge.batch.worker import Worker
from wheelforge.build.forge import pass_on
from wheelforge.build.targets import find_layout, find_python, read_index_settings
from wheelforge.errors import BuildNotStartedError
from wheelforge.events import BuildEvent, ignore
from wheelforge.models import Kind, Outcome
from wheelforge_isolation import (
    ForgeError,
    IsolationError,
    JsonCache,
    choose_layout,
    open_stage,
    temporary_directory,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from wheelforge.batch.dependencies import DependencySet
    from wheelforge.batch.executors import Executor
    from wheelforge.batch.inputs import BuildInput
    from wheelforge.batch.machine import Tokens
    from wheelforge.batch.options import BatchOptions
    from wheelforge.batch.shards import Shard
    from wheelforge.events import Reporter
    from wheelforge.models import BuildRequest
    from wheelforge.settings import Settings
    from wheelforge_isolation import Layout

    Stated = dict[str, tuple[str, ...]]


def run_batch(
    inputs: Sequence[BuildInput],
    settings: Settings,
    options: BatchOptions,
    reporter: Reporter = ignore,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Build each source with each Python; return the outcomes in the order of the inputs.

    ``on_outcome`` is called with each as soon as it is there. An error is raised only if no build
    could go well with it: no such Python, no usable cache.
    """
    inputs = merge(inputs)
    with contextlib.ExitStack() as stack:
        worker = open_worker(stack, settings, options, len(inputs), reporter)
        return _Batch(inputs, options, worker, on_outcome or (lambda _: None)).run()


def open_worker(
    stack: contextlib.ExitStack,
    settings: Settings,
    options: BatchOptions,
    sources: int,
    reporter: Reporter,
) -> Worker:
    """Return the worker; ``stack`` closes what it uses."""
    report = partial(pass_on, reporter)
    layout, _ = stack.enter_context(
        choose_layout(find_layout(settings.cache_dir, settings.stage_dir), report)
    )
    settings = replace(settings, cache_dir=layout.root)
    place = stack.enter_context(_open_place(layout))
    pythons = {
        python: find_python(replace(settings, python=python), layout) for python in options.pythons
    }
    tokens, own = _share(stack, settings, options, sources * len(pythons), place)
    forges = stack.enter_context(Forges(own, pythons, tokens, place=place, reporter=reporter))
    worker = Worker(
        forges,
        Timings(JsonCache(layout.resolutions, "past")),
        Deliveries(
            JsonCache(layout.resolutions, "delivered"),
            digest_settings(settings, read_index_settings(settings)),
        ),
        _open_executor(stack, options, settings, forges),
        place=place,
    )
    worker.resumes = options.resumes
    return worker


def _share(
    stack: contextlib.ExitStack,
    settings: Settings,
    options: BatchOptions,
    jobs: int,
    place: Path,
) -> tuple[Tokens, Settings]:
    """Return the tokens for hooks, and the settings with the variables that tell of them."""
    cores = options.cores or count_cores()
    pipe = make_pipe(place / "jobs") if can_share(settings.variables) else None
    tokens = stack.enter_context(open_tokens(cores, pipe))
    builds = min(options.at_once or cores, jobs)
    variables = share_out(settings.variables, cores, builds, str(pipe or ""))
    return tokens, replace(settings, variables=variables)


def _open_executor(
    stack: contextlib.ExitStack, options: BatchOptions, settings: Settings, forges: Forges
) -> Executor:
    """Return what does the builds; ``settings`` are those of the batch, before it shares out."""
    if options.cluster is None:
        return LocalExecutor(forges.pool, options.at_once or options.cores or count_cores())
    from wheelforge.batch.executors.cluster import open_cluster

    return stack.enter_context(open_cluster(options.cluster, options, settings, forges))


def list_jobs(
    inputs: Sequence[BuildInput],
    options: BatchOptions,
    worker: Worker,
    list_set: Callable[[Stated, str | None, Iterator[int]], Iterable[Job]],
) -> Iterator[Job]:
    """Yield each source with each Python; ``list_set`` has the jobs of a set with its dependencies.

    That is given the hashes of each requirement, the Python, and numbers for the jobs.
    """
    numbers = itertools.count()
    pythons = worker.forges.pythons
    gap = find_gap(inputs, {python: pythons[python].markers for python in pythons})
    if gap:
        worker.forges.emit(None, BuildEvent(kind="note", build="", text=gap))
    for python, interpreter in worker.forges.pythons.items():
        others, versions = inputs, dict[str, str]()
        if options.with_dependencies:
            stated, others = list_requirements(inputs)
            collected = list(list_set(stated, python, numbers)) if stated else []
            yield from collected
            versions |= collected[0].request.set_versions if collected else {}
        for each in others:
            if each.is_for(python, interpreter.markers):
                request = each.constrain(options.constraints, interpreter.markers)
                overrides, markers = worker.forges.settings.overrides, interpreter.markers
                if overrides is not None:
                    own = each.set_versions.get(python, versions)
                    request = replace(request, set_versions=overrides.choose_matched(own))
                job = Job(next(numbers), request, python)
                yield job if overrides is None else limit(job, overrides, markers)


def choose_shard(jobs: list[Job], shard: Shard | None, worker: Worker) -> list[Job]:
    """Return the jobs of a shard, if there is one, and say how all of them were split."""
    if shard is None:
        return jobs
    from wheelforge.batch.shards import digest, split

    timings = ((job.number, worker.timings.load(job)) for job in jobs)
    seconds = {number: timing.seconds for number, timing in timings if timing}
    parts = split(jobs, seconds, min(shard.total, len(jobs)))  # others would be empty
    chosen: list[Job] = parts[shard.number - 1] if shard.number <= len(parts) else []
    past = f"{len(seconds)} of them with a known duration"
    text = f"shard {shard}: {len(chosen)} of {len(jobs)} builds, {past}; split {digest(parts)}"
    worker.forges.emit(None, BuildEvent(kind="note", build="", text=text))
    return chosen


def open_set(
    worker: Worker, python: str | None, options: BatchOptions, inputs: Sequence[BuildInput]
) -> DependencySet:
    """Return the set of the requirements among ``inputs`` and all that these require."""
    from wheelforge.batch.dependencies import DependencySet

    return DependencySet(worker, python, make_pattern(inputs), options, inputs)


def make_pattern(inputs: Sequence[BuildInput]) -> BuildRequest:
    """Return the request for a wheel that is like those of the requirements."""
    first = next(each.request for each in inputs if each.requirement)
    return replace(first, kinds=(Kind.WHEEL,))


class _Batch:
    """One run of a batch."""

    def __init__(
        self,
        inputs: Sequence[BuildInput],
        options: BatchOptions,
        worker: Worker,
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        self._inputs = inputs
        self._options = options
        self._worker = worker
        self._on_outcome = on_outcome
        self._outcomes: dict[int, Outcome] = {}

    def run(self) -> list[Outcome]:
        """Build all jobs, and return their outcomes in the order of the inputs."""
        jobs = list(list_jobs(self._inputs, self._options, self._worker, self._list_set))
        try:
            jobs = toposort(jobs, self._worker.place / "looked-at")
            jobs = choose_shard(jobs, self._options.shard, self._worker)
            self._build(jobs)
        finally:
            for job in jobs:
                if job.number not in self._outcomes:
                    error = BuildNotStartedError(job.request.label)
                    self._outcomes[job.number] = self._worker.fail(job, error)
                    self._on_outcome(self._outcomes[job.number])
        return [self._outcomes[number] for number in sorted(self._outcomes)]

    def _build(self, jobs: Sequence[Job]) -> None:
        scheduler = Scheduler(self._worker, jobs, find_free_memory)
        for job in jobs:
            seconds = scheduler.known_seconds.get(job.number, 0.0)
            event = BuildEvent(kind="queued", build=job.request.label, id=job.id, seconds=seconds)
            self._worker.forges.emit(job.python, event)
        if self._options.keeps_going or not self._outcomes:
            try:
                scheduler.run(self._note_outcome)
            finally:
                scheduler.collect(self._note_outcome)
                self._outcomes |= scheduler.outcomes

    def _note_outcome(self, outcome: Outcome) -> bool:
        self._on_outcome(outcome)
        return outcome.error is None or self._options.keeps_going

    def _list_set(self, stated: Stated, python: str | None, numbers: Iterator[int]) -> list[Job]:
        """Return the jobs of a whole set; one that cannot be chosen is an outcome."""
        try:
            whole = open_set(self._worker, python, self._options, self._inputs)
            return list(whole.list_jobs(stated, numbers))
        except ForgeError as error:
            version = self._worker.forges.pythons[python].version
            request = replace(make_pattern(self._inputs), source=", ".join(stated))
            number = next(numbers)
            outcome = Outcome(request=request, python=version, error=error, id=str(number + 1))
            self._outcomes[number] = outcome
            self._on_outcome(outcome)
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
