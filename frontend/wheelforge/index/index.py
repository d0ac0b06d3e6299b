"""The files of each project on all indexes and directories, asked for once and in parallel.

The first server that knows a name is the only one that is asked about it: a public index cannot
slip in a higher version of a private name. So an index that fails is an error, never a reason to
ask the next. What is on this machine's own disk is trusted, and comes before what servers have; as
it may be a part of what there is, it ends no search.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from wheelforge_isolation.formats.urls import local_place

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

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

    Nothing is read, connected or loaded before the first look-up.
    """

    def __init__(
        self, settings: IndexSettings, interpreter_tags: Sequence[str], sleep: Sleep = time.sleep
    ) -> None:
        self.settings = settings
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

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """Oddities so far, each once."""
        return tuple(self._notes)

    @property
    def places(self) -> tuple[str, ...]:
        """The directories that are looked at on this machine."""
        urls = (*self.settings.find_links, *self.settings.asked_urls)
        return tuple(place for place in map(local_place, urls) if place is not None)

    @property
    def is_local(self) -> bool:
        """Whether nothing else is asked."""
        return len(self.places) == len(self.settings.find_links) + len(self.settings.asked_urls)

    def find(self, name: str) -> Candidates:
        """Return the files of ``name``; an error where it is not known."""
        from packaging.utils import canonicalize_name

        name = canonicalize_name(name)
        return self._found.get(name, lambda: self._open().look_up(name))

    def prefetch(self, names: Iterable[str]) -> None:
        """Ask for several names at once; a failure is raised where that name is asked for."""
        for name in names:
            self._submit(partial(self.find, name))

    def prefetch_metadata(self, candidates: Iterable[Candidate]) -> None:
        """Read what several wheels ask for at once; failures are kept as for ``prefetch``."""
        for candidate in candidates:
            if candidate.is_wheel and candidate.url not in self._metadata:
                self._submit(partial(self.read_metadata, candidate))

    def prefetch_files(self, candidates: Iterable[Candidate]) -> None:
        """Fetch several files at once, if they are small; failures are kept as for ``prefetch``."""
        for candidate in candidates:
            self._open().early.expect(candidate, self._submit)

    def read_metadata(self, candidate: Candidate) -> Metadata:
        """Return the metadata of a wheel."""
        return self._metadata.get(candidate.url, lambda: self._open().metadata.read(candidate))

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
                note = self._notes.setdefault
                self._backend = IndexBackend(self.settings, self._tags, self._sleep, note)
            return self._backend

    def _submit(self, task: Callable[[], V]) -> Future[V]:
        from concurrent.futures import ThreadPoolExecutor

        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_THREADS, "wheelforge-index")
            return self._pool.submit(task)


class _Once(Generic[K, V]):
    """Results that are computed once, by the first thread that asks; the others wait for it."""

    def __init__(self) -> None:
        self._futures: dict[K, Future[V]] = {}
        self._lock = Lock()

    def __contains__(self, key: K) -> bool:
        return key in self._futures

    def get(self, key: K, compute: Callable[[], V]) -> V:
        from concurrent.futures import Future

        with self._lock:
            future = self._futures.get(key)
            is_ours = future is None
            if future is None:
                future = self._futures[key] = Future()
        if is_ours:
            try:
                future.set_result(compute())
            except BaseException as error:
                future.set_exception(error)
                raise
        return future.result()
