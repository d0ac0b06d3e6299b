"""Processes that want to build in one directory, and say how far they have come."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.processes import _end

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_BUILDER = """
import os, sys
from pathlib import Path
from wheelforge_isolation import wait_for_turn

directory, log, name, rounds = sys.argv[1:]
log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def say(*words):
    print(*words, sep="\\t", flush=True)

def announce(holder):
    say("waiting", holder.pid, holder.label)

def build(note):
    os.write(log, f"{name}\\n".encode())
    if rounds == "1":
        say("inside", note)
        sys.stdin.read()
    os.write(log, f"-{name}\\n".encode())

try:
    for _ in range(int(rounds)):
        turn = wait_for_turn(
            Path(directory), announce, label=f"build of {name}", announce_after_seconds=0
        )
        with turn as note:
            build(note)
except KeyboardInterrupt:
    say("interrupted")
"""
"""Notes in a common log when its turn begins and when it ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """A process that has its turn, or waits for it."""

    name: str
    process: subprocess.Popen[str]
    words: list[str]
    """What it said first: ``inside`` and a note, or ``waiting``, and for whom."""

    def leave(self) -> None:
        """Let it finish, once its turn has come."""
        self.let_go()
        self.process.communicate()
        assert self.process.returncode == 0

    def let_go(self) -> None:
        """Let it finish as soon as its turn has come."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.stdin = None

    def kill(self) -> None:
        """End it where it stands."""
        self.process.kill()
        self.process.wait()

    def interrupt(self) -> str:
        """Let it hear Ctrl-C; return its last words."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate()[0]


@dataclass(slots=True, kw_only=True)
class Line:
    """All who want to build in ``directory``."""

    directory: Path
    place: Path
    """What the tests have for this: the log, and the temporary files of all."""
    processes: list[subprocess.Popen[str]] = field(default_factory=list["subprocess.Popen[str]"])

    @property
    def log(self) -> list[str]:
        """Whose turn it was, in order; a dash stands where one was over."""
        log = self.place / "log"
        return log.read_text(encoding="ascii").split() if log.exists() else []

    @property
    def litter(self) -> list[str]:
        """What they left in the directory and among the temporary files."""
        return [path.name for path in (*self.directory.iterdir(), *self.temporary.iterdir())]

    @property
    def temporary(self) -> Path:
        place = self.place / "temporary"
        place.mkdir(exist_ok=True)
        return place

    def start(
        self,
        name: str,
        directory: Path | None = None,
        *,
        rounds: int = 1,
        variables: dict[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a builder."""
        words = [str(directory or self.directory), str(self.place / "log"), name, str(rounds)]
        places = {"TMPDIR": str(self.temporary), **(variables or {})}
        process = subprocess.Popen(
            [sys.executable, "-c", _BUILDER, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **places},
        )
        self.processes.append(process)
        return process

    def join(
        self, name: str, directory: Path | None = None, *, variables: dict[str, str] | None = None
    ) -> Builder:
        """Start a builder; return when its turn has come, or when it waits in its place."""
        process = self.start(name, directory, variables=variables)
        assert process.stdout is not None
        words = process.stdout.readline().rstrip("\n").split("\t")
        assert words[0] in {"inside", "waiting"}, "it died before"
        return Builder(name=name, process=process, words=words)


@contextlib.contextmanager
def line(directory: Path, place: Path) -> Generator[Line]:
    """Yield a line in front of ``directory``; at the end all who are in it are let through."""
    directory.mkdir(exist_ok=True)
    found = Line(directory=directory, place=place)
    try:
        yield found
    finally:
        for process in found.processes:
            if process.stdin is not None:
                process.stdin.close()
                process.stdin = None
        for process in found.processes:
            _end(process)
