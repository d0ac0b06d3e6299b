"""Environments of a cache: each put together once, then shared, and checked like every tree.

An environment is keyed by what the interpreter is and by the keys of its wheels, so no build
changes what another one uses. A private one, which may be changed, has no key and is not kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge_isolation.cache.trees import KEY_LENGTH
from wheelforge_isolation.environments.environment import Environment
from wheelforge_isolation.files import fs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wheelforge_isolation.cache.records import About
    from wheelforge_isolation.cache.trees import TreeStore
    from wheelforge_isolation.cache.wheels import WheelKey, WheelStore
    from wheelforge_isolation.environments.install import UnpackedWheel
    from wheelforge_isolation.interpreter import Interpreter

    Fetch = Callable[[WheelKey, str], None]

_SCHEMA = "1"


class EnvironmentStore:
    """The environments of one cache."""

    def __init__(self, trees: TreeStore, wheels: WheelStore) -> None:
        self._trees = trees
        self._wheels = wheels

    def get_or_create(
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
        changed. Missing wheels are written by ``fetch`` to the path given.
        """
        made: list[Path] = []

        def fill(directory: Path) -> About:
            made.append(directory)
            return self._fill(interpreter, keys, fetch, directory, is_shared=private is None)

        if private is None:
            tree = self._trees.get_or_create(_key(interpreter, keys), fill)
            path, about, release = tree.path, tree.record.about, tree.give_back
        else:
            path, release = Path(os.path.abspath(private)), None
            fs.ensure_directory(str(path))
            about = fill(path)
        return Environment(
            path=path,
            interpreter=interpreter,
            notes=tuple(about["notes"]),
            search_path=search_path,
            release=release,
            is_new=bool(made),
        )

    def is_likely_here(self, interpreter: Interpreter, keys: Sequence[WheelKey]) -> bool:
        """Return whether the environment is there at a glance; nothing is promised."""
        return self._trees.is_likely_here(_key(interpreter, keys))

    def _fill(
        self,
        interpreter: Interpreter,
        keys: Sequence[WheelKey],
        fetch: Fetch,
        directory: Path,
        *,
        is_shared: bool,
    ) -> About:
        from wheelforge_isolation.environments.install import UnpackedWheel, install

        in_order = sorted(set(keys), key=lambda key: (key.file_name, key.sha256))

        def obtain_wheels() -> Iterator[UnpackedWheel]:
            for key in in_order:  # each is installed as soon as it is there
                tree = self._wheels.get_or_create(key, partial(fetch, key)).item
                stack.callback(tree.give_back)
                yield UnpackedWheel(key.file_name, tree.path, tree.record.about)

        with contextlib.ExitStack() as stack:
            notes = install(interpreter, obtain_wheels(), directory, is_shared=is_shared)
        return {
            "notes": notes,
            "python": interpreter.implementation,
            "version": interpreter.version,
            "wheels": [key.file_name for key in in_order],
        }


def _key(interpreter: Interpreter, keys: Sequence[WheelKey]) -> str:
    parts = (_SCHEMA, interpreter.identity, *sorted({key.digest for key in keys}))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:KEY_LENGTH]
