"""Builds on a server that is on another machine: archives go there, and wheels come back.

Everything else is done here, as for any build: options, reports, output, exit codes. What is only
on this machine, such as directories, programs and configuration of indexes, is not sent.
"""

from __future__ import annotations

import contextlib
import json
import re
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from wheelforge.cli.build import is_alone, run_with
from wheelforge.cli.commands import open_console, show_metadata
from wheelforge.cli.settings import make_requests
from wheelforge.cli.why import find_build, show_cause
from wheelforge.errors import BuildCancelledError, BuildNotStartedError, ServiceError, SourceError
from wheelforge.events import BuildEvent
from wheelforge.models import Cause, Kind, Outcome
from wheelforge.service.access import load_tokens
from wheelforge.service.home import PROTOCOL
from wheelforge.service.network_client import RemoteServer
from wheelforge.service.outcomes import Told, read_event, read_outcome, reading
from wheelforge_isolation import ForgeError, WheelKey, deliver_file, temporary_directory
from wheelforge_isolation.formats.file_names import normalize_name
from wheelforge_isolation.formats.text import escape_line
from wheelforge_isolation.formats.urls import check_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wheelforge.cli.command_options import CommandOptions
    from wheelforge.events import Reporter
    from wheelforge.models import BuildRequest

    Facts = dict[str, Any]

_SENT = {
    *("offline", "refresh", "exclude_newer", "require_hashes", "era", "timeout"),
    *("config_setting", "config_json", "no_reuse", "pythons"),
}
"""The values of options that a request has a field for."""
_KEPT = {
    *("sources", "kinds", "metadata", "outdir", "jobs", "keep_going", "fail_fast"),
    *("report", "html", "junit", "events", "compare", "html_base", "verbosity"),
    *("server", "server_required", "server_token_file", "config", "no_config"),
    *("cache_dir", "stage_dir"),
    *("installer", "cache_max_size", "build", "json"),
}
"""The values that are for this process alone."""
_COMMANDS = {"build.run_build", "commands.run_metadata", "why.explain"}
_SPARE = 2
_MOST_BUILDS = 500
_SUFFIXES = (".tar.gz", ".zip")


def try_network(options: CommandOptions) -> tuple[int, str]:
    """Have a server do the command; return its exit code, or why it was not done and -1."""
    refusal = _find_mistake(options.server) or _find_refusal(options)
    if refusal:
        return -1, refusal
    server = RemoteServer(options.server, _read_token(options))
    try:
        facts = server.ask("GET", "/api/v1/server")
    except ServiceError as error:
        return -1, error.reason
    refusal = _find_difference(options, facts)
    if refusal:
        return -1, refusal
    builder = _Builder(server, options, int(facts.get("jobs", 1)))
    if options.run == "why.explain":
        return _explain(server, options), ""
    if options.run == "commands.run_metadata" or options.metadata:
        return builder.show_metadata(), ""
    return run_with(options, builder.build, is_batch=not is_alone(options)), ""


def _find_mistake(address: str) -> str:
    try:
        check_url(address)
    except ValueError as error:
        return f"it is no address: {error}"
    return ""


def _find_difference(options: CommandOptions, facts: Facts) -> str:
    """Return why this server cannot do it."""
    targets = facts.get("targets", {})
    if facts.get("protocol") != PROTOCOL:
        return f"it is wheelforge {facts.get('version')}, which speaks another protocol"
    for name in getattr(options, "pythons", None) or ():
        if name not in targets:
            return f"it has no target `{name}`; there are: {', '.join(targets) or 'none'}"
    return ""


def _find_refusal(options: CommandOptions) -> str:
    """Return why the command is of no use on another machine."""
    from wheelforge.cli.parser import build_parser

    if options.run not in _COMMANDS:
        return "this command is not done over the network"
    if options.run == "why.explain":
        return "two builds are compared on the machine that they were made on" * bool(options.other)
    name = "metadata" if options.run == "commands.run_metadata" else "build"
    for action in build_parser(name)._actions:  # ruff: ignore[private-member-access]
        value = getattr(options, action.dest, None)
        is_given = bool(value) and value != action.default
        if is_given and action.option_strings and action.dest not in _SENT | _KEPT:
            return f"`{action.option_strings[-1]}` is not sent over the network"
    for source in options.sources or [Path.cwd()]:
        if isinstance(source, Path) and not source.name.endswith(_SUFFIXES):
            return f"`{source}` is only on this machine; an sdist of it can be sent"
        if re.match(r"(?:[^@:]*@\s*)?file:", str(source)):
            return f"`{source}` is only on this machine"
    return ""


def _explain(server: RemoteServer, options: CommandOptions) -> int:
    """Print why the last build of a source was made, of those that the server remembers."""
    answer = server.ask("GET", f"/api/v1/builds?limit={_MOST_BUILDS}")
    builds = reading(lambda: list(_list_wheels(answer)))
    wheel, found = find_build(options.build, builds)
    cause = server.ask("GET", f"/api/v1/builds/{found['run']}/why")
    show_cause(options, wheel, reading(lambda: Cause(**cause)))
    return 0


def _list_wheels(answer: Facts) -> Iterator[tuple[WheelKey, Facts]]:
    for build in answer["builds"]:
        source = {"source": {"sha256": build["outcome"].get("sha256")}}
        for each in build["outcome"].get("artifacts", ()):
            wheel = WheelKey(
                name=normalize_name(each["project"]),
                version=each["project_version"],
                file_name=each["name"],
                sha256=each["hashes"]["sha256"],
            )
            yield wheel, {"document": source, "run": build["id"]}


