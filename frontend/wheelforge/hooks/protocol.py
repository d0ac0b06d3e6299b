"""One hook in flight: what it is held to, a line to its keeper, and a pipe that it prints into.

Hanging up is the only thing said on the line after the command, so that no way of ending is
special: time is over, somebody cancels, or this process is no more. The keeper answers with the
numbers of the hook's process and of its own, and at the end with what became of the hook.

A keeper that has been told to end its hook gets the grace and a little more. One that does not
answer by then, for somebody has stopped it, is killed with all that is below it.
"""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.errors import HookError

if TYPE_CHECKING:
    from wheelforge.hooks.output import Output

LENGTH_BYTES = 4
_SLACK_SECONDS = 10.0
"""The time that a keeper may take beyond the grace, on a busy machine."""
_DRAIN_SECONDS = 0.5
_GLANCE_SECONDS = 0.5
_MESSAGES = 2
"""Which hook it is, and what became of it."""
_PIECE_BYTES = 1 << 16
_HOOK_POSITION = 2


class Command(NamedTuple):
    """One hook to be run."""

    argv: tuple[str, ...]
    directory: str
    """Nothing for where the server or this process is."""
    environment: Mapping[str, str]
    umask: int | None = None
    """Nothing for that of the server or of this process."""

    @property
    def hook(self) -> str:
        """The name of the hook, or of whatever else is run."""
        return self.argv[min(_HOOK_POSITION, len(self.argv) - 1)]


class Outcome(NamedTuple):
    """The end of a hook and of all that it has started."""

    status: int
    peak_bytes: int = 0
    cpu_seconds: float = 0.0
    orphans: int = 0
    late: bool = False
    """Whether it was ended because its time was over."""
    is_lost: bool = False
    """Whether the process that should have ended it does not answer."""


class Unserved(Exception):  # ruff: ignore[error-suffix-on-exception-name]
    """A server could not take a command on; nothing has been run."""


class Cancellation:
    """Ends what is running, and whatever would start after that; with the one ``above`` it."""

    def __init__(self, above: Cancellation | None = None) -> None:
        self._above = above
        self._is_cancelled = False
        self._lock = threading.RLock()  # a signal handler may cancel while this thread has it
        self._ends: list[Callable[[], None]] = []

    def is_cancelled(self) -> bool:
        """Return whether everything is to end."""
        return self._is_cancelled or (self._above is not None and self._above.is_cancelled())

    def cancel(self) -> None:
        """Ask all that is running to end; does not wait."""
        with self._lock:
            self._is_cancelled = True
            for end in self._ends:
                end()

    @contextlib.contextmanager
    def reaching(self, end: Callable[[], None]) -> Generator[None]:
        """Have ``end`` called if this is cancelled meanwhile, or was before."""
        with self._lock:
            self._ends.append(end)
            if self._is_cancelled:
                end()
        try:
            yield
        finally:
            with self._lock:
                self._ends.remove(end)


