"""The command `lock`: all that is named is asked what it needs, and nothing of it is built."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from wheelforge.batch import run_batch
from wheelforge.cli.batch import list_inputs, make_options
from wheelforge.cli.commands import open_cache_place, open_console
from wheelforge.cli.settings import make_settings
from wheelforge.errors import LockError, UsageError
from wheelforge.lockfile import (
    Recorder,
    Source,
    check_lock_name,
    list_differences,
    read_lock,
    write_lock,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from wheelforge.cli.command_options import CommandOptions
    from wheelforge.cli.console import Console
    from wheelforge.lockfile import Lock
    from wheelforge.models import Outcome

    Ask = Callable[[Console, Callable[[Outcome], None]], tuple[list[Outcome], Lock]]
    """Returns the outcomes of builds that begin, each of which it shows, and what they need."""


def run_lock(options: CommandOptions) -> int:
    """Write down what builds need, or check what is written; return the exit code."""
    return conclude_lock(options, partial(_ask, options))


def conclude_lock(options: CommandOptions, ask: Ask) -> int:
    """Write down what ``ask`` finds out, or check what is written; return the exit code."""
    if options.no_isolation:
        raise UsageError("option-invalid", "--no-isolation", "such builds need nothing from a lock")
    check_lock_name(options.output)
    old = read_lock(options.output) if options.check else None
    console = open_console(options)
    with open_cache_place(options), console.watch():
        outcomes, lock = ask(console, console.show_outcome)
    failed = [each for each in outcomes if each.verdict == "failed"]
    if failed and not (options.keep_going and lock.sources):
        return max(each.error.exit_code for each in failed if each.error)
    if old is not None:
        differences = list_differences(old, lock)
        if differences:
            raise LockError("lock-outdated", str(options.output), differences)
    else:
        write_lock(lock, options.output)
        sys.stdout.write(f"{options.output}\n")
    if failed:
        names = ", ".join(f"`{each.request.label}`" for each in failed)
        console.say("error", f"not in the lock, as they have failed: {names}", is_needed=True)
    return 1 if failed else 0


def _ask(
    options: CommandOptions, console: Console, show: Callable[[Outcome], None]
) -> tuple[list[Outcome], Lock]:
    """Let the builds of all sources begin; return how that has ended, and what they need."""
    recorder = Recorder()

    def on_outcome(outcome: Outcome) -> None:
        show(outcome)
        if outcome.error is not None:
            recorder.drop(
                Source(outcome.request.label, outcome.sha256, outcome.commit), outcome.python
            )

    inputs = [
        each._replace(request=replace(each.request, stops_early=True))
        for each in list_inputs(options)
    ]
    chosen = make_options(options, inputs)._replace(keeps_going=options.keep_going)
    settings = replace(make_settings(options), recorder=recorder)
    outcomes = run_batch(inputs, settings, chosen, console.on_event, on_outcome)
    return outcomes, recorder.lock()
