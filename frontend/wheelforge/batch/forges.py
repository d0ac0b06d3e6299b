"""The forges of a batch: one for each Python, and for each level of what is built with it."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Self

from wheelforge.batch.machine import TokenPool
from wheelforge.build.forge import Components, open_forge
from wheelforge.build.targets import read_index_settings
from wheelforge.index import Index
from wheelforge.provenance.options import read_beside
from wheelforge_isolation import copy_file, create_file, digest, ensure_directory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from wheelforge.batch.machine import Tokens
    from wheelforge.build.forge import Forge
    from wheelforge.events import BuildEvent, Reporter
    from wheelforge.settings import Settings
    from wheelforge_isolation import Interpreter


class Forges:
    """Opens forges, each of them once; for one thread, as a context manager.

    Levels differ in the wheels that they may build with: a build of a level is offered those of
    all levels below. ``place`` is private and takes these wheels.
    """

    def __init__(
        self,
        settings: Settings,
        pythons: Mapping[str | None, Interpreter],
        tokens: Tokens,
        *,
        place: Path,
        reporter: Reporter,
    ) -> None:
        self.settings = settings
        self.pythons = pythons
        self.pool = TokenPool(tokens)
        self.place = place
        self._reporter = reporter
        self._forges: dict[tuple[str | None, int], Forge] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._stack:
            # First, so that no server outlives the environment that it is in.
            self.pool.close()

    def open(self, python: str | None, level: int = 0, offers: Sequence[Path] = ()) -> Forge:
        """Return the forge for builds of that level, which may use the wheels ``offers``."""
        forge = self._forges.get((python, level))
        if forge is None:
            forge = self._forges[python, level] = self._open(python, offers)
        return forge

    def open_index(
        self, python: str | None, *, no_binary: frozenset[str], only_binary: frozenset[str]
    ) -> Index:
        """Return the index for ``python``, in which some projects are sdists or wheels only."""
        settings, interpreter = read_index_settings(self.settings), self.pythons[python]
        settings = replace(
            settings,
            no_binary=settings.no_binary | no_binary,
            only_binary=settings.only_binary | only_binary,
        )
        index = Index(settings, interpreter.tags)
        return self._stack.enter_context(index)

    def emit(self, python: str | None, event: BuildEvent) -> None:
        """Report an event; with several Pythons its build is named with its Python."""
        if event.build and len(self.pythons) > 1:
            event = replace(event, build=f"{event.build} ({self.pythons[python].version})")
        self._reporter(event)

    def _open(self, python: str | None, offers: Sequence[Path]) -> Forge:
        settings = replace(self.settings, python=python)
        if offers:
            directory = str(self._collect(offers))
            settings = replace(settings, find_links=(directory, *settings.find_links))
        reporter, components = partial(self.emit, python), Components(pool=self.pool)
        opened = open_forge(settings, reporter=reporter, components=components)
        return self._stack.enter_context(opened)

    def _collect(self, wheels: Sequence[Path]) -> Path:
        """Return a directory of ``wheels``, named by their contents as answers depend on them."""
        contents = sorted((path.name, digest(path)) for path in wheels)
        directory = self.place / hashlib.sha256(repr(contents).encode()).hexdigest()
        ensure_directory(str(directory))
        for path in wheels:
            if not (directory / path.name).exists():
                # Files beside a wheel come first: builds that use the wheel refer to them.
                for name, content in read_beside(path).items():
                    create_file(str(directory / name), [content])
                copy_file(str(path), str(directory / path.name))
        return directory
