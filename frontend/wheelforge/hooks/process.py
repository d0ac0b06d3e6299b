"""A server's process, seen from the side that started it."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.hooks.protocol import HookChannel, Unserved, unpack

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

    from wheelforge.hooks.deadline import Watch
    from wheelforge.hooks.protocol import Command, Outcome

_SCRIPT = str(Path(__file__).with_name("start.py"))
_PATIENCE_SECONDS = 5.0
_GLANCE_SECONDS = 0.05
_LONGEST_IMPORT_SECONDS = 60.0
_PIECE_BYTES = 1 << 16


class Report(NamedTuple):
    """What a server saw while it imported its backend."""

    reason: str
    """Why it cannot serve, or nothing."""
    names: frozenset[str] = frozenset()
    """The variables that were read."""
    absent: frozenset[str] = frozenset()
    """The relative paths at which nothing was found."""


class ServerProcess:
    """A server that runs, until it is closed; any number of threads may use it."""

    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket) -> None:
        self._process = process
        self._channel = channel
        self._lock = threading.Lock()
        self._said = b""
        self._report: Report | None = None
        self._born = time.monotonic()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @classmethod
    def start(cls, words: list[str], environment: Mapping[str, str]) -> ServerProcess:
        """Start one; ``words`` are a Python, and whatever the server is told after its channel."""
        import subprocess

        python, *rest = words
        # Without a backend nothing of the environment is needed, and nothing of it should run.
        flags = [] if rest else ["-I", "-S"]
        ours, theirs = socket.socketpair()
        reader, writer = _open_pipe()
        try:
            process = subprocess.Popen(
                [python, *flags, _SCRIPT, str(theirs.fileno()), str(reader), *rest],
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                cwd="/" if rest else None,
                env=environment,
                pass_fds=[theirs.fileno(), reader],
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise Unserved(str(error)) from error
        finally:
            theirs.close()
            os.close(reader)
            os.close(writer)
        ours.settimeout(_PATIENCE_SECONDS)  # a server that was stopped takes no commands in the end
        return cls(process, ours)

    def await_report(self, watch: Watch) -> Report:
        """Return what the server has seen, as soon as it is ready."""
        while True:
            with self._lock:
                report = self._report = self._report or self._hear()
            if report is not None:
                return report
            if watch.is_over or time.monotonic() > self._born + _LONGEST_IMPORT_SECONDS:
                return Report(reason="the backend takes long to import")

    def run(self, command: Command, watch: Watch) -> Outcome:
        """Have a command run, and return how it ended."""
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
            return HookChannel(line, reader, watch).run(command)

    def close(self) -> None:
        """Let the server end; hooks of it that still run do so under their own eyes."""
        import subprocess

        self._channel.close()
        if self._report is None:  # it is still importing, and nobody has asked it for anything
            self._process.kill()
        try:
            self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _hear(self) -> Report | None:
        """Return the report if it comes within a moment."""
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


def _open_pipe() -> tuple[int, int]:
    """Open what a server prints into: its streams are made for a pipe, as those of a hook are.

    A null device can be seeked, and Python's streams remember that. The server holds both ends;
    neither of them ever blocks it.
    """
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    return reader, writer
