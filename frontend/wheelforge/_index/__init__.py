"""Candidates and downloads: what an index has of a name, what a file asks for, the file itself.

Importing this package loads no HTTP library; the first request to a server does.
"""

from __future__ import annotations

from importlib import import_module
from threading import Thread

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


def load_index() -> None:
    """Import what asking a server needs, for whoever has nothing else to do meanwhile."""
    client = import_module("wheelforge._index._client")
    client.find_library()
    # Most of it is no work for the interpreter, which goes on importing meanwhile.
    Thread(target=client.load_certificates, daemon=True).start()
    import_module("wheelforge._index._survey")
