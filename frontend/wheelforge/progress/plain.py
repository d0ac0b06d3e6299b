"""Progress that is only ever added to: nothing, lines, and groups of lines for a CI."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Self, TextIO

from wheelforge_isolation.formats.text import escape_line

if TYPE_CHECKING:
    from wheelforge.events import BuildEvent
    from wheelforge.models import Outcome

_ENDS = ("finished", "failed")


class Progress:
    """Shows nothing but what is written to it; any number of threads may tell it things."""

    has_groups = False
    """Whether the messages of a build stand together, so that none has to name it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.RLock()

    def on_event(self, event: BuildEvent) -> None:
        """Take note of an event."""

    def add(self, outcome: Outcome) -> bool:  # ruff: ignore[unused-method-argument]
        """Take note of how a build has ended; return whether its results are shown by that."""
        return False

    def write(self, text: str, build: str = "") -> None:
        """Write a message; some have more than one place, and those of a ``build`` one of them."""
        del build
        with self._lock:
            self._put(text)

    def write_error(self, text: str, title: str, sentence: str) -> None:
        """Write what went wrong; ``sentence`` is the short form of it."""
        del title, sentence
        self.write(text)

    @contextlib.contextmanager
    def aside(self) -> Generator[None]:
        """Let the caller write to another stream that may lead to the same place."""
        with self._lock:
            yield

    def close(self) -> None:
        """Show no more."""

    def _put(self, text: str) -> None:
        self._stream.write(to_encodable(text, self._stream.encoding))
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Lines(Progress):
    """Writes a line when a build has ended."""

    def add(self, outcome: Outcome) -> bool:
        """Say what a build has made of what."""
        self.write(f"{describe(outcome)}\n")
        return False


class Groups(Lines):
    """Keeps apart what builds print at the same time, where the log of a CI can show that."""

    has_groups = True

    def __init__(self, stream: TextIO, *, is_quiet: bool = False) -> None:
        super().__init__(stream)
        self._is_quiet = is_quiet
        self._told: dict[str, list[str]] = {}
        self._titles: dict[str, str] = {}
        self._depths = Counter[str]()
        self._numbers = itertools.count(1)

    def on_event(self, event: BuildEvent) -> None:
        """Write all that a build has printed when it has ended."""
        if event.phase or event.kind not in {"started", *_ENDS}:
            return
        key = event.id or event.build
        with self._lock:
            self._depths[key] += 1 if event.kind == "started" else -1
            self._titles[key] = f"{event.build} (#{event.id})" if event.id else event.build
            if self._depths[key] <= 0:
                self._close_group(key)

    def add(self, outcome: Outcome) -> bool:
        """Say what a build has made of what."""
        return not self._is_quiet and super().add(outcome)

    def write(self, text: str, build: str = "") -> None:
        """Write a message, or keep it for the group of that build."""
        with self._lock:
            if self._depths[build] > 0:
                self._told.setdefault(build, []).append(text)
            else:
                self._put(text)

    def close(self) -> None:
        """Write the output of builds that have not ended."""
        with self._lock:
            for build in list(self._told):
                self._close_group(build)

    def _close_group(self, build: str) -> None:
        del self._depths[build]
        told, title = "".join(self._told.pop(build, ())), self._titles.pop(build)
        if told:
            self._put(self.frame(title, told if told.endswith("\n") else f"{told}\n"))

    def frame(self, title: str, text: str) -> str:
        """Return ``text`` as a group."""
        return f"{escape_line(title)}\n{text}"


class GitLabSections(Groups):
    """Groups as the logs of GitLab fold them."""

    def frame(self, title: str, text: str) -> str:
        """Return ``text`` as a section that is closed at first."""
        moment, name = int(time.time()), f"wheelforge_{next(self._numbers)}"
        begin = f"\x1b[0Ksection_start:{moment}:{name}[collapsed=true]\r\x1b[0K"
        return f"{begin}{escape_line(title)}\n{text}\x1b[0Ksection_end:{moment}:{name}\r\x1b[0K\n"


class GitHubGroups(Groups):
    """Groups as the logs of GitHub fold them, and failures as it shows them beside a job."""

    def __init__(
        self, stream: TextIO, *, is_quiet: bool = False, make_token: Callable[[], str] | None = None
    ) -> None:
        super().__init__(stream, is_quiet=is_quiet)
        self._make_token = make_token or (lambda: os.urandom(8).hex())

    def write_error(self, text: str, title: str, sentence: str) -> None:
        """Write what went wrong, and have it shown where people look first."""
        title = _escape(title, ":,")
        self.write(f"{self._guard(text)}::error title={title}::{_escape(sentence)}\n")

    def frame(self, title: str, text: str) -> str:
        """Return ``text`` as a group."""
        return f"::group::{_escape(title)}\n{self._guard(text)}::endgroup::\n"

    def _guard(self, text: str) -> str:
        """Return foreign text so that no line of it is a command to GitHub."""
        token = self._make_token()
        return f"::stop-commands::{token}\n{text.rstrip()}\n::{token}::\n"


def describe(outcome: Outcome) -> str:
    """Return in one line how a build has ended."""
    label = escape_line(outcome.request.label)
    names = ", ".join(each.path.name for each in outcome.artifacts)
    took = "" if outcome.whole is None else f" ({outcome.whole.seconds:.1f} s)"
    if outcome.error is not None:
        return f"failed {label}: {outcome.error.code}{took}"
    if outcome.is_resumed:
        return f"kept {label} -> {names}"
    if outcome.request.stops_early:
        return f"locked {label}{took}"
    if outcome.is_fetched:
        return f"fetched {label} -> {names}"
    if outcome.is_reused:
        return f"reused {label} -> {names}{took}"
    return f"built {label} -> {names}{took}"


def to_encodable(text: str, encoding: str | None) -> str:
    """Return ``text`` with what cannot be written in that encoding replaced."""
    encoding = encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def _escape(text: str, more: str = "") -> str:
    """Return ``text`` as part of a command to GitHub."""
    escaped = text.replace("%", "%25")
    for character in ("\r", "\n", *more):
        escaped = escaped.replace(character, f"%{ord(character):02X}")
    return escaped
