"""Random edits and builds against a model: no wheel is ever that of another state of the world."""

from __future__ import annotations

import json
import zipfile
from itertools import product
from typing import TYPE_CHECKING

import pytest

from tests.support.builds import write_project
from tests.support.reuse import World
from tests.support.stock import chance_of
from wheelforge.models import Reuse

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
import helper
files = {"demo.txt": open("demo.txt").read(), "helper.txt": helper.release}
"""
DOMAINS: dict[str, tuple[str, ...]] = {
    "CFLAGS": ("-O1", "-O2"),
    "DEMO_ROOT": ("/one", "/two", ""),
    "TERM": ("dumb", "xterm"),
    "text": ("one", "two", "three"),
    "setting": ("", "1", "2"),
    "helper": ("1.0", "2.0"),
    "limit": ("", "helper<2"),
    "compiler": ("#!/bin/sh\n", "#!/bin/sh\n#\n"),
    "BUILD_NUMBER": ("1", "2"),
    "source": ("sdist", "directory"),
}
IRRELEVANT = {"TERM"}
NEWER = b"import os\nrelease = '2.0'\nnumber = os.environ.get('BUILD_NUMBER')\n"
"""The release of a build requirement that reads a variable of a CI run."""


def apply(world: World, state: dict[str, str]) -> None:
    """Let the world be as the model says."""
    variables = {name: state[name] for name in ("CFLAGS", "DEMO_ROOT", "TERM", "BUILD_NUMBER")}
    world.variables |= {name: value for name, value in variables.items() if value}
    if not state["DEMO_ROOT"]:
        world.variables.pop("DEMO_ROOT", None)
    world.more = {"demo.txt": state["text"]}
    world.request["config_settings"] = {"x": state["setting"]} if state["setting"] else {}
    world.constraints = state["limit"]
    newer = world.path / "links" / "helper-2.0-py3-none-any.whl"
    if state["helper"] == "1.0":
        newer.unlink(missing_ok=True)
    elif not newer.exists():
        world.add_wheel("helper", "2.0", "deeper", content=NEWER)
    compiler = world.path / "bin" / "cc"
    if compiler.read_text(encoding="utf-8") != state["compiler"]:
        world.write("bin/cc", state["compiler"], mode=0o755)
    if state["source"] == "directory":
        tree = write_project(world.path / "tree", own=False, requires=(), **world.code)
        (tree / "demo.txt").write_text(state["text"], encoding="utf-8")
        world.request["source"] = tree


def read(wheel: Path) -> tuple[object, ...]:
    """Return what the backend has seen of the world, the number of the CI run last."""
    with zipfile.ZipFile(wheel) as archive:
        facts = json.loads(archive.read("willing_facts.json"))
        texts = (archive.read(name).decode() for name in ("demo.txt", "helper.txt"))
        environ = (facts["environ"].get(name, "") for name in ("CFLAGS", "DEMO_ROOT"))
        number = facts["environ"].get("BUILD_NUMBER", "")
        return (*environ, *texts, facts["settings"].get("x", ""), number)


@pytest.mark.parametrize(
    ("seed", "count"), [(1, 25), pytest.param(2, 2000, marks=pytest.mark.stress)]
)
def test_reuse__gives_nothing_stale_and_builds_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, count: int
) -> None:
    world, chance = World.make(tmp_path, monkeypatch), chance_of(seed)
    world.add_wheel("helper", "1.0", "deeper", content=b"release = '1.0'\n")
    world.code["build_wheel"] = CODE
    world.policy["reuse"] = Reuse.ALL
    state = {name: values[0] for name, values in DOMAINS.items()}
    seen = set[tuple[str, ...]]()
    for _ in range(count):
        name = chance.choice(list(DOMAINS))
        state[name] = chance.choice(DOMAINS[name])
        apply(world, state)
        used = "1.0" if state["limit"] else state["helper"]
        known = {**state, "helper": used}
        if used == "1.0":
            del known["BUILD_NUMBER"]
        inputs = tuple(known.get(each, "") for each in DOMAINS if each not in IRRELEVANT)

        outcome = world.build()

        assert outcome.verdict == ("reused" if inputs in seen else "built"), state
        expected = (state["CFLAGS"], state["DEMO_ROOT"], state["text"], used, state["setting"])
        *seen_of_world, number = read(outcome.artifacts[0].path)
        assert tuple(seen_of_world) == expected, state
        assert number == state["BUILD_NUMBER"] or used == "1.0", state
        seen.add(inputs)
    assert 1 < len(seen) < len(list(product(*DOMAINS.values())))
