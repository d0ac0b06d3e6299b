"""Candidates and downloads: what an index has of a name, what a file asks for, the file itself.

Importing this package loads no HTTP library; the first request to a server does.
"""

from __future__ import annotations

from wheelforge.index.index import Index
from wheelforge.index.models import Candidate, Metadata, Sleep
from wheelforge.index.settings import (
    IndexOptions,
    IndexSettings,
    find_index_settings,
    list_config_files,
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
]
