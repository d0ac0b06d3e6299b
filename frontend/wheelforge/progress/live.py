"""A few live lines at the bottom of a terminal, below all messages.

What is at work, waits or is done stands on a board; rich lays it out and draws it. One thread has
it drawn, and only when it has changed: mostly once a second. A message takes the lines away, and
the thread puts them back.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TextIO

from wheelforge.events import PHASE_WORDS
from wheelforge.progress.plain import Progress, to_encodable
from wheelforge_isolation.formats.text import escape_line

if TYPE_CHECKING:
    from rich.console import Console, Group, RenderableType
    from rich.live import Live
    from rich.table import Table

    from wheelforge.events import BuildEvent
    from wheelforge.models import Outcome

_BAR_WIDTH = 24
_ROOM_FOR_PHASES = 56
_ROOM_FOR_A_BAR = 72
_PATIENCE_SECONDS = 0.3
"""A build that takes no longer is over before anybody has read of it."""
_LOOK_SECONDS = 0.1


@dataclass(slots=True)
class _Build:
    """A build that is at work."""

    label: str
    started: float
    phase: str = ""
    depth: int = 1
    """How many builds of that name there are."""


class Board:
    """The builds that are at work, wait or are done; all times are by the clock of ``opened``."""

    def __init__(self, opened: float) -> None:
        self.opened = opened
        self.done = 0
        self.failed = 0
        self._queued: dict[str, float] = {}
        """How long each build took the last time, if that is known."""
        self._left: dict[str, float] = {}
        """Of these, the builds that have not ended."""
        self._most = 0
        """The most builds that were at work at once."""
        self._builds: dict[str, _Build] = {}

    @property
    def oldest(self) -> float:
        """When the oldest build that is at work was begun; never, if there is none."""
        return min((build.started for build in self._builds.values()), default=math.inf)

    @property
    def total(self) -> int:
        """How many builds were asked for, as far as is known."""
        return max(len(self._queued), self.done + self.failed)

    def estimate_rest(self, now: float) -> float:
        """Return for how long all builds will be at work yet; 0 if that is not known.

        Builds without a past are taken for average, if at least half of those asked for have one.
        """
        known = [seconds for seconds in self._queued.values() if seconds]
        if not known or 2 * len(known) < len(self._queued):
            return 0.0
        usual = sum(known) / len(known)
        rests = {key: seconds or usual for key, seconds in self._left.items()}
        for key, build in self._builds.items():
            if key in rests:
                rests[key] = max(0.0, rests[key] - (now - build.started))
        return max([sum(rests.values()) / max(1, self._most), *rests.values()], default=0.0)

    def on_event(self, event: BuildEvent, now: float) -> None:
        """Take note of an event."""
        key = event.id or event.build
        build = self._builds.get(key)
        if event.kind == "queued":
            self._queued[key] = self._left[key] = event.seconds
        elif event.kind == "started" and event.phase:
            if build is not None:
                build.phase = event.phase
        elif event.kind == "started":
            if build is None:
                self._builds[key] = _Build(event.build, now)
                self._most = max(self._most, len(self._builds & self._queued.keys()))
            else:
                build.depth += 1
        elif event.kind in {"finished", "failed"} and not event.phase and build is not None:
            build.depth -= 1
            if not build.depth:
                del self._builds[key]

    def add(self, outcome: Outcome) -> None:
        """Take note of how a build has ended."""
        self._left.pop(outcome.id or outcome.request.label, None)
        if outcome.error is None:
            self.done += 1
        else:
            self.failed += 1

    def draw(self, console: Console, now: float) -> Group:
        """Return a line for each build that is at work, and one for all of them."""
        from rich.console import Group
        from rich.table import Column, Table
        from rich.text import Text

        # The ellipsis and the bullet are not in every character set.
        is_plain = console.options.ascii_only
        room = max(1, console.height - 3)
        builds = list(self._builds.values())
        shown = builds if len(builds) <= room else builds[: room - 1]
        has_phases = console.width >= _ROOM_FOR_PHASES
        others = [Column(style="dim", no_wrap=True) for _ in range(1 + has_phases)]
        # Only the names give way where there is too little room.
        table = Table.grid(Column(), *others, padding=(0, 2, 0, 0))
        for build in shown:
            spelled = to_encodable(build.label, console.encoding)
            name = "".join(each if each.isprintable() else "?" for each in spelled)
            line = Text("* " if is_plain else "\u2022 ", "cyan", no_wrap=True)
            line.overflow = "crop" if is_plain else "ellipsis"
            phases = [PHASE_WORDS.get(build.phase, build.phase)] if has_phases else []
            table.add_row(line.append(name, "default"), *phases, describe_time(now - build.started))
        if len(shown) < len(builds):
            table.add_row(Text(f"  and {len(builds) - len(shown)} more", "dim"))
        return Group(*([table] if shown else []), *self.draw_totals(console, now))

    def draw_totals(self, console: Console, now: float) -> list[Table]:
        """Return a line that sums all up, unless there is only one build."""
        from rich.progress_bar import ProgressBar
        from rich.table import Column, Table
        from rich.text import Text

        ended = self.done + self.failed
        if self.total <= 1:
            return []
        at_work = sum(self._builds[label].depth for label in self._builds & self._queued.keys())
        counts = (
            (self.done, "done", "green"),
            (self.failed, "failed", "red"),
            (max(0, self.total - ended - at_work), "waiting", "dim"),
        )
        texts = [Text(f"{count} {word}", style) for count, word, style in counts if count]
        said = Text(", " if console.options.ascii_only else " \u00b7 ", "dim").join(texts)
        bar = ProgressBar(self.total, ended, _BAR_WIDTH, complete_style="green")
        cells: list[RenderableType] = ["", bar] if console.width >= _ROOM_FOR_A_BAR else [""]
        rest = describe_time(self.estimate_rest(now))
        spent = " / ".join(
            filter(None, [describe_time(now - self.opened), rest and f"{rest} left"])
        )
        cells += [said or Text("0 done", "dim"), Text(spent, "dim")]
        table = Table.grid(*(Column(no_wrap=True) for _ in cells), padding=(0, 2, 0, 0))
        table.add_row(*cells)
        return [table]


class LiveProgress(Progress):
    """Shows what is at work; between entering and leaving, by itself."""

    def __init__(
        self,
        stream: TextIO,
        *,
        has_colours: bool = True,
        home: str = "",
        clock: Callable[[], float] = time.monotonic,
        open_console: Callable[..., Console] | None = None,
    ) -> None:
        super().__init__(stream)
        self._has_colours = has_colours
        self._home = home or "-"
        self._clock = clock
        self._open_console = open_console or _open_console
        self._board = Board(opened=clock())
        self._console: Console | None = None
        self._live: Live | None = None
        self._lengths: list[int] = []
        """The columns of each line that was drawn."""
        self._drawn: int | None = None
        """The second in which the board was drawn as it is, if it was."""
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="wheelforge-progress", daemon=True)

    def on_event(self, event: BuildEvent) -> None:
        """Take note of an event."""
        with self._lock:
            self._board.on_event(event, self._clock())
            self._drawn = None

    def add(self, outcome: Outcome) -> bool:
        """Take note of how a build has ended; of several, each gets a line that stays."""
        with self._lock:
            self._board.add(outcome)
            self._drawn = None
            if self._board.total <= 1:
                return False
            self.write(f"{self._describe(outcome)}\n")
            return True

    def _describe(self, outcome: Outcome) -> str:
        is_good = outcome.error is None
        mark = to_encodable("\u2713" if is_good else "\u2717", self._stream.encoding)
        if self._has_colours:
            mark = f"\x1b[{32 if is_good else 31}m{mark}\x1b[0m"
        took = "      " if outcome.whole is None else f"{outcome.whole.seconds:5.1f}s"
        label = escape_line(outcome.request.label)
        if outcome.error is not None:
            return f"{mark} {took}  {label}: {outcome.error.code}"
        paths = [each.path for each in outcome.artifacts]
        # A path that leads out of here is longer than a line.
        names = ", ".join(
            str(path.relative_to(self._home)) if path.is_relative_to(self._home) else path.name
            for path in paths
        )
        return f"{mark} {took}  {escape_line(names) or label}"

    @contextlib.contextmanager
    def aside(self) -> Generator[None]:
        """Take the lines away for as long as another part of the process writes."""
        with self._lock:
            if self._live is not None:
                self._erase_broken_lines()
                self._live.stop()
                self._live = self._drawn = None
            yield

    def write(self, text: str, build: str = "") -> None:
        """Write a message above the lines."""
        del build
        with self.aside():
            self._put(text if self._console is None or text.endswith("\n") else f"{text}\n")

    def refresh(self) -> None:
        """Draw the board if it has changed, and if anything is at work for long enough."""
        now = self._clock()
        if self._console is None:
            with self._lock:
                if now - self._board.oldest < _PATIENCE_SECONDS:
                    return
            # Not under the lock: importing rich takes a while, and builds would wait for it.
            self._console = self._open_console(self._stream, has_colours=self._has_colours)
        from rich.live import Live
        from rich.segment import Segment

        with self._lock:
            if self._drawn == int(now):
                return
            self._drawn = int(now)
            self._erase_broken_lines()
            lines = self._board.draw(self._console, now)
            self._lengths = [
                Segment.get_line_length(line)
                for line in self._console.render_lines(lines, pad=False)
            ]
            if self._live is not None:
                self._live.update(lines, refresh=True)
                return
            self._live = Live(
                lines,
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start(refresh=True)

    def close(self) -> None:
        """Take the lines away."""
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()
        with contextlib.suppress(OSError, ValueError), self.aside():
            pass

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def _erase_broken_lines(self) -> None:
        """Erase the rows that rich does not count: a narrower terminal has broken its lines."""
        from rich.control import Control
        from rich.segment import ControlType

        lengths, self._lengths = self._lengths, []
        if self._console is not None:
            width = self._console.width
            rows = sum(max(0, -(-length // width) - 1) for length in lengths)
            erase = [(ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1)] * rows
            self._console.control(Control(*erase))

    def _watch(self) -> None:
        # A terminal that has gone away is no reason for builds to fail.
        with contextlib.suppress(OSError, ValueError):
            while not self._is_over.wait(_LOOK_SECONDS):
                self.refresh()


def _open_console(stream: TextIO, *, has_colours: bool) -> Console:
    from rich.console import Console

    return Console(file=stream, force_terminal=True, no_color=not has_colours, highlight=False)


def describe_time(seconds: float) -> str:
    """Return a time as people read it; nothing before it is one second."""
    whole = int(seconds)
    if whole < 60:  # ruff: ignore[magic-value-comparison]
        return f"{whole} s" if whole else ""
    minutes, whole = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {whole:02} s"
