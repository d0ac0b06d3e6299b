"""The words that start a command in a sandbox, and the file that one of them reads."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

FILTER = "<filter>"
"""Stands for the number of a descriptor from which a filter of system calls is read."""


class Prefix(NamedTuple):
    """The words before a command; without any it is in no sandbox."""

    words: tuple[str, ...] = ()
    filter: bytes = b""
    """The content of the file that the word `FILTER` stands for."""

    def __bool__(self) -> bool:
        """Whether there is a sandbox."""
        return bool(self.words)

    @contextlib.contextmanager
    def opening(self, command: Sequence[str]) -> Generator[tuple[list[str], tuple[int, ...]]]:
        """Yield all words of a command, and the descriptors that it has to inherit."""
        if not self.filter:
            yield [*self.words, *command], ()
            return
        reader, writer = os.pipe()
        try:
            os.write(writer, self.filter)  # it fits into any pipe
            os.close(writer)
            words = [str(reader) if word == FILTER else word for word in self.words]
            yield [*words, *command], (reader,)
        finally:
            os.close(reader)
