"""A worker of the service: one use of the command line in a process that was forked for it.

The process takes on all that its client has: directory, variables, umask, standard streams. Nothing
of the server's is left that a hook could see. If the client goes, the command is interrupted as by
Ctrl-C; if the server does, this process ends.
"""

from __future__ import annotations

import contextlib
import json
import locale
import os
import resource
import signal
import sys
import threading
import time
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from wheelforge.build.targets import find_layout
from wheelforge.cli import run_safely
from wheelforge.cli.command_line import run_words
from wheelforge.events import BuildEvent
from wheelforge.hooks.sandbox.ladder import CHOICES, LEVELS
from wheelforge.hooks.server import ForkServer
from wheelforge.report import describe_outcome, tail_of
from wheelforge.service import wire
from wheelforge.service.depot import DepotClient

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from wheelforge.cli.command_options import CommandOptions
    from wheelforge.models import Outcome

_RUN_ELSEWHERE = {"serve", "start", "path_probe", "import_probe", "in_process", "__main__"}
"""Modules that are scripts of other processes."""
_OF_EXTRAS = {"object_store"}
"""Modules whose libraries need not be installed."""
_LIBRARIES = (
    *("build", "build.env", "pyproject_hooks", "filelock", "resolvelib", "urllib3", "tomllib"),
    *("packaging.metadata", "packaging.pylock", "packaging.markers", "packaging.tags"),
    *("encodings.ascii", "encodings.cp437", "importlib.resources.readers"),
    *("installer.records", "installer.scripts", "installer.utils", "encodings.idna"),
    *("rich.console", "rich.live", "rich.progress", "rich.table", "rich.text", "ssl", "zipfile"),
)
"""Libraries that are imported when they are needed, which in a worker is always."""
_FIELDS = tuple(field.name for field in fields(BuildEvent))


def prepare() -> None:
    """Import all that a command may need; for the process that workers are forked from."""
    import gc

    names = list(_LIBRARIES)
    for top in ("wheelforge", "wheelforge_isolation"):
        package = import_module(top)
        names += [each.name for each in walk_packages(package.__path__, f"{top}.")]
    for name in names:
        last = name.rpartition(".")[2]
        if last in _RUN_ELSEWHERE or ".service." in name:
            continue
        try:
            import_module(name)
        except ImportError:
            if last not in _OF_EXTRAS:
                raise
    from wheelforge.cli.parser import prepare_parsers

    prepare_parsers()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)


class Job(NamedTuple):
    """A command, and the process that it is done for."""

    depot: str
    cache: str
    """The cache directory of the server; another one is refused."""
    directory: str
    umask: int
    limits: str
    """As clients tell them, or the usual ones."""
    encoding: str
    errors: str
    words: list[str]
    variables: dict[str, str]

    @classmethod
    def read(cls, texts: list[str]) -> Job:
        """Return the job that a message says."""
        depot, cache, directory, umask, limits, encoding, errors, count, *rest = texts
        words, pairs = rest[: int(count)], rest[int(count) :]
        variables = wire.read_pairs(pairs)
        place = (depot, cache, directory, int(umask), limits)
        return cls(*place, encoding, errors, words, variables)


def work(line: socket.socket, streams: list[int], *, floor: str = "none") -> NoReturn:
    """Do the job that comes over ``line``, and end this process.

    Hooks are in a sandbox that promises at least the level ``floor``, whatever the client says.
    """
    code = 1
    try:
        texts, _ = wire.receive(line)
        if texts:
            code = _do(Job.read(texts), line, streams, floor)
    except Exception as error:  # ruff: ignore[blind-except]  # as the interpreter would do
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(code)


