"""What a program has printed, as part of a message."""

from __future__ import annotations

import re

from wheelforge_isolation.formats.text import escape_controls

TAIL_BYTES = 1 << 16
"""How much of an output is looked at; causes stand near its end."""
_LONGEST_LINE = 1000
_SEQUENCES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[^\[\]])?"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
"""Colours, links and whatever else a terminal would obey; what else could steer it is escaped."""


def plain_text(output: bytes | str) -> str:
    """Return the end of what a program has printed, safe to show."""
    text = output if isinstance(output, str) else output[-TAIL_BYTES:].decode(errors="replace")
    text = _SEQUENCES.sub("", text[-TAIL_BYTES:])
    # Carriage returns stay: they tell which part of a progress bar was seen last.
    return "\r".join(map(escape_controls, text.split("\r")))


def last_lines(output: bytes | str) -> str:
    """Return the last lines of what a program has printed, to be put after a message."""
    lines = plain_text(output).splitlines()[-20:]
    return "".join(f"\n  {line[:_LONGEST_LINE]}" for line in lines)
