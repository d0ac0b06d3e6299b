"""Backends that stay imported: servers of hooks that outlive the worker which has started them.

A worker asks for one before it starts one, and leaves its own behind when it ends. They are told
apart by all that an import can have seen: the Python, the backend, the umask, the limits, and every
variable that was read. One that is used by several workers at once does not mind.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.hooks.server import Report, ServerProcess, find_changed
from wheelforge.service import wire
from wheelforge.service.metrics import measure_memory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wheelforge.hooks.server import ForkServer

BORROW, KEEP, LENT, NONE = "borrow", "keep", "lent", "none"


class DepotClient:
    """The depot as a worker sees it: asked over a line of its own, for any thread."""

    def __init__(self, address: Path, process: str) -> None:
        """``process`` is what a hook has of its worker besides variables: umask and limits."""
        self._address = str(address)
        self._process = process

    def borrow(self, server: ForkServer) -> ServerProcess | None:
        """Return the process of a server that is just like ``server``, if there is one."""
        environment = wire.list_pairs(dict(server.environment))
        words = [BORROW, server.python, server.module, self._process, *environment]
        with contextlib.suppress(OSError, wire.WireError), self._connect() as line:
            wire.send(line, words)
            texts, files = wire.receive(line)
            if texts[:1] == [LENT]:
                facts = texts[1:]
                channel = socket.socket(fileno=files[0])
                channel.settimeout(_PATIENCE_SECONDS)
                return ServerProcess(None, channel, _read_report(facts))
        return None

    def keep(self, server: ForkServer, process: ServerProcess) -> bool:
        """Take over a process that is ready; return whether that was done."""
        report, channel = process.report, process.channel
        if report is None or channel is None or report.reason:
            return False
        facts = (len(report.names), len(report.absent), *report.names, *report.absent)
        own = (str(process.pid or 0), server.python, server.module, self._process)
        words = [KEEP, *own, *map(str, facts), *wire.list_pairs(dict(server.environment))]
        with contextlib.suppress(OSError), self._connect() as line:
            wire.send(line, words, [channel.fileno()])
            process.release()
            return True
        return False

    def _connect(self) -> socket.socket:
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(_PATIENCE_SECONDS)
        line.connect(self._address)
        return line


_PATIENCE_SECONDS = 5.0


def _read_report(facts: Sequence[str]) -> Report:
    counts, rest = tuple(map(int, facts[:2])), facts[2:]
    names, absent = rest[: counts[0]], rest[counts[0] : sum(counts)]
    return Report(reason="", names=frozenset(names), absent=frozenset(absent))


class Bounds(NamedTuple):
    """How long a server of hooks stays."""

    servers: int = 8
    idle_seconds: float = 600.0
    age_seconds: float = 3600.0
    loans: int = 500
    memory_bytes: int = 1 << 30
    """Of all that wait together, as far as that can be told."""


@dataclass
class _Kept:
    key: tuple[str, ...]
    """Python, backend, umask and limits."""
    environment: Mapping[str, str]
    report: Report
    channel: socket.socket
    program: tuple[int, ...]
    """Identifies the file of the Python: an update replaces it."""
    pid: int = 0
    born: float = field(default_factory=time.monotonic)
    used: float = field(default_factory=time.monotonic)
    loans: int = 0

    def is_alive(self) -> bool:
        poll = select.poll()
        poll.register(self.channel, select.POLLIN)
        return not poll.poll(0)  # it says nothing any more, so that anything is its end


class Depot:
    """The servers that wait; for the one thread of the event loop."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._kept: list[_Kept] = []
        self.hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._kept)

    def answer(self, words: Sequence[str], files: Sequence[int]) -> tuple[list[str], list[int]]:
        """Do what a worker asks for; return the words and files of the answer."""
        if words[0] == KEEP:
            self._take_over(words[1:], files[0])
            return [], []
        found = self._find(tuple(words[1:4]), wire.read_pairs(words[4:]))
        if found is None:
            self.misses += 1
            return [NONE], []
        self.hits += 1
        found.loans, found.used = found.loans + 1, time.monotonic()
        names, absent = found.report.names, found.report.absent
        facts = (str(len(names)), str(len(absent)), *names, *absent)
        return [LENT, *facts], [found.channel.fileno()]

    def sweep(self, *, leave: int | None = None) -> None:
        """End those that are dead, old, too many or too large; those used last stay."""
        self._end_spent(leave)
        self._limit_memory()

    def _end_spent(self, leave: int | None = None) -> None:
        now, bounds = time.monotonic(), self._bounds
        self._kept.sort(key=lambda kept: kept.used)
        surplus = len(self._kept) - (bounds.servers if leave is None else leave)
        for place, kept in enumerate(tuple(self._kept)):
            is_over = (
                place < surplus
                or now - kept.used > bounds.idle_seconds
                or now - kept.born > bounds.age_seconds
                or kept.loans >= bounds.loans
            )
            if is_over or not kept.is_alive() or kept.program != _identify(kept.key[0]):
                self._kept.remove(kept)
                kept.channel.close()

    def _limit_memory(self) -> None:
        """End those that have waited longest, until the rest is small enough."""
        sizes = [measure_memory(kept.pid) if kept.pid else 0 for kept in self._kept]
        while len(self._kept) > 1 and sum(sizes) > self._bounds.memory_bytes:
            self._kept.pop(0).channel.close()
            sizes.pop(0)

    def _find(self, key: tuple[str, ...], environment: Mapping[str, str]) -> _Kept | None:
        self._end_spent()
        for kept in reversed(self._kept):
            names = kept.report.names
            if kept.key == key and not find_changed(environment, kept.environment, names):
                return kept
        return None

    def _take_over(self, words: Sequence[str], channel: int) -> None:
        pid, key, facts = int(words[0]), tuple(words[1:4]), words[4:]
        count = 2 + int(facts[0]) + int(facts[1])
        environment = wire.read_pairs(facts[count:])
        if self._find(key, environment) is not None:  # two workers have started the same at once
            os.close(channel)
            return
        self._kept.append(
            _Kept(
                key=key,
                environment=environment,
                report=_read_report(facts),
                channel=socket.socket(fileno=channel),
                program=_identify(key[0]),
                pid=pid,
            )
        )
        self.sweep()


def _identify(program: str) -> tuple[int, ...]:
    try:
        status = Path(program).stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_mtime_ns
