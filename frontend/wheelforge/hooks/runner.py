"""The runner of the hooks of one build, and the terms on which they run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import IO, TYPE_CHECKING, NamedTuple, Self

from wheelforge.errors import HookError, HookFailedError
from wheelforge.hooks.direct import Direct
from wheelforge.hooks.environ import compose_environment
from wheelforge.hooks.output import Output
from wheelforge.hooks.protocol import Cancellation, Command, Unserved, Watch
from wheelforge.hooks.server import ServerProcess, can_fork

if TYPE_CHECKING:
    from wheelforge.hooks.protocol import Outcome
    from wheelforge.hooks.sandbox.confinement import Confinement
    from wheelforge.hooks.server import ForkServer


@dataclass(frozen=True, kw_only=True, slots=True)
class HookOptions:
    """Under which terms the hooks of one build run.

    Whoever asks for a runner says so with it; a runner of an embedder's own is told so by it.
    What is called is called by the thread that runs the hook, unless it is said otherwise.
    """

    base: Mapping[str, str] = field(default_factory=dict[str, str])
    """The variables that a hook's own are laid over; nothing is taken from this process."""
    timeout_seconds: float | None = None
    """For each hook."""
    grace_seconds: float = 3.0
    """Between asking a hook to end and killing it."""
    log: IO[bytes] | None = None
    """Gets all that hooks print; stays open."""
    on_output: Callable[[bytes], None] | None = None
    """Gets what hooks print, line by line, from the thread that runs the hook or another one."""
    on_start: Callable[[str], None] | None = None
    """Hears the name of every hook that has been started."""
    on_ending: Callable[[HookResult], None] | None = None
    """Hears of every hook that has ended, well or not."""
    confinement: Confinement | None = None
    """The sandbox that they are run in, if they are in one."""
    umask: int | None = None
    """That of this process unless given; nothing on Windows."""
    is_alone: bool = False
    """Whether a batch runs no other hook meanwhile."""
    memory_bytes: int = 0
    """How much has to be free before a batch runs one, if others are at work."""
    is_cancelled: Callable[[], bool] = lambda: False
    """For a runner of an embedder's own: whether nobody wants what it runs any longer."""


class HookResult(NamedTuple):
    """How a hook has ended."""

    hook: str
    status: int
    """As a shell has it; negative: the signal that ended it."""
    output: bytes
    """The last of what was printed."""
    seconds: float
    forked: bool
    reason: str = ""
    """Why it was not forked although that was asked for."""
    peak_bytes: int = 0
    """The most memory that one of its processes had; 0: not known."""
    cpu_seconds: float = 0.0
    """Of all its processes; 0: not known."""
    orphans: int = 0
    """Processes that were left behind, and ended."""


class HookRunner:
    """Runs each hook in a process of its own; close it after use.

    With a ``server`` that is a fork of it, unless that would not be the same; else it is started
    from nothing. Which of the two it was, and why, is part of every `HookResult`. Processes that
    are spawned are children of a small one that runs no code of any project. Without ``keeps`` they
    are our own, and some of what the package promises does not hold.
    """

    def __init__(
        self, terms: HookOptions, server: ForkServer | None = None, *, keeps: bool | None = None
    ) -> None:
        self._terms = terms
        self._server = server
        self._keeps = can_fork() if keeps is None else keeps
        self._prefix = terms.confinement.prefix if terms.confinement else None
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
        if self._terms.confinement is None:
            self._run_hook(cmd, cwd, extra_environ)
            return
        with self._terms.confinement.exchanging(cmd) as inner:
            self._run_hook(inner, cwd, extra_environ)

    def _run_hook(
        self, cmd: Sequence[str], cwd: str | None, extra_environ: Mapping[str, str] | None
    ) -> None:
        terms, output = self._terms, Output(self._terms.log, self._terms.on_output)
        environment = compose_environment(terms.base, extra_environ)
        command = Command(tuple(cmd), cwd or "", environment, terms.umask)
        if self._cancellation.is_cancelled():
            raise HookError("hook-cancelled", command.hook)
        started, limit = time.monotonic(), terms.timeout_seconds
        watch = Watch(
            output=output,
            cancellation=self._cancellation,
            grace_seconds=terms.grace_seconds,
            deadline=None if limit is None else started + limit,
            on_start=partial(terms.on_start or _ignore, command.hook),
        )
        outcome, reason = self._run(command, watch)
        output.finish()
        if terms.on_ending is not None:
            ending = HookResult(
                hook=command.hook,
                status=outcome.status,
                output=output.tail,
                seconds=time.monotonic() - started,
                forked=reason is None,
                reason=reason or "",
                peak_bytes=outcome.peak_bytes,
                cpu_seconds=outcome.cpu_seconds,
                orphans=outcome.orphans,
            )
            terms.on_ending(ending)
        if self._cancellation.is_cancelled():
            raise HookError("hook-cancelled", command.hook)
        if outcome.late:
            raise HookError("hook-timed-out", command.hook, limit or 0.0, output.tail, "", "")
        if outcome.status != 0:
            raise HookFailedError(command.hook, outcome.status, command.argv, output.tail)

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
        if self._server is None:
            return self._spawn(command, watch), ""
        try:
            return self._server.run(command, watch), None
        except Unserved as objection:
            return self._spawn(command, watch), str(objection)

    def _spawn(self, command: Command, watch: Watch) -> Outcome:
        try:
            if not self._keeps:
                return self._run_directly(command, watch)
            try:
                return self._obtain_keeper(command).run(command, watch)
            except Unserved:
                self.close()
                return self._obtain_keeper(command).run(command, watch)
        except Unserved as error:
            raise HookError("hook-not-started", command.hook, str(error)) from error

    def _run_directly(self, command: Command, watch: Watch) -> Outcome:
        if self._prefix is None:
            return Direct(watch).run(command)
        with self._prefix.opening(command.argv) as (argv, descriptors):
            return Direct(watch).run(command._replace(argv=tuple(argv)), descriptors)

    def _obtain_keeper(self, command: Command) -> ServerProcess:
        with self._lock:
            if self._keeper is None:
                self._keeper = ServerProcess.start(
                    [command.argv[0]], command.environment, self._prefix
                )
            return self._keeper


def _ignore(_: str) -> None:
    return
