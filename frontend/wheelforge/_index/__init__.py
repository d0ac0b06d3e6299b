"""Candidates and downloads: what an index has of a name, what a file asks for, the file itself.

Importing this package loads no HTTP library; the first request to a server does.
"""

from __future__ import annotations

from importlib import import_module

from wheelforge._index._index import Index
from wheelforge._index._pip import IndexOptions, find_index_settings, list_config_files
from wheelforge._index._values import (
    Candidate,
    IndexSettings,
    Metadata,
    Sleep,
    without_credentials,
)

__all__ = [
    "Candidate",
    "Index",
    "IndexOptions",
    "IndexSettings",
    "Metadata",
    "Sleep",
    "find_index_settings",
    "list_config_files",
    "load_index",
    "without_credentials",
]


def load_index(settings: IndexSettings) -> None:
    """Load what asking a server needs, for whoever has nothing else to do meanwhile."""
    from wheelforge._index._certificates import Certificates

    import_module("wheelforge._index._survey")
    _ = Certificates(settings).context
