"""Builds on a server that is on another machine: sources go there, and wheels come back.

Everything else is done here, as for any build: options, reports, output, exit codes. What is only
on this machine, such as programs and the configuration of indexes, is not sent.
"""

from __future__ import annotations

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from wheelforge.cli.build import is_alone, run_with
from wheelforge.cli.commands import open_console, show_metadata
from wheelforge.cli.lock import conclude_lock
from wheelforge.cli.network_inputs import (
    RemoteBuild,
    describe_request,
    find_refusal,
    for_metadata,
    list_builds,
    open_markers,
    send_source,
)
from wheelforge.cli.why import find_build, show_cause
from wheelforge.errors import BuildCancelledError, BuildNotStartedError, ServiceError
from wheelforge.events import BuildEvent
from wheelforge.lockfile import Lock, merge_locks, read_lock
from wheelforge.models import Cause, Outcome
from wheelforge.provenance.options import BESIDE, read_beside
from wheelforge.service.access import load_tokens
from wheelforge.service.home import PROTOCOL
from wheelforge.service.network_client import RemoteServer
from wheelforge.service.outcomes import Told, read_event, read_outcome, reading
from wheelforge.service.requests import LOCK_NAME
from wheelforge_isolation import ForgeError, WheelKey, deliver_file, temporary_directory
from wheelforge_isolation.formats.file_names import normalize_name
from wheelforge_isolation.formats.text import escape_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wheelforge.cli.command_options import CommandOptions
    from wheelforge.cli.console import Console
    from wheelforge.cli.network_inputs import FindMarkers
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
    *("cache_dir", "stage_dir", "output", "check", "other"),
    *("installer", "cache_max_size", "build", "json", "requirement", "package", "all_packages"),
}
"""The values that are for this process alone."""
_COMMANDS = {
    "build.run_build": "build",
    "commands.run_metadata": "metadata",
    "lock.run_lock": "lock",
}
"""The commands that build something, and their names."""
_SPARE = 2
_MOST_BUILDS = 500
_RESULTS = (".whl", ".tar.gz", ".zip", LOCK_NAME)


def try_network(options: CommandOptions) -> tuple[int, str]:
    """Have a server do the command; return its exit code, or why it was not done and -1."""
    refusal = _find_refusal(options)
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
    if options.run == "why.explain":
        return _explain(server, options), ""
    find_markers = options.file_inputs.find_markers = open_markers(server)
    refusal = find_refusal(options, find_markers)
    if refusal:
        return -1, refusal
    return _do(options, _Builder(server, options, find_markers, int(facts.get("jobs", 1)))), ""


def _do(options: CommandOptions, builder: _Builder) -> int:
    if options.run == "lock.run_lock":
        return conclude_lock(options, builder.lock)
    if options.run == "commands.run_metadata" or options.metadata:
        return builder.show_metadata()
    return run_with(options, builder.build, is_batch=not is_alone(options))


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
    """Return why the options of a command are of no use on another machine."""
    from wheelforge.cli.parser import build_parser

    if options.run == "why.explain":
        return ""
    if options.run not in _COMMANDS:
        return "this command is not done over the network"
    for action in build_parser(_COMMANDS[options.run])._actions:  # ruff: ignore[private-member-access]
        value = getattr(options, action.dest, None)
        is_given = bool(value) and value != action.default
        if is_given and action.option_strings and action.dest not in _SENT | _KEPT:
            return f"`{action.option_strings[-1]}` is not sent over the network"
    return ""


def _explain(server: RemoteServer, options: CommandOptions) -> int:
    """Print why the last build of a source was made, of those that the server remembers."""
    answer = server.ask("GET", f"/api/v1/builds?limit={_MOST_BUILDS}")
    builds = reading(lambda: list(_list_wheels(answer)))
    wheel, found = find_build(options.build, builds)
    target = f"/api/v1/builds/{found['run']}/why"
    if options.other:
        target += f"?other={find_build(options.other, builds)[1]['run']}"
    cause = server.ask("GET", target)
    show_cause(options, wheel, reading(lambda: Cause(**cause)))
    return 0


