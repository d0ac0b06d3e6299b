"""The contents of a report, and JSON as text that can be written to any file."""

from __future__ import annotations

import json
import re
from dataclasses import field
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.errors import plain_text

if TYPE_CHECKING:
    from collections.abc import Sequence
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
    ending: BaseException | None = field(default=None, compare=False)
    """The exception that has ended all of it before its time."""

    @property
    def outcomes(self) -> list[Outcome]:
        """How the builds have ended, in the order in which they did."""
        return [outcome for outcome, _ in self.told]


def read_tail(log: Path | None) -> str:
    """Return the last lines of a log, safe to show, or nothing if it cannot be read."""
    if log is None:
        return ""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            content = file.read(_TAIL_BYTES)
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