def _read_token(options: CommandOptions) -> str:
    """Return the token for builds of the file that is named, or else its first one, or none."""
    path = options.server_token_file
    tokens = load_tokens(path) if path else {"": ""}
    return next((token for token, role in tokens.items() if role == "build"), next(iter(tokens)))


class _Builder:
    """The builds of one command; each is followed by a thread."""

    def __init__(self, server: RemoteServer, options: CommandOptions, jobs: int) -> None:
        self._server = server
        self._options = options
        self._jobs = getattr(options, "jobs", None) or jobs + _SPARE
        self._ended = Event()
        self._numbers = set[str]()

    def build(self, reporter: Reporter, on_outcome: Callable[[Outcome], None]) -> None:
        """Build all that is named, and tell how each has ended."""
        jobs = list(self._list_builds())
        if len(jobs) > 1:
            for request, number, _ in jobs:
                reporter(BuildEvent(kind="queued", build=request.label, id=number))
        with ThreadPoolExecutor(self._jobs) as pool:
            waiting = {pool.submit(self._build, *job, reporter) for job in jobs}

            def tell_ends() -> None:
                for future in as_completed([*waiting]):
                    waiting.discard(future)
                    outcome = future.result()
                    on_outcome(outcome)
                    if outcome.error is not None and self._options.fail_fast:
                        self._cancel()

            try:
                tell_ends()
            except BaseException:
                self._cancel()
                tell_ends()
                raise

    def show_metadata(self) -> int:
        """Print the metadata of all that is named."""
        console = open_console(self._options)

        def read(request: BuildRequest, number: str, python: str | None) -> object:
            try:
                number = self._ask(replace(request, kinds=(Kind.METADATA,)), python)
                outcome = self._follow(request, "1", number, console.on_event)
            except KeyboardInterrupt:
                self._cancel()
                raise
            if outcome.error is not None:
                raise outcome.error
            return json.loads(outcome.metadata)

        reads = (partial(read, *each) for each in self._list_builds())
        return show_metadata(self._options, console, reads)

    def _list_builds(self) -> Iterator[tuple[BuildRequest, str, str | None]]:
        """Yield each build with its number, and the target that it is for."""
        pairs = [
            (request, python)
            for request in make_requests(self._options)
            for python in self._options.pythons or [None]
        ]
        for number, (request, python) in enumerate(pairs, 1):
            yield request, str(number), python

    def _build(
        self, request: BuildRequest, number: str, python: str | None, reporter: Reporter
    ) -> Outcome:
        try:
            self._check(request, BuildNotStartedError)
            return self._follow(request, number, self._ask(request, python), reporter)
        except ForgeError as error:
            return Outcome(request=request, id=number, error=error)

    def _check(
        self, request: BuildRequest, kind: type[BuildCancelledError] = BuildCancelledError
    ) -> None:
        if self._ended.is_set():
            raise kind(request.label)

    def _ask(self, request: BuildRequest, python: str | None) -> str:
        """Send what is built, and ask for it; return the number of the build."""
        fields: Facts = {"kinds": [kind.value for kind in request.kinds], "target": python}
        fields["config_settings"] = dict(request.config_settings)
        for name in _SENT & {"offline", "refresh", "require_hashes", "era", "timeout", "no_reuse"}:
            fields[name] = getattr(self._options, name)
        cutoff = self._options.exclude_newer
        fields["exclude_newer"] = cutoff.isoformat() if cutoff else None
        fields["source"] = source = request.source
        if isinstance(source, Path):
            try:
                fields["source"] = self._server.send(source, lambda: self._check(request))
            except OSError as error:
                reason = error.strerror or str(error)
                raise SourceError("source-invalid", str(source), reason) from error
        given = {name: value for name, value in fields.items() if value}
        number = str(self._server.ask("POST", "/api/v1/builds", given).get("id", ""))
        self._numbers.add(number)
        if self._ended.is_set():
            self._withdraw(number)
        return number

    def _follow(
        self, request: BuildRequest, number: str, build_number: str, reporter: Reporter
    ) -> Outcome:
        notes = set[str]()
        build: Facts = {}
        for facts in self._server.follow(build_number):
            if facts.get("kind") == "end":
                build = facts.get("build", {})
                break
            event: BuildEvent = reading(read_event, facts, number)
            if event.kind == "note":
                notes.add(event.text)
            reporter(event)
        self._numbers.discard(build_number)
        with temporary_directory() as place:
            drafts = [self._fetch(each, Path(place)) for each in build.get("artifacts", ())]
            paths = tuple(deliver_file(draft, request.output) for draft in drafts)
        told = Told(request, number, paths, frozenset(notes))
        outcome: Outcome = reading(read_outcome, build, told)
        return outcome

    def _fetch(self, artifact: Facts, place: Path) -> Path:
        name = str(artifact["name"])
        if Path(name).name != name or not name.endswith((".whl", *_SUFFIXES)):
            raise ServiceError("server-failed", f"`{escape_line(name)}` is no name of a result")
        self._server.fetch(artifact, place / name)
        return place / name

    def _cancel(self) -> None:
        """End all that is not done; in a thread, which a second Ctrl-C does not interrupt."""
        self._ended.set()
        Thread(target=self._withdraw, args=tuple(self._numbers)).start()

    def _withdraw(self, *numbers: str) -> None:
        for number in numbers:
            with contextlib.suppress(ServiceError):
                self._server.ask("DELETE", f"/api/v1/builds/{number}")
