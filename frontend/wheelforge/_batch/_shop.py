"""The forges of a batch: one for each Python, and for each level of what is built with it."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from typing import TYPE_CHECKING

from wheelforge._build import Forge
from wheelforge._places import open_index
from wheelforge._resolve import check_hashes
from wheelforge._workshop import open_forge
from wheelforge_isolation import copy_file, digest, ensure_directory
from wheelforge_isolation.values import Value, field, replace

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from wheelforge._batch._pool import TokenPool
    from wheelforge._events import BuildEvent, Reporter
    from wheelforge._index import Index
    from wheelforge._means import Fetch
    from wheelforge._settings import Settings
    from wheelforge._sources import FetchedSource
    from wheelforge_isolation import Interpreter


class Shop(Value):
    """Opens forges, each of them once, until ``stack`` is closed; for one thread."""

    settings: Settings
    pool: TokenPool
    reporter: Reporter
    stack: contextlib.ExitStack
    place: Path
    """Private; takes what is offered to later builds."""
    pythons: Mapping[str | None, Interpreter]
    accepted: Mapping[str, tuple[str, ...]]
    """For each source that is fetched, the hashes that were stated for it."""
    fetched: dict[int, FetchedSource] = field(default_factory=dict[int, "FetchedSource"])
    """For a thread, the source that it has fetched already, and builds next."""
    _forges: dict[tuple[str | None, int], Forge] = field(
        default_factory=dict[tuple["str | None", int], "Forge"]
    )

    def open(self, python: str | None, level: int = 0, offers: Sequence[Path] = ()) -> Forge:
        """Return the forge for builds of that level, which may use the wheels ``offers``."""
        forge = self._forges.get((python, level))
        if forge is None:
            forge = self._forges[python, level] = self._open(python, offers)
        return forge

    def open_index(self, python: str | None) -> Index:
        """Return what has files for ``python``."""
        return self.stack.enter_context(open_index(self.settings, self.pythons[python]))

    def tell(self, python: str | None, event: BuildEvent) -> None:
        """Pass an event on; with several Pythons it says of which one."""
        if event.build and len(self.pythons) > 1:
            event = replace(event, build=f"{event.build} ({self.pythons[python].version})")
        self.reporter(event)

    def _open(self, python: str | None, offers: Sequence[Path]) -> Forge:
        settings = replace(self.settings, python=python)
        if offers:
            place = str(self._offer(offers))
            settings = replace(settings, find_links=(place, *settings.find_links))
        opened = open_forge(settings, reporter=partial(self.tell, python))
        means = self.stack.enter_context(opened).means
        fetch = None if means.fetch is None else partial(self._fetch, means.fetch)
        return Forge(means=replace(means, pool=self.pool, fetch=fetch))

    def _offer(self, wheels: Sequence[Path]) -> Path:
        """Return a directory of ``wheels``; its name, which is remembered, tells their contents."""
        contents = sorted((path.name, digest(path)) for path in wheels)
        place = self.place / hashlib.sha256(repr(contents).encode()).hexdigest()
        ensure_directory(str(place))
        for path in wheels:
            if not (place / path.name).exists():
                copy_file(str(path), str(place / path.name))
        return place

    def _fetch(self, fetch: Fetch, text: str, place: Path) -> FetchedSource:
        found = self.fetched.pop(threading.get_ident(), None)
        if found is None:
            found = fetch(text, place)
            check_hashes(found.path, self.accepted.get(text, ()))
        return found
