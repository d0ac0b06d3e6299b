"""What a report is about: builds, the last lines of what failed, and what has ended it all."""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.errors import plain_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wheelforge.models import Outcome

TAIL_LINES = 200
_TAIL_BYTES = 1 << 16
_UNSEEN = re.compile(r"[\x80-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Controls that no plain text needs, and that make others look like what they are not."""


class Run(NamedTuple):
    """All builds of one use of the command line."""

    told: Sequence[tuple[Outcome, str]]
    """Each with the last lines of its log, where somebody may want to see them."""
    ending: BaseException | None = field(default=None, compare=False)
    """What has ended all of it before its time."""

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
    return _end(plain_text(content))


def _end(text: str) -> str:
    # A carriage return writes over what is there, as progress bars do a thousand times.
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.strip().split("\n")]
    return _UNSEEN.sub("\ufffd", "\n".join(lines[-TAIL_LINES:]))
