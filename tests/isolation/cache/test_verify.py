"""Verification: every kind of damage is found, and mended without a network."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.caches import NOTHING, crowd, fill_cache, ignore, users, versions, write_wheels
from wheelforge_isolation import (
    Bounds,
    Layout,
    Problem,
    collect_garbage,
    find_interpreter,
    open_cache,
    read_wheel_key,
)

COUNT = 5


@pytest.fixture
def wheels(tmp_path: Path) -> list[Path]:
    return write_wheels(tmp_path / "wheels", COUNT)


@pytest.fixture
def layout(tmp_path: Path, wheels: list[Path]) -> Layout:
    """A cache with some wheels, an environment of one of them, and another one that was built."""
    layout = Layout(root=tmp_path / "cache")
    fill_cache(layout, wheels)
    make_environment(layout, wheels[0])
    with open_cache(layout, ignore) as cache:
        cache.built.store("key", write_wheels(tmp_path / "built", COUNT + 1)[COUNT])
    return layout


def make_environment(layout: Layout, wheel: Path) -> None:
    with open_cache(layout, ignore) as cache:
        interpreter = find_interpreter(sys.executable, search=[], cache_dir=layout.interpreters)
        cache.environments.get_or_create(interpreter, [read_wheel_key(wheel)], refuse).give_back()


def refuse(*_: object) -> NoReturn:
    raise AssertionError("nothing is to be fetched")


def verify(layout: Layout, *, repair: bool = False) -> list[Problem]:
    with open_cache(layout, ignore) as cache:
        return list(cache.verify(repair=repair))


def find(layout: Layout, pattern: str) -> Path:
    """Return one such path, which is not a second name for what an environment has as well."""
    found = sorted(layout.root.glob(pattern))
    return next(path for path in found if path.is_dir() or path.lstat().st_nlink == 1)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"#")


def flip_unseen(path: Path) -> None:
    """Change a byte, and leave size and time as they were."""
    before = path.stat()
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def become_link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def become_gone(path: Path) -> None:
    path.rename(path.with_name("gone"))


def swap_name(path: Path) -> None:
    path.rename(path.with_name(f"{path.name[:2]}{'0' * 30}.json"))


Damage = Callable[[Path], object]
RECORD_DAMAGES: dict[str, Damage] = {
    "that is cut": partial(os.truncate, length=100),
    "that is empty": partial(os.truncate, length=0),
    "that was edited": flip_unseen,
    "that has another name": swap_name,
}
DAMAGES: dict[str, tuple[str, Damage]] = {
    **{f"a record {how}": ("wheels-v2/records/*/*", do) for how, do in RECORD_DAMAGES.items()},
    **{
        f"a record of what was built {how}": ("built-v2/records/*/*", do)
        for how, do in RECORD_DAMAGES.items()
    },
    "a record of what was built that is cut": (
        "built-v2/records/*/*",
        partial(os.truncate, length=9),
    ),
    "a file that grew": ("wheels-v2/trees/*/*/demo.py", append),
    "a file that is cut": ("wheels-v2/trees/*/*/demo.py", partial(os.truncate, length=1)),
    "a file that changed unseen": ("wheels-v2/trees/*/*/demo.py", flip_unseen),
    "a file that is gone": ("wheels-v2/trees/*/*/demo.py", os.unlink),
    "a file more": ("wheels-v2/trees/*/*/*.dist-info", lambda path: (path / "more").touch()),
    "a file of another mode": ("wheels-v2/trees/*/*/demo.py", partial(os.chmod, mode=0o755)),
    "a file become a link": ("wheels-v2/trees/*/*/demo.py", become_link),
    "a tree that is gone": ("wheels-v2/trees/*/*", become_gone),
    "a kept file that is cut": ("files-v1/*/*/*.whl", partial(os.truncate, length=10)),
    "a kept file that changed unseen": ("files-v1/*/*/*.whl", flip_unseen),
    "a record of an environment": ("environments-v2/records/*/*", partial(os.truncate, length=9)),
    "bytecode in an environment": ("environments-v2/trees/*/*/lib/**/*.pyc", flip_unseen),
    "a link in an environment": ("environments-v2/trees/*/*/bin/python", os.unlink),
    "an environment that is gone": ("environments-v2/trees/*/*", become_gone),
}
UNREADABLE = {"a record that is cut", "a record that is empty", "a record that was edited"}
"""Damages after which a record does not even tell which wheel it is about."""


def test_verify__sound_cache_has_no_problems(layout: Layout) -> None:
    assert verify(layout) == verify(layout, repair=True) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_verify__damage_is_found_named_and_left_as_it_is(layout: Layout, damage: str) -> None:
    pattern, do_damage = DAMAGES[damage]
    do_damage(find(layout, pattern))

    problems = [verify(layout) for _ in range(2)]

    assert problems[0] == problems[1]
    assert len(problems[0]) == 1
    (problem,) = problems[0]
    bucket = pattern.partition("/")[0]
    assert problem.path.is_relative_to(layout.root / bucket)
    assert problem.path.exists()
    assert (problem.remedy, bool(problem.reason)) == ("", True)


@pytest.mark.parametrize("damage", DAMAGES)
def test_verify__repair_needs_no_network(layout: Layout, wheels: list[Path], damage: str) -> None:
    pattern, do_damage = DAMAGES[damage]
    do_damage(find(layout, pattern))

    (problem,) = verify(layout, repair=True)

    assert problem.remedy
    assert verify(layout) == []
    collect_garbage(layout, Bounds())
    assert len(layout.wheels.list_trees()) == len(versions(layout))
    is_lost = problem.remedy == "set aside, to be made again" and pattern.startswith("wheels")
    assert is_lost == (damage in UNREADABLE)
    assert len(versions(layout)) == COUNT - is_lost
    assert len(versions(layout, "environment")) == (not pattern.startswith("environments"))
    make_environment(layout, wheels[0])
    fill_cache(layout, wheels)
    assert verify(layout) == []


def test_verify__wheel_with_a_damaged_file_is_to_be_fetched_again(layout: Layout) -> None:
    append(find(layout, "files-v1/*/*/demo-4-*.whl"))
    for path in layout.root.glob("wheels-v2/trees/*/*/demo-4.dist-info/METADATA"):
        append(path)

    problems = verify(layout, repair=True)

    assert [problem.remedy for problem in problems] == [
        "removed, to be fetched again",
        "set aside, to be fetched again",
    ]
    assert verify(layout) == []
    assert versions(layout) == ["0", "1", "2", "3"]


def find_built(layout: Layout) -> Path:
    """Return the file of the wheel that was built."""
    return next(layout.root.glob(f"files-v1/*/*/demo-{COUNT}-*.whl"))


def test_verify__built_wheel_that_is_gone_is_to_be_built_again(layout: Layout) -> None:
    find_built(layout).unlink()

    (before,) = verify(layout)
    (mended,) = verify(layout, repair=True)

    assert (before.reason, before.remedy) == ("the wheel that it names is gone", "")
    assert (mended.path, mended.remedy) == (before.path, "removed, to be built again")
    assert verify(layout) == []


def test_verify__damaged_built_wheel_goes_with_its_record(layout: Layout) -> None:
    append(find_built(layout))

    problems = verify(layout, repair=True)

    assert [problem.remedy for problem in problems] == [
        "removed, to be fetched again",
        "removed, to be built again",
    ]
    assert verify(layout) == []
    assert layout.built.list_records() == []


def test_verify__finds_all_damages_at_once(layout: Layout) -> None:
    for path in layout.root.glob("wheels-v2/trees/*/*/demo.py"):
        flip_unseen(path)

    problems = verify(layout)

    assert {problem.path for problem in problems} >= {*layout.wheels.list_records()}
    assert all("demo.py was changed" in problem.reason for problem in problems)


def test_verify__repair_does_not_change_what_is_in_use(layout: Layout, wheels: list[Path]) -> None:
    with users(layout, wheels[1], "use") as (user,):
        append(user.path / "demo.py")

        (problem,) = verify(layout, repair=True)
        collect_garbage(layout, NOTHING)

        assert problem.remedy == "unpacked again"
        assert (user.path / "demo.py").exists()


def test_verify__foreign_things_are_no_problem(layout: Layout) -> None:
    places = [layout.files, *layout.list_files(), *layout.files.iterdir()]
    for place in places:
        (place / "foreign.txt").write_bytes(b"foreign")
        (place / "foreign").mkdir()
        (place / "link").symlink_to("nowhere")

    problems = verify(layout, repair=True)

    assert {problem.path.name for problem in problems} <= {"foreign", "foreign.txt", "link"}
    assert verify(layout) == []
    assert len(versions(layout)) == len(versions(layout, "file")) - 1 == COUNT


def test_verify__vanishing_entries_are_no_problem(layout: Layout) -> None:
    with open_cache(layout, ignore) as cache:
        append(find(layout, "files-v1/*/*/demo-4-*.whl"))
        problems = cache.verify()
        next(problems)  # it is in the midst of it
        collect_garbage(layout, NOTHING)

        assert list(problems) == []


@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=pytest.mark.stress)])
def test_verify__raises_no_false_alarm_beside_builders_and_a_collector(
    tmp_path: Path, seconds: float
) -> None:
    layout = Layout(root=tmp_path / "cache")
    wheels = write_wheels(tmp_path / "wheels", 20)
    found: list[Problem] = []
    rounds = 0

    with crowd(layout, wheels, seconds, max_bytes=15_000) as running:
        while running.is_building:
            found += verify(layout, repair=rounds % 2 == 1)
            rounds += 1
        complaints, _ = running.wait()

    assert not found, found[0]
    assert not complaints, complaints[0]
    assert rounds > 0
