"""Wheels to be fetched, a log of what was, and the environments that are made of them."""

import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.wheels import Draft
from wheelforge_isolation import Event, Interpreter, WheelKey, find_interpreter, read_wheel_key

PYENV = Path.home() / ".pyenv" / "versions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """A directory with wheels, and ``fetched``, a file with a line for each that was asked for."""

    path: Path

    @property
    def fetched(self) -> list[str]:
        log = self.path / "fetched"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def add(
        self,
        name: str = "demo",
        version: str = "1.0",
        files: Mapping[str, bytes] | None = None,
        *,
        tag: str = "py3-none-any",
        programs: frozenset[str] = frozenset(),
    ) -> WheelKey:
        """Write a wheel with those files; ``INFO`` and ``DATA`` stand for its directories."""
        stem = f"{name}-{version}"
        info = f"{stem}.dist-info"
        words = {"INFO": info, "DATA": f"{stem}.data"}
        usual = {
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        }
        given = {f"{name}.py": f"version = {version!r}\n".encode()} if files is None else files
        draft = Draft(
            files={path: text.encode() for path, text in usual.items()}
            | {_spell(path, words): content for path, content in given.items()},
            without=frozenset({"demo.py"} - given.keys()),
            programs=frozenset(_spell(path, words) for path in programs),
            dist_info=info,
        )
        self.path.mkdir(parents=True, exist_ok=True)
        path = self.path / f"{stem}-{tag}.whl"
        path.write_bytes(draft.pack())
        return read_wheel_key(path)

    def fetch(self, key: WheelKey, path: str) -> None:
        with (self.path / "fetched").open("a", encoding="utf-8") as log:
            log.write(f"{key.file_name}\n")
        self.read(key, path)

    def read(self, key: WheelKey, path: str) -> None:
        """Fetch what is not to be counted."""
        Path(path).write_bytes((self.path / key.file_name).read_bytes())


def _spell(path: str, words: Mapping[str, str]) -> str:
    top, slash, rest = path.partition("/")
    return words.get(top, top) + slash + rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """A listener that records the events of a cache."""

    events: list[Event] = field(default_factory=list["Event"])

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


def this_python(memory: Path, request: str | None = None) -> Interpreter:
    """Return the Python of the tests, or another one of this machine."""
    return find_interpreter(request or sys.executable, search=(), cache_dir=memory)


def chance_of(seed: int) -> random.Random:
    """Return a chance that decides the same every time."""
    return random.Random(seed)  # ruff: ignore[suspicious-non-cryptographic-random-usage]
