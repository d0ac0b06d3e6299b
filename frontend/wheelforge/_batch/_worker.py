"""One job, from its source to what is delivered; any number of threads at once.

What a build makes is made in a place of its own, and is put where it belongs when it was written
down. So a batch that dies leaves no file that a later one would not know, and two Pythons that
make a file of the same name do not meet before it is clear whether it is the same file.
"""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge._batch._past import Cost
from wheelforge._events import BuildEvent
from wheelforge._models import Kind, Outcome
from wheelforge._resolve import check_hashes
from wheelforge._results import check_result
from wheelforge.errors import BuildError, MemoryExhaustedError, UnexpectedError
from wheelforge_isolation import (
    ForgeError,
    IsolationError,
    deliver_file,
    digest,
    ensure_directory,
    remove_tree,
)
from wheelforge_isolation.values import Value, field, replace

if TYPE_CHECKING:
    from wheelforge._batch._cores import Tokens
    from wheelforge._batch._deliveries import Deliveries
    from wheelforge._batch._jobs import Job, Make
    from wheelforge._batch._past import Past
    from wheelforge._batch._shop import Shop
    from wheelforge._build import Forge
    from wheelforge._models import Artifact


class Worker(Value):
    """Does jobs."""

    shop: Shop
    tokens: Tokens
    past: Past
    deliveries: Deliveries
    place: Path
    """Private."""
    resumes: bool = False
    """Whether what was delivered before is left as it is."""
    _delivered: dict[Path, str] = field(default_factory=dict["Path", str])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, job: Job, forge: Forge) -> Outcome:
        """Do ``job``, and return how it went, whatever happened."""
        place = self.place / f"job-{job.number}"
        try:
            ensure_directory(str(place))
            outcome = self._run(job, forge, place)
        except ForgeError as error:
            outcome = Outcome(request=job.request, python=forge.means.python, error=error)
        except Exception as error:  # ruff: ignore[blind-except]
            # A mistake of ours in one build must not take all others with it.
            wrong: BuildError = UnexpectedError(job.request.label, type(error).__name__, str(error))
            if isinstance(error, MemoryError):
                wrong = MemoryExhaustedError()
            outcome = Outcome(request=job.request, python=forge.means.python, error=wrong)
        finally:
            self.shop.fetched.pop(threading.get_ident(), None)
            with contextlib.suppress(IsolationError):
                remove_tree(str(place))
        _lighten(outcome.error)
        return outcome

    def _run(self, job: Job, forge: Forge, place: Path) -> Outcome:
        if job.make is not None:
            return self._hand_over(job, job.make, forge, place)
        source = job.request.source
        if isinstance(source, Path):
            check_hashes(source, job.accepted)
        if self.resumes:
            found = self._find_delivered(job, forge, place)
            if found:
                return self._leave(job, forge, found)
        return self._deliver(job, self._build(job, forge, place / "results"))

    def _build(self, job: Job, forge: Forge, place: Path) -> Outcome:
        start, waited = time.monotonic(), self.tokens.waited()
        outcome = forge.try_build(replace(job.request, output=place))
        seconds = time.monotonic() - start - self.tokens.waited() + waited
        if outcome.error is None:
            self.past.remember(job, Cost(seconds=seconds, peak_bytes=outcome.peak_bytes))
        return replace(outcome, request=job.request)

    def _hand_over(self, job: Job, make: Make, forge: Forge, place: Path) -> Outcome:
        """Deliver a wheel that is not built, or was built already."""
        path = make(place)
        result = check_result(Kind.WHEEL, path.name, place)
        outcome = Outcome(
            request=job.request,
            python=forge.means.python,
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
            python = self.shop.pythons[job.python]
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

    def _find_delivered(self, job: Job, forge: Forge, place: Path) -> tuple[Artifact, ...]:
        source, fetch = job.request.source, forge.means.fetch
        sha256 = ""
        if isinstance(source, Path):
            sha256 = "" if source.is_dir() else digest(source)
        elif fetch is not None:
            fetched = fetch(source, place / "fetched")
            self.shop.fetched[threading.get_ident()] = fetched
            sha256 = fetched.sha256
        return self.deliveries.find(job, sha256, self.shop.pythons[job.python]) if sha256 else ()

    def _leave(self, job: Job, forge: Forge, artifacts: tuple[Artifact, ...]) -> Outcome:
        text = "it was delivered before, and is not built again"
        self._note(job, text)
        return Outcome(
            request=job.request,
            python=forge.means.python,
            artifacts=artifacts,
            is_resumed=True,
            notes=(text,),
        )

    def _note(self, job: Job, text: str) -> None:
        self.shop.tell(job.python, BuildEvent(kind="note", build=job.request.label, text=text))


def _lighten(error: BaseException | None) -> None:
    """Let go of what an error holds beyond its facts: of a thousand, it would be a lot."""
    if error is not None:
        error.__traceback__ = error.__cause__ = error.__context__ = None
