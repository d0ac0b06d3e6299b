"""Other processes, real ones: users of a stage that can be killed, and code without privileges."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

NOBODY = 65534
T = TypeVar("T")
_PATIENCE_SECONDS = 60

_HOLDER = """
import subprocess, sys
from pathlib import Path
from wheelforge_isolation import open_stage

parent, name, heir = sys.argv[1:]
with open_stage(Path(parent), name) as stage:
    (stage.path / "held").open("x").close()
    if heir:
        lock = stage.lock.descriptor
        subprocess.Popen([sys.executable, "-c", heir, str(lock)], pass_fds=[lock])
    print(stage.path, flush=True)
    sys.stdin.read()
"""
"""Stays in a stage until its input ends; its marker betrays whoever shares one."""

_HEIR = "import os, sys; sys.stdin.read(); os.close(int(sys.argv[1]))"
"""Outlives the holder that it inherited the lock from, until their common input ends."""

_UNPRIVILEGED = f"""
import os, sys
from pathlib import Path
import packaging.utils, packaging.version  # what is imported later, out of our reach then
from wheelforge_isolation import ForgeError, collect_garbage, collect_stages, open_stage, unpack
from wheelforge_isolation.files.fs import remove_tree

os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process in a stage of its own."""

    path: Path
    process: subprocess.Popen[str]

    def leave(self) -> None:
        """Let it end as it should."""
        self.end()
        assert self.process.returncode == 0

    def end(self) -> None:
        """End the input of the process and its heirs, and wait until all of them are through."""
        _end(self.process)

    def kill(self) -> None:
        """End it where it stands."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def holders(parent: Path, *names: str, with_heir: bool = False) -> Generator[list[Holder]]:
    """Yield one process for each of ``names``, all of them in their stages at the same time."""
    command = [sys.executable, "-c", _HOLDER, str(parent)]
    heir = _HEIR if with_heir else ""
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(_pipes([*command, name, heir])) for name in names]
        for process in processes:
            stack.callback(_end, process)
        paths = [_read_path(process) for process in processes]
        yield [
            Holder(path=path, process=process)
            for path, process in zip(paths, processes, strict=True)
        ]


def kill_holder(parent: Path, name: str) -> Path:
    """Leave what a process killed in its stage leaves, and return where."""
    with holders(parent, name) as (holder,):
        holder.kill()
    return holder.path


def run_unprivileged(directory: Path, code: str, *, before: str = "") -> str:
    """Run ``code`` without privileges in ``directory``, and return its output.

    The directory is given to that user. Paths are to be relative: what lies above may be closed.
    What it imports late, ``before`` has to have loaded.
    """
    if os.geteuid() == 0:
        os.chown(directory, NOBODY, NOBODY)
    program = f"import filelock\n{before}{_UNPRIVILEGED}{code}"
    command = [sys.executable, "-c", program, str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def measure_peak() -> int:
    """Return how many bytes this process has needed at most, or 0 where that is not known.

    `getrusage` would count the memory of the process that started this one, too.
    """
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))


def needs(*, posix: str) -> pytest.MarkDecorator:
    """Skip where the system has no such thing, saying what it is."""
    return pytest.mark.skipif(os.name != "posix", reason=f"needs {posix}")


@contextlib.contextmanager
def in_threads(*functions: Callable[[], T]) -> Generator[list[T]]:
    """Run each function in a thread while the block runs; yield their answers, as they come."""
    answers: list[T] = []
    threads = [
        threading.Thread(target=lambda function=function: answers.append(function()))
        for function in functions
    ]
    for thread in threads:
        thread.start()
    yield answers  # ruff: ignore[fallible-context-manager]  # who fails may never let them end
    for thread in threads:
        thread.join()


def run_at_once(*functions: Callable[[], T]) -> list[T]:
    """Run each function in a thread, and wait for all of them; return their answers."""
    with in_threads(*functions) as answers:
        pass
    return answers


def _pipes(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _read_path(process: subprocess.Popen[str]) -> Path:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the process died before it had its stage"
    return Path(line.rstrip("\n"))


def _end(process: subprocess.Popen[str]) -> None:
    try:
        process.communicate(timeout=_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
