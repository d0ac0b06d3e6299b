"""The reports that the command line is asked for, checked before anything is built."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from wheelforge.errors import UsageError
from wheelforge_isolation import ForgeError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from wheelforge.events import BuildEvent
    from wheelforge.models import Outcome
    from wheelforge.report import EventStream

_WHOLE = ("report", "junit", "html")
"""Written at the end."""
_ALL = (*_WHOLE, "events")


class Reports:
    """Collects the outcomes of builds, and writes the reports that were asked for."""

    def __init__(self, paths: Mapping[str, Path], stream: EventStream | None = None) -> None:
        self._paths = paths
        self._stream = stream
        self._told: list[tuple[Outcome, str]] = []

    def on_event(self, event: BuildEvent) -> None:
        """Take note of an event; for any thread."""
        if self._stream is not None:
            self._stream.on_event(event)

    def add(self, outcome: Outcome) -> None:
        """Take note of how a build has ended, as soon as it has; for one thread."""
        if not self._paths:
            return
        from wheelforge.report import read_tail

        # Now: the next build of the same thing writes to the same log.
        tail = "" if outcome.error is None else read_tail(outcome.log)
        self._told.append((outcome, tail))

    def write(self, ending: BaseException | None = None) -> None:
        """Write all reports; one that cannot be written does not keep others from it."""
        if not self._paths:
            return
        from wheelforge import report

        writers = {
            "report": report.write_json_report,
            "junit": report.write_junit_report,
            "html": report.write_html_report,
        }
        run, failures = report.Run(told=tuple(self._told), ending=ending), list[ForgeError]()
        for name, path in self._paths.items():
            try:
                writers[name](run, path)
            except ForgeError as error:
                failures.append(error)
        if failures:
            raise failures[0]


def check_reports(options: argparse.Namespace) -> dict[str, Path]:
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
def open_reports(options: argparse.Namespace) -> Generator[Reports]:
    """Yield what takes note; all reports are there at the end, however it comes."""
    paths = check_reports(options)
    if not paths:
        yield Reports({})
        return
    with contextlib.ExitStack() as stack:
        stream, place = None, paths.pop("events", None)
        if place is not None:
            from wheelforge.report import EventStream

            stream = stack.enter_context(EventStream(place))
        reports = Reports(paths, stream)
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
