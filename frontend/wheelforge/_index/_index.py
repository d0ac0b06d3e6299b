"""What there is of a name: pages of indexes and directories, asked for once and at the same time.

The first index that knows a name is the only one that is asked about it: a public index cannot
slip in a higher version of a private name. So an index that fails is an error, never a reason to
ask the next. Local directories are trusted, and come before every index.
"""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

from packaging.utils import canonicalize_name

from wheelforge._index._client import Client
from wheelforge._index._download import Download
from wheelforge._index._files import OTHER_NAME, UNDATED, Selection, Selector, merge
from wheelforge._index._listing import Directory, Lister
from wheelforge._index._remote import MetadataReader
from wheelforge._index._values import without_credentials
from wheelforge.errors import NeedsBuildError, PackageNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future, ThreadPoolExecutor
    from types import TracebackType
    from typing import Self

    from wheelforge._index._values import Candidate, IndexSettings, Metadata, Sleep

K = TypeVar("K")
V = TypeVar("V")

_THREADS = 6
"""Each connection costs a look-up of the host's name, and resolvers drop what comes in bursts."""


class Index:
    """Everything that may be installed, and how to get it; to be used by any number of threads.

    ``build_metadata`` answers for sdists, which cannot say what they ask for until they are
    built. Nothing is read or connected before the first question.
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
        self._client = Client(settings, sleep, self._note)
        self._lister = Lister(self._client, self._note)
        self._selector = Selector(settings, interpreter_tags)
        self._reader = MetadataReader(self._client)
        self._selections = _Once[str, Selection]()
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

    def find(self, name: str) -> list[Candidate]:
        """Return every usable file, newest version first, the best of a version first."""
        return list(self._select(name).candidates)

    def find_newer(self, name: str) -> list[Candidate]:
        """Return the files that only the cut-off date excludes, in the same order."""
        return list(self._select(name).newer)

    def explain(self, name: str) -> str:
        """Return what of ``name`` was left out, and why; nothing if nothing was."""
        counts = self._select(name).left_out.most_common()
        return ", ".join(f"{count} {reason}" for reason, count in counts)

    def prefetch(self, names: Iterable[str]) -> None:
        """Ask for several names at once; whatever fails is said to who asks for that name."""
        for name in dict.fromkeys(map(canonicalize_name, names)):
            if name not in self._selections:
                self._start(self._select, name)

    def prefetch_metadata(self, candidates: Iterable[Candidate]) -> None:
        """Read what several wheels ask for at once; failures are kept as for ``prefetch``."""
        for candidate in candidates:
            if candidate.is_wheel and candidate.url not in self._metadata:
                self._start(self.read_metadata, candidate)

    def read_metadata(self, candidate: Candidate) -> Metadata:
        """Return what a candidate asks for."""
        if candidate.is_wheel:
            return self._metadata.get(candidate.url, lambda: self._reader.read(candidate))
        if self._build_metadata is None:
            raise NeedsBuildError(candidate.file_name, candidate.origin)
        # Not remembered here: a build that leads back to itself would wait for itself for ever.
        return self._build_metadata(candidate)

    def fetch(self, candidate: Candidate, path: str) -> None:
        """Put the file at ``path``, whole and as the index describes it, or not at all."""
        Download(self._client, candidate).run(path, self._reader.take(candidate))

    def close(self) -> None:
        """Drop what is under way and close all connections."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)
        self._client.close()

    # One name

    def _select(self, name: str) -> Selection:
        name = canonicalize_name(name)
        return self._selections.get(name, lambda: self._look_up(name))

    def _look_up(self, name: str) -> Selection:
        flat = [
            self._choose(name, directory) for directory in self._lister.list_all(self._flat_urls)
        ]
        indexed = self._ask_indexes(name)
        selection = merge([*flat, *([indexed] if indexed else [])])
        if indexed is None and not (selection.candidates or selection.left_out):
            searched = (*self._flat_urls, *self._index_urls)
            raise PackageNotFoundError(name, tuple(map(without_credentials, searched)))
        return selection

    def _ask_indexes(self, name: str) -> Selection | None:
        for url in self._index_urls:
            listed = self._lister.read_page(url, name)
            if listed is not None:
                return self._choose(name, Directory(without_credentials(url), listed))
        return None

    def _choose(self, name: str, directory: Directory) -> Selection:
        selection = self._selector.select(name, directory.files, directory.origin)
        del selection.left_out[OTHER_NAME]
        undated = selection.left_out[UNDATED]
        if undated:
            self._note(f"{undated} files of `{name}` at `{directory.origin}` are {UNDATED}")
        for file_name in selection.clashing:
            self._note(f"`{file_name}` at `{directory.origin}` is listed with two hashes; left out")
        return selection

    @property
    def _index_urls(self) -> tuple[str, ...]:
        return () if self.settings.no_index else self.settings.index_urls

    @property
    def _flat_urls(self) -> tuple[str, ...]:
        return self.settings.find_links

    # Several at once

    def _start(self, task: Callable[[K], object], subject: K) -> None:
        from concurrent.futures import ThreadPoolExecutor

        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_THREADS, "wheelforge-index")
            self._pool.submit(task, subject)

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
