"""The output of a hook: kept, told line by line, and remembered for errors."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TAIL_BYTES = 1 << 16
_LONGEST_LINE_BYTES = 1 << 16


class Output:
    """The output of one hook: all to a log, line by line to a listener, the end of it in memory."""

    def __init__(
        self, log: IO[bytes] | None, on_output: Callable[[bytes], None] | None = None
    ) -> None:
        self._log = log
        self._on_output = on_output
        self._tail = bytearray()
        self._line = bytearray()

    @property
    def tail(self) -> bytes:
        """The last of what was printed."""
        return bytes(self._tail[-TAIL_BYTES:])

    def feed(self, content: bytes) -> None:
        """Take what was just printed, bytes as they come."""
        self._tail += content
        if len(self._tail) > 2 * TAIL_BYTES:
            del self._tail[:-TAIL_BYTES]
        if self._log is not None:
            self._log.write(content)
        if self._on_output is None:
            return
        self._line += content
        if b"\n" in content:
            *lines, rest = bytes(self._line).split(b"\n")
            self._line[:] = rest
            for line in lines:
                self._on_output(line + b"\n")
        while len(self._line) > _LONGEST_LINE_BYTES:
            self._on_output(bytes(self._line[:_LONGEST_LINE_BYTES]))
            del self._line[:_LONGEST_LINE_BYTES]

    def finish(self) -> None:
        """Hand on what has no end of line, and let the log be complete."""
        if self._log is not None:
            self._log.flush()
        if self._line and self._on_output is not None:
            self._on_output(bytes(self._line))
        self._line.clear()