def _do(job: Job, line: socket.socket, streams: list[int], floor: str) -> int:
    lock = threading.Lock()

    def tell(*texts: str) -> None:
        with lock:
            try:
                wire.send(line, texts)
            except OSError:
                return

    _enter(job, streams)
    threading.Thread(target=_heed, args=(line,), daemon=True).start()
    ForkServer.depot = DepotClient(Path(job.depot), f"{job.umask} {job.limits}")
    observer = Observer(tell)
    try:
        _set_limits(job.limits)
        hosting = Hosting(job.cache, observer, floor)
        code = run_safely(lambda: run_words(job.words, hosting=hosting))
    except Declined as refusal:
        tell("declined", str(refusal))
        return 0
    tell("exit", str(code))
    return code


def _enter(job: Job, streams: list[int]) -> None:
    """Become like the process of the client."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.umask(job.umask)
    os.chdir(job.directory)
    os.environ.clear()
    os.environ.update(job.variables)
    time.tzset()
    with contextlib.suppress(locale.Error):
        locale.setlocale(locale.LC_CTYPE, "")
    for name, number, mode, errors in (
        ("stdin", 0, "r", job.errors),
        ("stdout", 1, "w", job.errors),
        ("stderr", 2, "w", "backslashreplace"),
    ):
        is_by_line = os.isatty(number) or name == "stderr"
        opened = open(  # ruff: ignore[open-file-with-context-handler]
            number, mode, 1 if is_by_line else -1, job.encoding, errors, closefd=False
        )
        setattr(sys, name, opened)


def _set_limits(text: str) -> None:
    """Take on the limits of the client, as far as this process may."""
    for name, _, limits in (each.partition("=") for each in text.split()):
        number = getattr(resource, name, None)
        soft, hard = map(int, limits.split(":"))
        if number is None or resource.getrlimit(number) == (soft, hard):
            continue
        most = resource.getrlimit(number)[1]
        if most != resource.RLIM_INFINITY and not 0 <= soft <= most:
            raise Declined(f"its `{name}` is lower than that of this process")
        is_lower = most == resource.RLIM_INFINITY or 0 <= hard < most
        resource.setrlimit(number, (soft, hard if is_lower else most))


def _heed(line: socket.socket) -> None:
    """Interrupt the command when the server says so; end at once when it is gone."""
    while True:
        try:
            texts, _ = wire.receive(line)
        except (OSError, wire.WireError):
            texts = []
        if not texts:
            os._exit(1)  # at which its hooks end; whatever it would still write, nobody waits for
        os.kill(os.getpid(), signal.SIGINT)


class Declined(Exception):  # ruff: ignore[error-suffix-on-exception-name]
    """The server cannot do this command; its client can."""


class Observer:
    """Tells the server what happens in the builds of the command."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell

    def on_event(self, event: BuildEvent) -> None:
        """Tell of an event."""
        # Nothing in an event is to be copied, as `asdict` would.
        self._tell("event", json.dumps({name: getattr(event, name) for name in _FIELDS}))

    def on_outcome(self, outcome: Outcome) -> None:
        """Tell how a build has ended."""
        self._tell("outcome", json.dumps(describe_outcome(outcome, tail_of(outcome))))


class Hosting(NamedTuple):
    """A command is done for somebody else."""

    cache: str
    observer: Observer
    floor: str
    """The least level of a sandbox."""

    def check(self, options: CommandOptions) -> None:
        """Decline what a server does not do; let it hear of what it does."""
        if not hasattr(options, "server"):
            raise Declined("it does no such command")
        if (
            getattr(options, "no_cache", False)
            or str(find_layout(options.cache_dir).root) != self.cache
        ):
            raise Declined(f"it has another cache, `{self.cache}`")
        options.observer = self.observer
        if hasattr(options, "sandbox"):
            raise_sandbox(options, self.floor)


def raise_sandbox(options: CommandOptions, floor: str) -> None:
    """Let a command have a sandbox of the level ``floor``, unless its own promises more."""
    least = LEVELS.index(floor)
    if options.require_sandbox in LEVELS[:least]:
        options.require_sandbox = floor
    own = options.sandbox if options.sandbox in LEVELS else "none"
    if LEVELS.index(own) < least:
        options.sandbox = floor if floor in CHOICES else "auto"
