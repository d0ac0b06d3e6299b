"""Environments to build in: an interpreter and exact wheels, put together once and then shared.

An environment is keyed by what the interpreter is and by the keys of its wheels. It is published
and checked like everything on a shelf, so no build changes what another one uses; bytecode is
compiled once, in the environment, and is part of what is checked.

How files get there, by what the file system can do, in this order:

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

import contextlib
import hashlib
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge_isolation.cache.trees import KEY_LENGTH
from wheelforge_isolation.files import fs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wheelforge_isolation.cache.records import About
    from wheelforge_isolation.cache.trees import LeasedTree, TreeStore
    from wheelforge_isolation.cache.wheels import StoredWheel, WheelKey, WheelStore
    from wheelforge_isolation.interpreter import Interpreter

    Fetch = Callable[[WheelKey, str], None]

_SCHEMA = "1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """A Python with what a build needs; to pypa/build it is an isolated environment."""

    path: Path
    interpreter: Interpreter
    notes: tuple[str, ...] = ()
    search_path: str = ""
    """What follows the environment's own programs in a hook's PATH."""
    item: LeasedTree | None = None
    """Nothing unless the environment is shared."""
    is_new: bool = True
    """Whether it was made for whoever has it."""

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
        if self.item is not None:
            self.item.give_back()


class EnvironmentStore:
    """The environments of one cache."""

    def __init__(self, shelf: TreeStore, wheels: WheelStore) -> None:
        self._shelf = shelf
        self._wheels = wheels

    def obtain(
        self,
        interpreter: Interpreter,
        keys: Sequence[WheelKey],
        fetch: Fetch,
        *,
        private: Path | None = None,
        search_path: str = "",
    ) -> Environment:
        """Return the environment of ``interpreter`` and those wheels, made unless it is there.

        ``private`` is a directory, empty or absent, for one that nobody else uses and that may be
        changed.
        Missing wheels are written by ``fetch`` to the path given.
        """
        fill = partial(self._fill, interpreter, keys, fetch)
        if private is not None:
            private = Path(os.path.abspath(private))
            fs.ensure_directory(str(private))
            about = fill(private, is_shared=False)
            return Environment(
                path=private,
                interpreter=interpreter,
                notes=tuple(about["notes"]),
                search_path=search_path,
            )
        made: list[Path] = []

        def fill_noted(directory: Path) -> About:
            made.append(directory)
            return fill(directory)

        item = self._shelf.obtain(_key(interpreter, keys), fill_noted)
        return Environment(
            path=item.path,
            interpreter=interpreter,
            notes=tuple(item.record.about["notes"]),
            search_path=search_path,
            item=item,
            is_new=bool(made),
        )

    def _fill(
        self,
        interpreter: Interpreter,
        keys: Sequence[WheelKey],
        fetch: Fetch,
        directory: Path,
        *,
        is_shared: bool = True,
    ) -> About:
        in_order = sorted(set(keys), key=lambda key: (key.file_name, key.sha256))
        with contextlib.ExitStack() as stack:
            wheels = self._obtain_wheels(in_order, fetch, stack)
            from wheelforge_isolation.environments.install import install

            notes = install(interpreter, wheels, directory, is_shared=is_shared)
        return {
            "notes": notes,
            "python": interpreter.implementation,
            "version": interpreter.version,
            "wheels": [key.file_name for key in in_order],
        }

    def _obtain_wheels(
        self, keys: Sequence[WheelKey], fetch: Fetch, stack: contextlib.ExitStack
    ) -> Iterator[StoredWheel]:
        """Yield each wheel as soon as it is there; ``stack`` gives all of them back."""
        for key in keys:
            wheel = self._wheels.obtain(key, partial(fetch, key))
            stack.callback(wheel.item.give_back)
            yield wheel


def adopt_environment(
    path: Path, interpreter: Interpreter, *, search_path: str = ""
) -> Environment:
    """Return an environment that belongs to the caller, as it is."""
    return Environment(path=path, interpreter=interpreter, search_path=search_path)


def _key(interpreter: Interpreter, keys: Sequence[WheelKey]) -> str:
    parts = (_SCHEMA, interpreter.identity, *sorted({key.digest for key in keys}))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:KEY_LENGTH]
