"""The queue: what is to be built, for which clients, and how it went; it survives the server.

A *run* is one build, a *want* is one request for it. There is one run for each key, and any number
of wants. The truth about results is in files; the database can be lost without losing any.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge.service.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run (
  id TEXT PRIMARY KEY, key TEXT NOT NULL, kind TEXT NOT NULL, label TEXT NOT NULL,
  request TEXT NOT NULL, client TEXT NOT NULL, priority INTEGER NOT NULL,
  state TEXT NOT NULL, created REAL NOT NULL, not_before REAL NOT NULL DEFAULT 0,
  started REAL, ended REAL, attempts INTEGER NOT NULL DEFAULT 0,
  verdict TEXT NOT NULL DEFAULT '', outcome TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS run_by_state ON run (state, created);
CREATE INDEX IF NOT EXISTS run_by_key ON run (key, state);
CREATE TABLE IF NOT EXISTS want (
  id TEXT PRIMARY KEY, run TEXT NOT NULL REFERENCES run (id), client TEXT NOT NULL,
  created REAL NOT NULL, detached INTEGER NOT NULL, cancelled INTEGER NOT NULL DEFAULT 0,
  idempotency TEXT UNIQUE, digest TEXT NOT NULL, output TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS want_by_run ON want (run);
"""
PRIORITIES = {"interactive": 30, "page": 20, "set": 10, "verify": 0}
AGEING_SECONDS = 10.0
"""A priority rises by one in this time, so that each build has its turn."""
SHARE = 15
"""A build counts for so much less for each that the same client has at work."""
_LOOKED_AT = 500
MACHINE = 5
"""The exit code of failures that are not the project's."""
_REMEMBERED_SECONDS = 3600.0


class Run(NamedTuple):
    """One build, or one command of a client, in the queue or after it."""

    id: str
    key: str
    kind: str
    """``build`` or ``command``."""
    label: str
    request: dict[str, Any]
    client: str
    priority: int
    state: str
    """``queued``, ``running`` or ``done``."""
    created: float
    not_before: float = 0.0
    started: float | None = None
    ended: float | None = None
    attempts: int = 0
    verdict: str = ""
    outcome: dict[str, Any] = {}  # ruff: ignore[mutable-class-default]


class Want(NamedTuple):
    """One request for a run."""

    id: str
    run: str
    client: str
    created: float
    detached: bool
    cancelled: bool = False
    idempotency: str | None = None
    digest: str = ""
    """Of the request, as a key that is used again must come with the same one."""
    output: str = ""


