"""The wheels that were built for pages, and the sdists that could not be; they survive the server.

The files themselves are in a directory of the index: a row without its file means nothing.
"""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.service.simple.pages import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS wheel (
  target TEXT NOT NULL, sdist TEXT NOT NULL, project TEXT NOT NULL, file_name TEXT NOT NULL,
  sha256 TEXT NOT NULL, size INTEGER NOT NULL, requires_python TEXT NOT NULL,
  metadata BLOB NOT NULL, metadata_sha256 TEXT NOT NULL, run TEXT NOT NULL, built REAL NOT NULL,
  repaired TEXT NOT NULL,
  PRIMARY KEY (target, sdist)
);
CREATE INDEX IF NOT EXISTS wheel_by_project ON wheel (target, project);
CREATE INDEX IF NOT EXISTS wheel_by_hash ON wheel (sha256);
CREATE TABLE IF NOT EXISTS failure (
  target TEXT NOT NULL, sdist TEXT NOT NULL, project TEXT NOT NULL, file_name TEXT NOT NULL,
  code TEXT NOT NULL, message TEXT NOT NULL, hint TEXT NOT NULL, run TEXT NOT NULL,
  until REAL NOT NULL, PRIMARY KEY (target, sdist)
);
"""
PASSING = frozenset({"build-network", "build-out-of-memory", "offline"})
"""Classes of failures that may be gone after a while."""
_MACHINE = 5
"""The exit code of failures that are not the project's."""
_PASSING_SECONDS = 3600.0
FOR_EVER = float("inf")


class Failure(NamedTuple):
    """An sdist that could not be built."""

    target: str
    sdist: str
    project: str
    file_name: str
    code: str
    message: str
    hint: str
    run: str
    until: float
    """When it is tried again; infinite: when the target or the options of the server change."""


def find_expiry(code: str, exit_code: int) -> float:
    """Return until when a failure is remembered."""
    is_passing = code in PASSING or exit_code == _MACHINE
    return time.time() + _PASSING_SECONDS if is_passing else FOR_EVER


class BuiltWheels:
    """The database; for one thread."""

    def __init__(self, path: Path) -> None:
        self._base = sqlite3.connect(path, isolation_level=None)
        self._base.executescript(_SCHEMA)
        self.changes = 0
        """How often anything has changed, which a page that is kept depends on."""

    def close(self) -> None:
        """Close it."""
        self._base.close()

    def add(self, wheel: Wheel) -> None:
        """Take in a wheel, and forget that its sdist could not be built."""
        self._put("wheel", wheel)
        self._base.execute(
            "DELETE FROM failure WHERE target = ? AND sdist = ?", (wheel.target, wheel.sdist)
        )

    def add_failure(self, failure: Failure) -> None:
        """Take in a failure."""
        self._put("failure", failure)

    def remove(self, wheel: Wheel) -> None:
        """Forget a wheel whose file is gone."""
        self.changes += 1
        self._base.execute("DELETE FROM wheel WHERE sha256 = ?", (wheel.sha256,))

    def find(self, target: str, project: str) -> dict[str, Wheel]:
        """Return the wheels of a project, by their sdists."""
        rows = self._wheels("target = ? AND project = ?", target, project)
        return {wheel.sdist: wheel for wheel in rows}

    def find_file(self, sha256: str) -> Wheel | None:
        """Return a wheel by its hash."""
        return next(self._wheels("sha256 = ? LIMIT 1", sha256), None)

    def failures(self, target: str, project: str | None = None) -> dict[str, Failure]:
        """Return what could not be built, of one project or of all, by the sdists."""
        columns = ", ".join(Failure._fields)
        query = f"SELECT {columns} FROM failure WHERE target = ? AND until > ?"  # ruff: ignore[hardcoded-sql-expression]
        values: list[object] = [target, time.time()]
        if project is not None:
            query, values = f"{query} AND project = ?", [*values, project]
        found = map(Failure._make, self._base.execute(f"{query} ORDER BY file_name", values))
        return {failure.sdist: failure for failure in found}

    def list_projects(self, target: str) -> list[str]:
        """Return the names of the projects that there are wheels of."""
        query = "SELECT DISTINCT project FROM wheel WHERE target = ? ORDER BY project"
        return [row[0] for row in self._base.execute(query, (target,))]

    def _wheels(self, where: str, *values: object) -> Iterator[Wheel]:
        columns = ", ".join(Wheel._fields)
        query = f"SELECT {columns} FROM wheel WHERE {where}"  # ruff: ignore[hardcoded-sql-expression]
        return map(Wheel._make, self._base.execute(query, values))

    def _put(self, table: str, values: Wheel | Failure) -> None:
        self.changes += 1
        names, marks = ", ".join(values._fields), ",".join("?" * len(values))
        query = f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})"  # ruff: ignore[hardcoded-sql-expression]
        self._base.execute(query, values)
