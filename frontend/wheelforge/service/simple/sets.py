"""Announced sets: releases that belong together, each set with an index of its own.

They survive the server. A set that is ready does not change any more: its pages are kept as they
were then.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge.service.database import Database
from wheelforge_isolation.formats.file_names import parse_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.version import Version

_SCHEMA = """
CREATE TABLE IF NOT EXISTS announced (
  name TEXT PRIMARY KEY, target TEXT NOT NULL, request TEXT NOT NULL, state TEXT NOT NULL,
  created REAL NOT NULL, packages TEXT NOT NULL, error TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS announced_page (
  name TEXT NOT NULL, project TEXT NOT NULL, page TEXT NOT NULL, PRIMARY KEY (name, project)
);
CREATE TABLE IF NOT EXISTS announced_use (name TEXT PRIMARY KEY, used REAL NOT NULL);
CREATE TABLE IF NOT EXISTS announced_want (
  target TEXT NOT NULL, project TEXT NOT NULL, version TEXT NOT NULL, name TEXT NOT NULL,
  PRIMARY KEY (target, project, version, name)
);
CREATE INDEX IF NOT EXISTS announced_want_by_name ON announced_want (name);
CREATE TABLE IF NOT EXISTS wanted (target TEXT, project TEXT, version TEXT);
INSERT OR IGNORE INTO announced_want SELECT target, project, version, '' FROM wanted;
DROP TABLE wanted;
"""
"""Earlier releases did not know which set wants a release; those that they have stay wanted."""
_TABLES = ("announced_page", "announced_use", "announced_want", "announced")
"""In this order what a server leaves behind that dies meanwhile is removed by the next one."""
_OWN_FILE = re.compile(r'"\.\./\.\./files/([0-9a-f]{64})/')
"""The URL of a wheel, as `describe_wheel` spells it."""


class SetRequest(NamedTuple):
    """The releases that somebody wants."""

    requirements: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    hashes: Mapping[str, Sequence[str]] = {}
    """The ``sha256:...`` that are accepted, by requirement."""
    is_closed: bool = False
    """Whether it is a lock: nothing is added, and each requirement names its version."""


class AnnouncedSet(NamedTuple):
    """A set, and how it is coming along."""

    name: str
    target: str
    request: SetRequest
    state: str
    """``running``, ``ready`` or ``failed``."""
    created: float
    packages: Sequence[Mapping[str, Any]] = ()
    error: str = ""

    def describe(self) -> dict[str, Any]:
        """Return it as the API has it."""
        return {
            "name": self.name,
            "target": self.target,
            "state": self.state,
            "created": self.created,
            "packages": list(self.packages),
            "error": self.error or None,
            "path": f"/sets/{self.name}/{self.target}/simple/",
        }


class AnnouncedSets(Database):
    """The database; for one thread."""

    schema = _SCHEMA

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.changes = 0
        """How often the releases that are wanted have changed."""
        self._used = dict[str, float]()
        """When sets were used, as far as that is not written down yet."""

    def close(self) -> None:
        """Write down what was used, and close it."""
        self._store_used()
        super().close()

    def find(self, name: str) -> AnnouncedSet | None:
        """Return the set of that name."""
        return next(self._list("name = ?", name), None)

    def list_running(self) -> list[AnnouncedSet]:
        """Return the sets that are not ready yet."""
        return list(self._list("state = 'running'"))

    def put(self, announced: AnnouncedSet) -> None:
        """Take a set in, or take down how it is coming along."""
        texts = (json.dumps(announced.request), json.dumps(announced.packages))
        self._base.execute(
            "INSERT OR REPLACE INTO announced VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(announced.name, announced.target, texts[0], announced.state),
                *(announced.created, texts[1], announced.error),
            ),
        )

    def add_pages(self, announced: AnnouncedSet, pages: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep the pages of a set by the names of their projects."""
        rows = [(announced.name, name, json.dumps(page)) for name, page in pages.items()]
        self._base.executemany("INSERT OR REPLACE INTO announced_page VALUES (?, ?, ?)", rows)

    def want(self, announced: AnnouncedSet, pins: Mapping[str, Version]) -> None:
        """Take down that the target of a set is to have wheels of these releases."""
        self.changes += 1
        rows = [
            (announced.target, project, str(version), announced.name)
            for project, version in pins.items()
        ]
        self._base.executemany("INSERT OR IGNORE INTO announced_want VALUES (?, ?, ?, ?)", rows)

    def mark_used(self, name: str) -> None:
        """Note that somebody asks for a set, or for one of its pages, as installers often do."""
        self._used[name] = time.time()

    def remove_unused(self, keep: int) -> None:
        """Forget all sets but those used last, and those that are being made."""
        self._store_used()
        rows = self._base.execute(
            "SELECT announced.name FROM announced LEFT JOIN announced_use USING (name)"
            " WHERE state != 'running'"
            " ORDER BY coalesce(used, created) DESC, created DESC LIMIT -1 OFFSET ?",
            (keep,),
        )
        for (name,) in rows.fetchall():
            self.changes += 1
            for table in _TABLES:
                self._base.execute(f"DELETE FROM {table} WHERE name = ?", (name,))  # ruff: ignore[hardcoded-sql-expression]

    def list_wanted(self, target: str, project: str) -> set[Version]:
        """Return the versions of a project that a target is to have wheels of."""
        query = "SELECT version FROM announced_want WHERE target = ? AND project = ?"
        return {parse_version(row[0]) for row in self._base.execute(query, (target, project))}

    def find_page(self, name: str, project: str) -> dict[str, Any] | None:
        """Return the page of a project in a set."""
        query = "SELECT page FROM announced_page WHERE name = ? AND project = ?"
        row = self._base.execute(query, (name, project)).fetchone()
        found: dict[str, Any] | None = None if row is None else json.loads(row[0])
        return found

    def list_hashes(self) -> set[str]:
        """Return the hashes of the wheels that pages of sets have, which were built here."""
        rows = self._base.execute("SELECT page FROM announced_page")
        return {digest for row in rows for digest in _OWN_FILE.findall(row[0])}

    def list_projects(self, name: str) -> list[str]:
        """Return the names of the projects in a set."""
        query = "SELECT project FROM announced_page WHERE name = ? ORDER BY project"
        return [row[0] for row in self._base.execute(query, (name,))]

    def _store_used(self) -> None:
        query = "INSERT OR REPLACE INTO announced_use VALUES (?, ?)"
        self._base.executemany(query, list(self._used.items()))
        self._used.clear()

    def _list(self, where: str, *values: object) -> Iterator[AnnouncedSet]:
        query = f"SELECT * FROM announced WHERE {where}"  # ruff: ignore[hardcoded-sql-expression]
        for name, target, request, state, created, packages, error in self._base.execute(
            query, values
        ):
            texts, limits, hashes, is_closed = json.loads(request)
            accepted = {text: tuple(found) for text, found in hashes.items()}
            known = SetRequest(tuple(texts), tuple(limits), accepted, is_closed)
            yield AnnouncedSet(name, target, known, state, created, json.loads(packages), error)


def announce(name: str, target: str, request: SetRequest) -> AnnouncedSet:
    """Return a set of which nothing is there yet."""
    return AnnouncedSet(name, target, request, "running", time.time())
