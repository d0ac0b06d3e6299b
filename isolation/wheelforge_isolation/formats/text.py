"""Text for people: nothing in foreign text may steer a terminal, and typing errors are found."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

_CONTROL = "\x00-\x08\x0b-\x1f\x7f-\x9f"
_DIRECTION = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Characters that let a text be shown in another order than it has."""
_LINE = "\u2028\u2029"
_UNSAFE = re.compile(f"[{_CONTROL}{_DIRECTION}{_LINE}]")
_UNSAFE_IN_A_LINE = re.compile(f"[\\t\\n{_CONTROL}{_DIRECTION}{_LINE}]")
_COLOUR = re.compile(r"(\x1b\[[0-9;:]*m)")


def escape_controls(text: str) -> str:
    """Return ``text`` with every control character but tab and newline escaped."""
    return _UNSAFE.sub(_escape, text)


def escape_line(text: str) -> str:
    """Return ``text`` as one line."""
    return _UNSAFE_IN_A_LINE.sub(_escape, text)


def escape_output(text: str) -> str:
    """Return what a program printed, with its colours and lines, and no other control sequence."""
    pieces = _COLOUR.split(text.replace("\r\n", "\n").replace("\r", "\n"))
    return "".join(
        piece if number % 2 else escape_controls(piece) for number, piece in enumerate(pieces)
    )


def shorten_path(path: str | os.PathLike[str]) -> str:
    """Return the way from the working directory to ``path``, or ``path`` where there is none."""
    try:
        return os.path.relpath(path)
    except (ValueError, OSError):  # it is on another drive, or the working directory was removed
        return os.fspath(path)


def find_meant(word: str, known: Iterable[str], alike: float = 0.6) -> str:
    """Return the one of ``known`` that ``word`` may be a misspelling of, or nothing."""
    from difflib import get_close_matches  # of no use while all words are right

    return next(iter(get_close_matches(word, list(known), 1, alike)), "")


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
