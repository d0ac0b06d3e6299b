"""A batch's side of what it exchanges with workers: tasks, files, events and answers."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.batch.executors.store import EVENTS, Store
from wheelforge.batch.executors.tasks import Answer, File, Task, TaskTerms
from wheelforge.batch.executors.wire import from_text, to_text
from wheelforge.events import BuildEvent
from wheelforge.lockfile.model import describe_python
from wheelforge.models import Outcome
from wheelforge.version import VERSION
from wheelforge_isolation import digest, ensure_directory, remove_file

if TYPE_CHECKING:
    from collections.abc import Generator

    from wheelforge.batch.forges import Forges
    from wheelforge.batch.jobs import Job
    from wheelforge.build.forge import Forge
    from wheelforge.settings import Settings
    from wheelforge_isolation import Layout


_LOOK_SECONDS = 0.2


class Dispatcher:
    """Writes tasks of ``forges``'s batch, and reads what workers say; for any number of threads.

    ``settings`` are those that the batch was given: without what it shares out on this machine.
    """

    def __init__(self, root: Path, settings: Settings, forges: Forges) -> None:
        self._store, self._marker = Store.make(root)
        self._settings = settings
        self._forges = forges
        self._name = uuid.uuid4().hex[:12]
        self._terms: dict[int, str] = {}
        """The digest of the terms of each forge."""
        self._sources: Counter[str] = Counter()
        """How many tasks at work need each source."""
        self._lock = threading.Lock()
        self._followed: dict[str, _Run] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="wheelforge-events", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Follow no events any longer."""
        self._is_over.set()
        self._thread.join()

    @contextlib.contextmanager
    def opening_task(self, job: Job, forge: Forge) -> Generator[Task]:
        """Yield the task for ``job``, whose events are passed on meanwhile."""
        task = self.describe(job, forge)
        source = job.request.source
        if isinstance(source, Path):
            with self._lock:
                sha256 = self._store.add(source)
                self._sources[sha256] += 1
            task = task._replace(source=sha256)
        with self._lock:
            self._followed[task.name] = _Run(task.name, job.python)
        try:
            yield task
        finally:
            with self._lock:
                self._followed.pop(task.name)
                self._sources[task.source] -= 1
                if task.source and not self._sources[task.source]:
                    del self._sources[task.source]
                    self._store.drop(task.source)
            self._store.drop_runs(task.name)

    def describe(self, job: Job, forge: Forge) -> Task:
        """Return the task for ``job``, with a source that is no file."""
        with self._lock:
            terms = self._terms.get(id(forge))
            if terms is None:
                terms = self._terms[id(forge)] = self._store.add_text(self._write_terms(job, forge))
        return Task(
            name=f"{self._name}-{job.number}",
            store=str(self._store.root),
            marker=self._marker,
            terms=terms,
            number=job.number,
            request=replace(job.request, output=Path(job.request.output)),
        )

    def find_version(self, job: Job) -> str:
        """Return the version of the Python of ``job``."""
        return self._forges.pythons[job.python].version

    def _write_terms(self, job: Job, forge: Forge) -> str:
        given = self._settings
        # A private key stays here: workers read remote caches, and do not write to them.
        remote = replace(given.remote, signer=None, trusted=())
        settings = replace(given, python=job.python, cache_dir=None, constraints=(), remote=remote)
        offers: list[File] = []
        if job.level:
            # The first place of a forge for builds with needs has the wheels for them.
            place = Path(forge.context.settings.find_links[0])
            offers = list(map(self._add, sorted(place.iterdir())))
        terms = TaskTerms(
            version=VERSION,
            settings=settings,
            target=describe_python(self._forges.pythons[job.python]),
            constraints=tuple(map(self._add, given.constraints)),
            trusted=tuple(map(self._add, given.remote.trusted)),
            offers=tuple(offers),
        )
        return to_text(terms)

    def _add(self, path: Path) -> File:
        return File(path.name, self._store.add(path))

    def collect(
        self, task: Task, answer: Answer, outcome: Outcome, layout: Layout, place: Path
    ) -> Outcome:
        """Return the outcome of a task, with its files below ``place`` and its log in the cache."""
        run = self._store.runs / task.name / Path(answer.run).name
        self._drain(task.name, run)
        for file in answer.files:
            self._store.copy(file, place, run)
        artifacts = tuple(replace(each, path=place / each.path.name) for each in outcome.artifacts)
        outcome = replace(outcome, artifacts=artifacts)
        if outcome.log is None or not answer.log:
            return outcome
        log = layout.logs / outcome.log.name
        if not (log.is_file() and digest(log) == answer.log):
            ensure_directory(str(log.parent))
            remove_file(str(log))
            self._store.copy(File(log.name, answer.log), log.parent, run)
        if log == outcome.log:
            return outcome
        # Errors name it too.
        told = to_text(replace(outcome, log=None)).replace(_inside(outcome.log), _inside(log))
        return replace(from_text(told, Outcome), log=log)

    def _follow(self) -> None:
        """Pass on the events of all tasks at work, until there are no more."""
        while not self._is_over.wait(_LOOK_SECONDS):
            with self._lock:
                followed = list(self._followed)
            for name in followed:
                self._drain(name)

    def _drain(self, name: str, last: Path | None = None) -> None:
        """Pass on the events of a task that were written since; of one run at a time."""
        with self._lock:
            run = self._followed.get(name)
        if run is None:
            return
        with run.lock:
            for text in run.read(self._store.runs / name, last):
                with contextlib.suppress(ValueError):
                    self._forges.emit(run.python, from_text(text, BuildEvent))


class _Run:
    """The events of a task, of the newest of its runs."""

    def __init__(self, name: str, python: str | None) -> None:
        self.python = python
        self.lock = threading.Lock()
        self._name = name
        self._known: list[str] = []
        """The runs that were seen, the newest last."""
        self._offset = 0
        self._rest = b""

    def read(self, directory: Path, last: Path | None) -> list[str]:
        """Return the lines that are new in the newest run, or in the run ``last``."""
        if last is not None:
            self._enter(last.name)
        else:
            with contextlib.suppress(OSError):
                for path in directory.iterdir():
                    if path.name not in self._known:
                        self._enter(path.name)
        if not self._known:
            return []
        try:
            with (directory / self._known[-1] / EVENTS).open("rb") as file:
                file.seek(self._offset)
                content = file.read()
        except OSError:
            return []
        self._offset += len(content)
        *lines, self._rest = (self._rest + content).split(b"\n")
        return [line.decode("ascii", "replace") for line in lines]

    def _enter(self, name: str) -> None:
        if self._known[-1:] != [name]:
            self._known.append(name)
            self._offset, self._rest = 0, b""


def _inside(path: Path) -> str:
    """Return a path as it stands within a text of `to_text`."""
    return to_text(str(path))[1:-1]