class Queue(Database):
    """The database; for one thread."""

    schema = _SCHEMA

    def add_run(self, run: Run) -> None:
        """Take a run in."""
        self._insert("run", run)

    def add_want(self, want: Want) -> None:
        """Take a want in."""
        self._insert("want", want)

    def run(self, run_id: str) -> Run | None:
        """Return the run of that number."""
        return next(self._runs("id = ?", run_id), None)

    def want(self, want_id: str) -> Want | None:
        """Return the want of that number."""
        return next(self._wants("id = ?", want_id), None)

    def find_want(self, idempotency: str) -> Want | None:
        """Return the want that came with that key."""
        return next(self._wants("idempotency = ?", idempotency), None)

    def wants_of(self, run_id: str) -> list[Want]:
        """Return who waits for a run."""
        return list(self._wants("run = ? AND NOT cancelled ORDER BY created", run_id))

    def find_run(self, key: str, *states: str) -> Run | None:
        """Return the latest run of that key in one of these states."""
        marks = ",".join("?" * len(states))
        where = f"key = ? AND state IN ({marks}) ORDER BY created DESC LIMIT 1"
        return next(self._runs(where, key, *states), None)

    def list_runs(self, state: str, limit: int = 50, offset: int = 0) -> list[Run]:
        """Return the runs in that state: those that ended last, or were asked for first."""
        order = "ended DESC" if state == "done" else "created"
        return list(
            self._runs(f"state = ? ORDER BY {order} LIMIT ? OFFSET ?", state, limit, offset)
        )

    def count(self) -> dict[str, int]:
        """Return how many runs there are in each state, and of each verdict."""
        rows = self._base.execute("SELECT state, verdict, count(*) FROM run GROUP BY 1, 2")
        return {verdict or state: count for state, verdict, count in rows}

    def choose(self, running: Mapping[str, int]) -> Run | None:
        """Return the run that is next, given how many each client has at work."""
        now = time.time()

        def rank(run: Run) -> float:
            age = (now - run.created) / AGEING_SECONDS
            return run.priority + age - SHARE * running.get(run.client, 0)

        found = self._runs(
            "state = 'queued' AND not_before <= ? ORDER BY created LIMIT ?", now, _LOOKED_AT
        )
        return max(found, key=rank, default=None)

    def update(self, run_id: str, **values: object) -> None:
        """Change a run."""
        names = ", ".join(f"{name} = ?" for name in values)
        stored = [_store(value) for value in values.values()]
        self._base.execute(f"UPDATE run SET {names} WHERE id = ?", (*stored, run_id))  # ruff: ignore[hardcoded-sql-expression]

    def cancel_want(self, want_id: str) -> None:
        """Let a request be without effect from now on."""
        self._base.execute("UPDATE want SET cancelled = 1 WHERE id = ?", (want_id,))

    def list_done(self) -> list[str]:
        """Return the numbers of the runs that are done, the last first."""
        rows = self._base.execute("SELECT id FROM run WHERE state = 'done' ORDER BY ended DESC")
        return [row[0] for row in rows]

    def remove_old(self, keep: int) -> list[str]:
        """Forget all but the last runs that are done; return their numbers."""
        rows = self._base.execute(
            "SELECT id FROM run WHERE state = 'done' ORDER BY ended DESC LIMIT -1 OFFSET ?", (keep,)
        )
        old = [row[0] for row in rows]
        for run_id in old:
            self._base.execute("DELETE FROM want WHERE run = ?", (run_id,))
            self._base.execute("DELETE FROM run WHERE id = ?", (run_id,))
        return old

    def remove_old_wants(self, keep: int) -> None:
        """Forget all but the last requests for runs that are done."""
        self._base.execute(
            "DELETE FROM want WHERE id IN (SELECT want.id FROM want JOIN run ON run.id = want.run"
            " WHERE run.state = 'done' ORDER BY want.id DESC LIMIT -1 OFFSET ?)",
            (keep,),
        )

    def _runs(self, where: str, *values: object) -> Iterator[Run]:
        columns = ", ".join(Run._fields)
        query = f"SELECT {columns} FROM run WHERE {where}"  # ruff: ignore[hardcoded-sql-expression]
        for row in self._base.execute(query, values):
            run = Run._make(row)
            request, outcome = json.loads(row[4]), json.loads(row[-1])
            yield run._replace(request=request, outcome=outcome)

    def _wants(self, where: str, *values: object) -> Iterator[Want]:
        columns = ", ".join(Want._fields)
        query = f"SELECT {columns} FROM want WHERE {where}"  # ruff: ignore[hardcoded-sql-expression]
        for row in self._base.execute(query, values):
            want = Want._make(row)
            yield want._replace(detached=bool(want.detached), cancelled=bool(want.cancelled))

    def _insert(self, table: str, values: Run | Want) -> None:
        names, marks = ", ".join(values._fields), ",".join("?" * len(values))
        query = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # ruff: ignore[hardcoded-sql-expression]
        self._base.execute(query, [_store(value) for value in values])


def _store(value: object) -> object:
    if isinstance(value, str):  # names of files need not be Unicode
        return value.encode(errors="backslashreplace").decode()
    return json.dumps(value) if isinstance(value, dict) else value


def has_failed_lately(run: Run) -> bool:
    """Return whether it has failed by itself, and not long ago."""
    is_recent = time.time() - (run.ended or 0) < _REMEMBERED_SECONDS
    error: dict[str, Any] = run.outcome.get("error") or {}
    return run.verdict == "failed" and is_recent and error.get("exit_code", MACHINE) != MACHINE


def new_id() -> str:
    """Return a number that sorts by time, and that cannot be guessed."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(6)}"
