"""Caches with something in them, and other processes that use one until they are told to stop."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.processes import Holder, _end, _pipes, _read_path
from tests.support.wheels import METADATA, Draft
from wheelforge_isolation import Bounds, Event, Layout, list_entries, open_cache
from wheelforge_isolation.cache.records import About
from wheelforge_isolation.cache.trees import TreeStore
from wheelforge_isolation.files.locks import Lease

NOTHING = Bounds(max_bytes=0, max_age_days=0, kept_days=0)
DAY_SECONDS = 86400
COUNT = 6
"""The wheels of the fixtures."""
_BUILDERS, _COLLECTORS = 6, 2
MOMENTS = ("use", "keep", "fetch", "fill", "stage")
"""The moments in which a user can be interrupted."""

_USER = """
import sys
from functools import partial
from pathlib import Path
from wheelforge_isolation import Layout, open_cache, open_stage, read_wheel_key
from wheelforge_isolation.files.fs import copy_file

def wait(path):
    print(path, flush=True)
    sys.stdin.read()

def fetch(path):
    Path(path).touch()
    wait(path)
    Path(path).write_bytes(wheel.read_bytes())

def fill(tree):
    (tree / "half").touch()
    wait(tree)
    return {"name": "demo", "version": "1", "file_name": "demo"}

