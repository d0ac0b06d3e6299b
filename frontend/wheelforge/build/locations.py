"""Where what the settings name is found: the cache, the Python, the index.

Light to import: in an empty cache it is from here that the first requests are prepared.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge_isolation import Layout, default_layout

if TYPE_CHECKING:
    from wheelforge.index import Index, IndexSettings
    from wheelforge.settings import Settings
    from wheelforge_isolation import Interpreter


def find_layout(cache_dir: Path | None) -> Layout:
    """Return the cache that is meant."""
    return Layout(root=cache_dir) if cache_dir else default_layout()


def find_python(settings: Settings, layout: Layout) -> Interpreter:
    """Return the Python that is meant."""
    from wheelforge_isolation import find_interpreter

    search = [Path(place) for place in list_search_path(settings)]
    return find_interpreter(settings.python, search=search, cache_dir=layout.interpreters)


def list_search_path(settings: Settings) -> list[str]:
    """Return the directories in which programs are looked for."""
    return os.get_exec_path(dict(settings.variables))


def open_index(settings: Settings, python: Interpreter) -> Index:
    """Return what has files for ``python``; to be closed."""
    from wheelforge.index import Index

    return Index(read_index_settings(settings), python.tags, python.version)


def read_index_settings(settings: Settings) -> IndexSettings:
    """Return what is meant, with what pip is told where ``settings`` are silent."""
    from wheelforge.index import IndexOptions, find_index_settings, list_config_files

    said = IndexOptions(
        index_url=settings.index_url,
        extra_index_urls=settings.extra_index_urls,
        find_links=settings.find_links,
        no_index=settings.no_index,
        exclude_newer=settings.exclude_newer,
        offline=settings.offline,
    )
    files = list_config_files(settings.variables, sys.platform, sys.prefix)
    return find_index_settings(settings.variables, said, files)
