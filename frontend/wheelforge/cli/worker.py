"""The command `worker`: this process builds for the batches of a cluster."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from wheelforge.batch.executors.address import check_address
from wheelforge.batch.executors.dask import import_distributed, make_security
from wheelforge.batch.executors.members import Membership, serve
from wheelforge.batch.executors.task_worker import TaskWorker
from wheelforge.batch.machine import count_cores
from wheelforge.batch.options import Cluster
from wheelforge.build.forge import pass_on
from wheelforge.build.targets import find_layout
from wheelforge.cli.cluster_options import read_certificates
from wheelforge.cli.console import Console
from wheelforge_isolation import open_cache, open_stage

if TYPE_CHECKING:
    from wheelforge.cli.command_options import CommandOptions


def run_worker(options: CommandOptions) -> int:
    """Build for a scheduler until this process is interrupted."""
    console = Console(options.verbosity)
    scheduler = check_address(options.scheduler)
    cluster = Cluster(scheduler=scheduler, certificates=read_certificates(options))
    import_distributed()
    layout, cores = find_layout(options.cache_dir), count_cores()
    with contextlib.ExitStack() as stack:
        report = partial(pass_on, console.on_event)
        cache = stack.enter_context(open_cache(layout, report))  # or an error tells why not
        scratch = stack.enter_context(open_stage(cache.layout.stages, "worker")).path
        tasks = TaskWorker(cache.layout.root, options.jobs or cores, cores)
        member = Membership(scheduler, make_security(cluster), scratch)
        serve(tasks, member, partial(console.say, "note"))
    return 0
