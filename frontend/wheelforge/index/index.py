"""What there is of a name: pages of indexes and directories, asked for once and at the same time.

The first server that knows a name is the only one that is asked about it: a public index cannot
slip in a higher version of a private name. So an index that fails is an error, never a reason to
ask the next. What is on this machine's own disk is trusted, and comes before what servers have; as
it may be a part of what there is, it ends no search.
"""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

from wheelforge_isolation.formats.urls import local_place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future, ThreadPoolExecutor
    from types import TracebackType
    from typing import Self

    from wheelforge.index.backend import IndexBackend
    from wheelforge.index.candidates import Candidates
    from wheelforge.index.models import Candidate, Metadata, Sleep
    from wheelforge.index.settings import IndexSettings

K = TypeVar("K")
V = TypeVar("V")

_THREADS = 6
"""Each connection costs a look-up of the host's name, and resolvers drop what comes in bursts."""


class Index:
    """Everything that may be installed, and how to get it; to be used by any number of threads.

    ``build_metadata`` answers for sdists, which cannot say what they ask for until they are
    built. Nothing is read, connected or loaded before the first question.
    """

    def __init__(
        self,
        settings: IndexSettings,
        interpreter_tags: Sequence[str],
        python_version: str,
        build_metadata: Callable[[Candidate], Metadata] | None = None,
        sleep: Sleep = time.sleep,
    ) -> None:
        self.settings = settings
        self.python_version = python_version
        self._build_metadata = build_metadata
        self._tags = interpreter_tags
        self._sleep = sleep
        self._backend: IndexBackend | None = None
        self._found = _Once[str, "Candidates"]()
        self._metadata = _Once[str, "Metadata"]()
        self._notes: dict[str, None] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd so far, each said once."""
        return tuple(self._notes)

    @property
    def places(self) -> tuple[str, ...]:
        """The directories that are looked at on this machine."""
        found = map(local_place, self._urls)
        return tuple(place for place in found if place is not None)

    @property
    def is_local(self) -> bool:
        """Whether nothing else is asked."""
        return len(self.places) == len(self._urls)

    def find(self, name: str) -> Candidates:
        """Return the files of ``name``; an error where it is not known."""
        from packaging.utils import canonicalize_name

        name = canonicalize_name(name)
        return self._found.get(name, lambda: self._open().look_up(name))

    def prefetch(self, names: Iterable[str]) -> None:
        """Ask for several names at once; whatever fails is said to who asks for that name."""
        from packaging.utils import canonicalize_name

        for name in dict.fromkeys(map(canonicalize_name, names)):
            if name not in self._found:
                self._start(self.find, name)

    def prefetch_metadata(self, candidates: Iterable[Candidate]) -> None:
        """Read what several wheels ask for at once; failures are kept as for ``prefetch``."""
        for candidate in candidates:
            if candidate.is_wheel and candidate.url not in self._metadata:
                self._start(self.read_metadata, candidate)

    def prefetch_files(self, candidates: Iterable[Candidate]) -> None:
        """Fetch several files at once, if they are small; failures are kept as for ``prefetch``."""
        for candidate in candidates:
            self._open().early.expect(candidate, self._submit)

    def read_metadata(self, candidate: Candidate) -> Metadata:
        """Return what a candidate asks for."""
        if candidate.is_wheel:
            return self._metadata.get(candidate.url, lambda: self._open().metadata.read(candidate))
        if self._build_metadata is None:
            from wheelforge.errors import RequirementsError

            raise RequirementsError("needs-build", candidate.file_name, candidate.origin)
        # Not remembered here: a build that leads back to itself would wait for itself for ever.
        return self._build_metadata(candidate)

    def fetch(self, candidate: Candidate, path: str) -> None:
        """Put the file at ``path``, whole and as the index describes it, or not at all."""
        self._open().fetch(candidate, path)

    def close(self) -> None:
        """Drop what is under way and close all connections."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)
        if self._backend is not None:
            self._backend.close()

    def _open(self) -> IndexBackend:
        from wheelforge.index.backend import IndexBackend

        with self._lock:
            if self._backend is None:
                self._backend = IndexBackend(self.settings, self._tags, self._sleep, self._note)
            return self._backend

    @property
    def _urls(self) -> tuple[str, ...]:
        return (*self.settings.find_links, *self.settings.asked_urls)

    # Several at once

    def _start(self, task: Callable[[K], object], subject: K) -> None:
        self._submit(lambda: task(subject))

    def _submit(self, task: Callable[[], V]) -> Future[V]:
        from concurrent.futures import ThreadPoolExecutor

        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_THREADS, "wheelforge-index")
            return self._pool.submit(task)

    def _note(self, text: str) -> None:
        self._notes[text] = None


class _Once(Generic[K, V]):
    """Answers that are worked out once, by who asks first; the others wait for it."""

    def __init__(self) -> None:
        self._futures: dict[K, Future[V]] = {}
        self._lock = Lock()

    def __contains__(self, key: K) -> bool:
        return key in self._futures

    def get(self, key: K, work_out: Callable[[], V]) -> V:
        from concurrent.futures import Future

        with self._lock:
            future = self._futures.get(key)
            is_ours = future is None
            if future is None:
                future = self._futures[key] = Future()
        if is_ours:
            try:
                future.set_result(work_out())
            except BaseException as error:
                future.set_exception(error)
                raise
        return future.result()
