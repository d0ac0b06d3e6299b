"""A server that has one backend imported, and the decision whether a hook can be its fork."""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

from wheelforge.hooks.in_process import BACKEND, BACKEND_PATH, find_hook_script
from wheelforge.hooks.process import ServerProcess
from wheelforge.hooks.protocol import Unserved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wheelforge.hooks.deadline import Watch
    from wheelforge.hooks.protocol import Command, Outcome

_ANYTHING = "*"
_EARLY = frozenset({"HOME", "LANG", "TZ"})
_EARLY_PREFIXES = ("DYLD_", "GLIBC_", "LC_", "LD_", "MALLOC_", "PYTHON")
"""What a process looks at before any Python code runs."""


def can_fork() -> bool:
    """Return whether a process that has imported something may be forked here.

    On macOS, system libraries start threads of their own behind a process's back.
    """
    return hasattr(os, "fork") and hasattr(socket, "send_fds") and sys.platform != "darwin"


class ForkServer:
    """A process in a build environment that has imported a backend, and is forked for each hook.

    Keyed by all that it depends on. Starting does not wait; the first hook does.
    """

    def __init__(self, *, python: str, backend: str, environment: Mapping[str, str]) -> None:
        """Describe one; ``backend`` is as in `build-backend`, ``environment`` is complete."""
        self.python = python
        self.module = backend.partition(":")[0]
        self.environment = {**environment, BACKEND: backend}
        self._script, self._unknown = find_hook_script()
        self._lock = threading.Lock()
        self._process: ServerProcess | None = None
        self._reason = self._unknown if can_fork() else "this platform cannot fork"

    @property
    def key(self) -> tuple[str, str, frozenset[tuple[str, str]]]:
        """What tells this server from others: equal keys could share one."""
        return self.python, self.module, frozenset(self.environment.items())

    @property
    def pid(self) -> int | None:
        """The number of the process, if there is one."""
        return None if self._process is None else self._process.pid

    def start(self) -> Self:
        """Start the process, unless it was."""
        with self._lock:
            if self._process is None and not self._reason:
                words = [self.python, self._script, self.module]
                try:
                    self._process = ServerProcess.start(words, self.environment)
                except Unserved as error:
                    self._reason = f"the server cannot be started: {error}"
        return self

    def run(self, command: Command, watch: Watch) -> Outcome:
        """Run a hook as a fork; if it cannot be one, say why not."""
        reason = self._unknown or self._object(command)
        if reason:
            raise Unserved(reason)
        self.start()
        process = self._process
        if process is None:
            raise Unserved(self._reason)
        report = process.await_report(watch)
        reason = (
            report.reason
            or self._object_to_variables(command, report.names)
            or self._object_to_paths(command, report.absent)
        )
        if reason:
            raise Unserved(reason)
        try:
            outcome = process.run(command, watch)
        except Unserved:
            self._bury(process)
            raise
        if outcome.is_lost:
            self._bury(process)
        return outcome

    def close(self) -> None:
        """End the process; after that nothing is forked."""
        with self._lock:
            self._reason = "the server is closed"
            process, self._process = self._process, None
        if process is not None:
            process.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _bury(self, process: ServerProcess) -> None:
        """Have another process started for the next hook: this one has served, and is gone."""
        with self._lock:
            is_last = self._process is process
            if is_last:
                self._process = None
        if is_last:
            process.close()

    def _object(self, command: Command) -> str:
        """Return why a command is none for this server, or nothing."""
        if command.environment.get(BACKEND_PATH):
            return "the backend is in the project's own tree"
        if command.words[:2] != (self.python, self._script):
            return "it is another program"
        if command.environment.get(BACKEND, "").partition(":")[0] != self.module:
            return "it is another backend"
        if not Path(command.directory).is_absolute():
            return "it runs in a directory of this process"
        return ""

    def _object_to_variables(self, command: Command, names: frozenset[str]) -> str:
        """Return which variable the server has already used with another value, or nothing."""
        theirs, ours = command.environment, self.environment
        for name in sorted(theirs.keys() | ours.keys()):
            if theirs.get(name) != ours.get(name) and _is_used(name, names):
                return f"`{self.module}` was imported with another `{name}`"
        return ""

    def _object_to_paths(self, command: Command, absent: frozenset[str]) -> str:
        """Return which path that the server has looked for is there for the hook, or nothing."""
        for path in sorted(absent):
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


def _is_used(name: str, names: frozenset[str]) -> bool:
    return (
        name in _EARLY
        or name.startswith(_EARLY_PREFIXES)
        or name in names
        or (_ANYTHING in names and name != BACKEND)
    )
