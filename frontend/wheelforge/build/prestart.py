"""Starts the server that the last build of a source has used, before anything else is done.

A backend takes longer to import than all that has to be done before its first hook; begun early, it
is imported on another core meanwhile. It is no more than a guess: what is wanted is found out as
ever, and a server that was started for nothing is ended. An environment is checked before a hook
runs in it, and one that is not as it was left has another path from then on; so a server that
was started in such a one is never used. Nothing is started but the Python of an environment that
this cache has a sound record of, and nothing from a cache that others can change.

Until the server is started everything waits: what is imported before is as little as can be. In a
sandbox a server needs the stage of its build, too: `early_stage` opens it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.build.targets import find_layout
from wheelforge.hooks.environ import compose_environment
from wheelforge_isolation import JsonCache, is_recorded_program, is_trusted
from wheelforge_isolation.formats.sealed import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wheelforge.hooks.pool import RunnerPool


class LastServer(NamedTuple):
    """The server that the last build of a source has used."""

    python: str
    backend: str
    additions: Mapping[str, str]
    """The variables of its environment."""


class Prestarter:
    """The servers that the last builds with one ``python`` used, in one cache."""

    def __init__(self, cache_dir: Path | None, python: str | None = None) -> None:
        self._layout = find_layout(cache_dir)
        self._records = JsonCache(self._layout.guesses, "start")
        self._python = python or ""

    def start(
        self,
        source: Path | str,
        variables: Mapping[str, str],
        pool: RunnerPool,
        *,
        reuses: bool = False,
    ) -> None:
        """Start the server that the last build of ``source`` has used, if there was one.

        If an earlier wheel may be used again, none is where that was so with the same variables.
        """
        last = self.find(source, variables, reuses=reuses)
        if last is not None:
            environment = compose_environment(variables, last.additions)
            pool.start(python=last.python, backend=last.backend, environment=environment)

    def find(
        self, source: Path | str, variables: Mapping[str, str], *, reuses: bool = False
    ) -> LastServer | None:
        """Return the server that `start` would start, if there is one."""
        facts = self._identify(source)
        if facts is None or not is_trusted(self._layout):
            return None
        server = self._records.read(*facts)
        if reuses and server and server.get("reused") == _digest(variables):
            return None
        if server and is_recorded_program(self._layout, server["python"]):
            return LastServer(server["python"], server["backend"], server["additions"])
        return None

    def store(
        self, source: Path | str, python: str, backend: str, additions: Mapping[str, str]
    ) -> None:
        """Keep which server is wanted the next time; without a ``backend`` none is.

        The ``additions`` are the variables of its environment.
        """
        facts = self._identify(source)
        server = {"python": python, "backend": backend, "additions": {**additions}}
        if facts is None:
            return
        known = self._records.read(*facts) or {}
        known.pop("reused", None)
        if known != (server if backend else {}):
            self._records.write(server if backend else {}, *facts)

    def expect_reuse(self, source: Path | str, variables: Mapping[str, str]) -> None:
        """Keep that the wheel of ``source`` is here, so that most likely no server is wanted."""
        facts = self._identify(source)
        server = self._records.read(*facts) if facts else None
        if facts and server and server.get("reused") != _digest(variables):
            self._records.write({**server, "reused": _digest(variables)}, *facts)

    def _identify(self, source: Path | str) -> tuple[str, ...] | None:
        """Return the facts by which ``source`` is known, as it is now; nothing if it is no path."""
        if not isinstance(source, Path):
            return None
        try:
            status = (source / "pyproject.toml" if source.is_dir() else source).stat()
        except OSError:
            return None
        return str(source), str(status.st_size), str(status.st_mtime_ns), self._python


def _digest(variables: Mapping[str, str]) -> str:
    """Return a digest of the variables that count, as far as that is known without the source."""
    from wheelforge.build.key_document import describe_environment

    return fingerprint(sorted(describe_environment(variables, b"").items()))
