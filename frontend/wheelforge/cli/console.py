"""The output for people: results on one stream, everything else on the other."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections import Counter
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TextIO

from wheelforge_isolation.formats.text import (
    escape_controls,
    escape_line,
    escape_output,
    shorten_path,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from wheelforge.cli.hosted import Observer
    from wheelforge.events import BuildEvent
    from wheelforge.models import Outcome
    from wheelforge.progress import Progress
    from wheelforge_isolation import ForgeError

_STYLES = {"done": "1;32", "error": "1;31", "warning": "1;33", "note": "1;36", "hint": "1;32"}
_QUIET, _NORMAL, _VERBOSE = -1, 0, 1
_MOST_WARNINGS = 3
"""Of the backend of one build, or common to several of them."""


class Console:
    """Tells what happens, as much of it as is wished for; any number of threads may tell."""

    def __init__(
        self, verbosity: int = _NORMAL, variables: Mapping[str, str] | None = None
    ) -> None:
        self._verbosity = verbosity
        self._variables = os.environ if variables is None else variables
        self.is_batch = False
        """Whether there are so many builds that each has to be brief."""
        self.observer: Observer | None = None
        """The service, if this is a worker of it."""
        self._warnings: Counter[str] = Counter()
        """The number of builds of each warning of a backend that was shown."""
        self._shown: Counter[str] = Counter()
        self._folded: Counter[str] = Counter()
        """The numbers of warnings of each build, by its id, that were shown and were not."""
        self._lock = Lock()

    @contextlib.contextmanager
    def watch(self) -> Generator[None]:
        """Show what is at work inside, if it is a terminal or CI."""
        with self._progress:
            try:
                yield
            finally:
                self._count_warnings()

    def on_event(self, event: BuildEvent) -> None:
        """Tell of an event."""
        self._tell(event)
        if self.observer is not None:
            self.observer.on_event(event)
        # Afterwards: the last words of a build belong to it still.
        self._progress.on_event(event)

    def _tell(self, event: BuildEvent) -> None:
        if event.kind == "note":
            self.say(
                event.kind,
                f"{escape_line(event.build)}: {event.text}" if event.build else event.text,
            )
        elif event.kind == "warning":
            self._warn(event)
        elif self._verbosity < _VERBOSE:
            return
        elif event.kind == "output":
            self._write_line(event, escape_output(event.text), " | ")
        elif event.kind == "environment":
            self._write_line(event, escape_line(f"built with {event.text}") + "\n")
        elif event.kind == "finished":
            what = escape_line(event.phase or "done")
            self._write_line(event, f"{what} ({event.seconds:.2f} s)\n")

    def _write_line(self, event: BuildEvent, text: str, mark: str = ": ") -> None:
        """Write a line that says which build it is of, unless it stands among its own."""
        is_plain = mark != ": " and (self._progress.has_groups or not self.is_batch)
        name = "" if is_plain else f"{escape_line(event.build)}{mark}"
        self._progress.write(f"{name}{text}", event.id or event.build)

    def _warn(self, event: BuildEvent) -> None:
        """Show a warning of a backend once, whichever builds it comes from, and not too many."""
        is_brief = self._verbosity < _VERBOSE
        # A build requirement counts as part of the build that requires it.
        build, text = event.id.partition(".")[0] or event.build, event.text
        with self._lock:
            is_new = not self._warnings[text]
            if is_new and is_brief and self._shown[build] == _MOST_WARNINGS:
                self._folded[build] += 1
                return
            self._warnings[text] += 1
            self._shown[build] += is_new
        if is_new or self._verbosity >= _VERBOSE:
            self.say(
                "warning",
                f"{event.build}: {_shorten(text) if is_brief and self.is_batch else text}",
            )

    def _count_warnings(self) -> None:
        """Say how many builds a warning came from that was shown once."""
        common = [(text, builds - 1) for text, builds in self._warnings.items() if builds > 1]
        if self._verbosity >= _VERBOSE:
            return
        for text, others in common[:_MOST_WARNINGS]:
            what = "build has" if others == 1 else "builds have"
            self.say("warning", f"{others} more {what} the warning: {_shorten(text)}")
        if len(common) > _MOST_WARNINGS:
            count = len(common) - _MOST_WARNINGS
            self.say("warning", f"{count} more of these warnings came from several builds")

    def _count_folded(self, outcome: Outcome) -> None:
        """Say how many warnings of a build were not shown, and where they are."""
        label = outcome.request.label
        with self._lock:
            count = self._folded.pop(outcome.id, 0) + self._folded.pop(label, 0)
        if count:
            where = f"; all are in `{outcome.log}`" if outcome.log else ""
            self.say("warning", f"{label}: {count} more warning{'s'[: count - 1]}{where}")

    def say(self, kind: str, text: str, *, is_needed: bool = False) -> None:
        """Write a line of that kind."""
        if is_needed or self._verbosity > _QUIET:
            self._progress.write(self._format(kind, f"{kind}: ", text))

    def show_error(self, error: ForgeError, outcome: Outcome | None = None) -> None:
        """Say what went wrong, and what may help; of a build that has come to that outcome."""
        text = self._format("error", f"error[{error.code}]: ", str(error))
        if error.hint:
            text += self._format("hint", "hint: ", error.hint)
        title, sentence = error.code, escape_controls(str(error)).partition("\n")[0]
        if outcome is not None:
            title = f"{escape_line(outcome.request.label)}: {error.code}"
            sentence = escape_line(outcome.summarize(error))
        self._progress.write_error(text, title, sentence)

    def show_outcome(self, outcome: Outcome) -> None:
        """Say how a build has ended, and print where its results are."""
        if self.observer is not None:
            self.observer.on_outcome(outcome)
        if outcome.verdict in {"cancelled", "not-started"}:
            return  # all of them are counted in the end
        has_told = self._progress.add(outcome)
        # A terminal needs no second line for the same result; programs get the bare paths.
        if not sys.stdout.isatty():
            self.print_data("".join(f"{artifact.path}\n" for artifact in outcome.artifacts))
        elif not has_told:
            self.print_data("".join(f"{text}\n" for text in _list_results(outcome)))
        if outcome.error is not None:
            self.show_error(outcome.error, outcome)
        self._count_folded(outcome)
        for text in outcome.remarks:
            self.say("note", f"{escape_line(outcome.request.label)}: {text}")

    def print_data(self, text: str) -> None:
        """Print what was asked for, and nothing else."""
        with self._progress.aside():
            try:
                sys.stdout.write(text)
            except UnicodeEncodeError:
                # Names of files can be anything; their readers need the very bytes.
                sys.stdout.flush()
                sys.stdout.buffer.write(os.fsencode(text))
            sys.stdout.flush()

    @property
    def width(self) -> int:
        """The columns of the terminal that messages go to, or 0 if they go elsewhere."""
        with contextlib.suppress(OSError):
            return os.get_terminal_size(sys.stderr.fileno()).columns
        return 0

    @functools.cached_property
    def _progress(self) -> Progress:
        from wheelforge.progress import open_progress

        is_quiet = self._verbosity <= _QUIET
        return open_progress(sys.stderr, self._variables, is_quiet=is_quiet, home=_find_home())

    def _format(self, kind: str, heading: str, text: str) -> str:
        """Return a message after its heading, in lines for the terminal if it goes to one."""
        whole, title = f"{heading}{escape_controls(text)}", heading.rstrip()
        if self.width:
            from wheelforge.cli.wrapping import wrap_message

            whole = wrap_message(whole, self.width)
        if is_coloured(sys.stderr, self._variables):
            whole = f"\x1b[{_STYLES[kind]}m{title}\x1b[0m{whole.removeprefix(title)}"
        return f"{whole}\n"


def _find_home() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it was removed
        return ""


def _list_results(outcome: Outcome) -> Iterator[str]:
    """Yield for each artifact where it is, how large, and how long all of them took."""
    from wheelforge.cli.argument_types import describe_size

    took = f", {outcome.whole.seconds:.1f} s" if outcome.whole else ""
    how = {"reused": "Reused", "fetched": "Fetched"}.get(outcome.verdict, "Built")
    for artifact in outcome.artifacts:
        path = escape_line(shorten_path(artifact.path))
        yield f"{how} {path} ({describe_size(artifact.size_bytes)}{took})"


def _shorten(text: str) -> str:
    """Return the first line, and whether there are more."""
    first, _, more = text.partition("\n")
    return f"{first} ..." if more else first


def is_coloured(stream: TextIO, variables: Mapping[str, str]) -> bool:
    """Return whether ``stream`` takes colours, and they are not off."""
    if variables.get("NO_COLOR"):
        return False
    return bool(variables.get("FORCE_COLOR")) or (
        stream.isatty() and variables.get("TERM") != "dumb"
    )
