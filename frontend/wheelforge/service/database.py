"""A database of the server: one file, one thread, each statement a transaction of its own."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pathlib import Path

_PRAGMAS = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
"""


class Database:
    """Tables that survive the server; for one thread."""

    schema: ClassVar[str] = ""
    """The statements that make its tables, if they are not there."""

    def __init__(self, path: Path) -> None:
        """Open the file at ``path``, which others may have opened as well."""
        self._base = sqlite3.connect(path, isolation_level=None)
        self._base.executescript(_PRAGMAS + self.schema)

    def close(self) -> None:
        """Close it."""
        self._base.close()
