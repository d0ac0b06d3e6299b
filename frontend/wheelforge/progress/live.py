"""A few live lines at the bottom of a terminal, below all messages.

They are drawn by one thread, and only when they have changed: mostly once a second. Whoever writes
a message takes them away, and puts them back. A terminal that has become narrower has broken lines
in two, so what is taken away is counted in the columns that there are now. The cursor stays where
the last line begins: a `^C` that the terminal shows there makes no line too long.
"""

from __future__ import annotations

import codecs
import contextlib
import threading
import time
from typing import TYPE_CHECKING, Self

from wheelforge.progress.board import ASCII, Board, Glyphs
from wheelforge.progress.plain import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import TextIO

    from rich.console import Console

    from wheelforge.events import BuildEvent
    from wheelforge.models import Outcome
    from wheelforge.progress.board import Line

_PATIENCE_SECONDS = 0.3
"""What takes no longer is over before anybody has read of it."""
_LOOK_SECONDS = 0.1
_REST_SECONDS = 0.05
"""While messages come faster than this, the lines are not put back after each."""


class Live(Progress):
    """Shows what is at work; between entering and leaving, by itself."""

    def __init__(
        self,
        stream: TextIO,
        *,
        has_colours: bool = True,
        clock: Callable[[], float] = time.monotonic,
        open_console: Callable[..., Console] | None = None,
    ) -> None:
        super().__init__(stream)
        self._has_colours = has_colours
        self._clock = clock
        self._open_console = open_console or _open_console
        self._board = Board(opened=clock())
        self._screen: Screen | None = None
        self._spoken = clock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="wheelforge-progress", daemon=True)

    def hear(self, event: BuildEvent) -> None:
        """Take note of an event."""
        with self._lock:
            self._board.hear(event, self._clock())

    def add(self, outcome: Outcome) -> None:
        """Take note of how a build has ended."""
        with self._lock:
            self._board.add(outcome)

    @contextlib.contextmanager
    def aside(self) -> Generator[None]:
        """Take the lines away for as long as somebody else writes."""
        with self._lock:
            if self._screen is None:
                yield
                return
            self._screen.clear()
            try:
                yield
            finally:
                now, before = self._clock(), self._spoken
                self._spoken = now
                if now - before >= _REST_SECONDS:
                    self.refresh()

    def write(self, text: str, build: str = "") -> None:
        """Write a message above the lines."""
        del build
        with self.aside():
            self._put(text if self._screen is None or text.endswith("\n") else f"{text}\n")

    def refresh(self) -> None:
        """Draw what has changed, if there is anything that is worth it."""
        now = self._clock()
        screen = self._screen or self._open_screen(now)
        if screen is None:
            return
        with self._lock:
            self._screen = screen
            screen.draw(self._board, now)

    def close(self) -> None:
        """Leave the totals of what was done, if there was more than one build."""
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock, contextlib.suppress(OSError, ValueError):
            screen, self._screen = self._screen, None
            if screen is not None:
                screen.finish(self._board, self._clock())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def _open_screen(self, now: float) -> Screen | None:
        """Return what to draw on, if something is at work for long enough."""
        with self._lock:
            if now - self._board.oldest < _PATIENCE_SECONDS:
                return None
        # Not under the lock: it takes a while, and builds would wait to tell of their progress.
        return Screen(self._open_console(self._stream, has_colours=self._has_colours))

    def _watch(self) -> None:
        # A terminal that has gone away is no reason for builds to fail.
        with contextlib.suppress(OSError, ValueError):
            while not self._is_over.wait(_LOOK_SECONDS):
                self.refresh()


class Screen:
    """The lowest lines of a terminal; for one thread at a time."""

    def __init__(self, console: Console) -> None:
        self._console = console
        plain = ASCII._replace(encoding=console.encoding)
        self._glyphs = Glyphs() if _has_signs(console) else plain
        self._shown: Sequence[Line] = ()

    def draw(self, board: Board, now: float) -> None:
        """Show how things are, if that is not what is there."""
        lines = board.lay_out(self._console.size, now, self._glyphs)
        if lines != self._shown:
            with self._console:
                self._take_away()
                self._put(lines)

    def clear(self) -> None:
        """Leave nothing, and the cursor where the first line was."""
        with self._console:
            self._take_away()

    def finish(self, board: Board, now: float) -> None:
        """Leave the totals, and the cursor below them."""
        totals = board.lay_out_totals(self._console.size, now, self._glyphs)
        with self._console:
            self._take_away()
            self._put(totals)
            if totals:
                self._console.line()
            self._console.show_cursor()

    def _put(self, lines: Sequence[Line]) -> None:
        from rich.control import Control
        from rich.segment import ControlType
        from rich.text import Text

        text = Text("\n").join(
            Text.assemble(*((each, style) for style, each in line)) for line in lines
        )
        self._console.show_cursor(not lines)
        self._console.print(text, end="", soft_wrap=True)
        self._console.control(Control(ControlType.CARRIAGE_RETURN))
        self._shown = lines

    def _take_away(self) -> None:
        from rich.cells import cell_len
        from rich.control import Control
        from rich.segment import ControlType

        columns = self._console.size.width
        widths = [sum(cell_len(text) for _, text in line) for line in self._shown]
        rows = [max(1, -(-width // columns)) for width in widths]
        if rows:
            erase = (ControlType.ERASE_IN_LINE, 2)
            down = [(ControlType.CURSOR_DOWN, 1)] * (rows[-1] - 1)
            up = [(ControlType.CURSOR_UP, 1), erase] * (sum(rows) - 1)
            self._console.control(Control(ControlType.CARRIAGE_RETURN, *down, erase, *up))
        self._shown = ()


def _open_console(stream: TextIO, *, has_colours: bool) -> Console:
    from rich.console import Console

    return Console(file=stream, force_terminal=True, no_color=not has_colours, highlight=False)


def _has_signs(console: Console) -> bool:
    """Return whether the terminal can show more than ASCII."""
    is_utf_8 = codecs.lookup(console.encoding).name == "utf-8"
    return is_utf_8 and not console.legacy_windows
