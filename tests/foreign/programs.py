"""The programs that are compared; each builds a scenario in processes of its own."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.benchmarks.peers import PINS, hash_sources
from tests.foreign.callers import INSTALLED, compose_call
from tests.foreign.environments import BACKENDS, EPOCH, Environments
from tests.foreign.matrix import BEFORE, REAL, Kind, Scenario
from tests.foreign.results import Result, read_result

_Call = tuple[Sequence[str], Mapping[str, str]]

OURS = "wheelforge"
BUILD = "build"
UV = "uv"
TIMEOUT_SECONDS = 900
_EDITABLE = Path(__file__).with_name("editable.py")
_WITH_UV = ("--installer", "uv")
_OPTIONS: Mapping[str, Mapping[Kind, Sequence[str]]] = {
    OURS: {
        Kind.BOTH: (),
        Kind.WHEEL: ("--wheel",),
        Kind.METADATA: ("--metadata",),
        Kind.EDITABLE: ("--editable",),
        Kind.HERE: ("--wheel", "--no-isolation"),
    },
    BUILD: {
        Kind.BOTH: _WITH_UV,
        Kind.WHEEL: ("--wheel", *_WITH_UV),
        Kind.METADATA: ("--metadata", *_WITH_UV),
        Kind.EDITABLE: (),
        Kind.HERE: ("--wheel", "--no-isolation"),
    },
    UV: {Kind.BOTH: (), Kind.WHEEL: ("--wheel",), Kind.HERE: ("--wheel", "--no-build-isolation")},
}


@dataclass(frozen=True, kw_only=True)
class Programs:
    """The installed programs, and what identifies them, so that results can be kept."""

    environments: Environments

    def identify(self, program: str, kind: Kind) -> str:
        """Return what changes with a program and with what it builds in."""
        parts: list[object] = [BEFORE, EPOCH, PINS]
        parts += [self._sources] if program == OURS else []
        parts += [BACKENDS] if kind is Kind.HERE else []
        parts += [INSTALLED] if kind is Kind.CALL else []
        return " ".join(map(str, parts))

    @cached_property
    def _sources(self) -> str:
        return hash_sources()

    def list_peers(self, kind: Kind) -> list[str]:
        """Return with whom a kind of build can be compared."""
        return [BUILD, UV] if kind in _OPTIONS[UV] else [BUILD]

    def run(self, program: str, scenario: Scenario, place: Path) -> Result:
        """Build a fresh copy of the source, always at the same path below ``place``."""
        source, output = self._copy_source(scenario, place), place / "out"
        command, variables = self._compose(program, scenario, source, output)
        began = time.monotonic()
        code, out, err = _run(command, variables, place)
        seconds = round(time.monotonic() - began, 2)
        try:
            return read_result(code, out, err, output, seconds)
        finally:
            shutil.rmtree(output, ignore_errors=True)  # ruff: ignore[banned-api]

    def _copy_source(self, scenario: Scenario, place: Path) -> Path:
        """Return a copy with a repository of its own, as some backends look for one."""
        if scenario.suite == REAL:
            return scenario.source
        source = place / scenario.name
        shutil.rmtree(source, ignore_errors=True)  # ruff: ignore[banned-api]
        shutil.copytree(scenario.source, source, symlinks=True)
        command = ["sh", "-c", "git init -q && git add -A && git commit -q -m all"]
        subprocess.run(command, cwd=source, env=self.environments.variables, check=True)
        return source

    def _compose(self, program: str, scenario: Scenario, source: Path, output: Path) -> _Call:
        if scenario.kind is Kind.CALL:
            callers = self.environments.enter(self.environments.get_callers(scenario.python))
            return compose_call(scenario.name, source, output, callers, is_ours=program == OURS)
        options = [str(source), *_OPTIONS[program][scenario.kind]]
        if scenario.kind is not Kind.METADATA:
            options += ["-o", str(output)]
        variables = self.environments.variables
        if scenario.kind is Kind.HERE:
            variables = self.environments.enter(self.environments.get_backends(scenario.python))
        return [*self._name_program(program, scenario), *options], variables

    def _name_program(self, program: str, scenario: Scenario) -> list[str]:
        """Return the words that start a program with the Python of the scenario."""
        environments, version, kind = self.environments, scenario.python, scenario.kind
        if program == BUILD:
            script = [str(_EDITABLE)] if kind is Kind.EDITABLE else ["-m", "build"]
            return [str(environments.get_backends(version)), *script]
        is_here = kind is Kind.HERE
        find = environments.get_backends if is_here else environments.find_python
        tools = environments.tools
        words = [tools.uv, "--no-config"] if program == UV else tools.wheelforge
        return [*words, "build", "--python", str(find(version))]


def _run(command: Sequence[str], variables: Mapping[str, str], cwd: Path) -> tuple[int, str, str]:
    with subprocess.Popen(
        command,
        env=variables,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
        errors="replace",
    ) as process:
        try:
            out, err = process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            return -signal.SIGKILL, out, f"{err}\ntimed out\n"
    return process.returncode, out, err
