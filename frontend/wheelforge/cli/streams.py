"""The standard streams of this process."""

from __future__ import annotations

import os
import sys


def open_missing_streams() -> None:
    """Open the null device as each standard stream that was closed when this process started.

    The next file to be opened would get the descriptor instead, and whatever is printed later.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # ruff: ignore[builtin-open, open-file-with-context-handler]


def abandon_output() -> None:
    """Drop what standard output could not take: at its end Python would try to write it again."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.close(descriptor)
