"""An environment with setuptools and wheel that was made before: ours found, uv's made again."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.figures import Result, Row
from tests.benchmarks.pairing import Contender, fast_disk, measure
from tests.benchmarks.world import Bench, SkipError
from tests.support.corpus import WHEELS, fetch_missing, parse_name
from wheelforge_isolation import (
    Event,
    Interpreter,
    Layout,
    WheelKey,
    find_interpreter,
    open_cache,
    read_wheel_key,
)

NAMES = {"setuptools", "wheel", "packaging"}
BASE = "uv venv, uv pip install"


def run(bench: Bench) -> Result:
    """Compare: found, leased and checked, with what uv does from its warm cache."""
    problems = fetch_missing(WHEELS)
    if problems:
        raise SkipError(problems[0])
    wheels = [listed.path for listed in WHEELS if parse_name(listed.file) in NAMES]
    with tempfile.TemporaryDirectory(dir=fast_disk()) as place:
        ours = WheelforgeCache(Path(place), wheels)
        contenders = {
            "wheelforge": Contender(ours.find, is_here=True),
            "wheelforge, cache opened": Contender(ours.open_and_find, is_here=True),
            BASE: Contender(UvCache(bench.tools.uv, Path(place), wheels).make),
        }
        with ours:
            samples = measure(contenders, bench.rounds, fast_disk())
    row = Row(title="setuptools and wheel", samples=samples, base=BASE)
    notes = ["ours in this process, uv two processes"]
    title = "an environment that was made before"
    return Result(name="environments", title=title, rows=[row], notes=notes)


class WheelforgeCache:
    """A cache in which the environment is."""

    def __init__(self, place: Path, wheels: list[Path]) -> None:
        self._layout = Layout(root=place / "wheelforge")
        self._wheels = {wheel.name: wheel for wheel in wheels}
        self._keys = [read_wheel_key(wheel) for wheel in wheels]
        memory = self._layout.interpreters
        self._python: Interpreter = find_interpreter(sys.executable, search=(), cache_dir=memory)
        self._opened = open_cache(self._layout, ignore)

    def __enter__(self) -> None:
        self._cache = self._opened.__enter__()

    def __exit__(self, *_: object) -> None:
        self._opened.__exit__(None, None, None)

    def find(self, _: Path) -> None:
        """Find, lease and check it in a cache that is open, as for each build of many."""
        get_or_create = self._cache.environments.get_or_create
        get_or_create(self._python, self._keys, self._fetch).give_back()

    def open_and_find(self, _: Path) -> None:
        """Do the same, and what comes before and after it, as for a single build."""
        with open_cache(self._layout, ignore) as cache:
            cache.environments.get_or_create(self._python, self._keys, self._fetch).give_back()

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
