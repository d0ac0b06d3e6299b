"""What is at work, and how it is laid out in a terminal; draws nothing."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.progress.plain import spell

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from wheelforge.events import BuildEvent
    from wheelforge.models import Outcome

    Piece: TypeAlias = tuple[str, str]
    Line: TypeAlias = tuple[Piece, ...]

_WORDS = {
    "ask": "asking the backend",
    "build editable": "building editable",
    "build metadata": "asking for metadata",
    "build sdist": "building sdist",
    "build wheel": "building wheel",
    "check": "checking",
    "deliver": "delivering",
    "fetch": "fetching",
    "isolate": "preparing",
    "unpack": "unpacking",
    "wait": "waiting for its turn",
}
_PHASE_WIDTH = max(map(len, _WORDS.values()))
_TIME_WIDTH = 10
_BAR_WIDTH = 24
_ROOM_FOR_PHASES = 56
_ROOM_FOR_A_BAR = 72
_FEW = 12
"""A label that has no more room than this says nothing."""


class Glyphs(NamedTuple):
    """The signs that a terminal has."""

    bullet: str = "\u2022"
    gap: str = "\u2026"
    done: str = "\u2501"
    failed: str = "\u2501"
    rest: str = "\u2500"
    dot: str = " \u00b7 "
    encoding: str = "utf-8"


ASCII = Glyphs(bullet="*", gap="...", done="=", failed="x", rest="-", dot=", ")


class _Flight:
    """A build that is at work."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.phase = ""
        self.depth = 1
        """How many builds of that name there are."""


class Board:
    """The builds that are at work, wait or are done; all times are by the clock of ``opened``."""

    def __init__(self, opened: float) -> None:
        self.opened = opened
        self.done = 0
        self.failed = 0
        self._queued = Counter[str]()
        self._flights: dict[str, _Flight] = {}

    @property
    def oldest(self) -> float:
        """When the oldest build that is at work was begun; never, if there is none."""
        return min((flight.started for flight in self._flights.values()), default=math.inf)

    @property
    def total(self) -> int:
        """How many builds were asked for, as far as anybody has said."""
        return max(self._queued.total(), self.done + self.failed)

    @property
    def waiting(self) -> int:
        """How many have not begun."""
        flying = sum(self._flights[label].depth for label in self._flights & self._queued.keys())
        return max(0, self.total - self.done - self.failed - flying)

    def hear(self, event: BuildEvent, now: float) -> None:
        """Take note of an event."""
        if event.kind == "queued":
            self._queued[event.build] += 1
        elif event.phase and event.kind == "started" and event.build in self._flights:
            self._flights[event.build].phase = event.phase
        elif not event.phase and event.kind == "started":
            self._start(event.build, now)
        elif not event.phase and event.kind in {"finished", "failed"}:
            self._end(event.build)

    def add(self, outcome: Outcome) -> None:
        """Take note of how a build has ended."""
        if outcome.error is None:
            self.done += 1
        else:
            self.failed += 1

    def _start(self, build: str, now: float) -> None:
        if build in self._flights:
            self._flights[build].depth += 1
        else:
            self._flights[build] = _Flight(now)

    def _end(self, build: str) -> None:
        flight = self._flights.get(build)
        if flight is not None:
            flight.depth -= 1
            if not flight.depth:
                del self._flights[build]

    def lay_out(self, size: tuple[int, int], now: float, glyphs: Glyphs) -> list[Line]:
        """Return the lines to be shown in so many columns and rows."""
        columns, rows = size
        width = columns - 1  # Some terminals begin a new line as soon as one is full.
        totals = self.lay_out_totals(size, now, glyphs)
        room = max(1, rows - 2 - len(totals))
        flights = list(self._flights.items())
        shown = flights if len(flights) <= room else flights[: room - 1]
        lines = [_lay_out_flight(*each, (width, now), glyphs) for each in shown]
        if len(shown) < len(flights):
            lines.append((("dim", _fit(f"  and {len(flights) - len(shown)} more", width)),))
        return lines + totals

    def lay_out_totals(self, size: tuple[int, int], now: float, glyphs: Glyphs) -> list[Line]:
        """Return a line that sums all up, unless there is only one build."""
        width = size[0] - 1
        if self.total <= 1:
            return []
        counts = (
            ("green", self.done, "done"),
            ("red", self.failed, "failed"),
            ("dim", self.waiting, "waiting"),
        )
        pieces: list[Piece] = [("", "  ")]
        if width >= _ROOM_FOR_A_BAR:
            pieces += [*self._draw_bar(glyphs), ("", "  ")]
        said = [(style, f"{count} {word}") for style, count, word in counts if count]
        said = said or [("dim", "0 done")]
        for number, piece in enumerate(said):
            pieces += [("dim", glyphs.dot), piece] if number else [piece]
        return [_align(pieces, describe_time(now - self.opened), width)]

    def _draw_bar(self, glyphs: Glyphs) -> Iterable[Piece]:
        ended = [round(_BAR_WIDTH * count / self.total) for count in (self.done, self.failed)]
        yield "green", glyphs.done * ended[0]
        yield "red", glyphs.failed * ended[1]
        yield "dim", glyphs.rest * (_BAR_WIDTH - sum(ended))


