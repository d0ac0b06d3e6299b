"""Fork servers that wait for the next hook in their environment, shared by all builds of a process.

Each holds the memory of an imported backend, so that only a few stay; one in use is never ended.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Self

from wheelforge.hooks.protocol import Cancellation

if TYPE_CHECKING:
    from wheelforge.hooks.runner import HookOptions, HookRunner
    from wheelforge.hooks.sandbox.confinement import Confinement
    from wheelforge.hooks.server import ForkServer

_IDLE_SERVERS = 16


class RunnerPool:
    """Makes runners for hooks that are called elsewhere; any number of threads may use one.

    Runners of one environment and backend share a server that has the backend imported and is
    forked for each hook, where the platform can. Close the pool when nothing runs any longer; as
    a context manager it does that by itself.
    """

    def __init__(self, *, idle_servers: int = _IDLE_SERVERS, forks: bool | None = None) -> None:
        self._forks = forks
        self._idle_servers = idle_servers
        self._servers: dict[object, ForkServer] = {}
        self._early: tuple[Confinement, ForkServer] | None = None
        self.cancellation = Cancellation()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def open(
        self, *, python: str, backend: str, environment: Mapping[str, str], terms: HookOptions
    ) -> Generator[HookRunner]:
        """Yield a runner; ``environment`` is what a server would be started with: all variables.

        ``python`` is that of the build environment, which must not change while the pool is open.
        ``backend`` is as in `build-backend`; without one nothing is forked, which is right for a
        backend in the project's own tree. The runner raises a leaf of `HookError` if a hook fails,
        is late or was cancelled; `HookFailedError` is a `CalledProcessError` as well.

        A server in the sandbox of a build serves that build alone.
        """
        from wheelforge.hooks.runner import HookRunner
        from wheelforge.hooks.server import ForkServer

        confinement = terms.confinement
        prefix = confinement.prefix if confinement else None
        with contextlib.ExitStack() as stack:
            server = None
            if backend and self._may_fork():
                server = ForkServer(
                    python=python, backend=backend, environment=environment, prefix=prefix
                )
            if confinement is not None:
                server = self._prepare(confinement, server)
            if server is not None:
                server = stack.enter_context(server if prefix else self._use(server))
            runner = stack.enter_context(HookRunner(terms, server))
            stack.enter_context(self.cancellation.reaching(runner.cancel))
            yield runner

    def start(
        self,
        *,
        python: str,
        backend: str,
        environment: Mapping[str, str],
        confinement: Confinement | None = None,
    ) -> None:
        """Start a server that will probably be wanted.

        It waits among those that are idle, or in a sandbox for the one build that may use it.
        """
        if not self._may_fork():
            return
        from wheelforge.hooks.server import ForkServer

        prefix = confinement.prefix if confinement else None
        server = ForkServer(python=python, backend=backend, environment=environment, prefix=prefix)
        if confinement is not None:
            confinement.prepare()
            self._early = (confinement, server)
        else:
            with self._lock:
                server = self._servers.setdefault(server.key, server)
        server.start()

    def end_early(self) -> None:
        """End the server that was started early in a sandbox, unless a build has taken it."""
        with self._lock:
            early, self._early = self._early, None
        if early is not None:
            early[1].close()

    def _prepare(self, confinement: Confinement, wanted: ForkServer | None) -> ForkServer | None:
        """Return ``wanted``, with new homes, or the server like it that was started early in them.

        One that was started early for another build is left alone.
        """
        early = None
        with self._lock:
            if self._early is not None and self._early[0].private == confinement.private:
                (_, early), self._early = self._early, None
        if early is not None and wanted is not None and early.key == wanted.key:
            return early
        if early is not None:
            early.close()
        confinement.prepare()
        return wanted

    def _may_fork(self) -> bool:
        # Nothing of servers is imported where the wheel of an earlier build is used again.
        from wheelforge.hooks.server import can_fork

        return can_fork() if self._forks is None else self._forks

    def cancel(self) -> None:
        """End every hook that runs, and refuse all others; for any thread, does not wait."""
        self.cancellation.cancel()

    def is_cancelled(self) -> bool:
        """Return whether that was asked for."""
        return self.cancellation.is_cancelled()

    def close(self) -> None:
        """End the servers."""
        self.end_early()
        with self._lock:
            servers = list(self._servers.values())
            self._servers.clear()
        for server in servers:
            server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _use(self, wanted: ForkServer) -> Generator[ForkServer]:
        """Yield the server that is like ``wanted``, started now unless it was."""
        with self._lock:
            # The last used is the last in line.
            server = self._servers.pop(wanted.key, None) or wanted
            self._servers[wanted.key] = server
            server.users += 1
        try:
            yield server.start()
        finally:
            with self._lock:
                server.users -= 1
                # Those that were not used for longest come first.
                idle = [key for key, each in self._servers.items() if not each.users]
                surplus = [self._servers.pop(key) for key in idle[: -self._idle_servers or None]]
            for each in surplus:
                each.close()
