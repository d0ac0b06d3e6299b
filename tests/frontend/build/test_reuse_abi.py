"""The policy `abi`: which build requirements count, what is let pass, and what is told of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.builds import WILLING, Ground, write_sdist
from tests.support.forge import Place
from tests.support.index import core_metadata
from tests.support.processes import needs
from tests.support.reuse import OVERRIDE, World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wheelforge.models import Outcome

    Change = Callable[[World], object]

pytestmark = needs(posix="tools and packages as Linux has them")
RUNTIME = "dependencies = ['deeper>=1', 'absent; extra == \\'x\\'']"
"""A wheel that needs at run time what it was built with, and something else."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World.make(tmp_path, monkeypatch)
    world.code["build_wheel"] = RUNTIME
    world.policy["reuse_policy"] = "abi"
    return world


def wheel(name: str, version: str, content: bytes = b"", *requires: str) -> Change:
    return lambda world: world.add_wheel(name, version, *requires, content=content)


def several(*changes: Change) -> Change:
    return lambda world: [change(world) for change in changes]


def mark(name: str) -> Change:
    line = f'build-requires.abi = ["{name}"]\n'
    return lambda world: setattr(world, "overrides", OVERRIDE + line)


def limit(text: str) -> Change:
    return lambda world: setattr(world, "constraints", text)


def variable(world: World) -> None:
    world.variables["CFLAGS"] = "-O3"


PASSED: dict[str, tuple[str, Change]] = {
    "nothing": ("", lambda _: None),
    "a release": ("`helper` is 2.0, was 1.0", wheel("helper", "2.0", b"", "deeper")),
    "the backend": ("`willing` is 2.0, was 1.0", wheel("willing", "2.0", WILLING.encode())),
    "other bytes": ("`helper` 1.0 is a file", wheel("helper", "1.0", b"x = 1\n", "deeper")),
    "one more": (
        "`extra` is 1.0, was nothing",
        several(wheel("extra", "1.0"), wheel("helper", "1.1", b"", "deeper", "extra")),
    ),
    "a constraint": ("constraints on build requirements are", limit("helper>=1")),
    "code that names a variable of a CI run": (
        "`helper` is 2.0, was 1.0",
        wheel("helper", "2.0", b"import os; os.environ['BUILD_NUMBER']", "deeper"),
    ),
}


@pytest.mark.parametrize("name", PASSED)
def test_abi__other_build_requirement_is_let_pass(world: World, name: str) -> None:
    sentence, change = PASSED[name]
    world.variables["BUILD_NUMBER"] = "1"
    first = world.build()
    change(world)
    world.variables["BUILD_NUMBER"] = "2"

    found = world.build("again")

    assert (first.verdict, found.verdict) == ("built", "reused")
    assert found.artifacts[0].sha256 == first.artifacts[0].sha256
    assert set(found.wheels) == set(first.wheels)  # those that it was made with
    assert (found.cause.code if found.cause else "") == ("abi" if sentence else "")
    told = found.cause.sentence if found.cause else ""
    assert (told in found.notes, sentence in told) == (bool(sentence), True)


COUNTING: dict[str, tuple[str, Change]] = {
    "a release": ("closure.wheels.deeper.version", wheel("deeper", "2.0")),
    "other bytes": ("closure.wheels.deeper.sha256", wheel("deeper", "1.0", b"x = 1\n")),
    "a release, beside another": (
        "closure.wheels.deeper.version",
        several(wheel("deeper", "2.0"), wheel("willing", "2.0", WILLING.encode())),
    ),
    "one less": ("closure.wheels.deeper", wheel("helper", "1.1")),
    "a marked one": (
        "closure.wheels.helper.version",
        several(mark("helper"), wheel("helper", "2.0", b"", "deeper")),
    ),
    "a variable": ("environment.CFLAGS", variable),
    "the sdist": ("source.sha256", lambda world: world.more.update({"demo.txt": "two"})),
}


@pytest.mark.parametrize("name", COUNTING)
def test_abi__what_counts_is_built_again_and_named(world: World, name: str) -> None:
    place, change = COUNTING[name]
    first = world.build()
    change(world)

    found = world.build("again")

    assert (first.verdict, found.verdict) == ("built", "built")
    assert found.cause is not None
    assert found.cause.place.startswith(place)


def test_abi__exact_policy_builds_what_it_let_pass(world: World) -> None:
    world.build()
    wheel("helper", "2.0", b"", "deeper")(world)
    found = [world.build("again")]
    world.policy["reuse_policy"] = "exact"
    found.append(world.build("exact"))

    assert [each.verdict for each in found] == ["reused", "built"]


def test_abi__earlier_builds_are_all_looked_at(world: World) -> None:
    def build(deeper: str, helper: str) -> Outcome:
        limit(f"deeper=={deeper}\nhelper=={helper}\n")(world)
        return world.build(f"{deeper}-{helper}")

    wheel("deeper", "2.0")(world)
    wheel("helper", "2.0", b"", "deeper")(world)
    wheel("helper", "3.0", b"", "deeper")(world)

    found = [build("1.0", "1.0"), build("2.0", "2.0"), build("1.0", "3.0")]

    assert [each.verdict for each in found] == ["built", "built", "reused"]
    assert found[2].artifacts[0].sha256 == found[0].artifacts[0].sha256


def test_abi__mark_itself_builds_nothing_again(world: World) -> None:
    world.overrides = f"{OVERRIDE}reuse = true\n"
    world.build()
    mark("helper")(world)

    assert world.build("again").verdict == "reused"


def test_abi__report_and_why_name_the_policy(tmp_path: Path) -> None:
    ground, place = Ground.make(tmp_path), Place(path=tmp_path)
    helper = {"helper.py": b"", "INFO/METADATA": core_metadata("helper", "1.0")}
    ground.stock.add("helper", "1.0", helper)
    asked = "answer = ['helper']"
    report = tmp_path / "report.json"
    source = write_sdist(tmp_path, build_wheel=RUNTIME, get_requires_for_build_wheel=asked)
    words = ground.words(source, "-o", tmp_path / "out", "--report", report)
    policy = ("--reuse-policy", "abi")
    assert place.run(*words, *policy).code == 0
    why = place.run("why", "demo", "--cache-dir", ground.cache)
    ground.stock.add(
        "helper", "2.0", {"helper.py": b"", "INFO/METADATA": core_metadata("helper", "2.0")}
    )

    done = place.run(*words, *policy, "--plan")
    assert "its wheel is in the cache\n   note: the wheel of an earlier build is used" in done.out
    assert place.run(*words, *policy).code == 0

    (facts,) = json.loads(report.read_text(encoding="utf-8"))["builds"]
    assert (facts["outcome"], facts["cause"]["code"]) == ("reused", "abi")
    assert facts["cause"]["place"] == "closure.wheels.helper.version"
    assert (facts["cause"]["before"], facts["cause"]["now"]) == ("1.0", "2.0")
    assert why.out.endswith("  it was built with `--reuse-policy abi`\n")
