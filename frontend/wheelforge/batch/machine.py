"""The machine that the builds of a batch share: its cores, and its memory.

Every hook has a token while it runs, and so has each further job that its tools start: there are as
many as there are cores. A tool that understands GNU make's job server takes them from the same
pipe; any other is told a number that keeps the sum at about the cores.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.build.programs import ask_version, find_programs
from wheelforge.hooks.environ import share_jobs
from wheelforge.hooks.pool import RunnerPool
from wheelforge.hooks.runner import HookRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from wheelforge.hooks.runner import HookOptions

_MAKES = ("make", "gmake")
_SINCE = (4, 4)
"""The first make that understands a job server with a name; older ones refuse to run at all."""
_VERSION = re.compile(r"GNU Make (\d+)\.(\d+)")
_PLAIN = re.compile(r"[\w./+-]+", re.ASCII)
"""Paths that have the same meaning in every makefile."""
_LOOK_SECONDS = 0.05
_PIPE_BYTES = 1 << 20
"""More than a pipe holds."""
_AVAILABLE = re.compile(r"^MemAvailable:\s+(\d+) kB$", re.MULTILINE)
_RECLAIMABLE = re.compile(r"^inactive_file (\d+)$", re.MULTILINE)
_ROOT = Path("/")


def count_cores() -> int:
    """Return how many processes can run at once."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share_out(variables: Mapping[str, str], cores: int, builds: int, server: str) -> dict[str, str]:
    """Return ``variables`` and how many jobs each of ``builds`` may have; what is given wins."""
    added = share_jobs(max(1, cores // max(1, builds)))
    if server:
        added["MAKEFLAGS"] = f" -j{cores} --jobserver-auth=fifo:{server}"
    return {**added, **variables}


def can_share(variables: Mapping[str, str]) -> bool:
    """Return whether every make that is found by ``variables`` understands our job server."""
    if not hasattr(os, "mkfifo") or "MAKEFLAGS" in variables:
        return False
    return all(map(_understands, find_programs(_MAKES, variables)))


def _understands(program: str) -> bool:
    match = _VERSION.search(ask_version([program]))
    return match is not None and (int(match[1]), int(match[2])) >= _SINCE


class Tokens:
    """The right to run, for any number of threads; with a pipe, for other processes too."""

    def __init__(
        self,
        count: int,
        pipe: int | None = None,
        find_free_memory: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._count = count
        self._pipe = pipe
        self._find_free_memory = find_free_memory
        self._running = 0
        self._is_alone = False
        """Whether the one that runs is to run alone."""
        self._wanting_alone = 0
        self._condition = threading.Condition()
        self._waits = threading.local()

    @contextlib.contextmanager
    def holding(
        self, is_cancelled: Callable[[], bool], *, is_alone: bool = False, memory_bytes: int = 0
    ) -> Generator[None]:
        """Have a token inside; go without one if nothing is to run any longer.

        With ``is_alone`` nobody else has one meanwhile; others run while as much memory is free.
        """
        start = time.monotonic()
        is_held = self._wait(is_cancelled, is_alone=is_alone, memory_bytes=memory_bytes)
        self._waits.seconds = self.waited() + time.monotonic() - start
        try:
            yield
        finally:
            if is_held:
                self._give_back()

    def waited(self) -> float:
        """Return how many seconds the calling thread has waited so far."""
        return float(getattr(self._waits, "seconds", 0.0))

    def _wait(self, is_cancelled: Callable[[], bool], *, is_alone: bool, memory_bytes: int) -> bool:
        with self._condition:
            self._wanting_alone += is_alone
            try:
                while not is_cancelled():
                    if self._is_turn(is_alone=is_alone, memory_bytes=memory_bytes) and self._take():
                        self._running += 1
                        self._is_alone = is_alone
                        return True
                    # Other processes give back without a word to us.
                    self._condition.wait(_LOOK_SECONDS)
            finally:
                self._wanting_alone -= is_alone
        return False

    def _is_turn(self, *, is_alone: bool, memory_bytes: int) -> bool:
        if is_alone or not self._running:
            return not self._running and (is_alone or not self._wanting_alone)
        if self._is_alone or self._wanting_alone:
            return False
        free = self._find_free_memory() if memory_bytes else None
        return free is None or free >= memory_bytes

    def _take(self) -> bool:
        if self._pipe is None:
            return self._running < self._count
        if not self._running:
            # Make up for processes that were killed with a token: none runs that could have one.
            with contextlib.suppress(BlockingIOError):
                os.read(self._pipe, _PIPE_BYTES)  # once: a hook may fill it faster than this
            _write(self._pipe, b"+" * self._count)
        try:
            return bool(os.read(self._pipe, 1))
        except BlockingIOError:
            return False

    def _give_back(self) -> None:
        with self._condition:
            self._running -= 1
            if self._pipe is not None:
                _write(self._pipe, b"+")
            self._is_alone = False
            self._condition.notify_all()


@contextlib.contextmanager
def open_tokens(count: int, place: Path | None) -> Generator[Tokens]:
    """Yield tokens; with a ``place``, those of the pipe that is made there."""
    if place is None:
        yield Tokens(count, None, find_free_memory)
        return
    pipe = os.open(place, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield Tokens(count, pipe, find_free_memory)
    finally:
        os.close(pipe)


def make_pipe(place: Path) -> Path | None:
    """Return a new pipe with that name, or nothing where there can be none that make can find."""
    if not _PLAIN.fullmatch(str(place)):
        return None
    try:
        os.mkfifo(place, 0o600)
    except OSError:
        return None
    return place


def _write(pipe: int, tokens: bytes) -> None:
    with contextlib.suppress(BlockingIOError):  # a hook has filled the pipe with tokens
        os.write(pipe, tokens)


class TokenPool(RunnerPool):
    """Makes runners that run no more hooks at once than there are tokens."""

    def __init__(self, tokens: Tokens) -> None:
        super().__init__()
        self.tokens = tokens

    @contextlib.contextmanager
    def open(
        self, *, python: str, backend: str, environment: Mapping[str, str], terms: HookOptions
    ) -> Generator[HookRunner]:
        """Yield a runner like any other."""
        opened = super().open(python=python, backend=backend, environment=environment, terms=terms)
        with opened as runner:
            yield _WaitingRunner(runner, self.tokens, self.is_cancelled, terms)


class _WaitingRunner(HookRunner):
    """Runs hooks by another runner, each when it has a token."""

    def __init__(
        self,
        runner: HookRunner,
        tokens: Tokens,
        is_cancelled: Callable[[], bool],
        terms: HookOptions,
    ) -> None:
        super().__init__(terms)
        self._runner = runner
        self._tokens = tokens
        self._is_cancelled = is_cancelled
        self._limits = terms

    def __call__(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        """Run one hook, when it is its turn."""
        limits = self._limits
        with self._tokens.holding(
            self._is_cancelled, is_alone=limits.is_alone, memory_bytes=limits.memory_bytes
        ):
            self._runner(cmd, cwd, extra_environ)


def find_free_memory(root: Path = _ROOT) -> int | None:
    """Return how many bytes more can be used, by the machine and by our group of processes."""
    match = _AVAILABLE.search(_read_text(root / "proc" / "meminfo"))
    found = [int(match[1]) * 1024] if match else []
    found += _list_group_rests(root)
    return min(found, default=None)


def _list_group_rests(root: Path) -> Iterator[int]:
    """Yield what each group that we are in has left, the groups around it included."""
    lines = _read_text(root / "proc" / "self" / "cgroup").splitlines()
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), None)
    if own is None:
        return
    top = root / "sys" / "fs" / "cgroup"
    for group in (top / own, *(top / own).parents):
        limit, used = (_read_text(group / f"memory.{name}").strip() for name in ("max", "current"))
        if limit.isdigit() and used.isdigit():
            cached = _RECLAIMABLE.search(_read_text(group / "memory.stat"))
            yield max(0, int(limit) - int(used) + (int(cached[1]) if cached else 0))
        if group == top:
            return


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