def describe_time(seconds: float) -> str:
    """Return a time as people read it; nothing before it is one second."""
    whole = int(seconds)
    if whole < 60:  # ruff: ignore[magic-value-comparison]
        return f"{whole} s" if whole else ""
    minutes, whole = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {whole:02} s"


def shorten(text: str, width: int, gap: str) -> str:
    """Return ``text`` in at most ``width`` columns: its beginning and its end tell most."""
    if _measure(text) <= width:
        return text
    room = max(0, width - len(gap))
    tail = text[len(text) - room // 2 :] if room > 1 else ""
    while _measure(tail) > room // 2:
        tail = tail[1:]
    head = text
    while _measure(head) > room - _measure(tail):
        head = head[:-1]
    return f"{head}{gap}{tail}"[: max(0, width)]


def _lay_out_flight(label: str, flight: _Flight, terms: tuple[int, float], glyphs: Glyphs) -> Line:
    width, now = terms
    phase = _WORDS.get(flight.phase, flight.phase)
    has_phase = width >= _ROOM_FOR_PHASES
    room = width - 2 - _TIME_WIDTH - (_PHASE_WIDTH + 2 if has_phase else 0) - 2
    name = "".join(each if each.isprintable() else "?" for each in spell(label, glyphs.encoding))
    name = shorten(name, max(room, min(_FEW, width - 2)), glyphs.gap)
    pieces: list[Piece] = [("cyan", f"{glyphs.bullet} "), ("", name)]
    if has_phase:
        pieces += [("", " " * (room - _measure(name) + 2)), ("dim", _fit(phase, _PHASE_WIDTH))]
    return _align(pieces, describe_time(now - flight.started), width)


def _align(pieces: list[Piece], last: str, width: int) -> Line:
    """Return ``pieces`` with ``last`` at the right edge, if there is room for it."""
    used = sum(_measure(text) for _, text in pieces)
    if used + 1 + len(last) > width:
        return _cut(pieces, width)
    return (*pieces, ("dim", last.rjust(width - used)))


def _cut(pieces: list[Piece], width: int) -> Line:
    kept: list[Piece] = []
    for style, text in pieces:
        room = width - sum(_measure(each) for _, each in kept)
        kept.append((style, text if _measure(text) <= room else _fit(text, room)))
    return tuple(kept)


def _fit(text: str, width: int) -> str:
    from rich.cells import set_cell_size

    return set_cell_size(text, max(0, width))


def _measure(text: str) -> int:
    """Return how many columns ``text`` takes; some characters take two."""
    from rich.cells import cell_len

    return cell_len(text)
