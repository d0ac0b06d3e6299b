"""The Pythons that builds are for, and the index as each of them sees it.

Light to import: in an empty cache it is from here that the first requests are prepared.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge_isolation import Layout, default_layout

if TYPE_CHECKING:
    from wheelforge.index import Index, IndexSettings
    from wheelforge.settings import Settings
    from wheelforge_isolation import Interpreter


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
                interpreter = find_python(self._settings, self._layout, python)
                index = self._stack.enter_context(open_index(self._settings, interpreter))
                self._found[python] = Target(interpreter, index)
            return self._found[python]

    def close(self) -> None:
        """Close the connections of all indexes."""
        self._stack.close()


def find_layout(cache_dir: Path | None, stage_dir: Path | None = None) -> Layout:
    """Return the cache in ``cache_dir``, or that in the platform's place for caches."""
    root = cache_dir or default_layout().root
    return Layout(root, stage_dir)


def find_python(settings: Settings, layout: Layout, python: str | None = None) -> Interpreter:
    """Return the interpreter that ``python`` names, or the settings do."""
    from wheelforge_isolation import find_interpreter

    search = [Path(place) for place in os.get_exec_path(dict(settings.variables))]
    wanted = python or settings.python
    return find_interpreter(wanted, search=search, cache_dir=layout.interpreters)


def open_index(settings: Settings, python: Interpreter) -> Index:
    """Return the index with the files that suit ``python``; to be closed."""
    from wheelforge.index import Index

    return Index(read_index_settings(settings), python.tags)


def read_index_settings(settings: Settings) -> IndexSettings:
    """Return the settings of the index, pip's where ``settings`` are silent."""
    from wheelforge.index import find_index_settings, list_config_files

    files = list_config_files(settings.variables, sys.platform, sys.prefix)
    return find_index_settings(settings.variables, settings, files)
