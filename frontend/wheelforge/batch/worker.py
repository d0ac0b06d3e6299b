"""One job of a batch, from its source to its delivered artifacts; for any number of threads.

Each job builds into a directory of its own. Its artifacts are recorded, and only then delivered:
a batch that dies leaves no file that a later one would not know, and two Pythons that build a file
of the same name do not meet before it is clear whether it is the same file.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from wheelforge.batch.timings import BuildTiming
from wheelforge.build.results import check_result
from wheelforge.build.session import BuildSession, obtain_source
from wheelforge.errors import BuildError, UnexpectedError
from wheelforge.events import BuildEvent
from wheelforge.models import Kind, Outcome
from wheelforge_isolation import (
    ForgeError,
    IsolationError,
    deliver_file,
    ensure_directory,
    remove_tree,
)

if TYPE_CHECKING:
    from pathlib import Path

    from wheelforge.batch.deliveries import Deliveries
    from wheelforge.batch.forges import Forges
    from wheelforge.batch.jobs import Job, Make
    from wheelforge.batch.timings import Timings
    from wheelforge.build.forge import Forge
    from wheelforge.build.sources import FetchedSource
    from wheelforge.models import Artifact


class Worker:
    """Does jobs, each in a directory of its own below ``place``, which is private.

    If it ``resumes``, artifacts that were delivered before are left as they are.
    """

    def __init__(
        self,
        forges: Forges,
        timings: Timings,
        deliveries: Deliveries,
        *,
        place: Path,
        resumes: bool = False,
    ) -> None:
        self.forges = forges
        self.timings = timings
        self.deliveries = deliveries
        self.place = place
        self.resumes = resumes
        self._delivered: dict[Path, str] = {}
        self._lock = threading.Lock()

    def run(self, job: Job, forge: Forge) -> Outcome:
        """Do ``job``, and return how it went, whatever happened."""
        place = self.place / f"job-{job.number}"
        try:
            ensure_directory(str(place))
            outcome = self._run(job, forge, place)
        except ForgeError as error:
            outcome = self._fail(job, error)
        except Exception as error:  # ruff: ignore[blind-except]
            # A mistake of ours in one build must not take all others with it.
            wrong: BuildError = UnexpectedError(
                "unexpected", job.request.label, type(error).__name__, str(error)
            )
            if isinstance(error, MemoryError):
                wrong = UnexpectedError("memory-exhausted")
            outcome = self._fail(job, wrong)
        finally:
            with contextlib.suppress(IsolationError):
                remove_tree(str(place))
        _lighten(outcome.error)
        return outcome

    def _run(self, job: Job, forge: Forge, place: Path) -> Outcome:
        if job.make is not None:
            return self._hand_over(job, job.make, place)
        fetched = None
        if self.resumes:
            fetched = obtain_source(forge.context, job.request, place / "fetched")
            found = self._find_delivered(job, fetched.sha256)
            if found:
                return self._leave(job, found)
        return self._deliver(job, self._build(job, forge, place / "results", fetched))

    def _build(self, job: Job, forge: Forge, place: Path, fetched: FetchedSource | None) -> Outcome:
        pool = self.forges.pool
        start, waited = time.monotonic(), pool.waited()
        request = replace(job.request, output=place)
        outcome = BuildSession(forge.context, request, fetched).run()
        seconds = time.monotonic() - start - pool.waited() + waited
        if outcome.error is None:
            self.timings.store(job, BuildTiming(seconds=seconds, peak_bytes=outcome.peak_bytes))
        return replace(outcome, request=job.request)

    def _hand_over(self, job: Job, make: Make, place: Path) -> Outcome:
        """Deliver a wheel that is not built, or was built already."""
        path = make(place)
        result = check_result(Kind.WHEEL, path.name, place)
        outcome = Outcome(
            request=job.request,
            python=self.forges.pythons[job.python].version,
            artifacts=(result.artifact,),
            sha256=job.sha256,
            notes=result.notes,
        )
        return self._deliver(job, outcome)

    def _deliver(self, job: Job, outcome: Outcome) -> Outcome:
        """Put what was made where it belongs; note whether it takes the place of something else."""
        output = job.request.output
        placed = tuple(replace(each, path=output / each.path.name) for each in outcome.artifacts)
        if outcome.error is None and outcome.sha256 and placed:
            python = self.forges.pythons[job.python]
            self.deliveries.remember(job, outcome.sha256, python, placed)
        for artifact in outcome.artifacts:
            deliver_file(artifact.path, output)
        with self._lock:
            differing = [
                each.path.name
                for each in placed
                if self._delivered.get(each.path, each.sha256) != each.sha256
            ]
            self._delivered.update((each.path, each.sha256) for each in placed)
        notes = tuple(f"`{name}` replaces another one of this run" for name in differing)
        for text in notes:
            self._note(job, text)
        return replace(outcome, artifacts=placed, notes=(*outcome.notes, *notes))

    def _find_delivered(self, job: Job, sha256: str) -> tuple[Artifact, ...]:
        return self.deliveries.find(job, sha256, self.forges.pythons[job.python]) if sha256 else ()

    def _leave(self, job: Job, artifacts: tuple[Artifact, ...]) -> Outcome:
        text = "it was delivered before, and is not built again"
        self._note(job, text)
        return Outcome(
            request=job.request,
            python=self.forges.pythons[job.python].version,
            artifacts=artifacts,
            is_resumed=True,
            notes=(text,),
        )

    def _fail(self, job: Job, error: ForgeError) -> Outcome:
        python = self.forges.pythons[job.python].version
        return Outcome(request=job.request, python=python, error=error)

    def _note(self, job: Job, text: str) -> None:
        self.forges.tell(job.python, BuildEvent(kind="note", build=job.request.label, text=text))


def _lighten(error: BaseException | None) -> None:
    """Let go of what an error holds beyond its facts: of a thousand, it would be a lot."""
    if error is not None:
        error.__traceback__ = error.__cause__ = error.__context__ = None
