"""Builds in threads of a forge, each with a handle that waits for it or ends it."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from wheelforge.models import Outcome

if TYPE_CHECKING:
    from wheelforge.build.session import BuildSession
    from wheelforge.models import BuildRequest


class RunningBuild(Future[Outcome]):
    """A build that `Forge.start` has started: a future of `concurrent.futures`.

    `result` waits for the outcome, which has the error of a build that did not go well. In
    asyncio, `asyncio.wrap_future` makes it awaitable: cancelling the task cancels the build.
    """

    def __init__(self, session: BuildSession) -> None:
        super().__init__()
        self._session = session

    @property
    def request(self) -> BuildRequest:
        """The request that it builds."""
        return self._session.request

    def cancel(self) -> bool:
        """End this build and no other, as soon as possible; does not wait.

        Returns whether it was not over yet. A build that has begun has an outcome nevertheless:
        its error says that it was cancelled. Its hooks end with all that they have started.
        """
        if super().cancel():
            return True
        self._session.cancel()
        return not self.done()

    def run(self) -> None:
        """Build, unless it was cancelled before; for a thread of the forge."""
        if not self.set_running_or_notify_cancel():
            return
        try:
            outcome = self._session.run()
        except BaseException as error:  # ruff: ignore[blind-except]
            self.set_exception(error)
        else:
            self.set_result(outcome)


class RunningBuilds:
    """The builds that a forge has started and that are not over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(thread_name_prefix="wheelforge-build")
        self._builds: set[Future[Outcome]] = set()

    def start(self, session: BuildSession) -> RunningBuild:
        """Run ``session`` as soon as a thread is free."""
        build = RunningBuild(session)
        with self._lock:
            self._builds.add(build)
        build.add_done_callback(self._forget)
        self._threads.submit(build.run)
        return build

    def close(self, *, cancels: bool) -> None:
        """Wait until all are over; if it ``cancels``, that is soon."""
        with self._lock:
            builds = list(self._builds)
        for build in builds if cancels else ():
            build.cancel()
        self._threads.shutdown()

    def _forget(self, build: Future[Outcome]) -> None:
        with self._lock:
            self._builds.discard(build)
