"""An environment with setuptools and wheel that was made before: ours found, uv's made again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.pairing import FAST_DISK, Contender, measure, show
from tests.corpus import WHEELS, fetch_missing, parse_name
from wheelforge_isolation import Layout, find_interpreter, open_cache, read_wheel_key

if TYPE_CHECKING:
    from wheelforge_isolation import Event, Interpreter, WheelKey

NAMES = {"setuptools", "wheel", "packaging"}


def run(rounds: int) -> None:
    """Compare: found, leased and checked, with what uv does from its warm cache."""
    fetch_missing(WHEELS)
    wheels = [listed.path for listed in WHEELS if parse_name(listed.file) in NAMES]
    ground = FAST_DISK if FAST_DISK.is_dir() else None
    with tempfile.TemporaryDirectory(dir=ground) as place:
        ours = WheelforgeCache(Path(place), wheels)
        contenders: dict[str, Contender] = {
            "wheelforge": ours.find,
            "wheelforge, cache opened": ours.open_and_find,
        }
        uv = shutil.which("uv")
        if uv is None:
            sys.stdout.write("uv is missing: put it on PATH to compare with it\n")
        else:
            contenders["uv venv, uv pip install"] = UvCache(uv, Path(place), wheels).make
        with ours:
            seconds = measure(contenders, rounds)
    show("environment with setuptools and wheel", seconds, next(reversed(contenders)))


class WheelforgeCache:
    """A cache in which the environment is."""

    def __init__(self, place: Path, wheels: list[Path]) -> None:
        self._layout = Layout(root=place / "wheelforge")
        self._wheels = {wheel.name: wheel for wheel in wheels}
        self._keys = [read_wheel_key(wheel) for wheel in wheels]
        memory = self._layout.interpreters
        self._python: Interpreter = find_interpreter(sys.executable, search=(), memory=memory)
        self._opened = open_cache(self._layout, ignore)

    def __enter__(self) -> None:
        self._cache = self._opened.__enter__()

    def __exit__(self, *_: object) -> None:
        self._opened.__exit__(None, None, None)

    def find(self, _: Path) -> None:
        """Find, lease and check it in a cache that is open, as for each build of many."""
        obtain = self._cache.environments.obtain
        obtain(self._python, self._keys, self._fetch).give_back()

    def open_and_find(self, _: Path) -> None:
        """Do the same, and what comes before and after it, as for a single build."""
        with open_cache(self._layout, ignore) as cache:
            cache.environments.obtain(self._python, self._keys, self._fetch).give_back()

    def _fetch(self, key: WheelKey, path: str) -> None:
        Path(path).write_bytes(self._wheels[key.file_name].read_bytes())


class UvCache:
    """A cache of uv's, warm after the first round; links and no bytecode, as is its custom."""

    def __init__(self, uv: str, place: Path, wheels: list[Path]) -> None:
        self._uv = uv
        self._wheels = wheels
        self._environ = os.environ | {"UV_CACHE_DIR": str(place / "uv"), "UV_NO_CONFIG": "1"}

    def make(self, place: Path) -> None:
        """Make the environment."""
        python = str(place / "made" / "bin" / "python")
        self._run("venv", "--python", sys.executable, str(place / "made"))
        install = ("pip", "install", "--offline", "--no-deps", "--python", python)
        self._run(*install, *map(str, self._wheels))

    def _run(self, *words: str) -> None:
        subprocess.run([self._uv, *words], env=self._environ, capture_output=True, check=True)


def ignore(_: Event) -> None:
    """Hear of an event and do nothing about it."""
