"""Events of a build, reported as they happen."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from wheelforge.models import Phase
from wheelforge_isolation import ForgeError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from wheelforge.models import Artifact
    from wheelforge_isolation import WheelKey

EventKind: TypeAlias = Literal[
    "queued", "started", "finished", "failed", "note", "warning", "environment", "output", "outcome"
]


PHASE_WORDS = {
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
"""The phases as people read them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildEvent:
    """One thing that happened.

    "queued" tells of each build of a batch before the first one starts; "started", "finished" and
    "failed" are about a phase of a build, or all of it; "note" and "warning" have a text for
    whoever wanted the build; "environment" has the names and versions of what is built with;
    "output" has a line that a hook printed; "outcome" is the last event of each build of a command,
    also of one that was never started, and has `Outcome.verdict` as its text.
    There may be kinds in later versions that nobody knows yet: ignore them.
    """

    kind: EventKind
    build: str
    """The label of what is built."""
    phase: str = ""
    """For "started", "finished", "failed": which part of the work; nothing for the whole of it."""
    seconds: float = 0.0
    """How long it took; for "queued": how long it took the last time, if that is known."""
    text: str = ""
    """A message, or a line that the backend has printed."""
    error: str = ""
    """For "failed": the code of what went wrong, if that is known."""
    time: float = field(default_factory=time.time)
    """Seconds since 1970."""
    id: str = ""
    """Tells builds apart that have the same label; ``3.1`` is the first that build ``3`` needed."""
    artifacts: tuple[str, ...] = ()
    """For the end of a whole build: the files that it has made, by name."""


class Reporter(Protocol):
    """Hears of events, from whichever thread they happen in, several at once; must not raise.

    The build waits until it returns.
    """

    def __call__(self, event: BuildEvent, /) -> None:
        """Take note of one."""
        ...


def ignore(_: BuildEvent, /) -> None:
    """Take no note."""


class EventLog:
    """The events of one build: phases, notes, warnings and output."""

    def __init__(self, label: str, reporter: Reporter, id: str = "") -> None:  # ruff: ignore[builtin-argument-shadowing]
        self.label = label
        self.artifacts: list[Artifact] = []
        """The artifacts that were delivered so far."""
        self.phases: list[Phase] = []
        self.notes: list[str] = []
        self.remarks: list[str] = []
        """Notes that are told with the outcome, and not before."""
        self._held: list[str] | None = None
        self._warnings: set[str] = set()
        self._environment = ""
        self._reporter = reporter
        self._event = partial(BuildEvent, build=label, id=id)

    @contextlib.contextmanager
    def phase(self, name: str) -> Generator[None]:
        """Measure what is done inside, and tell its beginning and its end."""
        self._reporter(self._event(kind="started", phase=name))
        moment, start = time.time(), time.perf_counter()
        verdict: EventKind = "failed"
        error = ""
        try:
            yield
            verdict = "finished"
        except ForgeError as failure:
            error = failure.code
            raise
        finally:
            seconds = time.perf_counter() - start
            self.phases.append(Phase(name=name, started=moment, seconds=seconds))
            made = () if name else tuple(artifact.path.name for artifact in self.artifacts)
            self._reporter(
                self._event(kind=verdict, phase=name, seconds=seconds, error=error, artifacts=made)
            )

    def note(self, *texts: str) -> None:
        """Say something that whoever wanted the build should know, once."""
        if self._held is not None:
            self._held += texts
            return
        for text in texts:
            if text not in self.notes:
                self.notes.append(text)
                self._reporter(self._event(kind="note", text=text))

    @contextlib.contextmanager
    def holding_notes(self) -> Generator[list[str]]:
        """Yield the notes of what is done inside, which are not told."""
        self._held = held = list[str]()
        try:
            yield held
        finally:
            self._held = None

    def remark(self, text: str) -> None:
        """Take note of something that belongs to the outcome."""
        self.notes.append(text)
        self.remarks.append(text)

    def warn(self, text: str) -> None:
        """Emit a warning of the backend, once."""
        if text not in self._warnings:
            self._warnings.add(text)
            self._reporter(self._event(kind="warning", text=text))

    def list_environment(self, wheels: Iterable[WheelKey]) -> None:
        """Emit the names and versions of what is built with, unless these were the last."""
        text = ", ".join(sorted(f"{wheel.name} {wheel.version}" for wheel in wheels))
        if text and text != self._environment:
            self._environment = text
            self._reporter(self._event(kind="environment", text=text))

    def pass_on(self, line: bytes) -> None:
        """Hand on a line that the backend has printed."""
        self._reporter(self._event(kind="output", text=line.decode(errors="replace")))
