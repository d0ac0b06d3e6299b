"""Built wheels are found again as long as they are whole and of the same key."""

import errno
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import NoReturn

import pytest

from tests.support.caches import DAY_SECONDS, grow_older, ignore, write_wheels
from tests.support.stock import Reporter
from tests.support.trees import read_tree
from wheelforge_isolation import (
    Event,
    Layout,
    WheelKey,
    list_built_wheels,
    open_cache,
    read_wheel_key,
)
from wheelforge_isolation.files import fs


@pytest.fixture
def wheels(tmp_path: Path) -> list[Path]:
    return write_wheels(tmp_path / "wheels", 2)


@pytest.fixture
def filled(layout: Layout, wheels: list[Path]) -> Layout:
    """A cache that remembers which wheel came of ``key``."""
    remember(layout, wheels[0])
    return layout


def remember(layout: Layout, wheel: Path, key: str = "key") -> WheelKey:
    with open_cache(layout, ignore) as cache:
        return cache.built.store(key, wheel).key


def find(layout: Layout, key: str = "key") -> WheelKey | None:
    with open_cache(layout, ignore) as cache:
        found = cache.built.find(key)
        return None if found is None else found.key


def find_file(layout: Layout) -> Path:
    (place,) = layout.list_files()
    return next(place.iterdir())


def test_built_wheel__is_found_by_other_processes(layout: Layout, wheels: list[Path]) -> None:
    remembered = remember(layout, wheels[0])
    wheels[0].unlink()  # it was in somebody's output directory

    with open_cache(layout, ignore) as cache:
        found = cache.built.find("key")
        assert found is not None

    assert found.key == remembered
    assert read_wheel_key(found.path) == remembered


@pytest.mark.parametrize("key", ["", "kez", "key ", "../key", "\u00e9", "k" * 10_000])
def test_built_wheel__unknown_key_finds_nothing(filled: Layout, key: str) -> None:
    before = find(filled, key)
    remember(filled, find_file(filled), key)

    assert before is None
    assert find(filled, key) == find(filled)


def test_built_wheel__later_one_of_a_key_is_found(filled: Layout, wheels: list[Path]) -> None:
    later = remember(filled, wheels[1])

    assert find(filled) == later
    assert len(filled.built.list_records()) == 1


def test_built_wheel__search_changes_nothing(layout: Layout) -> None:
    layout.prepare()
    before = read_tree(layout.root)

    assert find(layout) is None

    after = {path for path in read_tree(layout.root) if (layout.root / path).is_file()}
    assert after == {path for path in before if (layout.root / path).is_file()}


def flip(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])


def become_directory(path: Path) -> None:
    path.unlink()
    (path / "foreign").mkdir(parents=True)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": partial(os.truncate, length=70),
    "empty": partial(os.truncate, length=0),
    "changed": flip,
    "a directory": become_directory,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_built_wheel__damaged_record_is_replaced(
    filled: Layout, wheels: list[Path], damage: str
) -> None:
    (record,) = filled.built.list_records()
    before = record.read_bytes()
    DAMAGES[damage](record)
    events: list[Event] = []

    with open_cache(filled, events.append) as cache:
        found = cache.built.find("key")
        cache.built.store("key", wheels[0])

    assert found is None
    assert [(event.kind, event.subject) for event in events] == [("healed", record.stem)]
    assert record.read_bytes() == before


def test_built_wheel__record_of_another_key_is_not_believed(
    filled: Layout, wheels: list[Path]
) -> None:
    (record,) = filled.built.list_records()
    remember(filled, wheels[1], "other")
    (other,) = {*filled.built.list_records()} - {record}
    other.write_bytes(record.read_bytes())

    assert find(filled, "other") is None


@pytest.mark.parametrize("damage", ["gone", *DAMAGES])
def test_built_wheel__damaged_file_is_not_found(
    filled: Layout, wheels: list[Path], damage: str
) -> None:
    {"gone": os.unlink, **DAMAGES}[damage](find_file(filled))

    found = find(filled)
    again = remember(filled, wheels[0])

    assert found is None
    assert find(filled) == again


def test_built_wheel__finding_it_is_use(filled: Layout) -> None:
    (record,) = filled.built.list_records()
    used = (record, find_file(filled))
    for path in used:
        grow_older(path, 5)
    before = [path.stat().st_mtime for path in used]

    find(filled)

    assert all(
        path.stat().st_mtime > then + 4 * DAY_SECONDS
        for path, then in zip(used, before, strict=True)
    )


def test_built_wheels__those_with_a_hash_are_listed_alone(
    layout: Layout, wheels: list[Path]
) -> None:
    remembered = [remember(layout, wheel, wheel.name) for wheel in wheels]

    listed = list_built_wheels(layout, {remembered[1].sha256})

    assert [key for key, _ in listed] == [remembered[1]]


def test_built_wheel__needs_no_record_to_be_used(
    layout: Layout, wheels: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    move = os.replace

    def refuse(source: str, destination: str) -> None:
        if destination.startswith(str(layout.built.root)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        move(source, destination)

    monkeypatch.setattr("wheelforge_isolation.files.fs.os.replace", refuse)

    assert remember(layout, wheels[0]) == read_wheel_key(wheels[0])
    assert find(layout) is None


def test_built_wheel__refused_search_finds_nothing(
    filled: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(fs, "digest", refuse)

    assert find(filled) is None


def test_built_wheel__is_found_below_and_kept_above(
    filled: Layout, wheels: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wheelforge_isolation.cache.ownership.os.access", lambda *_: False)
    before = read_tree(filled.root)
    with open_cache(filled, Reporter()) as cache:
        found = [cache.built.find("key"), cache.built.find("new")]
        cache.built.store("new", wheels[1])
        found.append(cache.built.find("new"))
        keys = [each and each.key for each in found]
        above = len(cache.layout.built.list_records())
        problems = list(cache.verify())

    assert keys == [read_wheel_key(wheels[0]), None, read_wheel_key(wheels[1])]
    assert (above, problems) == (1, [])
    assert read_tree(filled.root) == before


def test_salt__of_many_first_users_is_one(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    everybody = Barrier(4)
    urandom = os.urandom

    def draw_slowly(size: int) -> bytes:
        time.sleep(0.05)
        return urandom(size)

    def read_salt(_: int) -> bytes:
        with open_cache(layout, ignore) as cache:
            everybody.wait(10)
            return cache.built.salt

    monkeypatch.setattr(os, "urandom", draw_slowly)
    with ThreadPoolExecutor(4) as pool:
        salts = {*pool.map(read_salt, range(4))}

    assert len(salts) == 1
