"""The measured programs: pinned peers and the checkout, each installed as its users would.

Both live in environments of their own below ``.bench`` in the checkout, made once. They are found
again as long as the pins, the Python and, for ours, the source are the same.
"""

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.support.source import ROOT

PINS = {"uv": "0.13.8", "build": "1.6.1", "pip": "26.3"}
MIRRORS = {"simple-repository-server": "0.10.0"}
"""Indexes that pass on another one."""
HOME = ROOT / ".bench"
_SOURCES = ("frontend", "isolation")
_SCRIPTS = "Scripts" if os.name == "nt" else "bin"
_SUFFIX = ".exe" if os.name == "nt" else ""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """The programs; each is installed when it is first asked for."""

    given: Path | None = None
    """A Python that has the wheelforge to be measured, instead of this checkout's."""

    @cached_property
    def wheelforge(self) -> tuple[str, ...]:
        """The words that start wheelforge."""
        return (self.python_of_ours, "-m", "wheelforge")

    @cached_property
    def python_of_ours(self) -> str:
        """The Python that has wheelforge."""
        if self.given is not None:
            return str(self.given)
        wanted = f"{ROOT}[dask,service,sign]"
        return str(_installed("wheelforge", hash_sources(), [wanted]))

    @cached_property
    def python_of_peers(self) -> str:
        """The Python that has build and pip; uv is told to use it as well."""
        pins = [f"{name}=={version}" for name, version in PINS.items()]
        return str(_installed("peers", "\n".join(pins), pins))

    @cached_property
    def python_of_mirrors(self) -> str:
        """The Python that has other indexes."""
        pins = [f"{name}=={version}" for name, version in MIRRORS.items()]
        return str(_installed("mirrors", "\n".join(pins), pins))

    @cached_property
    def uv(self) -> str:
        """The program."""
        return str(Path(self.python_of_peers).with_name(f"uv{_SUFFIX}"))


def hash_sources() -> str:
    """Return what changes with any source of this checkout."""
    paths = [ROOT / "pyproject.toml"]
    for name in _SOURCES:
        paths += sorted((ROOT / name).rglob("*.py"))
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _installed(name: str, mark: str, requirements: Iterable[str]) -> Path:
    """Return the Python of an environment with these requirements, made again if they changed."""
    home = HOME / f"{name}-{sys.implementation.cache_tag}"
    python = home / _SCRIPTS / f"python{_SUFFIX}"
    marker, mark = home / "mark", f"{mark}\n{sys.version}"
    if not marker.is_file() or marker.read_text(encoding="utf-8") != mark:
        sys.stderr.write(f"installing {name} into {home}\n")
        venv.create(home, clear=True, with_pip=True)
        _install(python, requirements)
        marker.write_text(mark, encoding="utf-8")
    return python


def _install(python: Path, requirements: Iterable[str]) -> None:
    variables = {key: value for key, value in os.environ.items() if key not in UNWANTED}
    install = [str(python), "-m", "pip", "install", "--quiet", *requirements]
    subprocess.run(install, env=variables, check=True)


UNWANTED = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV"}
"""Variables that would make an environment differ from that of its users."""
