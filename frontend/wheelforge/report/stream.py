"""Events as they happen, one JSON object a line."""

from __future__ import annotations

import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

from wheelforge.events import BuildEvent
from wheelforge.report.json_report import count_verdicts
from wheelforge.report.run import find_ending, format_time, to_json_text
from wheelforge_isolation import ForgeError, raising_file_errors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wheelforge.report.run import Run


class EventStream:
    """Writes every event to a file, at once, so that it can be followed.

    The first line is about the whole run, and says which schema all lines are of.
    """

    def __init__(self, path: Path, facts: Mapping[str, object] | None = None) -> None:
        with raising_file_errors("write", str(path)):
            self._file = path.open("wb")
        self._path = path
        self._lock = threading.Lock()
        self._failure: OSError | None = None
        self.write({"kind": "run", "schema": 1, "run": dict(facts or {})})

    def on_event(self, event: BuildEvent) -> None:
        """Write one event."""
        self.write(asdict(event))

    def write(self, facts: dict[str, Any]) -> None:
        """Write one line; what every event has is added where ``facts`` do not have it."""
        whole = {**asdict(BuildEvent(kind="note", build="")), **facts}
        line = to_json_text({**whole, "at": format_time(whole["time"])}) + b"\n"
        with self._lock:
            if self._failure is None and not self._file.closed:
                self._write(line)

    def write_summary(self, run: Run) -> None:
        """Write the last line: how many builds of each outcome there are, and what has ended it."""
        code = "" if run.ending is None else find_ending(run.ending)[0]
        totals, seconds = count_verdicts(run.outcomes), run.facts.get("seconds", 0.0)
        self.write({"kind": "summary", "totals": totals, "seconds": seconds, "error": code})

    def close(self) -> None:
        """Take no more; an error if not everything that was heard could be written."""
        with self._lock:
            try:
                self._file.close()
            except OSError as error:
                self._failure = self._failure or error
        failure, self._failure = self._failure, None
        # The reader of a pipe may go before the end.
        if failure is not None and not isinstance(failure, BrokenPipeError):
            with raising_file_errors("write", str(self._path)):
                raise failure

    def _write(self, line: bytes) -> None:
        # A build does not fail because its events cannot be written.
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            self._failure = error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            self.close()
        except ForgeError:
            # The error that has ended it all is the one to be shown.
            if kind is None:
                raise
