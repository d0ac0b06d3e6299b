"""One hook in flight: a line to its keeper, and a pipe that it prints into.

Hanging up is the only thing ever said on the line, so that no way of ending is special: time is
over, somebody cancels, or this process is no more. The keeper answers with the number of the hook's
process, and at the end with what became of it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import time
from typing import TYPE_CHECKING

from wheelforge._runners._terms import Outcome, Unserved
from wheelforge.errors import HookLostError

if TYPE_CHECKING:
    from wheelforge._runners._terms import Command
    from wheelforge._runners._watch import Watch

LENGTH_BYTES = 4
_SLACK_SECONDS = 10.0
"""What a keeper may take beyond the grace, on a busy machine."""
_DRAIN_SECONDS = 0.5
_MESSAGES = 2
"""Which hook it is, and what became of it."""
_PIECE_BYTES = 1 << 16


class Exchange:
    """The line to a keeper and the hook's output, both closed by whoever opened them."""

    def __init__(self, line: socket.socket, pipe: int, watch: Watch) -> None:
        self._line = line
        self._pipe = pipe
        self._watch = watch
        self._said = b""

    def run(self, command: Command) -> Outcome:
        """Have a command run, and return how it ended, by itself or by us."""
        try:
            self._line.sendall(pack(_describe(command, self._watch.grace_seconds)))
        except OSError as error:
            raise Unserved(f"the server takes no command: {error}") from error
        with self._watch.cancellation.reaching(self.end):
            late = self._follow()
        return self._read_outcome(command, late=late)

    def end(self) -> None:
        """Hang up, at which the keeper ends the hook and reports."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_WR)

    def _follow(self) -> bool:
        """Pass output on until the keeper has reported; return whether it had to be told."""
        try:
            if self._pump(self._watch.deadline):
                return False
            self.end()
            self._pump(time.monotonic() + self._watch.grace_seconds + _SLACK_SECONDS)
        except BaseException:
            self._wait_without_output()
            raise
        return True

    def _wait_without_output(self) -> None:
        self.end()
        self._line.settimeout(self._watch.grace_seconds + _SLACK_SECONDS)
        with contextlib.suppress(OSError):
            while self._line.recv(_PIECE_BYTES):
                pass

    def _pump(self, deadline: float | None) -> bool:
        """Pass output on until the keeper has reported; return whether it did so in time."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._line, selectors.EVENT_READ)
            selector.register(self._pipe, selectors.EVENT_READ)
            while deadline is None or time.monotonic() < deadline:
                pause = None if deadline is None else max(0, deadline - time.monotonic())
                ready = {key.fd for key, _ in selector.select(pause)}
                if self._pipe in ready and not self._pass_on():
                    selector.unregister(self._pipe)
                if self._line.fileno() in ready and not self._listen():
                    self._drain()
                    return True
        return False

    def _listen(self) -> bool:
        """Take in what the keeper says; return whether it has more to say."""
        try:
            piece = self._line.recv(_PIECE_BYTES)
        except ConnectionError:
            return False
        self._said += piece
        # All that it does after its last word is to end.
        return bool(piece) and len(unpack(self._said)) < _MESSAGES

    def _pass_on(self) -> bool:
        """Pass on what was printed; return whether more may come."""
        content = os.read(self._pipe, _PIECE_BYTES)
        self._watch.output.feed(content)
        return bool(content)

    def _drain(self) -> None:
        """Pass on what is still in the pipe; who holds it open now is none of ours."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        with contextlib.suppress(BlockingIOError):
            while self._pass_on() and time.monotonic() < deadline:
                pass

    def _read_outcome(self, command: Command, *, late: bool) -> Outcome:
        started, ended = (*unpack(self._said), [], [])[:2]
        if not started:
            raise Unserved("the server has ended")
        if not ended:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(int(started[0]), signal.SIGKILL)
            raise HookLostError(command.hook, self._watch.output.tail)
        status, peak_bytes, cpu_seconds, strays = ended
        return Outcome(
            status=_parse_status(status),
            peak_bytes=int(peak_bytes),
            cpu_seconds=float(cpu_seconds),
            strays=int(strays),
            late=late,
        )


def _parse_status(status: str) -> int:
    """Return the status; a process that not even SIGKILL has ended so far has none yet."""
    return -signal.SIGKILL if status == "None" else int(status)


def _describe(command: Command, grace_seconds: float) -> list[str]:
    pairs = [f"{name}={value}" for name, value in command.environment.items()]
    counts = (str(grace_seconds), command.directory, str(len(command.words)))
    return [*counts, *command.words, *pairs]


def pack(fields: list[str]) -> bytes:
    """Return a message: its length, and its strings parted by NUL."""
    if any("\0" in field for field in fields):
        raise ValueError("embedded null byte")
    content = b"\0".join(os.fsencode(field) for field in fields)
    return len(content).to_bytes(LENGTH_BYTES, "big") + content


def unpack(content: bytes) -> list[list[str]]:
    """Return the messages that are there whole."""
    messages: list[list[str]] = []
    while len(content) >= LENGTH_BYTES:
        end = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "big")
        if len(content) < end:
            break
        messages.append([os.fsdecode(field) for field in content[LENGTH_BYTES:end].split(b"\0")])
        content = content[end:]
    return messages
