"""A worker's side: it does tasks of batches that are elsewhere, with a cache of its own.

For the tasks of one batch and one Python there is a room: all that their builds need. It is opened
with the first of them, and closed when there were none for a while.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from wheelforge.batch.executors.store import EVENTS, Store
from wheelforge.batch.executors.tasks import Answer, File, Task, TaskTerms
from wheelforge.batch.executors.wire import from_text, to_text
from wheelforge.batch.jobs import Job
from wheelforge.batch.options import BatchOptions
from wheelforge.batch.run import open_worker
from wheelforge.errors import UnexpectedError
from wheelforge.lockfile.model import describe_python
from wheelforge.models import Outcome
from wheelforge.provenance.options import read_beside
from wheelforge.version import VERSION
from wheelforge_isolation import ForgeError, digest, open_new_file, remove_tree
from wheelforge_isolation.formats.urls import local_path

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import BinaryIO

    from wheelforge.batch.worker import Worker
    from wheelforge.events import BuildEvent
    from wheelforge.models import Artifact, BuildRequest

IDLE_SECONDS = 60.0


class RefusedError(Exception):
    """This worker does not do builds of that kind, for a reason."""


class TaskWorker:
    """Does tasks in a process; ``slots`` is how many at a time, for which it has ``cores``."""

    _installed: ClassVar[TaskWorker | None] = None

    def __init__(self, cache_dir: Path, slots: int, cores: int) -> None:
        self.address = ""
        """By which the scheduler knows this worker."""
        self.cache_dir = cache_dir
        self.options = BatchOptions(at_once=slots, cores=cores)
        self._rooms: dict[str, _Room] = {}
        self._opened: set[_Room] = set()
        """Those in use, and those that are not closed yet."""
        self._keys: dict[str, _Room] = {}
        """The room that each task is done in, by its name."""
        self._lock = threading.Lock()

    @classmethod
    def answer(cls, text: str) -> str:
        """Do the task ``text`` in this process, if it is a worker."""
        if cls._installed is None:
            raise RuntimeError("this is no `wheelforge worker`")
        return cls._installed.do(text)

    def install(self) -> None:
        """Be what does tasks in this process."""
        TaskWorker._installed = self

    def do(self, text: str) -> str:
        """Do a task, and return the answer as a text."""
        try:
            task = from_text(text, Task)
        except ValueError:
            reason = f"it is wheelforge {VERSION}, which does not know such tasks"
            return to_text(Answer(refusal=reason, worker=self.address))
        try:
            with self._entering(task) as room:
                return to_text(room.build(task, task.request))
        except RefusedError as error:
            return to_text(Answer(refusal=str(error), worker=self.address))

    def is_busy(self) -> bool:
        """Return whether anything is left to be given back."""
        with self._lock:
            return bool(self._opened)

    def cancel(self, key: str) -> None:
        """End the builds of the batch of a task that is not wanted any more."""
        with self._lock:
            room = next(
                (self._keys[name] for name in self._keys if key.startswith(f"{name}-")), None
            )
            if room is None:
                return
            self._rooms = {key: each for key, each in self._rooms.items() if each is not room}
        room.cancel()

    def cancel_all(self) -> None:
        """End all builds."""
        with self._lock:
            rooms = {*self._rooms.values(), *self._keys.values()}
            self._rooms.clear()
        for room in rooms:
            room.cancel()

    def forget(self, room: _Room) -> None:
        """Take note that a room is closed."""
        with self._lock:
            self._opened.discard(room)

    def sweep(self, seconds: float = IDLE_SECONDS) -> None:
        """Close rooms that were not used for so long."""
        with self._lock:
            now = time.monotonic()
            idle = {
                key: room
                for key, room in self._rooms.items()
                if not room.users and now - room.used >= seconds
            }
            for key in idle:
                del self._rooms[key]
        for room in idle.values():
            room.close()

    @contextlib.contextmanager
    def _entering(self, task: Task) -> Generator[_Room]:
        """Yield the room for a task, opened now unless it is."""
        with self._lock:
            room = self._rooms.get(task.terms)
            if room is None or room.is_cancelled:
                room = self._rooms[task.terms] = _Room(self, task)
                self._opened.add(room)
            room.users += 1
            self._keys[task.name] = room
        try:
            try:
                room.open()
            except ForgeError as error:
                raise RefusedError(f"{error.code}: {error}") from error
            yield room
        finally:
            with self._lock:
                room.users -= 1
                room.used = time.monotonic()
                self._keys.pop(task.name, None)
                is_over = room.is_cancelled and not room.users
            if is_over:
                room.close()


class _Room:
    """All that the builds of one batch with one Python need."""

    def __init__(self, tasks: TaskWorker, task: Task) -> None:
        self.users = 0
        self.used = time.monotonic()
        self.is_cancelled = False
        self._tasks = tasks
        self._store = Store(Path(task.store))
        self._task = task
        self._stack = contextlib.ExitStack()
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._refusal: ForgeError | RefusedError | None = None
        self._logs: dict[str, BinaryIO] = {}
        """The file for the events of each build at work, by its id."""

    def open(self) -> Worker:
        """Make all ready, or say why this worker cannot."""
        with self._lock:
            if self._refusal is not None:
                raise self._refusal
            if self._worker is None:
                try:
                    self._worker = self._open()
                except (ForgeError, RefusedError) as error:
                    self._refusal = error
                    self._stack.close()
                    raise
            return self._worker

    def _open(self) -> Worker:
        store = self._store
        if not store.has(self._task.marker):
            raise RefusedError(f"it does not see the directory `{store.root}` of the batch")
        terms = from_text(store.read(self._task.terms), TaskTerms)
        if terms.version != VERSION:
            raise RefusedError(f"it is wheelforge {VERSION}, and the batch is {terms.version}")
        settings = terms.settings
        for place in settings.find_links:
            path = local_path(place) if "://" in place else place
            if path and not Path(path).exists():
                raise RefusedError(f"it does not see `{path}`, where files are looked for")
        settings = replace(settings, cache_dir=self._tasks.cache_dir)
        options = self._tasks.options._replace(pythons=(settings.python,))
        stack = self._stack
        worker = open_worker(stack, settings, options, options.at_once, self._note)
        found = describe_python(worker.forges.pythons[settings.python])
        if found != terms.target:
            raise RefusedError(f"its Python is {found}, and that of the batch is {terms.target}")
        files = worker.place / "terms"
        constraints = tuple(store.copy(each, files / each.sha256) for each in terms.constraints)
        trusted = tuple(store.copy(each, files / each.sha256) for each in terms.trusted)
        for each in terms.offers:
            store.copy(each, files / "offers")
        settings = worker.forges.settings
        remote = replace(settings.remote, trusted=trusted)
        settings = replace(settings, constraints=constraints, remote=remote)
        if terms.offers:
            settings = replace(settings, find_links=(str(files / "offers"), *settings.find_links))
        worker.forges.settings = settings
        worker.forges.open(settings.python)
        return worker

    def build(self, task: Task, request: BuildRequest) -> Answer:
        """Do a task, and return how it went, whatever happened."""
        try:
            return self._build(task, request)
        except ForgeError as failure:
            error = failure
        except MemoryError:
            error = UnexpectedError("memory-exhausted")
        except Exception as failure:  # ruff: ignore[blind-except]
            error = UnexpectedError(
                "unexpected", request.label, type(failure).__name__, str(failure)
            )
        return Answer(outcome=Outcome(request=request, error=error))

    def _build(self, task: Task, request: BuildRequest) -> Answer:
        """Build in a directory of its own, and in another one leave what comes of it."""
        worker = self.open()
        if self.is_cancelled:  # while it was opened
            worker.forges.pool.cancel()
        run = self._store.open_run(task.name)
        place, number = worker.place / f"run-{run.name}", str(task.number + 1)
        try:
            path = str(run / EVENTS)
            with open(path, "xb", 0, opener=lambda name, _: open_new_file(name)) as events:
                self._logs[number] = events
                found = self._find_source(task, request, place)
                job = Job(task.number, found, worker.forges.settings.python)
                with self._lock:
                    forge = worker.forges.open(job.python)
                outcome = worker.executor.build(job, forge, place / "results", None)
                if self._logs.get(number) is events:
                    del self._logs[number]
            return self._pack(request, outcome, run)
        finally:
            with contextlib.suppress(ForgeError):
                remove_tree(str(place))

    def _find_source(self, task: Task, request: BuildRequest, place: Path) -> BuildRequest:
        """Return the request with the sdist as this machine has it."""
        path = request.source
        if not isinstance(path, Path):
            return request
        with contextlib.suppress(OSError):
            if digest(path) == task.source:
                return request
        source = self._store.copy(File(path.name, task.source), place / "source")
        return replace(request, source=source)

    def _pack(self, request: BuildRequest, outcome: Outcome, run: Path) -> Answer:
        log = ""
        if outcome.log is not None and outcome.log.exists():
            log = self._store.add(outcome.log, run)
        files = [self._add(each, run) for each in _list_files(outcome.artifacts)]
        return Answer(
            run=run.name,
            outcome=replace(outcome, request=request),
            files=tuple(files),
            log=log,
        )

    def _add(self, path: Path, run: Path) -> File:
        return File(path.name, self._store.add(path, run))

    def _note(self, event: BuildEvent) -> None:
        """Write an event down, for the batch to read."""
        file = self._logs.get(event.id.partition(".")[0])
        if file is not None:
            with contextlib.suppress(OSError, ValueError):
                file.write(f"{to_text(event)}\n".encode("ascii"))

    def cancel(self) -> None:
        """End all builds in here."""
        self.is_cancelled = True
        worker = self._worker
        if worker is not None:
            worker.forges.pool.cancel()
        if not self.users:
            self.close()

    def close(self) -> None:
        """Give back all that was opened."""
        with self._lock, contextlib.suppress(ForgeError):
            self._stack.close()
        self._tasks.forget(self)


def _list_files(artifacts: tuple[Artifact, ...]) -> Iterator[Path]:
    """Yield the artifacts and the files beside them."""
    for artifact in artifacts:
        yield artifact.path
        yield from map(artifact.path.with_name, read_beside(artifact.path))
