"""The wheels that were built for pages, and the sdists that could not be; they survive the server.

The files themselves are in a directory of the index: a row without its file means nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.service.database import Database
from wheelforge.service.simple.pages import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SCHEMA = """
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
MACHINE = 5
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
    is_passing = code in PASSING or exit_code == MACHINE
    return time.time() + _PASSING_SECONDS if is_passing else FOR_EVER


class BuiltWheels(Database):
    """The database; for one thread."""

    schema = _SCHEMA

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.changes = 0
        """How often anything has changed, which a page that is kept depends on."""

    def add(self, wheel: Wheel) -> None:
        """Take in a wheel, and forget that its sdist could not be built."""
        self._put("wheel", wheel)
        self._base.execute(
            "DELETE FROM failure WHERE target = ? AND sdist = ?", (wheel.target, wheel.sdist)
        )

    def add_failure(self, failure: Failure) -> None:
        """Take in a failure."""
        self._put("failure", failure)

    def remove_file(self, sha256: str) -> None:
        """Forget the wheels of a file that is about to go."""
        self.changes += 1
        self._base.execute("DELETE FROM wheel WHERE sha256 = ?", (sha256,))

    def find_built(self, target: str, sdist: str) -> Wheel | None:
        """Return the wheel of an sdist."""
        return next(self._wheels("target = ? AND sdist = ?", target, sdist), None)

    def find_failure(self, target: str, sdist: str) -> Failure | None:
        """Return why an sdist could not be built, if it could not."""
        found = self._failures("target = ? AND sdist = ?", target, sdist)
        return next(found, None)

    def find(self, target: str, project: str) -> dict[str, Wheel]:
        """Return the wheels of a project, by their sdists."""
        rows = self._wheels("target = ? AND project = ?", target, project)
        return {wheel.sdist: wheel for wheel in rows}

    def find_file(self, sha256: str) -> Wheel | None:
        """Return a wheel by its hash."""
        return next(self._wheels("sha256 = ? LIMIT 1", sha256), None)

    def failures(self, target: str, project: str | None = None) -> dict[str, Failure]:
        """Return what could not be built, of one project or of all, by the sdists."""
        where, values = "target = ?", [target]
        if project is not None:
            where, values = "target = ? AND project = ?", [target, project]
        found = self._failures(where, *values, order=" ORDER BY file_name")
        return {failure.sdist: failure for failure in found}

    def count_wheels(self, target: str) -> dict[str, int]:
        """Return the number of wheels of each project."""
        query = "SELECT project, count(*) FROM wheel WHERE target = ? GROUP BY project"
        return dict(self._base.execute(query, (target,)))

    def list_projects(self, target: str) -> list[str]:
        """Return the names of the projects that there are wheels of."""
        query = "SELECT DISTINCT project FROM wheel WHERE target = ? ORDER BY project"
        return [row[0] for row in self._base.execute(query, (target,))]

    def _wheels(self, where: str, *values: object) -> Iterator[Wheel]:
        columns = ", ".join(Wheel._fields)
        query = f"SELECT {columns} FROM wheel WHERE {where}"  # ruff: ignore[hardcoded-sql-expression]
        return map(Wheel._make, self._base.execute(query, values))

    def _failures(self, where: str, *values: object, order: str = "") -> Iterator[Failure]:
        columns = ", ".join(Failure._fields)
        query = f"SELECT {columns} FROM failure WHERE {where} AND until > ?{order}"  # ruff: ignore[hardcoded-sql-expression]
        return map(Failure._make, self._base.execute(query, (*values, time.time())))

    def _put(self, table: str, values: Wheel | Failure) -> None:
        self.changes += 1
        names, marks = ", ".join(values._fields), ",".join("?" * len(values))
        query = f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})"  # ruff: ignore[hardcoded-sql-expression]
        self._base.execute(query, values)
