"""Messages in lines that fit a terminal, which would break them in the middle of words."""

from __future__ import annotations

import re
import textwrap

_LEAST_WIDTH = 20
"""In a narrower terminal nothing is legible however it is broken."""
_FURTHER = "    "
_QUOTED_PATH = re.compile(r"`[/~.][^`\n]*`")
_HELD = "\0"
"""Stands for a blank that is part of a path."""


def wrap_message(text: str, width: int) -> str:
    """Return ``text`` with lines of at most ``width`` columns, if that is not 0: no terminal.

    Lines are broken at blanks, and go on further to the right; paths and URLs stay whole.
    """
    if width < _LEAST_WIDTH:
        return text
    return "\n".join(line for whole in text.split("\n") for line in _wrap_line(whole, width))


def _wrap_line(line: str, width: int) -> list[str]:
    wide = line.expandtabs()
    if len(wide) <= width:
        return [line]
    indent = wide[: len(wide) - len(wide.lstrip())]
    held = _QUOTED_PATH.sub(lambda path: path[0].replace(" ", _HELD), wide.strip())
    lines = textwrap.wrap(
        held,
        width,
        initial_indent=indent,
        subsequent_indent=f"{indent}{_FURTHER}",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [each.replace(_HELD, " ") for each in lines]
