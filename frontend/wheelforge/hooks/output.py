"""What a hook prints: all of it to a log, line by line to a listener, the end of it in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wheelforge.hooks.options import HookOptions

TAIL_BYTES = 1 << 16
_LONGEST_LINE_BYTES = 1 << 16


class Output:
    """The output of one hook, bytes as they come."""

    def __init__(self, terms: HookOptions) -> None:
        self._terms = terms
        self._tail = bytearray()
        self._line = bytearray()

    @property
    def tail(self) -> bytes:
        """The last of what was printed."""
        return bytes(self._tail[-TAIL_BYTES:])

    def feed(self, content: bytes) -> None:
        """Take what was just printed."""
        self._tail += content
        if len(self._tail) > 2 * TAIL_BYTES:
            del self._tail[:-TAIL_BYTES]
        if self._terms.log is not None:
            self._terms.log.write(content)
        if self._terms.on_output is not None:
            self._feed_lines(content)

    def finish(self) -> None:
        """Hand on what has no end of line, and let the log be complete."""
        if self._terms.log is not None:
            self._terms.log.flush()
        self._tell(bytes(self._line))
        self._line.clear()

    def _feed_lines(self, content: bytes) -> None:
        self._line += content
        if b"\n" in content:
            *lines, rest = bytes(self._line).split(b"\n")
            self._line[:] = rest
            for line in lines:
                self._tell(line + b"\n")
        while len(self._line) > _LONGEST_LINE_BYTES:
            self._tell(bytes(self._line[:_LONGEST_LINE_BYTES]))
            del self._line[:_LONGEST_LINE_BYTES]

    def _tell(self, line: bytes) -> None:
        if line and self._terms.on_output is not None:
            self._terms.on_output(line)
