"""Many processes, one cache: everything is done once, and whoever dies leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import pytest

from tests.caches import NOTHING
from tests.processes import needs
from tests.stock import Reporter, Stock, chance_of, this_python
from wheelforge_isolation import Bounds, Layout, collect_garbage, open_cache
from wheelforge_isolation.files.fs import remove_tree

if TYPE_CHECKING:
    from pathlib import Path

    from wheelforge_isolation import Event, Interpreter, WheelKey

pytestmark = needs(posix="fork")

_CROWD = """
import json, os, signal, sys
from pathlib import Path
import installer.scripts, installer.utils, packaging.utils, packaging.version, subprocess
from wheelforge_isolation import Layout, WheelKey, find_interpreter, open_cache
import wheelforge_isolation.environments.install, wheelforge_isolation.wheels

root, stock, memory = map(Path, sys.argv[1:4])
jobs = [[WheelKey(**key) for key in keys] for keys in json.loads(sys.argv[4])]
steps = int(sys.argv[5])
python = find_interpreter(sys.executable, search=(), cache_dir=memory)

def fetch(key, path):
    log = os.open(stock / "fetched", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(log, f"{key.file_name}\\n".encode())
    os.close(log)
    Path(path).write_bytes((stock / key.file_name).read_bytes())

def count_down(*_):
    global steps
    steps -= 1
    if steps == 0:
        os.killpg(0, signal.SIGKILL)

def work(keys):
    os.setpgid(0, 0)
    os.close(writer)
    os.read(reader, 1)
    if steps:
        sys.addaudithook(count_down)  # at whatever touches a file system
    with open_cache(Layout(root=root), lambda event: None) as cache:
        environment = cache.environments.obtain(python, keys, fetch)
        os.write(1, f"{environment.path}\\n".encode())
        environment.give_back()
    os._exit(0)

reader, writer = os.pipe()
children = []
for keys in jobs:
    child = os.fork()
    if child == 0:
        try:
            work(keys)
        except BaseException as error:
            print(type(error).__name__, error, flush=True)
            raise
    children.append(child)
os.close(writer)
statuses = {os.waitpid(child, 0)[1] for child in children}
print(*statuses)
"""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """One cache, and wheels that have files in common."""

    layout: Layout
    stock: Stock
    memory: Path
    python: Interpreter
    keys: dict[str, WheelKey]

    def let_loose(self, jobs: list[list[WheelKey]], steps: int = 0) -> tuple[list[str], set[int]]:
        """Let one process for each job work; return the paths they got, and how they ended."""
        facts = json.dumps([[asdict(key) for key in keys] for keys in jobs])
        places = map(str, (self.layout.root, self.stock.path, self.memory))
        command = [sys.executable, "-c", _CROWD, *places, facts, str(steps)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        *paths, statuses = done.stdout.splitlines()
        return paths, set(map(int, statuses.split()))

    def obtain(self, keys: list[WheelKey]) -> tuple[dict[str, bytes], list[Event]]:
        """Return what the environment of ``keys`` holds, wherever it is."""
        reporter = Reporter()
        with open_cache(self.layout, reporter) as cache:
            top = cache.environments.obtain(self.python, keys, self.stock.fetch).path
            files = [path for path in top.rglob("*") if path.is_file()]
            texts = {str(path.relative_to(top)): path.read_bytes() for path in files}
        place = str(top).encode()
        return {name: text.replace(place, b"TOP") for name, text in texts.items()}, reporter.events

    def litter(self) -> set[str]:
        """Return what is in the cache besides what it should have when all is used."""
        entries = {*self.layout.root.rglob("*")}
        shelves = (self.layout.wheels, self.layout.environments)
        trees = [tree for shelf in shelves for tree in shelf.list_trees()]
        records = [record for shelf in shelves for record in shelf.list_records()]
        text = b"".join(record.read_bytes() for record in records)
        known = {path for tree in trees for path in [tree, *tree.rglob("*")]}
        known |= {*records, *self.layout.list_files()}
        known |= {path for place in self.layout.list_files() for path in place.iterdir()}
        usual = {"CACHEDIR.TAG", ".gitignore", ".git", "gc.lock"}
        litter = {path for path in entries - known if path.is_file() and path.name not in usual}
        litter |= {tree for tree in trees if tree.name.encode() not in text}
        return {str(path.relative_to(self.layout.root)) for path in litter}


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
    right, _ = arena.obtain(keys)
    moments = chance_of(537)
    killed = 0
    for _ in range(kills):
        remove_tree(str(arena.layout.root))

        _, statuses = arena.let_loose([keys], steps=moments.randrange(1, 250))
        found, events = arena.obtain(keys)
        collect_garbage(arena.layout, Bounds(kept_days=0))

        killed += statuses == {9}
        assert statuses <= {0, 9}
        assert (found, events) == (right, [])
        assert arena.litter() == set()
    assert killed > kills / 2
