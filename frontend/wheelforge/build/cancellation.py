"""The cancellation of one build, with everything that is built for it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from wheelforge.errors import BuildCancelledError
from wheelforge.hooks.deadline import Cancellation

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from wheelforge.hooks.pool import RunnerPool


class BuildCancellation:
    """Ends one build, or all that use ``pool`` if that is cancelled; for any thread."""

    def __init__(self, pool: RunnerPool) -> None:
        self._pool = pool
        self._cancellation = Cancellation()

    def is_cancelled(self) -> bool:
        """Return whether the build is to end."""
        return self._cancellation.is_cancelled or self._pool.is_cancelled()

    def check(self, label: str) -> None:
        """Raise an error if the build of ``label`` is to end."""
        if self.is_cancelled():
            raise BuildCancelledError(label)

    def cancel(self) -> None:
        """End the hook that runs, and whatever would follow it; does not wait."""
        self._cancellation.cancel()

    @contextlib.contextmanager
    def reaching(self, runner: object) -> Generator[None]:
        """Let `cancel` end what ``runner`` runs meanwhile, if it is one that can be told."""
        end: Callable[[], None] | None = getattr(runner, "cancel", None)
        if end is None:
            yield
            return
        with self._cancellation.reaching(end):
            yield
