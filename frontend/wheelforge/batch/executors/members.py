"""Workers of a cluster: processes that do tasks for a scheduler, and start over if it is lost."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge.batch.executors.dask import import_distributed
from wheelforge.batch.executors.task_worker import TaskWorker
from wheelforge.batch.executors.tasks import MEMORY, SLOT
from wheelforge.batch.machine import find_free_memory

if TYPE_CHECKING:
    from collections.abc import Callable

_AGAIN_SECONDS = 5.0
_SWEEP_SECONDS = 10.0
_CLOSE_SECONDS = 20.0


class Membership(NamedTuple):
    """The scheduler of a worker, and how that is reached."""

    address: str
    security: Any
    scratch: Path
    """A directory for files of Dask's own."""
    is_faithful: bool = True
    """Whether it waits for a scheduler that is lost."""


def serve(tasks: TaskWorker, member: Membership, tell: Callable[[str], None]) -> None:
    """Do tasks until this process is interrupted, or the scheduler of one batch has ended."""
    tasks.install()
    asyncio.run(_serve(tasks, member, tell))


async def _serve(tasks: TaskWorker, member: Membership, tell: Callable[[str], None]) -> None:
    is_first = True
    while True:
        try:
            await _serve_once(tasks, member, tell)
            tell(f"the scheduler `{member.address}` has let go of this worker")
        except OSError as error:
            if is_first or not member.is_faithful:
                tell(f"the scheduler `{member.address}` cannot be reached: {error}")
        is_first = False
        if not member.is_faithful:
            return
        await asyncio.sleep(_AGAIN_SECONDS)


async def _serve_once(tasks: TaskWorker, member: Membership, tell: Callable[[str], None]) -> None:
    """Be a worker of the scheduler for as long as that is there."""
    distributed = import_distributed()
    slots = tasks.options.at_once

    class Watch(distributed.WorkerPlugin):  # type: ignore[misc, name-defined]
        """Ends builds that are not wanted any more."""

        name = "wheelforge"

        def transition(self, key: str, start: str, finish: str, **_: object) -> None:
            """Hear of every change of a task."""
            if start in {"executing", "long-running"} and finish != "memory":
                threading.Thread(target=tasks.cancel, args=(str(key),), daemon=True).start()

        def teardown(self, worker: object) -> None:  # ruff: ignore[unused-method-argument]
            """Hear that the worker ends."""
            tasks.cancel_all()

    worker = distributed.Worker(
        member.address,
        nthreads=slots,
        resources={SLOT: slots, MEMORY: find_free_memory() or 1 << 40},
        security=member.security,
        memory_limit=0,
        dashboard=False,
        dashboard_address="127.0.0.1:0",
        local_directory=str(member.scratch),
        plugins=[Watch()],
    )
    sweeper = asyncio.create_task(_sweep(tasks))
    try:
        await worker
        tasks.address = worker.address
        tell(f"at work for `{member.address}`, {slots} builds at a time")
        await worker.finished()
    finally:
        sweeper.cancel()
        await worker.close(timeout=_CLOSE_SECONDS, nanny=False)


async def _sweep(tasks: TaskWorker) -> None:
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        await asyncio.to_thread(tasks.sweep)


def run_child() -> None:
    """Be a worker of a local cluster: facts come by standard input, whose end is the end of it."""
    facts = json.loads(sys.stdin.buffer.readline())
    tasks = TaskWorker(Path(facts["cache_dir"]), facts["slots"], facts["cores"])
    threading.Thread(target=_end_with_input, args=(tasks,), daemon=True).start()
    distributed = import_distributed()
    security = distributed.Security(require_encryption=True, **facts["security"])
    member = Membership(facts["address"], security, Path(facts["scratch"]), is_faithful=False)
    try:
        serve(tasks, member, lambda _: None)
    finally:
        os._exit(0)


def _end_with_input(tasks: TaskWorker) -> None:
    sys.stdin.buffer.read()
    tasks.cancel_all()
    deadline = time.monotonic() + _CLOSE_SECONDS
    while tasks.is_busy() and time.monotonic() < deadline:
        time.sleep(0.02)
    os._exit(0)
