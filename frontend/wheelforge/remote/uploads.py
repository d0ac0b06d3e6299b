"""Uploads to remote caches, in the background of builds.

The end of a run waits for it, for a limited time: a cache that is not filled costs the next run
some time, and no run is to wait for a server.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_THREADS = 2


class Uploads:
    """Jobs that are done by a few threads, which end with the process at the latest."""

    def __init__(self) -> None:
        self._jobs: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._working = 0
        self._is_closed = False

    def add(self, job: Callable[[], None]) -> None:
        """Have ``job`` done; it must not raise."""
        with self._changed:
            self._jobs.append(job)
            if len(self._threads) < _THREADS:
                thread = threading.Thread(target=self._work, name="wheelforge-upload", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify()

    def finish(self, seconds: float) -> int:
        """Wait until all is done, or for so long; return how many jobs are not done."""
        end = time.monotonic() + seconds
        with self._changed:
            while self._jobs or self._working:
                left = end - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            undone = len(self._jobs) + self._working
            self._jobs.clear()
            self._is_closed = True
            self._changed.notify_all()
        return undone

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._jobs or self._is_closed):
                    self._changed.wait()
                if self._is_closed:
                    return
                job = self._jobs.popleft()
                self._working += 1
            try:
                with contextlib.suppress(Exception):
                    job()
            finally:
                with self._changed:
                    self._working -= 1
                    self._changed.notify_all()
