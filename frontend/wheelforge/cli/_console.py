"""What people see: results on one stream, everything else on the other."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wheelforge._events import BuildEvent
    from wheelforge_isolation import ForgeError

_STYLES = {"error": "1;31", "warning": "1;33", "note": "1;36", "hint": "1;32", "phase": "2"}
_QUIET, _NORMAL, _VERBOSE = -1, 0, 1


class Console:
    """Tells what happens, as much of it as is wished for; any number of threads may tell."""

    def __init__(
        self, verbosity: int = _NORMAL, variables: Mapping[str, str] | None = None
    ) -> None:
        self._verbosity = verbosity
        self._variables = os.environ if variables is None else variables
        self._lock = threading.Lock()

    def hear(self, event: BuildEvent) -> None:
        """Tell of an event."""
        if event.kind in {"note", "warning"}:
            self.say(event.kind, f"{event.build}: {event.text}" if event.build else event.text)
        elif self._verbosity < _VERBOSE:
            return
        elif event.kind == "output":
            self._write(event.text)
        elif event.kind == "finished":
            what = f"{event.build}: {event.phase or 'done'}"
            self.say("phase", f"{what} ({event.seconds:.2f} s)")

    def say(self, kind: str, text: str, *, is_needed: bool = False) -> None:
        """Write a line of that kind."""
        if is_needed or self._verbosity > _QUIET:
            prefix = "" if kind == "phase" else f"{kind}: "
            self._write(f"{self._paint(kind, prefix)}{text}\n")

    def show_error(self, error: ForgeError) -> None:
        """Say what went wrong, and what may help."""
        self._write(f"{self._paint('error', f'error[{error.code}]: ')}{error}\n")
        if error.hint:
            self.say("hint", error.hint, is_needed=True)

    def _write(self, text: str) -> None:
        with self._lock:
            sys.stderr.write(text)
            sys.stderr.flush()

    def _paint(self, kind: str, text: str) -> str:
        if not text or not is_coloured(sys.stderr, self._variables):
            return text
        return f"\x1b[{_STYLES[kind]}m{text.rstrip()}\x1b[0m{text[len(text.rstrip()) :]}"


def is_coloured(stream: TextIO, variables: Mapping[str, str]) -> bool:
    """Return whether ``stream`` is for somebody who likes colours."""
    if variables.get("NO_COLOR"):
        return False
    return bool(variables.get("FORCE_COLOR")) or (
        stream.isatty() and variables.get("TERM") != "dumb"
    )
