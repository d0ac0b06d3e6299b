"""Processes that do what the command line does, forked from one that has everything imported.

A fork makes the same system calls as a process started from nothing, once that has loaded its
modules, and starts in a millisecond. strace is attached before it does anything.
"""

import contextlib
import ctypes
import gc
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tests.faults import installer
from tests.faults.calls import MARK, MARK_ANSWER, TRACED, Call, Reader
from tests.faults.ground import Ground

PATIENCE_SECONDS = 60.0
_SET_PTRACER, _ANYBODY = 0x59616D61, -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a process ended, and what it did."""

    status: int
    """The exit code, or the negative number of the signal that ended it."""
    output: str
    errors: str
    calls: tuple[Call, ...] = ()
    is_late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where processes run: what they may touch, and where their words go."""

    ground: Ground
    notes: Path
    """A directory beside the ground."""
    sabotage: Callable[[], None] | None = None

    def run(self, words: Sequence[str]) -> Ended:
        """Run ``wheelforge`` with those words."""
        status, is_late = wait_for(self._fork(words, is_traced=False))
        return self._describe(status, is_late=is_late)

    def trace(self, words: Sequence[str], *injections: str) -> Ended:
        """Run ``wheelforge`` with those words, doing to its system calls what is said."""
        (self.notes / "calls").unlink(missing_ok=True)
        child = self._fork(words, is_traced=True)
        command = [*self._strace(injections), "-p", str(child)]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as tracer:
            status, is_late = wait_for(child)
            complaints = tracer.communicate()[1]
        assert not complaints, complaints
        return self._describe(status, self._read_calls(), is_late=is_late)

    def preload(self) -> None:
        """Import what the last process had imported, lest every other does it again."""
        for name in (self.notes / "modules").read_text(encoding="utf-8").split():
            if name not in sys.modules:
                with contextlib.suppress(ImportError):
                    import_module(name)
        gc.freeze()

    def _fork(self, words: Sequence[str], *, is_traced: bool) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = self._become(list(words), writer, is_traced=is_traced)
            finally:
                os._exit(code)
        os.close(writer)
        # Calls are counted from when strace comes: until then, nothing may be left to be done.
        os.read(reader, 1)
        os.close(reader)
        return child

    def _become(self, words: list[str], ready: int, *, is_traced: bool) -> int:
        for name, number in (("output", 1), ("errors", 2)):
            os.dup2(os.open(self.notes / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8") for number in (1, 2))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if self.sabotage is not None:
            self.sabotage()
        os.close(ready)
        if is_traced:
            _await_tracer()
        code = _enter(words)
        if not is_traced:
            (self.notes / "modules").write_text("\n".join(sys.modules), encoding="utf-8")
        return code

    def trace_new(self, words: Sequence[str], *injections: str) -> Ended:
        """Do the same to a process that is started from nothing."""
        command = [*self._strace(injections), sys.executable, "-m", "wheelforge", *words]
        with (self.notes / "output").open("wb") as output:
            done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, check=False)
        (self.notes / "errors").write_bytes(done.stderr)
        return self._describe(done.returncode, calls=self._read_calls())

    def _strace(self, injections: Sequence[str]) -> list[str]:
        # Which calls there are depends on the release of strace: others it is to pass over.
        traced = ",".join(f"?{name}" for name in sorted({*TRACED, MARK}))
        words = ["strace", "-qq", "-y", "-s", "0", "-o", str(self.notes / "calls")]
        words += ["-e", f"trace={traced}", "-e", "signal=none"]
        for injection in (f"{MARK}:retval={MARK_ANSWER}", *injections):
            words += ["-e", f"inject={injection}"]
        return words

    def _read_calls(self) -> tuple[Call, ...]:
        text = (self.notes / "calls").read_text(encoding="utf-8", errors="replace")
        return tuple(Reader(f"{self.ground.root}/", self.ground.roots).read(text.splitlines()))

    def _describe(
        self, status: int, calls: tuple[Call, ...] = (), *, is_late: bool = False
    ) -> Ended:
        return Ended(
            status=status,
            output=(self.notes / "output").read_text(encoding="utf-8", errors="replace"),
            errors=(self.notes / "errors").read_text(encoding="utf-8", errors="replace"),
            calls=calls,
            is_late=is_late,
        )


def _enter(words: list[str]) -> int:
    from wheelforge.cli import main

    try:
        code = installer.main(words[1:]) if words[0] == "install" else main(words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # ruff: ignore[blind-except]
        traceback.print_exc()
        code = 1
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        traceback.print_exc()
        code = 120
    return code


def _await_tracer() -> None:
    ctypes.CDLL(None).prctl(_SET_PTRACER, _ANYBODY, 0, 0, 0)
    while os.getppid() != MARK_ANSWER:
        time.sleep(0.0005)


def wait_for(child: int, patience_seconds: float = PATIENCE_SECONDS) -> tuple[int, bool]:
    """Wait for a process, not for ever; return how it ended, and whether it had to be ended."""
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), False
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), True


def do_aside(work: Callable[[], None]) -> None:
    """Do something where it leaves no trace in this process."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            work()
            code = 0
        finally:
            if code:
                traceback.print_exc()
            os._exit(code)
    assert wait_for(child) == (0, False)
