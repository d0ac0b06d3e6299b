"""astral-sh/uv#520: concurrent installations of packages that share directories and files."""

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, cycle, islice
from pathlib import Path

import pytest

from tests.races.arena import Arena
from tests.support.caches import ignore
from tests.support.processes import needs
from tests.support.stock import Stock, chance_of, this_python
from wheelforge_isolation import Layout, WheelKey, open_cache

pytestmark = needs(posix="fork")

PARTS = ("alpha", "beta", "gamma", "delta")
FROM_THREADS = FROM_PROCESSES = 50


def write_files(part: str) -> dict[str, bytes]:
    """Return files of a part alone, files that all have, and files that all have otherwise."""
    return {
        f"space/inner/{part}.py": f"NAME = {part!r}\n".encode(),
        "space/same.py": b"SAME = True\n",
        "space/differs.py": f"BY = {part!r}\n".encode(),
        f"space/{part}/__init__.py": b"",
        "DATA/data/share/same.txt": b"same",
        "DATA/data/share/differs.txt": part.encode(),
    }


def expect(keys: list[WheelKey]) -> dict[str, bytes]:
    """Return what the rule says: of two wheels the one whose file name sorts last wins."""
    expected: dict[str, bytes] = {}
    for key in sorted(keys, key=lambda key: key.file_name):
        expected |= write_files(key.name)
    return {path.removeprefix("DATA/data/"): content for path, content in expected.items()}


def read_shared(environment: Path) -> dict[str, bytes]:
    """Return what the wheels have brought, by its path there."""
    (packages,) = environment.glob("lib/python*/site-packages")
    files = packages.glob("space/**/*.py")
    found = {path.relative_to(packages).as_posix(): path.read_bytes() for path in files}
    share = environment / "share"
    return found | {f"share/{path.name}": path.read_bytes() for path in share.iterdir()}


@pytest.fixture
def arena(fast_path: Path) -> Arena:
    stock, memory = Stock(path=fast_path / "stock"), fast_path / "memory"
    keys = {part: stock.add(part, files=write_files(part)) for part in PARTS}
    python = this_python(memory)
    layout = Layout(root=fast_path / "cache")
    return Arena(layout=layout, stock=stock, memory=memory, python=python, keys=keys)


def draw_jobs(keys: list[WheelKey], seed: int) -> list[list[WheelKey]]:
    """Return the wheels of each installation: every set of two or more, in whatever order."""
    chance = chance_of(seed)
    sets = [job for count in range(2, len(keys) + 1) for job in combinations(keys, count)]
    jobs = islice(cycle(sets), FROM_THREADS + FROM_PROCESSES)
    return [chance.sample(job, len(job)) for job in jobs]


def install_together(arena: Arena, jobs: list[list[WheelKey]]) -> list[Path]:
    """Do all jobs at once, one half in threads and one in processes."""
    with open_cache(arena.layout, ignore) as cache, ThreadPoolExecutor(FROM_THREADS + 1) as pool:
        processes = pool.submit(arena.let_loose, jobs[FROM_THREADS:])

        def install(keys: list[WheelKey]) -> Path:
            return cache.environments.get_or_create(arena.python, keys, arena.stock.fetch).path

        made = list(pool.map(install, jobs[:FROM_THREADS]))
        paths, statuses = processes.result()
    assert statuses == {0}, paths
    return [*made, *map(Path, paths)]


@pytest.mark.parametrize("seed", [1, 2])
def test_environments__hundred_that_share_files_are_what_the_rule_says(
    arena: Arena, seed: int
) -> None:
    jobs = draw_jobs(list(arena.keys.values()), seed)

    places = install_together(arena, jobs)

    assert len(places) == len(jobs) == 100
    right = sorted(sorted(expect(job).items()) for job in jobs)
    assert sorted(sorted(read_shared(place).items()) for place in places) == right
    assert len(set(places)) == len(arena.layout.environments.list_trees()) == 11
    assert sorted(arena.stock.fetched) == sorted(key.file_name for key in arena.keys.values())
    assert arena.litter() == set()
