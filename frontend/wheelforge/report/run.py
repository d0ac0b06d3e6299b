"""The contents of a report, and JSON as text that can be written to any file."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.errors import BuildCancelledError, plain_text
from wheelforge_isolation import ForgeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from wheelforge.models import Outcome

_SURROGATE = re.compile(r"[\ud800-\udfff]")
"""The bytes of a path that are no text; no encoding has them."""
_SPECIAL = re.compile(r"[<>&\u2028\u2029]")
"""Characters that could end a script in a page, or a line in it."""
TAIL_LINES = 200
_TAIL_BYTES = 1 << 16
_UNSEEN = re.compile(r"[\x80-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Controls that no plain text needs, and that make others look like what they are not."""


class Run(NamedTuple):
    """All builds of one use of the command line."""

    told: Sequence[tuple[Outcome, str]]
    """Each outcome, and the last lines of its log if it has failed."""
    ending: BaseException | None = None
    """The exception that has ended all of it before its time."""
    facts: Mapping[str, object] = MappingProxyType({})
    """How it was called, and where: see `run` in the schema."""
    comparison: Mapping[str, object] | None = None
    """The differences from an earlier report."""

    @property
    def outcomes(self) -> list[Outcome]:
        """How the builds have ended, in the order in which they did."""
        return [outcome for outcome, _ in self.told]


def find_ending(ending: BaseException) -> tuple[str, int, str]:
    """Return code, exit code and sentence of what has ended a run."""
    if isinstance(ending, ForgeError):
        return ending.code, ending.exit_code, str(ending)
    if isinstance(ending, KeyboardInterrupt):
        return "interrupted", BuildCancelledError.exit_code, "interrupted"
    return "unexpected", 1, f"{type(ending).__name__}: {ending}"


def format_time(seconds: float) -> str:
    """Return a time in UTC as ISO 8601 has it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def tail_of(outcome: Outcome) -> str:
    """Return the end of the log of a build that has failed: of the attempt whose error is told."""
    if outcome.error is None:
        return ""
    spans = [each.log_span for each in outcome.attempts if each.error is outcome.error]
    return read_tail(outcome.log, *(spans[0] if spans else ()))


def read_tail(log: Path | None, begin: int = 0, end: int | None = None) -> str:
    """Return the last lines of a log, safe to show, or nothing if it cannot be read."""
    if log is None:
        return ""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2) if end is None else end
            start = file.seek(max(begin, size - _TAIL_BYTES))
            content = file.read(max(0, size - start))
    except OSError:
        return ""
    lines = plain_text(content).strip().split("\n")
    # A carriage return writes over what is there, as progress bars do a thousand times.
    seen = [line.rstrip("\r").rpartition("\r")[2] for line in lines]
    return _UNSEEN.sub("\ufffd", "\n".join(seen[-TAIL_LINES:]))


def to_json_text(facts: object, *, indent: int | None = None) -> bytes:
    """Return ``facts`` as JSON, readable and without loss."""
    text = json.dumps(facts, ensure_ascii=False, indent=indent)
    return _SURROGATE.sub(_escape, text).encode()


def to_inline_json(facts: object) -> str:
    """Return ``facts`` as JSON that can stand in a page."""
    text = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
    return _SPECIAL.sub(_escape, _SURROGATE.sub(_escape, text))


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
