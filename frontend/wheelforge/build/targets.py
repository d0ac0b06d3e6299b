"""The Pythons that builds are for, and the index as each of them sees it."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from wheelforge.build.locations import find_python, open_index

if TYPE_CHECKING:
    from wheelforge.index import Index
    from wheelforge.settings import Settings
    from wheelforge_isolation import Interpreter, Layout


class Target:  # ruff: ignore[class-as-data-structure]  # a tuple has an `index` of its own
    """One Python, and the index that has files for it."""

    def __init__(self, python: Interpreter, index: Index) -> None:
        self.python = python
        self.index = index


class Targets:
    """Finds each Python once, when it is asked for; for any number of threads."""

    def __init__(self, settings: Settings, layout: Layout) -> None:
        self._settings = settings
        self._layout = layout
        self._found: dict[str | None, Target] = {}
        self._lock = threading.Lock()
        self._stack = contextlib.ExitStack()

    def find(self, python: str | None = None) -> Target:
        """Return the target for ``python``, as `Settings.python` has it; that one unless given."""
        with self._lock:
            if python not in self._found:
                self._found[python] = self._open(python)
            return self._found[python]

    def close(self) -> None:
        """Close the connections of all indexes."""
        self._stack.close()

    def _open(self, python: str | None) -> Target:
        settings = replace(self._settings, python=python or self._settings.python)
        interpreter = find_python(settings, self._layout)
        index = self._stack.enter_context(open_index(settings, interpreter))
        return Target(interpreter, index)
