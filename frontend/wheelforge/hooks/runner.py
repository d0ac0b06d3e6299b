"""The two runners, each of them for the hooks of one build."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Self

from wheelforge.errors import (
    HookError,
    HookFailedError,
)
from wheelforge.hooks.deadline import Cancellation, Watch
from wheelforge.hooks.direct import Direct
from wheelforge.hooks.environ import compose_environment
from wheelforge.hooks.output import Output
from wheelforge.hooks.process import ServerProcess
from wheelforge.hooks.protocol import Command, HookResult, Unserved
from wheelforge.hooks.server import can_fork

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wheelforge.hooks.options import HookOptions
    from wheelforge.hooks.protocol import Outcome
    from wheelforge.hooks.server import ForkServer


class SpawnRunner:
    """Runs each hook in a process of its own, started from nothing; close it after use.

    The processes are children of a small one that runs no code of any project. Without ``keeps``
    they are our own, and some of what the package promises does not hold.
    """

    def __init__(self, terms: HookOptions, *, keeps: bool | None = None) -> None:
        self._terms = terms
        self._keeps = can_fork() if keeps is None else keeps
        self._cancellation = Cancellation()
        self._lock = threading.Lock()
        self._keeper: ServerProcess | None = None

    def __call__(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        """Run one hook, as `pyproject_hooks` asks for it."""
        environment = compose_environment(self._terms.base, extra_environ)
        command = Command(words=tuple(cmd), directory=cwd or "", environment=environment)
        if self._cancellation.is_cancelled:
            raise HookError("hook-cancelled", command.hook)
        started = time.monotonic()
        limit = self._terms.timeout_seconds
        watch = Watch(
            output=Output(self._terms),
            cancellation=self._cancellation,
            grace_seconds=self._terms.grace_seconds,
            deadline=None if limit is None else started + limit,
            on_start=partial(self._terms.on_start or _ignore, command.hook),
        )
        outcome, reason = self._run(command, watch)
        watch.output.finish()
        self._tell(command, watch, outcome, reason=reason, seconds=time.monotonic() - started)
        self._judge(command, watch, outcome)

    def cancel(self) -> None:
        """End every hook that runs and refuse all others; for other threads, does not wait."""
        self._cancellation.cancel()

    def close(self) -> None:
        """End what was started to start others."""
        with self._lock:
            keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, command: Command, watch: Watch) -> tuple[Outcome, str | None]:
        """Return how a command ended and why it was not forked; nothing if it was."""
        return self._spawn(command, watch), ""

    def _spawn(self, command: Command, watch: Watch) -> Outcome:
        try:
            if not self._keeps:
                return Direct(watch).run(command)
            try:
                return self._obtain_keeper(command).run(command, watch)
            except Unserved:
                self.close()
                return self._obtain_keeper(command).run(command, watch)
        except Unserved as error:
            raise HookError("hook-not-started", command.hook, str(error)) from error

    def _obtain_keeper(self, command: Command) -> ServerProcess:
        with self._lock:
            if self._keeper is None:
                self._keeper = ServerProcess.start([command.words[0]], command.environment)
            return self._keeper

    def _tell(
        self,
        command: Command,
        watch: Watch,
        outcome: Outcome,
        *,
        reason: str | None,
        seconds: float,
    ) -> None:
        if self._terms.on_ending is None:
            return
        ending = HookResult(
            hook=command.hook,
            status=outcome.status,
            output=watch.output.tail,
            seconds=seconds,
            forked=reason is None,
            reason=reason or "",
            peak_bytes=outcome.peak_bytes,
            cpu_seconds=outcome.cpu_seconds,
            strays=outcome.strays,
        )
        self._terms.on_ending(ending)

    def _judge(self, command: Command, watch: Watch, outcome: Outcome) -> None:
        """Raise what is wrong with how a command ended."""
        if self._cancellation.is_cancelled:
            raise HookError("hook-cancelled", command.hook)
        if outcome.late:
            seconds = self._terms.timeout_seconds or 0.0
            raise HookError("hook-timed-out", command.hook, seconds, watch.output.tail)
        if outcome.status != 0:
            tail = watch.output.tail
            raise HookFailedError(command.hook, outcome.status, command.words, tail)


class ForkRunner(SpawnRunner):
    """Runs each hook as a fork of a server, or spawns it where that would not be the same.

    Which of the two it was, and why, is part of every ending that the terms' listener hears.
    """

    def __init__(
        self, server: ForkServer, terms: HookOptions, *, keeps: bool | None = None
    ) -> None:
        super().__init__(terms, keeps=keeps)
        self._server = server

    def _run(self, command: Command, watch: Watch) -> tuple[Outcome, str | None]:
        try:
            return self._server.run(command, watch), None
        except Unserved as objection:
            return self._spawn(command, watch), str(objection)


def _ignore(_: str) -> None:
    return
