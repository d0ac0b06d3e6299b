"""The command line: words in, one request out; errors become a sentence and an exit code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from wheelforge.cli._parser import parse_words
from wheelforge_isolation import ForgeError

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTERRUPTED = 130


def main(words: Sequence[str] | None = None) -> int:
    """Do what ``words`` ask for, and return the exit code."""
    options = parse_words(sys.argv[1:] if words is None else words)
    try:
        code: int | None = options.run(options)
    except ForgeError as error:
        _show(error)
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return _INTERRUPTED
    return code or 0


def _show(error: ForgeError) -> None:
    sys.stderr.write(f"error[{error.code}]: {error}\n")
    if error.hint:
        sys.stderr.write(f"hint: {error.hint}\n")
