"""The forge: builds, one after another or many at once, under one set of settings."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from wheelforge.build.session import BuildSession
from wheelforge.errors import UsageError
from wheelforge.models import BuildRequest, EnvironmentRequest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from wheelforge.build.context import BuildContext
    from wheelforge.build.handle import RunningBuild, RunningBuilds
    from wheelforge.models import BuildEnvironment, Outcome


class Forge:
    """Builds whatever is asked for; any number of threads may ask at once.

    `open_forge` makes it. Builds of one directory take turns; others do not wait for each other.
    It changes nothing of the process it is in, and prints nothing.
    """

    def __init__(self, context: BuildContext) -> None:
        self.context = context
        self._lock = threading.Lock()
        self._running: RunningBuilds | None = None
        self._is_closed = False

    def build(self, request: BuildRequest) -> Outcome:
        """Build what ``request`` asks for; each artifact is delivered whole, as soon as it is.

        Raises the leaf of `ForgeError` that says why something could not be built.
        """
        outcome = self.try_build(request)
        if outcome.error is not None:
            raise outcome.error
        return outcome

    def try_build(self, request: BuildRequest) -> Outcome:
        """Do the same, and return how it went even if it went wrong."""
        self._check(request)
        return BuildSession(self.context, request).run()

    def start(self, request: BuildRequest) -> RunningBuild:
        """Build in a thread of the forge; the result is the outcome, as of `try_build`.

        As many builds run at once as `concurrent.futures` has threads by default; others wait for
        them. The end of the `open_forge` block waits for all, or cancels them after an exception.
        """
        from wheelforge.build.handle import RunningBuilds

        with self._lock:
            self._check(request)
            if self._running is None:
                self._running = RunningBuilds()
            return self._running.start(BuildSession(self.context, request))

    def prepare_environment(
        self,
        requirements: Iterable[str],
        *,
        label: str = "requirements",
        python: str | None = None,
        constraints: Iterable[Path] = (),
        cutoff: datetime | None = None,
    ) -> BuildEnvironment:
        """Return an environment that has ``requirements``, for callers that run hooks themselves.

        It is made, or found in the cache, as one for a build; do not change it. It is there until
        the forge is closed. ``label`` names the requirements in messages; the rest is as in
        `BuildRequest`. Raises the leaf of `ForgeError` that says why there is none.
        """
        self._check()
        if isinstance(requirements, str):  # a text is a sequence of texts, too
            raise UsageError(
                "request-invalid", f"`requirements` must be several, not `{requirements!r}`"
            )
        request = EnvironmentRequest(
            requirements=tuple(requirements),
            label=label,
            python=python,
            constraints=tuple(constraints),
            cutoff=cutoff,
            variables=self.context.settings.variables,
        )
        return self.context.provider.provide(request, self.build).environment

    def cancel(self) -> None:
        """End every build as soon as possible; for any thread, does not wait.

        Hooks are ended with all that they have started, waiting for a turn ends, and no hook starts
        any more: this cannot be taken back. Builds end with an error whose exit code is 130.
        """
        self.context.pool.cancel()

    def close(self, *, cancels: bool = False) -> None:
        """Refuse new builds, and wait for those that were started; `open_forge` calls it."""
        with self._lock:
            self._is_closed = True
            running = self._running
        if running is not None:
            running.close(cancels=cancels)

    def _check(self, request: object = None) -> None:
        if self._is_closed:
            raise UsageError("forge-closed")
        if request is not None and not isinstance(request, BuildRequest):
            raise UsageError("request-invalid", f"it is no `BuildRequest` but `{request!r}`")
