"""The jobs of a batch, several at a time: the longest first, and while there is memory for it."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TYPE_CHECKING

from wheelforge.errors import RequirementsError
from wheelforge.models import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from wheelforge.batch.jobs import Job
    from wheelforge.batch.worker import Worker
    from wheelforge.models import Outcome

_MOST_THREADS = 1024
"""Each is started when there is a build for it."""
_LOOK_SECONDS = 0.25
"""After which the memory is looked at again, and Windows hears of Ctrl-C."""


class Scheduler:
    """Does jobs until there are none; for one thread."""

    def __init__(
        self, worker: Worker, jobs: Sequence[Job], find_free_memory: Callable[[], int | None]
    ) -> None:
        timings = {job.number: timing for job in jobs if (timing := worker.timings.load(job))}
        self.outcomes: dict[int, Outcome] = {}
        self._worker = worker
        self._find_free_memory = find_free_memory
        self.known_seconds = {number: timing.seconds for number, timing in timings.items()}
        """How long each job took the last time."""
        self._waiting = _sort_by_length(jobs, self.known_seconds)
        self._running: dict[Future[Outcome], Job] = {}
        self._source_peaks: dict[Path | str, int] = {}
        self._known_peaks = {number: timing.peak_bytes for number, timing in timings.items()}
        needed = {need for job in jobs for need in job.needs}
        self._needed = {job.number: job for job in jobs if job.number in needed}
        """The jobs whose wheels others are built with."""
        self._waits: dict[int, dict[str, float]] = {}
        self._lacks_memory = False
        self._looked = time.monotonic()

    def list_order(self) -> list[Job]:
        """Return the jobs in the order in which they start, as far as their lengths are known."""
        return sorted(self._waiting, key=lambda job: job.level)

    def run(self, on_outcome: Callable[[Outcome], bool]) -> None:
        """Do all jobs; end early once ``on_outcome``, which is told every outcome, says no."""
        executor = self._worker.executor
        with ThreadPoolExecutor(_MOST_THREADS, "wheelforge-build") as threads:
            try:
                while self._waiting or self._running:
                    self._advance(threads, on_outcome)
                    executor.check()
            except BaseException:
                executor.cancel()
                raise

    def _advance(self, threads: ThreadPoolExecutor, on_outcome: Callable[[Outcome], bool]) -> None:
        """Start what can be started, and take note of what has ended."""
        self._start(threads, self._worker.executor.at_once)
        goes_on = [self._finish(*each, on_outcome) for each in self._await()]
        if not all(goes_on):
            self._waiting.clear()
            self._worker.executor.cancel()

    def collect(self, on_outcome: Callable[[Outcome], bool]) -> None:
        """Tell the outcomes of builds that were at work when an interrupt came."""
        self._waiting.clear()
        for future, job in self._running.items():
            if future.done():
                self._finish(job, future.result(), on_outcome)

    def _start(self, threads: ThreadPoolExecutor, at_once: int) -> None:
        self._note_waiting()
        while len(self._running) < at_once:
            ready = (job for job in self._waiting if self._is_ready(job))
            job = next(filter(self._may_start, ready), None)
            self._lacks_memory = job is not None and not self._has_memory(job)
            if job is None or self._lacks_memory:
                return
            self._waiting.remove(job)
            forge = self._worker.forges.open(job.python, job.level, self._list_offers(job))
            told = job._replace(memory=self._expect(job))
            self._running[threads.submit(self._worker.run, told, forge)] = job

    def _note_waiting(self) -> None:
        """Charge the time since the last look to whatever each job has waited for."""
        now = time.monotonic()
        seconds, self._looked = now - self._looked, now
        other = "memory" if self._lacks_memory else "slot"
        for job in self._waiting:
            reason = other if self._is_ready(job) else "dependency"
            waits = self._waits.setdefault(job.number, {})
            waits[reason] = waits.get(reason, 0.0) + seconds

    def _is_ready(self, job: Job) -> bool:
        # The offers of a forge are listed once, so all of a lower level has to be there.
        return all(number in self.outcomes for number in self._list_lower(job))

    def _may_start(self, job: Job) -> bool:
        """Return whether no build has to be alone: this one, or one of those at work."""
        at_work = [*self._running.values()]
        return not at_work or not any(each.is_alone for each in (job, *at_work))

    def _has_memory(self, job: Job) -> bool:
        """Return whether there is as much as the largest of those at work is known to need."""
        if not (self._running and self._worker.executor.is_here):
            return True
        at_work = (job, *self._running.values())
        wanted = max(map(self._expect, at_work))
        free = self._find_free_memory() if wanted else None
        return free is None or free >= wanted

    def _expect(self, job: Job) -> int:
        """Return how many bytes a job needs: as before, or as with another Python."""
        known = self._known_peaks.get(job.number) or self._source_peaks.get(job.request.source, 0)
        return max(known, job.memory)

    def _list_lower(self, job: Job) -> list[int]:
        """Return the jobs before ``job`` whose wheels one of its level may need."""
        if not job.level:
            return []
        return [
            number
            for number, other in self._needed.items()
            if other.python == job.python and other.level < job.level
        ]

    def _list_offers(self, job: Job) -> list[Path]:
        return [
            artifact.path
            for number in self._list_lower(job)
            for artifact in self.outcomes[number].artifacts
            if artifact.kind is Kind.WHEEL
        ]

    def _await(self) -> list[tuple[Job, Outcome]]:
        done, _ = wait(self._running, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
        return [(self._running.pop(future), future.result()) for future in done]

    def _finish(self, job: Job, outcome: Outcome, on_outcome: Callable[[Outcome], bool]) -> bool:
        """Take note of an outcome, and of those that follow from it; return whether to go on."""
        waits = {**self._waits.get(job.number, {}), **outcome.waits}
        needs = tuple(self._needed[number].id for number in sorted(job.needs))
        outcome = replace(outcome, id=job.id, needs=needs, waits=waits)
        self.outcomes[job.number] = outcome
        self._source_peaks[job.request.source] = outcome.peak_bytes
        goes_on = on_outcome(outcome)
        if outcome.error is None:
            return goes_on
        for heir in [other for other in self._waiting if job.number in other.needs]:
            self._waiting.remove(heir)
            error = RequirementsError("requirement-failed", heir.request.label, job.request.label)
            goes_on = self._finish(heir, self._worker.fail(heir, error), on_outcome) and goes_on
        return goes_on


def _sort_by_length(jobs: Sequence[Job], known: Mapping[int, float]) -> list[Job]:
    """Return ``jobs``, the longest first; one without a known length is taken for average."""
    average = sum(known.values()) / len(known) if known else 0.0
    return sorted(jobs, key=lambda job: known.get(job.number, average), reverse=True)
