"""The programs that are compared; each builds a scenario in processes of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.peers import PINS, Tools, hash_sources
from tests.foreign.matrix import BEFORE, HOME, REAL, Kind, Scenario
from tests.foreign.results import Result, read_result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OURS = "wheelforge"
BUILD = "build"
UV = "uv"
EPOCH = "1700000000"
TIMEOUT_SECONDS = 600
_PLAIN = ("PATH", "LANG", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")
_BACKENDS = (
    *("setuptools", "wheel", "flit-core", "hatchling", "poetry-core", "pdm-backend"),
    *("meson-python", "scikit-build-core", "ninja", "cython", "pybind11", "uv-build"),
)
_INSTALLING = threading.Lock()
_EDITABLE = Path(__file__).with_name("editable.py")


@dataclass(frozen=True, kw_only=True)
class Programs:
    """The installed programs, and what identifies them, so that results can be kept."""

    tools: Tools
    home: Path = HOME

    @cached_property
    def identities(self) -> dict[str, str]:
        """What changes with each program."""
        peers = f"{BEFORE} {EPOCH} {PINS}"
        return {OURS: f"{peers} {hash_sources()}", BUILD: peers, UV: peers}

    def list_peers(self, kind: Kind) -> list[str]:
        """Return with whom a kind of build can be compared; uv has no command for two of them."""
        return [BUILD] if kind in {Kind.METADATA, Kind.EDITABLE} else [BUILD, UV]

    def run(self, program: str, scenario: Scenario, place: Path) -> Result:
        """Build a fresh copy of the source, always at the same path below ``place``."""
        source, output = _copy_source(scenario, place), place / "out"
        command = [*self._compose(program, scenario, source, output)]
        began = time.monotonic()
        variables = self.variables
        if scenario.kind is Kind.HERE:
            programs = Path(self.get_backends_python(scenario.python)).parent
            variables = {**variables, "PATH": f"{programs}{os.pathsep}{variables['PATH']}"}
        code, out, err = _run(command, variables, place)
        seconds = round(time.monotonic() - began, 2)
        try:
            return read_result(code, out, err, output, seconds)
        finally:
            shutil.rmtree(output, ignore_errors=True)  # ruff: ignore[banned-api]

    def _compose(
        self, program: str, scenario: Scenario, source: Path, output: Path
    ) -> Sequence[str]:
        is_here = scenario.kind is Kind.HERE
        find = self.get_backends_python if is_here else self.find_python
        python = find(scenario.python)
        match program:
            case "wheelforge":
                words = [*self.tools.wheelforge, "build", str(source), "--python", python]
                return [*words, *_OPTIONS[scenario.kind], *_name_output(scenario.kind, output)]
            case "uv":
                words = [self.tools.uv, "build", str(source), "--python", python, "--no-config"]
                isolation = ["--no-build-isolation"] if is_here else []
                only = ["--wheel"] if scenario.kind is not Kind.BOTH else []
                return [*words, *isolation, *only, "--out-dir", str(output)]
            case _:
                return self._compose_build(scenario, source, output)

    def _compose_build(self, scenario: Scenario, source: Path, output: Path) -> Sequence[str]:
        python = self.get_backends_python(scenario.python)
        if scenario.kind is Kind.EDITABLE:
            return [python, str(_EDITABLE), str(source), str(output)]
        words = [python, "-m", "build", str(source), *_OPTIONS[scenario.kind]]
        installer = ["--installer", "uv"] if scenario.kind is not Kind.HERE else []
        return [*words, *installer, *_name_output(scenario.kind, output)]

    def find_python(self, version: str) -> str:
        """Return the path of that Python, as uv finds it."""
        return version if Path(version).is_absolute() else _find_python(self.tools.uv, version)

    def get_backends_python(self, version: str) -> str:
        """Return the Python of an environment with ``build`` and the usual backends."""
        home = self.home / f"backends-{version}"
        python, mark = home / "bin" / "python", f"{BEFORE} {PINS} {_BACKENDS}"
        marker = home / "mark"
        with _INSTALLING:
            if not marker.is_file() or marker.read_text(encoding="utf-8") != mark:
                self._install_backends(home, version)
                marker.write_text(mark, encoding="utf-8")
        return str(python)

    def _install_backends(self, home: Path, version: str) -> None:
        python = self.find_python(version)
        pins = [f"build=={PINS['build']}", f"uv=={PINS['uv']}"]
        make = [self.tools.uv, "venv", "--clear", "--quiet", "--python", python, str(home)]
        install = [self.tools.uv, "pip", "install", "--quiet", "--python", str(home)]
        for command in (make, [*install, *pins, *_BACKENDS]):
            subprocess.run(command, env=self.variables, check=True)

    @cached_property
    def variables(self) -> dict[str, str]:
        """The same variables for all programs; each reads those that are its own."""
        plain = {name: os.environ[name] for name in _PLAIN if name in os.environ}
        home = self.home / "home"
        home.mkdir(parents=True, exist_ok=True)
        return {
            **plain,
            "HOME": str(home),
            "NO_COLOR": "1",
            "SOURCE_DATE_EPOCH": EPOCH,
            "PIP_CONFIG_FILE": os.devnull,
            "UV_CACHE_DIR": str(self.home / "uv"),
            "UV_EXCLUDE_NEWER": BEFORE,
            "UV_PYTHON_DOWNLOADS": "never",
            "WHEELFORGE_CACHE_DIR": str(self.home / "cache"),
            "WHEELFORGE_EXCLUDE_NEWER": BEFORE,
            "CARGO_NET_OFFLINE": "true",
        }


_OPTIONS: Mapping[Kind, Sequence[str]] = {
    Kind.BOTH: (),
    Kind.WHEEL: ("--wheel",),
    Kind.METADATA: ("--metadata",),
    Kind.EDITABLE: ("--editable",),
    Kind.HERE: ("--wheel", "--no-isolation"),
}


def _name_output(kind: Kind, output: Path) -> Sequence[str]:
    return () if kind is Kind.METADATA else ("--outdir", str(output))


@cache
def _find_python(uv: str, version: str) -> str:
    command = [uv, "python", "find", "--no-project", "--no-config", "--system", version]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _copy_source(scenario: Scenario, place: Path) -> Path:
    if scenario.suite == REAL:
        return scenario.source
    source = place / scenario.name
    shutil.rmtree(source, ignore_errors=True)  # ruff: ignore[banned-api]
    shutil.copytree(scenario.source, source, symlinks=True)
    return source


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
