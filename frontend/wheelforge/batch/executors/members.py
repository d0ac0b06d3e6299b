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
from wheelforge.batch.executors.host import Host
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


def serve(host: Host, member: Membership, tell: Callable[[str], None]) -> None:
    """Do tasks until this process is interrupted, or the scheduler of one batch has ended."""
    host.install()
    asyncio.run(_serve(host, member, tell))


async def _serve(host: Host, member: Membership, tell: Callable[[str], None]) -> None:
    is_first = True
    while True:
        try:
            await _serve_once(host, member, tell)
            tell(f"the scheduler `{member.address}` has let go of this worker")
        except OSError as error:
            if is_first or not member.is_faithful:
                tell(f"the scheduler `{member.address}` cannot be reached: {error}")
        is_first = False
        if not member.is_faithful:
            return
        await asyncio.sleep(_AGAIN_SECONDS)


async def _serve_once(host: Host, member: Membership, tell: Callable[[str], None]) -> None:
    """Be a worker of the scheduler for as long as that is there."""
    distributed = import_distributed()
    slots = host.options.at_once

    class Watch(distributed.WorkerPlugin):  # type: ignore[misc, name-defined]
        """Ends builds that are not wanted any more."""

        name = "wheelforge"

        def transition(self, key: str, start: str, finish: str, **_: object) -> None:
            """Hear of every change of a task."""
            if start in {"executing", "long-running"} and finish != "memory":
                threading.Thread(target=host.cancel, args=(str(key),), daemon=True).start()

        def teardown(self, worker: object) -> None:  # ruff: ignore[unused-method-argument]
            """Hear that the worker ends."""
            host.cancel_all()

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
    sweeper = asyncio.create_task(_sweep(host))
    try:
        await worker
        host.address = worker.address
        tell(f"at work for `{member.address}`, {slots} builds at a time")
        await worker.finished()
    finally:
        sweeper.cancel()
        await worker.close(timeout=_CLOSE_SECONDS, nanny=False)


async def _sweep(host: Host) -> None:
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        await asyncio.to_thread(host.sweep)


def run_child() -> None:
    """Be a worker of a local cluster: facts come by standard input, whose end is the end of it."""
    facts = json.loads(sys.stdin.buffer.readline())
    host = Host(Path(facts["cache_dir"]), facts["slots"], facts["cores"])
    threading.Thread(target=_end_with_input, args=(host,), daemon=True).start()
    distributed = import_distributed()
    security = distributed.Security(require_encryption=True, **facts["security"])
    member = Membership(facts["address"], security, Path(facts["scratch"]), is_faithful=False)
    try:
        serve(host, member, lambda _: None)
    finally:
        os._exit(0)


def _end_with_input(host: Host) -> None:
    sys.stdin.buffer.read()
    host.cancel_all()
    deadline = time.monotonic() + _CLOSE_SECONDS
    while host.is_busy() and time.monotonic() < deadline:
        time.sleep(0.02)
    os._exit(0)
