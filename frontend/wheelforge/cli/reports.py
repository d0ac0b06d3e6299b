"""The reports that the command line is asked for, checked before anything is built."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from functools import partial
from itertools import starmap
from typing import TYPE_CHECKING, Any

from wheelforge.errors import UsageError
from wheelforge_isolation import ForgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

    from wheelforge.cli.command_options import CommandOptions
    from wheelforge.events import BuildEvent
    from wheelforge.models import Outcome
    from wheelforge.report import EventStream, Run

_WHOLE = ("report", "junit", "html")
"""Written at the end."""
_ALL = (*_WHOLE, "events")


class Reports:
    """Collects the outcomes of builds, and writes the reports that were asked for."""

    def __init__(
        self,
        paths: Mapping[str, Path],
        stream: EventStream | None = None,
        facts: Mapping[str, object] | None = None,
        html_base: str = "",
    ) -> None:
        self.paths = paths
        self._stream = stream
        self._facts = facts or {}
        self._html_base = html_base
        self.old: Mapping[str, Any] | None = None
        """The report of an earlier run, to compare this one with."""
        self.comparison: dict[str, list[dict[str, object]]] | None = None
        self._start = time.monotonic()
        self._told: list[tuple[Outcome, str]] = []

    def on_event(self, event: BuildEvent) -> None:
        """Take note of an event; for any thread."""
        if self._stream is not None:
            self._stream.on_event(event)

    def add(self, outcome: Outcome) -> None:
        """Take note of how a build has ended, as soon as it has; for one thread."""
        if not self._facts:
            return
        from wheelforge.events import BuildEvent
        from wheelforge.report import tail_of

        event = BuildEvent(
            kind="outcome",
            build=outcome.request.label,
            id=outcome.id,
            text=outcome.verdict,
            error=outcome.error.code if outcome.error else "",
            seconds=outcome.whole.seconds if outcome.whole else 0.0,
            artifacts=tuple(str(artifact.path) for artifact in outcome.artifacts),
        )
        self.on_event(event)
        # Now: the next build of the same thing writes to the same log.
        self._told.append((outcome, tail_of(outcome)))

    def write(self, ending: BaseException | None = None) -> None:
        """Write all reports; one that cannot be written does not keep others from it."""
        if not self._facts:
            return
        from wheelforge import report

        writers: dict[str, Callable[[Run, Path], None]] = {
            "report": report.write_json_report,
            "junit": report.write_junit_report,
            "html": partial(report.write_html_report, base=self._html_base),
        }
        seconds = round(time.monotonic() - self._start, 6)
        facts = {**self._facts, "seconds": seconds}
        run = report.Run(told=tuple(self._told), ending=ending, facts=facts)
        if self.old is not None:
            builds = list(starmap(report.describe_outcome, self._told))
            self.comparison = report.compare(self.old, builds)
            run = run._replace(comparison=self.comparison)
        if self._stream is not None:
            self._stream.write_summary(run)
        failures = list[ForgeError]()
        for name, path in self.paths.items():
            try:
                writers[name](run, path)
            except ForgeError as error:
                failures.append(error)
        if failures:
            raise failures[0]


def list_reports(options: CommandOptions) -> list[Path]:
    """Return the files of the reports that were asked for and are there."""
    paths = (getattr(options, name) for name in _ALL)
    return [path for path in paths if path and path.exists()]


def check_reports(options: CommandOptions) -> dict[str, Path]:
    """Return where reports go; an error now is better than one after an hour of building."""
    given = {name: getattr(options, name) for name in _ALL if getattr(options, name)}
    for name, path in given.items():
        if options.metadata:
            raise UsageError("option-invalid", f"--{name}", "with `--metadata` nothing is built")
        _check_path(name, path)
        twins = [other for other in given if other != name and given[other] == path]
        if twins:
            raise UsageError("option-invalid", f"--{name}", f"`--{twins[0]}` goes to the same file")
    return given


@contextlib.contextmanager
def open_reports(options: CommandOptions) -> Generator[Reports]:
    """Yield what takes note; all reports are there at the end, however it comes."""
    paths = check_reports(options)
    if not paths and not options.compare:
        yield Reports({})
        return
    from wheelforge.cli.invocation import describe_invocation
    from wheelforge.report import read_report

    old = read_report(options.compare) if options.compare else None
    facts = describe_invocation(options)
    with contextlib.ExitStack() as stack:
        stream, place = None, paths.pop("events", None)
        if place is not None:
            from wheelforge.report import EventStream

            stream = stack.enter_context(EventStream(place, facts))
        reports = Reports(paths, stream, facts, options.html_base or "")
        reports.old = old
        try:
            yield reports
        except BaseException as ending:
            # The error that has ended it all is the one to be shown.
            with contextlib.suppress(ForgeError):
                reports.write(ending)
            raise
        reports.write()


def _check_path(name: str, path: Path) -> None:
    option, parent = f"--{name}", path.parent
    if path.name == "-":
        reason = "standard output has the paths of the results; name a file"
        raise UsageError("option-invalid", option, reason)
    if not parent.is_dir():
        raise UsageError("option-invalid", option, f"there is no directory `{parent}`")
    if path.is_dir():
        raise UsageError("option-invalid", option, f"`{path}` is a directory")
    # A pipe can be written to, but not replaced by a file; /dev/stdout would be.
    if name in _WHOLE and path.exists() and not stat.S_ISREG(path.stat().st_mode):
        raise UsageError("option-invalid", option, f"`{path}` is no file")
    if not os.access(path if path.exists() and name not in _WHOLE else parent, os.W_OK):
        raise UsageError("option-invalid", option, f"`{path}` may not be written")
