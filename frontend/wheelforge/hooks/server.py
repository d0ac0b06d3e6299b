"""A server that has one backend imported, its process, and whether a hook can be its fork."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, ClassVar, NamedTuple, Protocol, Self

from wheelforge.hooks.in_process import BACKEND, BACKEND_PATH, find_hook_script
from wheelforge.hooks.protocol import HookChannel, Unserved, unpack

if TYPE_CHECKING:
    from wheelforge.hooks.protocol import Command, Outcome, Watch
    from wheelforge.hooks.sandbox.prefix import Prefix

_SCRIPT = str(Path(__file__).with_name("start.py"))
_PATIENCE_SECONDS = 5.0
_GLANCE_SECONDS = 0.05
_LONGEST_IMPORT_SECONDS = 60.0
_PIECE_BYTES = 1 << 16
_ANYTHING = "*"
_EARLY = frozenset({"HOME", "LANG", "TZ"})
_EARLY_PREFIXES = (
    *("DYLD_", "GLIBC_", "LC_", "LD_", "MALLOC_", "PYTHON"),
    *("GOTO_", "MKL_", "NUMEXPR_", "OMP_", "OPENBLAS_"),
)
"""Variables that a process looks at before any Python code runs, or a library when it is loaded."""


def can_fork() -> bool:
    """Return whether a process that has imported something may be forked here.

    On macOS, system libraries start threads of their own behind a process's back.
    """
    return hasattr(os, "fork") and hasattr(socket, "send_fds") and sys.platform != "darwin"


class Depot(Protocol):
    """Keeps servers that outlive the process which has started them."""

    def borrow(self, server: ForkServer) -> ServerProcess | None:
        """Return the process of a server that is just like ``server``, if there is one."""
        ...

    def keep(self, server: ForkServer, process: ServerProcess) -> bool:
        """Take over a process that is no longer needed; return whether that was done."""
        ...


class ForkServer:
    """A process in a build environment that has imported a backend, and is forked for each hook.

    Keyed by all that it depends on. Starting does not wait; the first hook does.
    """

    depot: ClassVar[Depot | None] = None
    """Asked before a process is started, and offered it in the end; of a worker of the service."""

    def __init__(
        self,
        *,
        python: str,
        backend: str,
        environment: Mapping[str, str],
        prefix: Prefix | None = None,
    ) -> None:
        """Describe one; ``backend`` is as in `build-backend`, ``environment`` is complete.

        The words of a ``prefix`` start it in a sandbox.
        """
        self.python = python
        self._prefix = prefix
        self.module = backend.partition(":")[0]
        self.environment = {**environment, BACKEND: backend}
        self.users = 0
        """How many runners use it just now; the pool counts them."""
        self._script, self._unknown = find_hook_script()
        self._lock = threading.Lock()
        self._process: ServerProcess | None = None
        self._reason = self._unknown if can_fork() else "this platform cannot fork"

    @property
    def key(self) -> tuple[object, ...]:
        """All that tells this server from others: equal keys could share one."""
        return self.python, self.module, frozenset(self.environment.items()), self._prefix

    @property
    def pid(self) -> int | None:
        """The number of the process, if there is one."""
        return None if self._process is None else self._process.pid

    def start(self) -> Self:
        """Start the process, unless it was."""
        with self._lock:
            if self._process is None and not self._reason:
                argv = [self.python, self._script, self.module]
                try:
                    depot = None if self._prefix else self.depot
                    lent = None if depot is None else depot.borrow(self)
                    self._process = lent or ServerProcess.start(
                        argv, self.environment, self._prefix
                    )
                except Unserved as error:
                    self._reason = f"the server cannot be started: {error}"
        return self

    def run(self, command: Command, watch: Watch) -> Outcome:
        """Run a hook as a fork; if it cannot be one, say why not."""
        reason = self._unknown or self._find_objection(command)
        if reason:
            raise Unserved(reason)
        self.start()
        process = self._process
        if process is None:
            raise Unserved(self._reason)
        report = process.await_report(watch)
        reason = report.reason or self._find_difference(command, report)
        if reason:
            raise Unserved(reason)
        try:
            outcome = process.run(command, watch)
        except Unserved:
            self._replace(process)
            raise
        if outcome.is_lost:
            self._replace(process)
        return outcome

    def close(self) -> None:
        """End the process; after that nothing is forked."""
        with self._lock:
            self._reason = "the server is closed"
            process, self._process = self._process, None
        depot = None if self._prefix else self.depot
        if process is not None and not (depot and depot.keep(self, process)):
            process.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _replace(self, process: ServerProcess) -> None:
        """Have another process started for the next hook: this one has served, and is gone."""
        with self._lock:
            is_last = self._process is process
            if is_last:
                self._process = None
        if is_last:
            process.close()

    def _find_objection(self, command: Command) -> str:
        """Return why a command is none for this server, or nothing."""
        if command.environment.get(BACKEND_PATH):
            return "the backend is in the project's own tree"
        if command.argv[:2] != (self.python, self._script):
            return "it is another program"
        if command.environment.get(BACKEND, "").partition(":")[0] != self.module:
            return "it is another backend"
        if not Path(command.directory).is_absolute():
            return "it runs in a directory of this process"
        return ""

    def _find_difference(self, command: Command, report: Report) -> str:
        """Return what the import has seen and a fresh process would see otherwise, or nothing."""
        name = find_changed(command.environment, self.environment, report.names)
        if name:
            return f"`{self.module}` was imported with another `{name}`"
        for path in sorted(report.absent):
            if not _is_absent(Path(command.directory, path)):
                return f"`{self.module}` looks for `{path}` when it is imported, and it is there"
        return ""


def _is_absent(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def find_changed(theirs: Mapping[str, str], ours: Mapping[str, str], names: frozenset[str]) -> str:
    """Return the first variable that was used and differs, or nothing; ``names`` were read."""
    changed = (name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name))
    return min((name for name in changed if _is_used(name, names)), default="")


def _is_used(name: str, names: frozenset[str]) -> bool:
    return (
        name in _EARLY
        or name.startswith(_EARLY_PREFIXES)
        or name in names
        or (_ANYTHING in names and name != BACKEND)
    )


class Report(NamedTuple):
    """The record of what an import has looked at."""

    reason: str
    """Why it cannot serve, or nothing."""
    names: frozenset[str] = frozenset()
    """The variables that were read."""
    absent: frozenset[str] = frozenset()
    """The relative paths at which nothing was found."""


class ServerProcess:
    """A server that runs, until it is closed; any number of threads may use it."""

    def __init__(
        self,
        process: subprocess.Popen[bytes] | None,
        channel: socket.socket,
        report: Report | None = None,
    ) -> None:
        """Talk to it over ``channel``; without a ``process`` it is not ours, and ready."""
        self._process = process
        self._channel = channel
        self._lock = threading.Lock()
        self._said = b""
        self.report = report
        """Known once it has imported the backend."""
        self._born = time.monotonic()
        self._printed: IO[bytes] | None = None
        """The other end of what a server in a sandbox prints, which may say why it has ended."""

    @property
    def pid(self) -> int | None:
        """The number of the process, if this process has started it."""
        return None if self._process is None else self._process.pid

    @property
    def channel(self) -> socket.socket | None:
        """The line by which it is told to fork, unless it is another's."""
        return self._channel if self._process is not None else None

    @classmethod
    def start(
        cls, argv: list[str], environment: Mapping[str, str], prefix: Prefix | None = None
    ) -> ServerProcess:
        """Start one; ``argv`` are a Python, and the arguments of the server after its channel.

        With a ``prefix`` it is in a sandbox, and the numbers of its processes are not ours.
        """
        python, *rest = argv
        # Without a backend nothing of the environment is needed, and nothing of it should run.
        flags = [] if rest else ["-I", "-S"]
        ours, theirs = socket.socketpair()
        # A null device can be seeked, and Python's streams remember that: the server prints into a
        # pipe, as a hook does. It holds both ends, and neither of them ever blocks it.
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        printed = open(reader, "rb", buffering=0)  # ruff: ignore[open-file-with-context-handler, builtin-open]
        try:
            command = [python, *flags, _SCRIPT, str(theirs.fileno()), str(reader), *rest]
            with prefix.opening(command) if prefix else nullcontext((command, ())) as opened:
                process = subprocess.Popen(
                    opened[0],
                    stdin=subprocess.DEVNULL,
                    stdout=writer,
                    stderr=writer,
                    cwd="/" if rest or prefix else None,
                    env=environment,
                    pass_fds=[theirs.fileno(), reader, *opened[1]],
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            printed.close()
            raise Unserved(str(error)) from error
        finally:
            theirs.close()
            os.close(writer)
        ours.settimeout(_PATIENCE_SECONDS)  # a server that was stopped takes no commands in the end
        server = cls(process, ours)
        if prefix:
            server._printed = printed
        else:
            printed.close()
        return server

    def await_report(self, watch: Watch) -> Report:
        """Return what the server has seen, as soon as it is ready."""
        while True:
            with self._lock:
                report = self.report = self.report or self._receive_report()
            if report is not None:
                return report
            if watch.is_over or time.monotonic() > self._born + _LONGEST_IMPORT_SECONDS:
                return Report(reason="the backend takes long to import")

    def run(self, command: Command, watch: Watch) -> Outcome:
        """Have a command run, and return how it ended."""
        try:
            return self._run(command, watch)
        except Unserved as error:
            said = (self._printed and self._printed.read(_PIECE_BYTES)) or b""
            *_, last = ["", *said.decode(errors="replace").split("\n")[:-1]]
            raise Unserved(f"{error}: {last}" if last else str(error)) from error

    def _run(self, command: Command, watch: Watch) -> Outcome:
        reader, writer = os.pipe()
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, reader)
            os.set_blocking(reader, False)
            line, other = socket.socketpair()
            stack.enter_context(line)
            try:
                with self._lock:
                    socket.send_fds(self._channel, [b"."], [other.fileno(), writer])
            except OSError as error:
                raise Unserved(f"the server has ended: {error}") from error
            finally:
                other.close()
                os.close(writer)
            kill = self._kill_all if self._printed else None
            return HookChannel(line, reader, watch, kill).run(command)

    def _kill_all(self) -> None:
        """Kill a server with all that it has started; inside, they may have other numbers."""
        if self._process is None:
            return
        from wheelforge.hooks.serve import find_descendants

        root = self._process.pid
        for pid in (*find_descendants(root), *find_descendants(root), root):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def release(self) -> None:
        """Leave it to somebody who has a copy of its channel."""
        self._channel.close()
        if self._process is not None:
            self._process.returncode = 0  # it outlives this process, which does not wait for it
            self._process = None

    def close(self) -> None:
        """Let the server end; hooks of it that still run do so under their own eyes."""
        if self._process is None:
            self._channel.close()
            return
        if self._printed is not None:
            self._printed.close()
        with contextlib.suppress(OSError):  # it hears that even where a copy is still open
            self._channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()
        if self.report is None:  # it is still importing, and nobody has asked it for anything
            self._process.kill()
        try:
            self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _receive_report(self) -> Report | None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ)
            if not selector.select(_GLANCE_SECONDS):
                return None
        try:
            piece = self._channel.recv(_PIECE_BYTES)
        except ConnectionError:
            piece = b""
        if not piece:
            return Report(reason="the server has ended at its start")
        self._said += piece
        for reason, count, *rest in unpack(self._said):
            names, absent = rest[: int(count)], rest[int(count) :]
            return Report(reason=reason, names=frozenset(names), absent=frozenset(absent))
        return None
