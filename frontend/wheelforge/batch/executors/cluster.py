"""Builds by the workers of a Dask cluster.

The scheduler is told of as many builds as its workers have room for, and of no more: a build that
waits at one worker is not given to another one that comes, or is done sooner. Each is a text for a
function of ours. The thread that asks for a build waits for its answer; a build whose worker is
lost is handed out again.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelforge.batch.executors.dask import import_distributed, make_security
from wheelforge.batch.executors.dispatch import Dispatcher
from wheelforge.batch.executors.local import LocalExecutor
from wheelforge.batch.executors.local_cluster import LocalCluster
from wheelforge.batch.executors.roster import Roster
from wheelforge.batch.executors.tasks import MEMORY, SLOT, Answer, run_task
from wheelforge.batch.executors.wire import from_text, to_text
from wheelforge.batch.machine import count_cores
from wheelforge.build.targets import find_layout
from wheelforge.errors import BuildCancelledError, ClusterError, UsageError
from wheelforge.models import Outcome
from wheelforge_isolation import open_stage

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import TypeAlias

    from wheelforge.batch.executors.tasks import Task
    from wheelforge.batch.forges import Forges
    from wheelforge.batch.jobs import Job
    from wheelforge.batch.options import BatchOptions, Cluster
    from wheelforge.build.forge import Forge
    from wheelforge.build.sources import FetchedSource
    from wheelforge.settings import Settings

    Client: TypeAlias = Any
    Future: TypeAlias = Any
    """Of `distributed`."""

_CONNECT_SECONDS = 10
_LOOK_SECONDS = 1.0
_MOST_ATTEMPTS = 5


@contextlib.contextmanager
def open_cluster(
    cluster: Cluster, options: BatchOptions, settings: Settings, forges: Forges
) -> Generator[DaskExecutor]:
    """Yield an executor that has builds done by a cluster; all that it starts ends with it."""
    _check_settings(settings)
    distributed = import_distributed()
    with contextlib.ExitStack() as stack:
        local = None
        if cluster.scheduler:
            address, security = cluster.scheduler, make_security(cluster)
        else:
            cores = options.cores or count_cores()
            layout = find_layout(settings.cache_dir, settings.stage_dir)
            local = LocalCluster(options.at_once or cores, cores, layout, forges.place)
            stack.enter_context(local)
            address, security = local.address, local.security
        shared = forges.place / "shared"
        if cluster.shared is not None:
            shared = stack.enter_context(open_stage(cluster.shared, "batch")).path / "shared"
        dispatcher = stack.enter_context(contextlib.closing(Dispatcher(shared, settings, forges)))
        client = _connect(distributed, address, security)
        stack.callback(client.close, timeout=_CONNECT_SECONDS)
        roster = stack.enter_context(contextlib.closing(Roster(client, address, forges, local)))
        here = LocalExecutor(forges.pool, options.at_once or count_cores())
        yield DaskExecutor(client, roster, dispatcher, here, limit=options.at_once)


def _check_settings(settings: Settings) -> None:
    """Refuse settings that make sense on one machine only."""
    wrong = {
        "environment_dir": settings.environment_dir,
        "recorder": settings.recorder,
        "isolated": not settings.isolated,
        "provenance.signer": settings.provenance.signer,
    }
    for name, value in wrong.items():
        if value:
            raise UsageError("option-invalid", "--executor", f"`{name}` is for this machine only")


def _connect(distributed: Any, address: str, security: object) -> Client:  # ruff: ignore[any-type]
    try:
        return distributed.Client(
            address,
            security=security,
            timeout=_CONNECT_SECONDS,
            set_as_default=False,
            name="wheelforge",
        )
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ClusterError("scheduler-unreachable", address, reason) from error


class DaskExecutor:
    """Hands sdists to a cluster; directories are built here, as they are nowhere else."""

    def __init__(
        self,
        client: Client,
        roster: Roster,
        dispatcher: Dispatcher,
        here: LocalExecutor,
        *,
        limit: int,
    ) -> None:
        self._client = client
        self._roster = roster
        self._dispatcher = dispatcher
        self._here = here
        self._limit = limit
        self._futures: set[Future] = set()
        self._lock = threading.Lock()
        self._is_cancelled = False

    @property
    def is_here(self) -> bool:
        """Whether the workers are those of a local cluster."""
        return self._roster.is_local

    @property
    def at_once(self) -> int:
        """How many builds it takes at a time, as things are now."""
        room = self._roster.count_room()
        return min(room, self._limit) if self._limit and not self.is_here else room

    def check(self) -> None:
        """Raise an error if the scheduler is lost, or no worker comes."""
        self._roster.check()

    def cancel(self) -> None:
        """End all builds as soon as possible; does not wait."""
        self._here.cancel()
        with self._lock:
            self._is_cancelled = True
            futures = list(self._futures)
        self._roster.cancel()
        for future in futures:
            with contextlib.suppress(Exception):
                future.cancel(force=True)

    def build(self, job: Job, forge: Forge, place: Path, fetched: FetchedSource | None) -> Outcome:
        """Return how the build of ``job`` by some worker has ended."""
        source = job.request.source
        is_elsewhere = isinstance(source, Path) and not source.is_file()
        if is_elsewhere or job.request.tree is not None:
            return self._here.build(job, forge, place, fetched)
        with self._dispatcher.opening_task(job, forge) as task:
            lost = 0
            while lost < _MOST_ATTEMPTS and (workers := self._roster.wait(task.terms)):
                answer = self._ask(task, workers, job)
                if answer is not None and answer.outcome is not None:
                    layout = forge.context.layout
                    return self._dispatcher.collect(task, answer, answer.outcome, layout, place)
                if answer is not None:
                    self._roster.exclude(answer.worker, task.terms, answer.refusal)
                lost += answer is None
            if lost == _MOST_ATTEMPTS and not self._is_over():
                raise ClusterError("worker-lost", job.request.label, lost)
        return Outcome(
            request=job.request,
            python=self._dispatcher.find_version(job),
            error=BuildCancelledError(job.request.label),
        )

    def _is_over(self) -> bool:
        return self._is_cancelled or self._client.status != "running"

    def _ask(self, task: Task, workers: list[str], job: Job) -> Answer | None:
        """Return the answer to a task; nothing if the worker was lost, or the batch has ended."""
        memory = min(job.memory, self._roster.most_memory)
        future = self._client.submit(
            run_task,
            to_text(task),
            key=f"{task.name}-{uuid.uuid4().hex}",
            workers=workers,
            allow_other_workers=False,
            resources={SLOT: 1, **({MEMORY: memory} if memory and not self.is_here else {})},
            pure=False,
            retries=0,
        )
        with self._lock:
            self._futures.add(future)
        try:
            return self._wait(future, workers)
        finally:
            with self._lock:
                self._futures.discard(future)
            future.release()

    def _wait(self, future: Future, workers: list[str]) -> Answer | None:
        distributed = import_distributed()
        while not self._is_cancelled:
            try:
                text = future.result(timeout=_LOOK_SECONDS)
            except TimeoutError:
                if not self._roster.has_any(workers):
                    future.cancel(force=True)
                    return None
                continue
            except (concurrent.futures.CancelledError, distributed.scheduler.KilledWorker):
                return None
            answer = from_text(text, Answer)
            is_cancelled = answer.outcome is not None and isinstance(
                answer.outcome.error, BuildCancelledError
            )
            return None if is_cancelled else answer
        return None
