"""Candidates and downloads: what an index has of a name, what a file asks for, the file itself.

Importing this package loads no HTTP library; the first request to a server does.
"""

from __future__ import annotations

from wheelforge._index._index import Index
from wheelforge._index._pip import (
    IndexOptions,
    find_build_constraints,
    find_index_settings,
    list_config_files,
)
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
    "find_build_constraints",
    "find_index_settings",
    "list_config_files",
    "without_credentials",
]