layout, wheel, moment = Layout(root=Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
with open_cache(layout, lambda _: None) as cache:
    key = read_wheel_key(wheel)
    if moment == "use":
        wait(cache.wheels.add(wheel).item.path)
    elif moment == "keep":
        copy = partial(copy_file, str(wheel))
        wait(cache.wheels.keep_file(key.file_name, key.sha256, copy).parent)
    elif moment == "fetch":
        cache.wheels.get_or_create(key, fetch)
    elif moment == "fill":
        cache.trees[0].get_or_create("f" * 32, fill)
    elif moment == "stage":
        with open_stage(layout.stages, "demo") as stage:
            wait(stage.path)
"""

_BUILDER = """
import os, random, sys, time
from functools import partial
from pathlib import Path
from wheelforge_isolation import Layout, open_cache, read_wheel_key
from wheelforge_isolation.files.locks import Lease
from wheelforge_isolation.files.fs import copy_file

root, wheels, seconds, mode, seed = sys.argv[1:]
if mode == "blind":
    Lease.pin = Lease.unpin = lambda *_: None
wheels = [(read_wheel_key(path), path) for path in sorted(Path(wheels).iterdir())]
chance = random.Random(int(seed))
rounds = 0

def read(stored):
    return (stored.item.path / "demo.py").read_text(), len(os.listdir(stored.item.path))

def give_back(stored):
    assert read(stored) == (stored.key.version * 1000, 2), "it changed while it was in use"
    stored.item.give_back()

end = time.monotonic() + float(seconds)
while time.monotonic() < end:
    with open_cache(Layout(root=Path(root)), lambda _: None) as cache:
        held = []
        for _ in range(chance.randrange(1, 40)):
            key, path = chance.choice(wheels)
            stored = cache.wheels.get_or_create(key, partial(copy_file, str(path)))
            assert read(stored) == (key.version * 1000, 2), "it is not what was asked for"
            held.append(stored)
            if len(held) > chance.randrange(5):
                give_back(held.pop(chance.randrange(len(held))))
            rounds += 1
        for stored in held:
            give_back(stored)
print(rounds)
"""
"""Takes wheels into use, looks at them twice, and gives them back."""

_COLLECTOR = """
import sys
from pathlib import Path
from wheelforge_isolation import Bounds, Layout, collect_garbage

rounds = 0
while not Path(sys.argv[2]).exists():
    bounds = Bounds(max_bytes=int(sys.argv[3]), kept_days=0)
    rounds += collect_garbage(Layout(root=Path(sys.argv[1])), bounds).is_done
print(rounds)
"""


def write_wheels(directory: Path, count: int) -> list[Path]:
    """Write that many small wheels, different versions of one project."""
    directory.mkdir(exist_ok=True)
    wheels = []
    for number in range(count):
        info = f"demo-{number}.dist-info"
        metadata = METADATA.replace(b"Version: 1.0", b"Version: %d" % number)
        files = {f"{info}/METADATA": metadata, "demo.py": b"%d" % number * 1000}
        wheels.append(directory / f"demo-{number}-py3-none-any.whl")
        wheels[-1].write_bytes(Draft(dist_info=info, files=files).pack())
    return wheels


def fill_cache(layout: Layout, wheels: list[Path]) -> None:
    """Store the wheels, the first one as used longest ago: a day for each that follows it."""
    with open_cache(layout, ignore) as cache:
        for number, wheel in enumerate(wheels):
            stored = cache.wheels.add(wheel)
            age_days = float(len(wheels) - number)
            file = layout.file(stored.key.sha256, wheel.name)
            for path in (layout.wheels.record(stored.key.digest), file):
                if path.exists():
                    grow_older(path, age_days)
            stored.item.give_back()


def fill_fast(layout: Layout, count: int) -> None:
    """Store that many small directories as a shelf does, without a wheel for each."""
    layout.prepare()
    lease = Lease(layout.leases)
    shelf = TreeStore(layout, layout.wheels, lease, ignore)
    for number in range(count):
        shelf._make(f"{number:08x}"[::-1].ljust(32, "0"), partial(_fill, number)).give_back()
    lease.close()


def _fill(number: int, tree: Path) -> About:
    for name in ("a.py", "b.py", "METADATA", "WHEEL", "RECORD"):
        (tree / name).write_bytes(b"%d" % number)
    return {"name": "demo", "version": str(number), "file_name": f"demo-{number}.whl"}


def ignore(_: Event) -> None:
    """Hear of an event and do nothing about it."""


def store_built(layout: Layout, wheel: Path, *keys: str, age_days: float = 0) -> list[Path]:
    """Store ``wheel`` as built with each of ``keys``, so long ago; return the records."""
    before = {*layout.built.list_records()}
    with open_cache(layout, ignore) as cache:
        for key in keys:
            cache.built.store(key, wheel)
    records = sorted({*layout.built.list_records()} - before)
    for path in records:
        grow_older(path, age_days)
    return records


def leftovers(layout: Layout) -> set[str]:
    """Return all that a cache does not need, be there something in it or not."""
    needed = {"CACHEDIR.TAG", ".gitignore", "stage-v1/.git"}
    files = (path for path in layout.root.rglob("*") if path.is_symlink() or not path.is_dir())
    return {path.relative_to(layout.root).as_posix() for path in files} - needed


def grow_older(path: Path, days: float) -> None:
    then = time.time() - days * DAY_SECONDS
    os.utime(path, (then, then))


def versions(layout: Layout, kind: str = "wheel") -> list[str]:
    """Return the versions of the wheels that are visible, or the names of the files."""
    entries = (entry for entry in list_entries(layout) if entry.kind == kind)
    return sorted(entry.version or entry.file for entry in entries)


@contextlib.contextmanager
def users(layout: Layout, wheel: Path, *moments: str) -> Generator[list[Holder]]:
    """Yield one process for each of ``moments``, all of them in the middle of it."""
    command = [sys.executable, "-c", _USER, str(layout.root), str(wheel)]
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(_pipes([*command, moment])) for moment in moments]
        for process in processes:
            stack.callback(_end, process)
        yield [Holder(path=_read_path(process), process=process) for process in processes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Builders on one cache, and collectors for as long as they build."""

    builders: list[subprocess.Popen[str]]
    collectors: list[subprocess.Popen[str]]
    end: Path

    @property
    def is_building(self) -> bool:
        return any(builder.poll() is None for builder in self.builders)

    def wait(self) -> tuple[list[str], list[int]]:
        """Return what the builders had to complain of, and how often each process came round."""
        built = [process.communicate() for process in self.builders]
        self.end.touch()
        collected = [process.communicate() for process in self.collectors]
        assert [errors for _, errors in collected if errors] == []
        complaints = [errors for _, errors in built if errors]
        return complaints, [int(output) for output, _ in [*built, *collected] if output]


@contextlib.contextmanager
def crowd(
    layout: Layout,
    wheels: list[Path],
    seconds: float,
    *,
    is_blind: bool = False,
    max_bytes: int = 0,
) -> Generator[Crowd]:
    """Yield builders that build for some seconds, and collectors that leave them ``max_bytes``."""
    end = layout.root.with_name("end")
    build = [
        _BUILDER,
        str(layout.root),
        str(wheels[0].parent),
        str(seconds),
        "blind" if is_blind else "",
    ]
    collect = [_COLLECTOR, str(layout.root), str(end), str(max_bytes)]
    with contextlib.ExitStack() as stack:
        building = [stack.enter_context(_start(*build, str(seed))) for seed in range(_BUILDERS)]
        collecting = [stack.enter_context(_start(*collect)) for _ in range(_COLLECTORS)]
        stack.callback(end.touch)
        yield Crowd(builders=building, collectors=collecting, end=end)


def _start(code: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def refuse_with(number: int, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    """Let ``function`` fail as a system call that answers ``number``."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(function, refuse)
