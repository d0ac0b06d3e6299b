"""The command `build`: a server imports the backend while this process imports all the rest."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.build.prestart import Prestarter
from wheelforge.cli.cluster_options import OF_CLUSTERS
from wheelforge.hooks.pool import RunnerPool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wheelforge.cli.command_options import CommandOptions
    from wheelforge.cli.console import Console
    from wheelforge.events import BuildEvent, Reporter
    from wheelforge.models import Outcome, Staging
    from wheelforge.verify.repeat import Repeater

    Build = Callable[[Reporter, Callable[[Outcome], None]], None]


def run_build(options: CommandOptions) -> int:
    """Build, say where each result is, and return the exit code."""
    if options.metadata:
        return _run_metadata(options)
    if options.plan or options.json:
        from wheelforge.cli.plan import run

        return run(options)
    if not is_alone(options):
        from wheelforge.cli.batch import build_many

        return run_with(
            options,
            lambda report, on_outcome: build_many(options, report, on_outcome),
            is_batch=True,
        )
    with RunnerPool() as pool, contextlib.ExitStack() as stack:
        staging = None
        if not (options.no_isolation or options.no_cache):
            staging = _start_early(options, pool, stack)
        # Only from here on are all the others imported: the server does it on another core.
        from wheelforge.build.forge import Components
        from wheelforge.cli.commands import build_alone

        components = Components(pool=pool, staging=staging)
        return run_with(
            options, lambda report, on_outcome: build_alone(options, components, report, on_outcome)
        )


def _start_early(
    options: CommandOptions, pool: RunnerPool, stack: contextlib.ExitStack
) -> Staging | None:
    """Start the server of the last build; if in a sandbox, return what opens its stage."""
    source = options.sources[0] if options.sources else Path.cwd()
    python = options.pythons[0] if options.pythons else ""
    reuses = not (options.no_reuse or options.rebuild or options.refresh)
    prestarter = Prestarter(options.cache_dir, python)
    limits = (options.max_memory, options.max_processes, options.max_file_size)
    if options.sandbox == options.require_sandbox == "none" and not any(limits):
        prestarter.start(source, os.environ, pool, reuses=reuses)
        return None
    last = prestarter.find(source, os.environ, reuses=reuses)
    if last is None or not isinstance(source, Path) or options.compiler_cache != "off":
        return None
    from wheelforge.build.early_stage import EarlyStage
    from wheelforge.build.targets import find_layout
    from wheelforge.cli.hook_options import read_sandbox

    layout = find_layout(options.cache_dir, options.stage_dir)
    early = stack.enter_context(EarlyStage(layout, pool))
    early.start(source, last, dict(os.environ), read_sandbox(options))
    return early.open


def is_alone(options: CommandOptions) -> bool:
    """Return whether there is one build and nothing else: it need not wait for what many need."""
    is_one = len(options.sources) <= 1 and len(options.pythons or ()) <= 1
    is_plain = not (options.requirement or options.with_deps or options.no_binary)
    is_here = options.executor == "local" and not any(
        getattr(options, name) for name in OF_CLUSTERS
    )
    return is_one and is_plain and is_here and not (options.resume or options.shard)


def run_with(options: CommandOptions, build: Build, *, is_batch: bool = False) -> int:
    """Let ``build`` build, tell of it, write the reports, and return the exit code."""
    if not options.repeat:
        return _run(options, build, is_batch=is_batch)
    from wheelforge.cli.settings import make_settings
    from wheelforge.verify.repeat import Repeater

    repeaters: list[Repeater] = []

    def build_twice(report: Reporter, on_outcome: Callable[[Outcome], None]) -> None:
        pythons = options.pythons or [None]
        python = pythons[0] if len(pythons) == 1 else None
        repeater = Repeater(replace(make_settings(options), python=python))
        repeaters.append(repeater)
        build(report, lambda outcome: on_outcome(repeater.repeat(outcome)))

    code = _run(options, build_twice, is_batch=is_batch)
    return code or int(any(each.has_differences for each in repeaters))


def _run(options: CommandOptions, build: Build, *, is_batch: bool) -> int:
    from wheelforge.cli.commands import open_cache_place, open_console
    from wheelforge.cli.reports import open_reports

    begun = time.monotonic()
    console = open_console(options)
    console.is_batch = is_batch
    reporters: list[Reporter] = [console.on_event]
    outcomes: list[Outcome] = []

    def report(event: BuildEvent) -> None:
        for reporter in reporters:
            reporter(event)

    def on_outcome(outcome: Outcome) -> None:
        outcomes.append(outcome)
        reports.add(outcome)
        console.show_outcome(outcome)

    code = 0
    try:
        with open_reports(options) as reports, open_cache_place(options), console.watch():
            reporters.append(reports.on_event)
            build(report, on_outcome)
    except KeyboardInterrupt:
        if is_batch:
            _sum_up(options, console, outcomes, time.monotonic() - begun, is_interrupted=True)
        raise
    if is_batch:
        code = _sum_up(options, console, outcomes, time.monotonic() - begun)
    if reports.comparison is not None:
        from wheelforge.cli.summary import list_differences

        console.say("note", "\n".join(list_differences(reports.comparison)))
    return code or max((each.error.exit_code for each in outcomes if each.error), default=0)


def _sum_up(
    options: CommandOptions,
    console: Console,
    outcomes: Sequence[Outcome],
    seconds: float,
    *,
    is_interrupted: bool = False,
) -> int:
    from wheelforge.batch.machine import count_cores
    from wheelforge.cli.reports import list_reports
    from wheelforge.cli.summary import Batch, conclude, write_markdown

    batch = Batch(
        outcomes=outcomes,
        seconds=seconds,
        # A cluster has as many as it has workers, which may change.
        jobs=options.jobs or (0 if options.scheduler else count_cores()),
        reports=tuple(list_reports(options)),
        is_interrupted=is_interrupted,
    )
    write_markdown(batch, os.environ)
    return conclude(batch, console)


def _run_metadata(options: CommandOptions) -> int:
    from wheelforge.cli.commands import run_metadata
    from wheelforge.cli.reports import check_reports
    from wheelforge.errors import UsageError

    check_reports(options)
    if options.kinds:
        raise UsageError("option-invalid", "--metadata", "it says to build something, too")
    if options.plan:
        raise UsageError("option-invalid", "--plan", "with `--metadata` nothing is built")
    return run_metadata(options)
