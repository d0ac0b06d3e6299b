"""Starts the server that the last build of a source has used, before anything else is done.

A backend takes longer to import than all that has to be done before its first hook; begun early, it
is imported on another core meanwhile. It is no more than a guess: what is wanted is found out as
ever, and a server that was started for nothing is ended. An environment is checked before a hook
runs in it, and one that is not as it was left has another path from then on; so a server that
was started in such a one is never used. Nothing is started but the Python of an environment that
this cache has a sound record of, and nothing from a cache that others can change.

Until the server is started everything waits: what is imported before is as little as can be.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge.build.targets import find_layout
from wheelforge.hooks.environ import compose_environment
from wheelforge_isolation import is_recorded_program, is_trusted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wheelforge.hooks.pool import RunnerPool


class Prestart(NamedTuple):
    """A server that may be wanted."""

    python: str
    backend: str
    additions: dict[str, str]
    """The variables of the environment."""


class Prestarter:
    """The servers that the last builds with one ``python`` used, in one cache."""

    def __init__(self, cache_dir: Path | None, python: str | None = None) -> None:
        self._layout = find_layout(cache_dir)
        self._python = python or ""

    def start(self, source: Path | str, variables: Mapping[str, str], pool: RunnerPool) -> None:
        """Start the server that the last build of ``source`` has used, if there was one."""
        if not is_trusted(self._layout):
            return
        guess = _read(self._find_place(source))
        if guess is not None and is_recorded_program(self._layout, guess.python):
            environment = compose_environment(variables, guess.additions)
            pool.start(python=guess.python, backend=guess.backend, environment=environment)

    def remember(self, source: Path | str, guess: Prestart | None) -> None:
        """Keep ``guess`` for the next time, or start nothing then."""
        from wheelforge_isolation import IsolationError, ensure_directory, replace_file

        place = self._find_place(source)
        if place is None or _read(place) == guess:
            return
        # A cache that cannot be written to costs time, and nothing else.
        with contextlib.suppress(IsolationError, OSError):
            if guess is None:
                place.unlink()
            else:
                ensure_directory(str(self._layout.guesses))
                replace_file(str(place), json.dumps(guess._asdict()).encode("ascii"))

    def _find_place(self, source: Path | str) -> Path | None:
        """Return where the guess for ``source`` is, as it is now; nothing for what is no path."""
        if not isinstance(source, Path):
            return None
        try:
            status = (source / "pyproject.toml" if source.is_dir() else source).stat()
        except OSError:
            return None
        facts = (str(source), status.st_size, status.st_mtime_ns, self._python)
        # Two that share it would start a server in vain, now and then.
        key = zlib.crc32(repr(facts).encode("utf-8", "surrogateescape"))
        return self._layout.guesses / f"start-{key:08x}.json"


def _read(place: Path | None) -> Prestart | None:
    try:
        facts: dict[str, Any] = {} if place is None else json.loads(place.read_bytes())
        return Prestart(**facts) if facts and Path(facts["python"]).exists() else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