def _list_wheels(answer: Facts) -> Iterator[tuple[WheelKey, Facts]]:
    for build in answer["builds"]:
        source = {"source": {"sha256": build["outcome"].get("sha256")}}
        for each in build["outcome"].get("artifacts", ()):
            if each["kind"] != "wheel":
                continue
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

    def __init__(
        self, server: RemoteServer, options: CommandOptions, find_markers: FindMarkers, jobs: int
    ) -> None:
        self._server = server
        self._options = options
        self._find_markers = find_markers
        self._jobs = getattr(options, "jobs", None) or jobs + _SPARE
        self._ended = Event()
        self._numbers = set[str]()
        self._locks = list[Lock]()

    def build(self, reporter: Reporter, on_outcome: Callable[[Outcome], None]) -> None:
        """Build all that is named, and tell how each has ended."""
        builds = list(list_builds(self._options, self._find_markers))
        if len(builds) > 1:
            for each in builds:
                reporter(BuildEvent(kind="queued", build=each.request.label, id=each.number))
        with ThreadPoolExecutor(self._jobs) as pool:
            waiting = {pool.submit(self._build, each, reporter) for each in builds}

            def tell_ends() -> None:
                for future in as_completed([*waiting]):
                    waiting.discard(future)
                    outcome = future.result()
                    on_outcome(outcome)
                    if outcome.error is not None and self._fails_fast:
                        self._cancel()

            try:
                tell_ends()
            except BaseException:
                self._cancel()
                tell_ends()
                raise

    @property
    def _fails_fast(self) -> bool:
        options = self._options
        if options.run == "lock.run_lock":
            return not options.keep_going
        return bool(options.fail_fast)

    def lock(
        self, console: Console, on_outcome: Callable[[Outcome], None]
    ) -> tuple[list[Outcome], Lock]:
        """Return how all sources have ended, and what they need."""
        outcomes = list[Outcome]()

        def take(outcome: Outcome) -> None:
            outcomes.append(outcome)
            on_outcome(outcome)

        self.build(console.on_event, take)
        return outcomes, merge_locks(self._locks)

    def show_metadata(self) -> int:
        """Print the metadata of all that is named."""
        console = open_console(self._options)

        def read(build: RemoteBuild) -> object:
            try:
                number = self._ask(for_metadata(build))
                outcome = self._follow(build._replace(number="1"), number, console.on_event)
            except KeyboardInterrupt:
                self._cancel()
                raise
            if outcome.error is not None:
                raise outcome.error
            return json.loads(outcome.metadata)

        builds = list_builds(self._options, self._find_markers)
        return show_metadata(self._options, console, (partial(read, each) for each in builds))

    def _build(self, build: RemoteBuild, reporter: Reporter) -> Outcome:
        try:
            self._check(build.request, BuildNotStartedError)
            return self._follow(build, self._ask(build), reporter)
        except ForgeError as error:
            return Outcome(request=build.request, id=build.number, error=error)

    def _check(
        self, request: BuildRequest, kind: type[BuildCancelledError] = BuildCancelledError
    ) -> None:
        if self._ended.is_set():
            raise kind(request.label)

    def _ask(self, build: RemoteBuild) -> str:
        """Send what is built, and ask for it; return the number of the build."""
        fields = describe_request(build, self._options)
        if self._options.run == "lock.run_lock":
            fields["kinds"] = ["lock"]
        source = send_source(self._server, build.request, lambda: self._check(build.request))
        answer = self._server.ask("POST", "/api/v1/builds", {**fields, "source": source})
        number = str(answer.get("id", ""))
        self._numbers.add(number)
        if self._ended.is_set():
            self._withdraw(number)
        return number

    def _follow(self, build: RemoteBuild, number: str, reporter: Reporter) -> Outcome:
        notes = set[str]()
        facts: Facts = {}
        for said in self._server.follow(number):
            if said.get("kind") == "end":
                facts = said.get("build", {})
                break
            if said.get("kind") == "queued":  # as this process has told already
                continue
            event: BuildEvent = reading(read_event, said, build.number)
            if event.kind == "note":
                notes.add(event.text)
            reporter(event)
        self._numbers.discard(number)
        with temporary_directory() as place:
            drafts = [self._fetch(each, Path(place)) for each in facts.get("artifacts", ())]
            locks = [draft for draft in drafts if draft.name == LOCK_NAME]
            self._locks += map(read_lock, locks)
            output = build.request.output
            paths = tuple(
                deliver_file(each, output, read_beside(each)) for each in drafts if not locks
            )
        if locks:
            facts = {**facts, "outcome": {**facts["outcome"], "artifacts": []}}
        told = Told(build.request, build.number, paths, frozenset(notes))
        outcome: Outcome = reading(read_outcome, facts, told)
        return outcome

    def _fetch(self, artifact: Facts, place: Path) -> Path:
        name = str(artifact["name"])
        if Path(name).name != name or not name.endswith(_RESULTS):
            raise ServiceError("server-failed", f"`{escape_line(name)}` is no name of a result")
        self._server.fetch(artifact, place / name)
        others = {f"{name}{suffix}" for suffix in BESIDE}
        for each in artifact.get("beside", ()):
            if each["name"] in others:
                self._server.fetch(each, place / each["name"])
        return place / name

    def _cancel(self) -> None:
        """End all that is not done; in a thread, which a second Ctrl-C does not interrupt."""
        self._ended.set()
        Thread(target=self._withdraw, args=tuple(self._numbers)).start()

    def _withdraw(self, *numbers: str) -> None:
        for number in numbers:
            with contextlib.suppress(ServiceError):
                self._server.ask("DELETE", f"/api/v1/builds/{number}")
