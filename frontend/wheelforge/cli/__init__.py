"""The command line: words in, one request out; errors become a sentence and an exit code."""

import gc
import sys

from wheelforge.version import VERSION

TYPE_CHECKING = False  # the version is shown without waiting for ``typing``
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


_COLLECTED_AT = 50_000


def main(words: "Sequence[str] | None" = None) -> int:
    """Do what ``words`` ask for, and return the exit code."""
    words = sys.argv[1:] if words is None else words
    if words and words[0] in {"-V", "--version", "-VV"}:
        sys.stdout.write(f"wheelforge {VERSION}\n")
        if words[0] == "-VV" or words[1:]:
            from wheelforge.cli.help import show_surroundings

            show_surroundings()
        return 0
    from wheelforge.cli.command_line import run_words

    return run_words(words)


def run() -> "NoReturn":
    """Do what the words of this process ask for, and end it."""
    if None in {sys.stdin, sys.stdout, sys.stderr}:
        from wheelforge.cli.command_line import open_missing_streams

        open_missing_streams()
    # Nearly all that a short process makes stays: looking through it 70 times took 20 ms.
    gc.set_threshold(_COLLECTED_AT)
    try:
        code = main()
        sys.stdout.flush()
    except OSError as error:
        from wheelforge.cli.command_line import abandon_output, explain_refusal

        code = explain_refusal(error)
        abandon_output()
    # Else the interpreter would look through all that is alive for cycles at its end: 27 ms.
    gc.freeze()
    sys.exit(code)
