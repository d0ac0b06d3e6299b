"""Builders of one directory: never two at once, in their order, and no dead one in the way."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.filesystems.mounts import mounted
from tests.processes import needs
from tests.stock import chance_of
from tests.turns import line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.turns import Builder, Line

pytestmark = needs(posix="TMPDIR and signals")

NAMES = ("one", "two", "three", "four", "five")


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Line]:
    with line(tmp_path / "project", tmp_path) as found:
        yield found


def turns(*names: str) -> list[str]:
    """Return what the log says of turns of which each was over before the next one began."""
    return [word for name in names for word in (name, f"-{name}")]


def finish(builders: list[Builder]) -> None:
    """Let all of them go at once, so that only their places decide."""
    for builder in builders:
        builder.let_go()
    for builder in builders:
        builder.process.communicate()


def test_turns_are_taken_in_the_order_of_arrival(waiting: Line) -> None:
    builders = [waiting.join(name) for name in NAMES]

    finish(builders[::-1])

    assert [builder.words[0] for builder in builders] == ["inside"] + ["waiting"] * 4
    assert waiting.log == turns(*NAMES)
    assert waiting.litter == []


def test_all_who_wait_are_told_who_builds(waiting: Line) -> None:
    builders = [waiting.join(name) for name in NAMES[:3]]

    pid = str(builders[0].process.pid)
    assert builders[1].words == builders[2].words == ["waiting", pid, "build of one"]


@pytest.mark.parametrize("number", range(len(NAMES)))
def test_the_place_of_a_killed_one_is_free_wherever_he_was(waiting: Line, number: int) -> None:
    builders = [waiting.join(name) for name in NAMES]

    builders.pop(number).kill()
    finish(builders)

    others = [name for name in NAMES if name != NAMES[number]]
    assert waiting.log == ["one"] * (number == 0) + turns(*others)
    assert waiting.litter == []


def test_who_comes_after_all_were_killed_finds_the_directory_free(waiting: Line) -> None:
    for builder in [waiting.join(name) for name in NAMES[:4]][::-1]:
        builder.kill()

    last = waiting.join("five")
    last.leave()

    assert last.words[0] == "inside"
    assert waiting.litter == []


def test_who_is_interrupted_leaves_the_line(waiting: Line) -> None:
    builders = [waiting.join(name) for name in NAMES[:3]]

    words = builders.pop(1).interrupt()
    finish(builders)

    assert words == "interrupted\n"
    assert waiting.log == turns("one", "three")
    assert waiting.litter == []


def test_who_is_interrupted_while_he_builds_lets_the_next_one_in(waiting: Line) -> None:
    first, second = (waiting.join(name) for name in NAMES[:2])

    words = first.interrupt()
    second.leave()

    assert words == "interrupted\n"
    assert waiting.log == ["one", *turns("two")]
    assert waiting.litter == []


def test_neither_another_cache_nor_another_home_or_path_is_a_way_around(waiting: Line) -> None:
    link = waiting.place / "link"
    link.symlink_to(waiting.directory)
    builders = [
        waiting.join("one"),
        waiting.join("two", link),
        waiting.join("three", variables={"HOME": str(link), "XDG_CACHE_HOME": str(link)}),
        waiting.join("four", waiting.directory / ".." / "project"),
    ]

    finish(builders)

    assert waiting.log == turns(*NAMES[:4])
    assert waiting.litter == []


def test_who_has_another_place_for_temporary_files_waits_all_the_same(waiting: Line) -> None:
    elsewhere = waiting.place / "elsewhere"
    elsewhere.mkdir()
    first = waiting.join("one")
    second = waiting.join("two", variables={"TMPDIR": str(elsewhere)})

    finish([second, first])

    assert second.words == ["waiting", "0", ""]
    assert waiting.log == turns("one", "two")
    assert [*waiting.litter, *elsewhere.iterdir()] == []


def test_a_directory_within_a_directory_is_another_one(waiting: Line) -> None:
    nested = waiting.directory / "nested"
    nested.mkdir()

    builders = [waiting.join("one"), waiting.join("two", nested)]

    assert [builder.words[0] for builder in builders] == ["inside", "inside"]


@pytest.mark.parametrize("rounds", [10, pytest.param(500, marks=pytest.mark.stress)])
def test_of_many_that_come_and_go_at_once_there_are_never_two_inside(
    waiting: Line, rounds: int
) -> None:
    processes = [waiting.start(name, rounds=rounds) for name in NAMES]

    for process in processes:
        process.communicate()

    assert [process.returncode for process in processes] == [0] * len(NAMES)
    assert waiting.log == turns(*(word for word in waiting.log if word[0] != "-"))
    assert sorted(waiting.log) == sorted(turns(*NAMES) * rounds)
    assert waiting.litter == []


@pytest.mark.parametrize("kills", [15, pytest.param(500, marks=pytest.mark.stress)])
def test_however_many_are_killed_the_others_go_on_and_are_never_two(
    waiting: Line, kills: int
) -> None:
    chance = chance_of(17)
    builders = [waiting.join(f"b{number}") for number in range(4)]

    for number in range(kills):
        builders.pop(chance.randrange(len(builders))).kill()
        builders.append(waiting.join(f"c{number}"))
    finish(builders)

    entered = [word for word in waiting.log if word[0] != "-"]
    left = [word[1:] for word in waiting.log if word[0] == "-"]
    survivors = [builder.name for builder in builders]
    sys.stdout.write(f"{len(entered)} turns, {kills} killed\n")
    assert left == survivors
    assert waiting.log[-2 * len(builders) :] == turns(*survivors)
    assert waiting.litter == []


@pytest.mark.filesystems
@pytest.mark.parametrize("kind", ["exfat", "ntfs", "btrfs"])
def test_every_file_system_keeps_the_order(tmp_path: Path, kind: str) -> None:
    with (
        mounted(kind, tmp_path / "mount") as place,
        line(place / "project", tmp_path) as waiting,
    ):
        builders = [waiting.join(name) for name in NAMES[:3]]

        finish(builders)

        assert [builder.words[0] for builder in builders] == ["inside", "waiting", "waiting"]
        assert waiting.log == turns(*NAMES[:3])
        assert waiting.litter == []
