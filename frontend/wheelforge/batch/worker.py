"""One job of a batch, from its source to its delivered artifacts; for any number of threads.

Each job builds into a directory of its own. Its artifacts are recorded, and only then delivered:
a batch that dies leaves no file that a later one would not know, and two Pythons that build a file
of the same name do not meet before it is clear whether it is the same file.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from wheelforge.batch.history import BuildTiming
from wheelforge.build.prepare import prepare_source
from wheelforge.build.results import check_result
from wheelforge.errors import SourceError, UnexpectedError
from wheelforge.events import BuildEvent
from wheelforge.models import Kind, Outcome
from wheelforge.provenance.options import read_beside
from wheelforge_isolation import (
    ForgeError,
    IsolationError,
    create_file,
    deliver_file,
    ensure_directory,
    remove_tree,
)
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from wheelforge.batch.executors import Executor
    from wheelforge.batch.forges import Forges
    from wheelforge.batch.history import Deliveries, Timings
    from wheelforge.batch.jobs import Job, Make
    from wheelforge.build.forge import Forge
    from wheelforge.build.sources import FetchedSource
    from wheelforge.models import Artifact, BuildRequest


class Worker:
    """Does jobs, each in a directory of its own below ``place``, which is private.

    If it ``resumes``, artifacts that were delivered before are left as they are.
    """

    def __init__(
        self,
        forges: Forges,
        timings: Timings,
        deliveries: Deliveries,
        executor: Executor,
        *,
        place: Path,
    ) -> None:
        self.forges = forges
        self.timings = timings
        self.deliveries = deliveries
        self.executor = executor
        self.place = place
        self.resumes = False
        self._delivered: dict[Path, tuple[str, BuildRequest]] = {}
        """The hash of each file, and the request that it came from."""
        self._lock = threading.Lock()

    def run(self, job: Job, forge: Forge) -> Outcome:
        """Do ``job``, and return how it went, whatever happened."""
        place = self.place / f"job-{job.number}"
        try:
            ensure_directory(str(place))
            outcome = self._run(job, forge, place)
        except ForgeError as error:
            outcome = self.fail(job, error)
        except MemoryError:
            outcome = self.fail(job, UnexpectedError("memory-exhausted"))
        except Exception as error:  # ruff: ignore[blind-except]
            # A mistake of ours in one build must not take all others with it.
            kind, label = type(error).__name__, job.request.label
            outcome = self.fail(job, UnexpectedError("unexpected", label, kind, str(error)))
        finally:
            with contextlib.suppress(IsolationError):
                remove_tree(str(place))
        if outcome.error is not None:
            # Let go of all but the facts: of a thousand errors, it would be a lot.
            reason = outcome.error
            reason.__traceback__ = reason.__cause__ = reason.__context__ = None
        return outcome

    def _run(self, job: Job, forge: Forge, place: Path) -> Outcome:
        if job.make is not None:
            return self._deliver(job, self._check_made(job, job.make, place))
        fetched = None
        if self.resumes:
            fetched = prepare_source(forge.context, job.request, place / "fetched")
            found = self.find_delivered(job.request, fetched.sha256, job.python)
            if found is not None:
                with self._claiming(job, found.artifacts):
                    return found
        return self._deliver(job, self._build(job, forge, place / "results", fetched))

    def find_delivered(
        self, request: BuildRequest, sha256: str, python: str | None
    ) -> Outcome | None:
        """Return the outcome of a build that delivered before what is still there."""
        interpreter = self.forges.pythons[python]
        found = sha256 and self.deliveries.find(request, sha256, interpreter)
        if not found:
            return None
        return Outcome(
            request=request,
            python=interpreter.version,
            artifacts=found,
            sha256=sha256,
            is_resumed=True,
            notes=("it was delivered before, and is not built again",),
        )

    def _build(self, job: Job, forge: Forge, place: Path, fetched: FetchedSource | None) -> Outcome:
        outcome = self.executor.build(job, forge, place, fetched)
        is_built = outcome.error is None and not (job.request.stops_early or outcome.is_reused)
        if is_built and outcome.whole is not None:
            seconds = outcome.whole.seconds - sum(outcome.waits.values())
            self.timings.store(job, BuildTiming(seconds=seconds, peak_bytes=outcome.peak_bytes))
        return outcome

    def _check_made(self, job: Job, make: Make, place: Path) -> Outcome:
        """Return the outcome of a wheel that is fetched, or was built already."""
        path = make(place)
        result = check_result(Kind.WHEEL, path.name, place)
        python = self.forges.pythons[job.python].version
        made = job.built or Outcome(request=job.request, python=python, is_fetched=True)
        notes, artifact = tuple(dict.fromkeys((*made.notes, *result.notes))), result.artifact
        for built in made.artifacts:
            artifact = replace(artifact, statement=built.statement)
            for name, content in read_beside(built.path).items():
                create_file(str(place / name), [content])
        return replace(made, request=job.request, artifacts=(artifact,), notes=notes)

    def _deliver(self, job: Job, outcome: Outcome) -> Outcome:
        """Put the artifacts into the output directory; note whether one replaces another."""
        output, python = job.request.output, self.forges.pythons[job.python]
        placed = tuple(replace(each, path=output / each.path.name) for each in outcome.artifacts)
        try:
            with self._claiming(job, placed) as replaced:
                if outcome.error is None and outcome.sha256 and placed:
                    self.deliveries.store(job.request, outcome.sha256, python, placed)
                for artifact in outcome.artifacts:
                    deliver_file(artifact.path, output, read_beside(artifact.path))
        except ForgeError as error:
            return replace(outcome, artifacts=(), error=error)
        notes = tuple(f"`{new.path.name}` replaces another one of this run" for new in replaced)
        for text in notes:
            event = BuildEvent(kind="note", build=job.request.label, text=text, id=job.id)
            self.forges.emit(job.python, event)
        return replace(outcome, artifacts=placed, notes=(*outcome.notes, *notes))

    @contextlib.contextmanager
    def _claiming(self, job: Job, placed: Sequence[Artifact]) -> Generator[list[Artifact]]:
        """Have the names of artifacts inside, and after it has ended well; yield what replaces.

        Only the same source, with another Python, may replace a file of this run.
        """
        with self._lock:
            before = {each.path: self._delivered.get(each.path) for each in placed}
            replaced = [
                each for each in placed if (old := before[each.path]) and old[0] != each.sha256
            ]
            for artifact in replaced:
                request = self._delivered[artifact.path][1]
                if request.source != job.request.source:
                    own, other = (redact(str(each.source)) for each in (job.request, request))
                    raise SourceError("result-collides", own, artifact.path.name, other)
            self._delivered.update((each.path, (each.sha256, job.request)) for each in placed)
        try:
            yield replaced
        except BaseException:
            with self._lock:
                for path, old in before.items():
                    del self._delivered[path]
                    self._delivered.update({path: old} if old else {})
            raise

    def fail(self, job: Job, error: ForgeError) -> Outcome:
        """Return the outcome of a job that came to nothing."""
        python = self.forges.pythons[job.python].version
        return Outcome(request=job.request, python=python, error=error, id=job.id)
