"""Hooks that are run for real: an environment with obedient backends, and three ways to run."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import venv
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pyproject_hooks import BuildBackendHookCaller

from tests.support.source import ROOT
from wheelforge.hooks.environ import compose_environment
from wheelforge.hooks.runner import HookOptions, HookResult, HookRunner
from wheelforge.hooks.server import ForkServer

WAYS = ("fork", "spawn", "direct")
LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc, fork and signals")
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open("pids.new", "a") as file:
            file.write(str(os.getpid()))
        os.rename("pids.new", "pids")
        time.sleep(600)
    os._exit(0)
os.wait()
while not os.path.exists("pids"):
    time.sleep(0.005)
"""
"""Leaves a process behind, out of its own group; its number comes after those in `pids.new`."""
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sleep = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", sleep])
with open("pids.new", "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
os.rename("pids.new", "pids")
print("ready", flush=True)
time.sleep(600)
"""
"""Neither ends itself nor lets itself be asked to, and has a child like that."""
_OBEDIENT = ROOT / "fixtures" / "backends" / "obedient" / "obedient.py"
_PATIENCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A virtual environment that holds backends, and a project that has nothing to say."""

    path: Path
    project: Path
    endings: list[HookResult] = field(default_factory=list[HookResult])

    @classmethod
    def make(cls, parent: Path) -> Place:
        place = cls(path=parent / "environment", project=parent / "project")
        venv.create(place.path, symlinks=True, with_pip=False)
        place.project.mkdir()
        settings = '[build-system]\nrequires = []\nbuild-backend = "obedient"\n'
        (place.project / "pyproject.toml").write_text(settings, encoding="utf-8")
        place.add("obedient", _OBEDIENT.read_text(encoding="utf-8"))
        return place

    @property
    def python(self) -> str:
        return str(self.path / "bin" / "python")

    def add(self, name: str, code: str) -> None:
        """Put a module into the environment."""
        (packages,) = self.path.glob("lib/python*/site-packages")
        path = packages / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(code, encoding="utf-8")

    def world(self, **more: str) -> dict[str, str]:
        """Return the variables that hooks get here."""
        own = {"PATH": str(self.path / "bin"), "PYTHONDONTWRITEBYTECODE": "1"}
        return compose_environment({"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}, own, more)

    def terms(self, **facts: Any) -> HookOptions:
        """Return terms under which every ending is heard."""
        return HookOptions(base=self.world(), on_ending=self.endings.append, **facts)

    def serve(self, backend: str = "obedient") -> ForkServer:
        """Describe a server for the world of this place."""
        return ForkServer(python=self.python, backend=backend, environment=self.world())

    def caller(self, runner: HookRunner, backend: str = "obedient") -> BuildBackendHookCaller:
        return BuildBackendHookCaller(
            str(self.project), backend, runner=runner, python_executable=self.python
        )

    def ask(self, runner: HookRunner, code: str, backend: str = "obedient") -> Any:
        """Have a hook do that, and return its answer."""
        return self.caller(runner, backend).get_requires_for_build_wheel({"do": code})


@contextlib.contextmanager
def runners(place: Place, server: ForkServer, way: str) -> Generator[Callable[..., HookRunner]]:
    """Yield what makes runners of that way, all of which end with it."""
    with contextlib.ExitStack() as stack:

        def make(**facts: Any) -> HookRunner:
            terms = place.terms(**facts)
            if way == "fork":
                return stack.enter_context(HookRunner(terms, server))
            return stack.enter_context(HookRunner(terms, keeps=way == "spawn"))

        yield make


def is_running(pid: int) -> bool:
    """Return whether there is such a process, one that waits to be buried left out."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for evidence."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)


def read_pids(path: Path) -> list[int]:
    """Return the processes that a hook has noted."""
    return [int(word) for word in path.read_text(encoding="ascii").split()]


def wait_until_ended(path: Path) -> None:
    """Wait until none of the processes that a hook has noted is there any longer."""
    wait_until(lambda: not any(map(is_running, read_pids(path))))


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
