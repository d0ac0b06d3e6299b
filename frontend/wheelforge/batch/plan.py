"""The plan of a batch: its builds in the order in which they start, and what each begins with."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from packaging.utils import canonicalize_name

from wheelforge.batch.inputs import merge
from wheelforge.batch.jobs import Job, toposort
from wheelforge.batch.machine import count_cores, find_free_memory
from wheelforge.batch.run import choose_shard, list_jobs, make_pattern, open_set, open_worker
from wheelforge.batch.scheduler import Scheduler
from wheelforge.build.environments import PlannedFile, find_origin
from wheelforge.build.plan import BuildPlan, plan_build
from wheelforge.build.project import read_project
from wheelforge.events import ignore
from wheelforge.resolve.fetch_plan import build_sdist
from wheelforge_isolation import ForgeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wheelforge.batch.inputs import BuildInput
    from wheelforge.batch.options import BatchOptions
    from wheelforge.batch.run import Stated
    from wheelforge.batch.worker import Worker
    from wheelforge.events import Reporter
    from wheelforge.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedJob:
    """One build of a batch."""

    job: Job
    plan: BuildPlan
    seconds: float | None
    """How long it took the last time."""
    is_kept: bool
    """Whether its results were delivered before, and stay as they are."""


class BatchPlan(NamedTuple):
    """The builds in the order in which they start, and what is collected without a build."""

    at_once: int
    builds: tuple[PlannedJob, ...]
    collected: tuple[PlannedFile, ...]
    failed: tuple[BuildPlan, ...]
    """Sets of requirements whose wheels cannot be chosen, or not before a build."""


def plan_batch(
    inputs: Sequence[BuildInput],
    settings: Settings,
    options: BatchOptions,
    reporter: Reporter = ignore,
) -> BatchPlan:
    """Return what `run_batch` would do; no hook runs, and nothing is delivered."""
    inputs = merge(inputs)
    options = options._replace(at_once=options.at_once or count_cores(), cluster=None)
    with contextlib.ExitStack() as stack:
        worker = open_worker(stack, settings, options, len(inputs), reporter)
        return _Planner(inputs, options, worker).run()


class _Planner:
    def __init__(self, inputs: Sequence[BuildInput], options: BatchOptions, worker: Worker) -> None:
        self._inputs = inputs
        self._options = options
        self._worker = worker
        self._wheels: dict[int, PlannedFile] = {}
        """The wheels that are fetched, by the number of the job that does it."""
        self._failed: list[BuildPlan] = []
        self._jobs: dict[int, Job] = {}
        self._known_seconds: Mapping[int, float] = {}

    def run(self) -> BatchPlan:
        worker, options = self._worker, self._options
        found = list(list_jobs(self._inputs, options, worker, self._list_set))
        jobs = toposort(found, worker.place / "looked-at")
        jobs = choose_shard(jobs, options.shard, worker)
        scheduler = Scheduler(worker, jobs, find_free_memory)
        self._jobs, self._known_seconds = {job.number: job for job in jobs}, scheduler.known_seconds
        for python in worker.forges.pythons:
            worker.forges.open(python)  # here, as it is for one thread
        order = [job for job in scheduler.list_order() if job.make is None]
        with ThreadPoolExecutor(options.at_once) as threads:
            builds = tuple(threads.map(self._plan, order))
        at_once = min(options.at_once, max(1, len(builds)))
        wheels = tuple(self._wheels[job.number] for job in jobs if job.make is not None)
        return BatchPlan(at_once, builds, wheels, tuple(self._failed))

    def _plan(self, job: Job) -> PlannedJob:
        worker = self._worker
        needed = (Path(self._jobs[number].request.source) for number in job.needs)
        offered = {canonicalize_name(read_project(source).name) for source in needed}
        plan = plan_build(worker.forges.open(job.python).context, job.request, offered)
        python = worker.forges.pythons[job.python]
        kept = plan.sha256 and worker.deliveries.find(job.request, plan.sha256, python)
        return PlannedJob(
            job=job,
            plan=plan,
            seconds=self._known_seconds.get(job.number),
            is_kept=worker.resumes and bool(kept),
        )

    def _list_set(
        self, stated: Stated, python: str | None, numbers: Iterator[int]
    ) -> Iterator[Job]:
        """Yield the jobs of a set, of which those that fetch a wheel are never done."""
        pattern = make_pattern(self._inputs)
        whole = open_set(self._worker, python, self._options, self._inputs)
        try:
            chosen = whole.settle(stated, partial(build_sdist, builder=None, chain=()))
        except ForgeError as error:
            version = self._worker.forges.pythons[python].version
            request = replace(pattern, source=", ".join(stated))
            self._failed.append(BuildPlan(request=request, python=version).fail(error))
            return
        for pin in chosen.pins:
            number, make = next(numbers), None
            if pin.is_wheel:
                file = PlannedFile(pin.name, pin.version, pin.file_name, find_origin(pin))
                self._wheels[number], make = file, partial(Path, pin.file_name)
            request = whole.make_request(pin.name, pin.version)
            yield Job(number=number, request=request, python=python, make=make)
