"""Pythons of this machine, and programs that pretend to be one."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import needs
from wheelforge_isolation.errors import InterpreterNotFoundError
from wheelforge_isolation.interpreter import Interpreter, find_interpreter

PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
VERSIONS = ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.14t", "pypy3"]
BASH = shutil.which("bash")
IN_BIN = "Scripts" if os.name == "nt" else "bin"
_PLACES = [*map(Path, os.environ["PATH"].split(os.pathsep)), PYENV]

needs_scripts = needs(posix="scripts that are programs")
needs_bash = pytest.mark.skipif(BASH is None, reason="needs bash, to disguise a program as another")


def real(version: str, cache_dir: Path) -> Interpreter:
    """Return a Python of that version, if this machine has one."""
    try:
        return find_interpreter(version, search=_PLACES, cache_dir=cache_dir)
    except InterpreterNotFoundError:
        pytest.skip(f"there is no Python {version} here")


def from_pyenv(name: str) -> Path:
    path = PYENV / "versions" / name / "bin" / "python"
    if not path.exists():
        pytest.skip(f"pyenv has no Python {name} here")
    return path


def answer(python: Path, code: str) -> str:
    command = [str(python), "-I", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def make_environment(python: Path, root: Path, *options: str) -> Path:
    """Make a virtual environment, and return its Python."""
    subprocess.run([str(python), "-m", "venv", "--without-pip", *options, str(root)], check=True)
    return root / IN_BIN / f"python{'.exe' if os.name == 'nt' else ''}"


def write_program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{BASH or '/bin/sh'}\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def write_disguise(path: Path, *, edit: str = "", log: Path | None = None) -> Path:
    """Write a program that is the running Python to itself, and logs its calls; it may lie, too."""
    python = shlex.quote(str(Path(sys.executable).resolve()))
    logging = f"echo asked >> {shlex.quote(str(log))}\n" if log else ""
    command = f'(exec -a "$0" {python} "$@")' + (f" | sed {shlex.quote(edit)}" if edit else "")
    return write_program(path, logging + command)


def count(log: Path) -> int:
    return len(log.read_text(encoding="utf-8").splitlines())


def find(path: Path, cache_dir: Path) -> Interpreter:
    return find_interpreter(str(path), search=[], cache_dir=cache_dir)
