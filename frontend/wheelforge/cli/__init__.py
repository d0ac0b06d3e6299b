"""The command line: words in, one request out; errors become a sentence and an exit code."""

import gc
import os
import sys

from wheelforge.version import VERSION

TYPE_CHECKING = False  # the version is shown without waiting for ``typing``
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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
    refusal = ""
    if "WHEELFORGE_SERVER" in os.environ or any(word[:8] == "--server" for word in words):
        from wheelforge.cli.client import find_address, run_remotely

        address = find_address(words)
        if address:
            code, refusal = run_remotely(words, address)
            if code >= 0:
                return code
    import warnings

    from wheelforge.cli.command_line import run_words

    # `build` warns of mistakes in a pyproject.toml by lines of its own code; we have told them.
    warnings.filterwarnings("ignore", module=r"build\b")
    return run_words(words, refusal)


def run() -> "NoReturn":
    """Do what the words of this process ask for, and end it."""
    if None in {sys.stdin, sys.stdout, sys.stderr}:
        from wheelforge.cli.command_line import open_missing_streams

        open_missing_streams()
    # Nearly all that a short process makes stays: looking through it 70 times took 20 ms.
    gc.set_threshold(_COLLECTED_AT)
    code = run_safely(main)
    # Else the interpreter would look through all that is alive for cycles at its end: 27 ms.
    gc.freeze()
    sys.exit(code)


def run_safely(run: "Callable[[], int]") -> int:
    """Return the exit code of ``run``, also if standard output cannot take what it has printed."""
    try:
        code = run()
        sys.stdout.flush()
    except OSError as error:
        from wheelforge.cli.command_line import abandon_output, explain_refusal

        code = explain_refusal(error)
        abandon_output()
    return code
