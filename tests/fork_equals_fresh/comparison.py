"""The process of a hook, described twice: forked from a server, and spawned."""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.support.source import ROOT
from wheelforge.hooks.environ import compose_environment
from wheelforge.hooks.in_process import BACKEND, find_hook_script
from wheelforge.hooks.runner import HookOptions, HookResult, HookRunner
from wheelforge.hooks.server import ForkServer

FACTS = ROOT / "fixtures" / "hooks" / "process_facts.py"
LIST = Path(__file__).with_name("differences.toml")
HOOK = "get_requires_for_build_wheel"
WITNESS = f"""

def {HOOK}(config_settings=None):
    import process_facts
    process_facts.write(config_settings["facts"])
    return []
"""
"""Appended to the module of a backend, so that the hook tells of its process."""
ABSENT = "-"
RANDOM = "random / "


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The states of a forked and a spawned process, and why the first is no fork, if it is none."""

    forked: Mapping[str, str]
    spawned: Mapping[str, str]
    again: Mapping[str, str]
    """Another fork of the same server."""
    objection: str

    def find_differences(self) -> dict[str, tuple[str, str]]:
        """Return all facts in which the two differ, as they are in the fork and in the other."""
        both = {
            path: (self.forked.get(path, ABSENT), self.spawned.get(path, ABSENT))
            for path in sorted(self.forked.keys() | self.spawned.keys())
        }
        return {
            path: (ours, theirs)
            for path, (ours, theirs) in both.items()
            if ours != theirs and not path.startswith(RANDOM) and self._is_in_both(path)
        }

    def _is_in_both(self, path: str) -> bool:
        """Return whether it is no fact of a module that only one of them has imported."""
        kind, *names = path.split(" / ")
        module = f"modules / {names[0]}"
        return kind != "types" or (module in self.forked) == (module in self.spawned)

    def find_repeated(self) -> list[str]:
        """Return what should be random, and is the same in two forks."""
        drawn = {path: value for path, value in self.forked.items() if path.startswith(RANDOM)}
        return [path for path, value in drawn.items() if self.again[path] == value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """An environment with a backend that tells of its process, and a project."""

    python: Path
    backend: str
    place: Path

    def prepare(self) -> None:
        """Let the backend's hook tell of its process."""
        (packages,) = self.python.parent.parent.glob("lib/*/site-packages")
        module = packages.joinpath(*self.backend.split("."))
        path = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
        if "import process_facts" not in path.read_text(encoding="utf-8"):
            with path.open("a", encoding="utf-8") as file:
                file.write(WITNESS)
        (packages / FACTS.name).write_bytes(FACTS.read_bytes())
        (self.place / "project").mkdir(parents=True, exist_ok=True)

    def compare(self) -> Pair:
        """Run the hook in a fork and in a process of its own."""
        endings: list[HookResult] = []
        base = compose_environment({"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": "/root"})
        own = {"PATH": str(self.python.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        terms = HookOptions(base=base, on_ending=endings.append)
        environment = compose_environment(base, own)
        server = ForkServer(python=str(self.python), backend=self.backend, environment=environment)
        with server, HookRunner(terms, server) as forks, HookRunner(terms) as spawns:
            forked, again = self._ask(forks, own), self._ask(forks, own)
            spawned = self._ask(spawns, own)
        return Pair(forked=forked, again=again, spawned=spawned, objection=endings[0].reason)

    def _ask(self, runner: HookRunner, own: dict[str, str]) -> dict[str, str]:
        control, facts = self.place / "control", self.place / "facts.json"
        control.mkdir(exist_ok=True)
        question = {"kwargs": {"config_settings": {"facts": str(facts)}}}
        (control / "input.json").write_text(json.dumps(question), encoding="utf-8")
        words = [str(self.python), find_hook_script().path, HOOK, str(control)]
        variables = {**own, BACKEND: self.backend}
        runner(words, str(self.place / "project"), variables)
        answer = json.loads((control / "output.json").read_bytes())
        if answer.get("no_backend"):
            raise ImportError(answer["traceback"])
        return dict(flatten(json.loads(facts.read_bytes())))


def flatten(facts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield each fact with the path that leads to it."""
    for name, value in facts.items():
        path = f"{above}{name}"
        if isinstance(value, dict):
            yield from flatten(value, f"{path} / ")
        else:
            yield path, str(value)


def find_unexplained(pair: Pair) -> dict[str, tuple[str, str]]:
    """Return the differences that are not on the list."""
    patterns: dict[str, str] = tomllib.loads(LIST.read_text(encoding="utf-8"))
    return {
        path: values
        for path, values in pair.find_differences().items()
        if not any(fnmatchcase(path, pattern) for pattern in patterns)
    }
