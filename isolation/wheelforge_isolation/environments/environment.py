"""Environments to build in: an interpreter and exact wheels.

Bytecode is compiled once, in the environment, and is part of what is checked. How files get there,
by what the file system can do, in this order:

- *reflink* (XFS, btrfs): a file of its own that shares the blocks until one of the two is written
  to. No risk.
- *hard link*: one file with two names. A backend that writes into its own environment in place
  changes the cached wheel as well; size and time tell, before either is used again, and both are
  made anew. A file system may also refuse further links to a file. Never in a private environment.
- *copy*: slow, and takes the space again. No risk.

Where two wheels bring one path with the same content, one of them owns it. With different contents
the wheel whose file name sorts last wins, whatever the order of arrival, and a note names both.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wheelforge_isolation.interpreter import Interpreter


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """A Python with what a build needs; to pypa/build it is an isolated environment."""

    path: Path
    interpreter: Interpreter
    notes: tuple[str, ...] = ()
    search_path: str = ""
    """The part of a hook's PATH behind the environment's own programs."""
    release: Callable[[], None] | None = None
    """Nothing unless the environment is shared."""
    is_new: bool = True
    """Whether it was made for this use."""

    @property
    def python_executable(self) -> str:
        """The environment's own Python."""
        scripts = Path(self.scripts_directory)
        return str(scripts / ("python.exe" if os.name == "nt" else "python"))

    @property
    def scripts_directory(self) -> str:
        """Where the environment's programs are."""
        return str(self.path / self.interpreter.scheme.scripts)

    def make_extra_environ(self) -> dict[str, str]:
        """Return the variables that a process in the environment needs."""
        found = [self.scripts_directory, *filter(None, [self.search_path])]
        # Bytecode is there, compiled; what a Python with other options adds would count as damage.
        return {
            "PATH": os.pathsep.join(found),
            "VIRTUAL_ENV": str(self.path),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def give_back(self) -> None:
        """Say that the environment is no longer in use here."""
        if self.release is not None:
            self.release()


def adopt_environment(
    path: Path, interpreter: Interpreter, *, search_path: str = ""
) -> Environment:
    """Return an environment that belongs to the caller, as it is."""
    return Environment(path=path, interpreter=interpreter, search_path=search_path)