class Watch(NamedTuple):
    """The limits of one hook while it runs, and where its output goes."""

    output: Output
    cancellation: Cancellation
    grace_seconds: float
    deadline: float | None
    """On the monotonic clock."""
    on_start: Callable[[], object]
    """Called once a process has been asked to run the hook."""

    @property
    def is_late(self) -> bool:
        """Whether its time is over."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    @property
    def is_over(self) -> bool:
        """Whether nobody waits any longer for it to end by itself."""
        return self.is_late or self.cancellation.is_cancelled()


class HookChannel:
    """The line to a keeper and the hook's output, both closed by whoever opened them."""

    def __init__(
        self,
        line: socket.socket,
        pipe: int,
        watch: Watch,
        kill_all: Callable[[], None] | None = None,
    ) -> None:
        """Talk over ``line``; where process numbers are not ours, ``kill_all`` kills the server."""
        self._line = line
        self._kill_all = kill_all
        self._pipe = pipe
        self._watch = watch
        self._unsent = b""
        self._said = b""
        self._last_moment = math.inf
        """When nothing more is expected of a keeper that was told to end its hook."""

    def run(self, command: Command) -> Outcome:
        """Have a command run, and return how it ended, by itself or by us."""
        pairs = [f"{name}={value}" for name, value in command.environment.items()]
        umask = "" if command.umask is None else str(command.umask)
        facts = (str(self._watch.grace_seconds), command.directory, umask, str(len(command.argv)))
        self._unsent = pack([*facts, *command.argv, *pairs])
        self._line.settimeout(0)
        with self._watch.cancellation.reaching(self.end):
            late = self._follow()
        return self._read_outcome(command, late=late)

    def end(self) -> None:
        """Hang up, at which the keeper ends the hook and reports."""
        patience = self._watch.grace_seconds + _SLACK_SECONDS
        self._last_moment = min(self._last_moment, time.monotonic() + patience)
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_WR)

    def _follow(self) -> bool:
        """See the hook through to its end; return whether its time was over before."""
        try:
            if self._pump(self._watch.deadline or math.inf):
                return False
            self.end()
            if not self._pump(math.inf):
                self._kill()
        except BaseException:
            self._wait_without_output()
            raise
        return self._watch.is_late

    def _wait_without_output(self) -> None:
        self.end()
        self._line.settimeout(self._watch.grace_seconds + _SLACK_SECONDS)
        try:
            while self._line.recv(_PIECE_BYTES):
                pass
        except TimeoutError:
            self._kill()
        except OSError:
            return

    def _pump(self, deadline: float) -> bool:
        """Send the command, pass output on; return whether the keeper has reported in time."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._line, selectors.EVENT_READ | selectors.EVENT_WRITE)
            selector.register(self._pipe, selectors.EVENT_READ)
            while (rest := min(deadline, self._last_moment) - time.monotonic()) > 0:
                # Another thread may cancel meanwhile, which brings the last moment nearer.
                found = {key.fd: mask for key, mask in selector.select(min(rest, _GLANCE_SECONDS))}
                if self._pipe in found and not self._pass_on():
                    selector.unregister(self._pipe)
                ready = found.get(self._line.fileno(), 0)
                if ready & selectors.EVENT_WRITE and not self._send():
                    selector.modify(self._line, selectors.EVENT_READ)
                    self._watch.on_start()
                if ready & selectors.EVENT_READ and not self._listen():
                    self._drain()
                    return True
        return False

    def _send(self) -> bool:
        """Send what the keeper takes of the command; return whether there is more."""
        try:
            self._unsent = self._unsent[self._line.send(self._unsent) :]
        except BlockingIOError:
            return True
        except OSError:  # it is gone, or we have hung up: what can be read tells the rest
            self._unsent = b""
        return bool(self._unsent)

    def _kill(self) -> None:
        """Kill a keeper that does not answer, and its hook with all that it has started."""
        if self._kill_all is not None:
            self._kill_all()
            return
        from wheelforge.hooks.serve import find_descendants

        for hook, keeper in unpack(self._said)[:1]:
            # While the keeper holds its line its number is its own.
            below = (*find_descendants(int(keeper)), *find_descendants(int(keeper)))
            for pid in (*below, int(hook), int(keeper)):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)

    def _listen(self) -> bool:
        """Take in what the keeper says; return whether it has more to say."""
        try:
            piece = self._line.recv(_PIECE_BYTES)
        except BlockingIOError:
            return True
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
        if not ended and (self._watch.cancellation.is_cancelled() or (late and not started)):
            return Outcome(status=-signal.SIGKILL, late=late, is_lost=True)
        if not started:
            raise Unserved("the server has ended")
        if not ended and self._kill_all is not None:
            self._kill_all()
        elif not ended:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(int(started[0]), signal.SIGKILL)
        if not ended:
            raise HookError("hook-lost", command.hook, self._watch.output.tail)
        status, peak_bytes, cpu_seconds, orphans = ended
        return Outcome(
            # A process that not even SIGKILL has ended so far has no status yet.
            status=-signal.SIGKILL if status == "None" else int(status),
            peak_bytes=int(peak_bytes),
            cpu_seconds=float(cpu_seconds),
            orphans=int(orphans),
            late=late,
        )


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
