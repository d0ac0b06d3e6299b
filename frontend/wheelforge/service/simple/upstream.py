"""The pages of the indexes upstream, each remembered for as long as its index allows."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from wheelforge.index.listing import ListingReader
from wheelforge.provenance.attestations import PROVENANCE
from wheelforge_isolation import ForgeError, ensure_directory, mark_used
from wheelforge_isolation.formats.sealed import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from wheelforge.index import IndexSettings
    from wheelforge.index.listing import ListedFile, Listing
    from wheelforge.index.pages import Listed

K = TypeVar("K")
T = TypeVar("T")
_THREADS = 8
_MOST_FILES = 20_000
"""Of all pages that are remembered together: each takes a few KB."""
_METADATA = "text/plain; charset=utf-8"


class Beside(NamedTuple):
    """A small file that an index has beside another, its metadata or its provenance object."""

    content: bytes
    kind: str
    """The content type."""


class Upstream:
    """Answers for any number of clients; for the one thread of the event loop."""

    def __init__(self, settings: IndexSettings, directory: Path) -> None:
        """Ask the indexes of ``settings``; files that are passed on are kept in ``directory``."""
        ensure_directory(str(directory))
        self._directory = directory
        self._reader = ListingReader(settings)
        self._pool = ThreadPoolExecutor(_THREADS, "wheelforge-upstream")
        self._known: OrderedDict[str, Listing] = OrderedDict()
        self._doubtful = set[str]()
        """Those whose index has failed when it was asked again."""
        self._asking: dict[str, asyncio.Task[Listing | None]] = {}
        self._fetching: dict[Path, asyncio.Task[None]] = {}

    def close(self) -> None:
        """Drop what is under way."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._reader.close()

    def find_fresh(self, name: str) -> Listing | None:
        """Return the page of a project, if its index need not be asked."""
        known = self._known.get(name)
        if known is None or time.monotonic() >= known.fresh_until:
            return None
        self._known.move_to_end(name)
        return known

    def find_last(self, name: str) -> Listing | None:
        """Return the last page of a project, unless its index has failed since."""
        return None if name in self._doubtful else self._known.get(name)

    def ask(self, name: str) -> asyncio.Task[Listing | None]:
        """Have the indexes asked, once for all clients that wait for the answer."""
        task = self._asking.get(name)
        if task is None:
            task = self._asking[name] = asyncio.ensure_future(self._ask(name))
            task.add_done_callback(partial(_forget, self._asking, name))
        return task

    async def look_up(self, name: str) -> Listing | None:
        """Return the page of a project; None if there is no such project."""
        # The client that has asked first may go away before the others.
        return self.find_fresh(name) or await asyncio.shield(self.ask(name))

    async def fetch(self, name: str, file: Listed) -> Path:
        """Return a file of a project, once it is here as its page describes it."""
        path = self._directory / fingerprint([file.url, sorted(file.hashes.items())])
        if not path.exists():
            task = self._fetching.get(path)
            if task is None:
                work = partial(self._reader.fetch, file, name, str(path))
                task = self._fetching[path] = asyncio.ensure_future(self._run(work))
                task.add_done_callback(partial(_forget, self._fetching, path))
            await asyncio.shield(task)
        mark_used(str(path))
        return path

    async def fetch_beside(self, project: str, listing: Listing, name: str) -> Beside | None:
        """Return what is called ``name`` and is beside a file of a page; None if absent."""
        file_name, _, end = name.rpartition(".")
        file = listing.find(file_name)
        if file is None or end not in {"metadata", "provenance"}:
            return None
        if end == "metadata":
            # It is checked, as its page describes it.
            work, kind = partial(self._reader.fetch_metadata, file.listed, project), _METADATA
        else:
            work, kind = partial(self._reader.fetch_provenance, file), PROVENANCE
        content = await self._run(work)
        return None if content is None else Beside(content, kind)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def _ask(self, name: str) -> Listing | None:
        known = self._known.get(name)
        try:
            found = await self._run(partial(self._reader.read, name, known))
        except ForgeError:
            if known is not None:
                self._doubtful.add(name)
            raise
        self._drop(name)
        if found is not None:
            self._known[name] = found
        files = sum(len(listing.files) for listing in self._known.values())
        while files > _MOST_FILES and len(self._known) > 1:
            files -= len(self._drop(next(iter(self._known))))
        return found

    def _drop(self, name: str) -> Sequence[ListedFile]:
        self._doubtful.discard(name)
        known = self._known.pop(name, None)
        return known.files if known is not None else ()


def _forget(tasks: dict[K, asyncio.Task[T]], key: K, task: asyncio.Task[T]) -> None:
    tasks.pop(key, None)
    if not task.cancelled():
        task.exception()  # all that wait for it may have gone away
