"""The command line: words in, one request out; errors become a sentence and an exit code."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING

from wheelforge.cli._console import Console
from wheelforge.cli._parser import parse_words
from wheelforge_isolation import ForgeError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

_INTERRUPTED = 130


def main(words: Sequence[str] | None = None) -> int:
    """Do what ``words`` ask for, and return the exit code."""
    options = parse_words(sys.argv[1:] if words is None else words)
    try:
        with _ending_on_request():
            code: int | None = options.run(options)
    except ForgeError as error:
        Console().show_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return _INTERRUPTED
    return code or 0


@contextlib.contextmanager
def _ending_on_request() -> Generator[None]:
    """Let a polite request to end have the same effect as Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
