"""The command line: words in, one request out; errors become a sentence and an exit code."""

import sys

from wheelforge._version import VERSION

TYPE_CHECKING = False  # whoever asks for the version need not wait for ``typing``
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(words: "Sequence[str] | None" = None) -> int:
    """Do what ``words`` ask for, and return the exit code."""
    words = sys.argv[1:] if words is None else words
    if len(words) == 1 and words[0] in {"-V", "--version"}:
        sys.stdout.write(f"wheelforge {VERSION}\n")
        return 0
    from wheelforge.cli._session import run_words

    return run_words(words)
