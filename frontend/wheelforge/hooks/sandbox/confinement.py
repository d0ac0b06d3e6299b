"""The sandbox of one build: its words, its private directory, and what is exchanged through it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelforge.hooks.in_process import copy_answer, copy_question
from wheelforge_isolation import ensure_directory, remove_tree

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from wheelforge.hooks.sandbox.prefix import Prefix

_HOMES = ("home", "tmp")
_EXCHANGE = "exchange"


@dataclass(frozen=True, kw_only=True, slots=True)
class Confinement:
    """The words that start a server in the sandbox of one build."""

    prefix: Prefix
    private: Path
    """A directory that the hooks may write."""

    def prepare(self) -> None:
        """Make the directories that the variables of the hooks name, empty."""
        for name in _HOMES:
            remove_tree(str(self.private / name))
            ensure_directory(str(self.private / name))

    @contextlib.contextmanager
    def exchanging(self, command: Sequence[str]) -> Generator[tuple[str, ...]]:
        """Yield the command of a hook with a directory for its answer that it can see.

        The one that pyproject-hooks has made lies where all programs put temporary files.
        """
        place = self.private / _EXCHANGE
        remove_tree(str(place))
        ensure_directory(str(place))
        *words, control = command
        with copy_answer(place, control):
            copy_question(control, place)
            yield (*words, str(place))
