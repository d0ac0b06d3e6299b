"""What a program has printed, as part of a message."""

from __future__ import annotations

TAIL_BYTES = 1 << 16
"""How much of an output is looked at; causes stand near its end."""
_CONTROLS = (
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[^\[\]])?"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
"""Colours, links and whatever else would be obeyed by a terminal."""


def plain_text(output: bytes | str) -> str:
    """Return the end of what a program has printed, safe to show."""
    import re

    text = output if isinstance(output, str) else output[-TAIL_BYTES:].decode(errors="replace")
    return re.sub(_CONTROLS, "", text[-TAIL_BYTES:])


def last_lines(output: bytes | str) -> str:
    """Return the last lines of what a program has printed, to be put after a message."""
    return "".join(f"\n  {line}" for line in plain_text(output).splitlines()[-20:])
