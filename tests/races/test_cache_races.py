"""Many processes, one cache: everything is done once, and whoever dies leaves nothing behind."""

from pathlib import Path

import pytest

from tests.races.arena import Arena
from tests.support.caches import NOTHING
from tests.support.processes import needs
from tests.support.stock import Stock, chance_of, this_python
from wheelforge_isolation import Bounds, Layout, collect_garbage
from wheelforge_isolation.files.fs import remove_tree

pytestmark = needs(posix="fork")

"""Lets one child for each job begin at the same time; if told so, dead after so many steps."""

BASE = {"base.py": b"base = 1\n", "shared/__init__.py": b"", "shared/same.py": b"same = 1\n"}
FIRST = {"tool.py": b"tool = 1\n", "shared/__init__.py": b"", "shared/differs.py": b"by = 'tool'\n"}
SECOND = {
    "more.py": b"more = 1\n",
    "shared/__init__.py": b"",
    "shared/same.py": b"same = 1\n",
    "shared/differs.py": b"by = 'more'\n",
    "INFO/entry_points.txt": b"[console_scripts]\nmore = more:main\n",
}


@pytest.fixture
def arena(fast_path: Path) -> Arena:
    stock = Stock(path=fast_path / "stock")
    return Arena(
        layout=Layout(root=fast_path / "cache"),
        stock=stock,
        memory=fast_path / "memory",
        python=this_python(fast_path / "memory"),
        keys={
            "base 1": stock.add("base", "1.0", BASE),
            "base 2": stock.add("base", "2.0", BASE),
            "tool": stock.add("tool", "1.0", FIRST),
            "more": stock.add("more", "1.0", SECOND),
        },
    )


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.stress)])
def test_cache_races__each_wheel_is_fetched_and_unpacked_once(arena: Arena, rounds: int) -> None:
    keys = arena.keys
    jobs = [
        [keys[base], *(keys[name] for name in others)]
        for base in ("base 1", "base 2")
        for others in (["tool"], ["more"], ["tool", "more"], ["more", "tool"])
    ]
    for _ in range(rounds):
        paths, statuses = arena.let_loose(jobs * 2)

        trees = [tree.name.partition(".")[0] for tree in arena.layout.wheels.list_trees()]
        assert statuses == {0}
        assert len(paths) == 16
        assert len(set(paths)) == len(arena.layout.environments.list_trees()) == 6
        assert sorted(arena.stock.fetched) == sorted(key.file_name for key in keys.values())
        assert sorted(trees) == sorted(key.digest for key in keys.values())
        assert arena.litter() == set()
        collect_garbage(arena.layout, NOTHING)
        (arena.stock.path / "fetched").unlink()


def test_cache_races__one_of_fifty_makes_an_environment(arena: Arena) -> None:
    keys = list(arena.keys.values())[1:]

    paths, statuses = arena.let_loose([keys] * 50)

    assert statuses == {0}
    assert len(paths) == 50
    assert len(set(paths)) == len(arena.layout.environments.list_trees()) == 1
    assert sorted(arena.stock.fetched) == sorted(key.file_name for key in keys)


@pytest.mark.parametrize("kills", [40, pytest.param(1000, marks=pytest.mark.stress)])
def test_cache_races__killed_process_leaves_only_what_one_collection_removes(
    arena: Arena, kills: int
) -> None:
    keys = list(arena.keys.values())[1:]
    right, _ = arena.get_or_create(keys)
    moments = chance_of(537)
    killed = 0
    for _ in range(kills):
        remove_tree(str(arena.layout.root))

        _, statuses = arena.let_loose([keys], steps=moments.randrange(1, 250))
        found, events = arena.get_or_create(keys)
        collect_garbage(arena.layout, Bounds(kept_days=0))

        killed += statuses == {9}
        assert statuses <= {0, 9}
        assert (found, events) == (right, [])
        assert arena.litter() == set()
    assert killed > kills / 2
