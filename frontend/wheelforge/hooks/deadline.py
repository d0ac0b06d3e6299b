"""What one hook is held to while it runs, and how somebody else can end it."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from wheelforge.hooks.output import Output


class Cancellation:
    """Ends what is running, and whatever would start after that."""

    def __init__(self) -> None:
        self.is_cancelled = False
        self._lock = threading.RLock()  # a signal handler may cancel while this thread has it
        self._ends: list[Callable[[], None]] = []

    def cancel(self) -> None:
        """Ask all that is running to end; does not wait."""
        with self._lock:
            self.is_cancelled = True
            for end in self._ends:
                end()

    @contextlib.contextmanager
    def reaching(self, end: Callable[[], None]) -> Generator[None]:
        """Have ``end`` called by whoever cancels meanwhile, or did so before."""
        with self._lock:
            self._ends.append(end)
            if self.is_cancelled:
                end()
        try:
            yield
        finally:
            with self._lock:
                self._ends.remove(end)


class Watch(NamedTuple):
    """What one hook is held to while it runs."""

    output: Output
    cancellation: Cancellation
    grace_seconds: float
    deadline: float | None
    """On the monotonic clock."""
    on_start: Callable[[], object]
    """Called once a process has been asked to run the hook."""

    @property
    def is_late(self) -> bool:
        """Whether its time is over."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    @property
    def is_over(self) -> bool:
        """Whether nobody waits any longer for it to end by itself."""
        return self.is_late or self.cancellation.is_cancelled
