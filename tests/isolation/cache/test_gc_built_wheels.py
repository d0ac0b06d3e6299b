"""The collector, and the wheels that were built here."""

import itertools
import os
import threading
import time
from pathlib import Path

import pytest

from tests.support.caches import NOTHING, grow_older, ignore, leftovers, store_built, versions
from wheelforge_isolation import Bounds, Layout, collect_garbage, open_cache
from wheelforge_isolation.cache import gc
from wheelforge_isolation.files import locks
from wheelforge_isolation.files.locks import read_leases


@pytest.mark.parametrize(("age_days", "is_left"), [(3, True), (5, False)])
def test_gc__built_wheels_are_kept_as_long_as_the_age_allows(
    layout: Layout, wheels: list[Path], age_days: float, *, is_left: bool
) -> None:
    (record,) = store_built(layout, wheels[0], "old", age_days=age_days)
    (young,) = store_built(layout, wheels[1], "young")
    size = record.stat().st_size

    collected = collect_garbage(layout, Bounds(max_age_days=4))

    assert (record.exists(), young.exists()) == (is_left, True)
    assert (collected.removed, collected.freed_bytes) == ((0, 0) if is_left else (1, size))


def test_gc__built_wheel_goes_with_its_file(layout: Layout, wheels: list[Path]) -> None:
    old = store_built(layout, wheels[0], "one", "two")
    young = store_built(layout, wheels[1], "three")
    for path in layout.files.rglob(wheels[0].name):
        grow_older(path, 9)

    collect_garbage(layout, Bounds(max_age_days=4))

    assert [path.exists() for path in (*old, *young)] == [False, False, True]
    assert versions(layout, "file") == [wheels[1].name]


def test_gc__size_bound_holds_for_built_wheels(layout: Layout, wheels: list[Path]) -> None:
    (wheel, *_) = wheels
    for number in range(20):
        store_built(layout, wheel, str(number), age_days=20 - number)
    before = sorted(layout.built.list_records(), key=lambda path: path.stat().st_mtime)
    bound = wheel.stat().st_size + sum(path.stat().st_size for path in before[15:])

    collect_garbage(layout, Bounds(max_bytes=bound))

    assert {*layout.built.list_records()} == {*before[15:]}
    assert versions(layout, "file") == [wheel.name]


def test_gc__record_of_a_lost_built_wheel_goes_without_bounds(
    layout: Layout, wheels: list[Path]
) -> None:
    records = [store_built(layout, wheel, wheel.name)[0] for wheel in wheels[:4]]
    next(layout.files.rglob(wheels[0].name)).unlink()
    os.truncate(records[1], 20)
    records[2].rename(records[2].with_name(f"{'0' * 32}.json"))

    collect_garbage(layout, Bounds())

    assert layout.built.list_records() == [records[3]]


def test_gc__keeps_a_built_wheel_in_use_though_its_record_goes(
    layout: Layout, wheels: list[Path]
) -> None:
    store_built(layout, wheels[0], "key")
    with open_cache(layout, ignore) as cache:
        found = cache.built.find("key")

        collected = collect_garbage(layout, NOTHING)

        assert found is not None
        assert cache.wheels.find_file(found.key.file_name, found.key.sha256)
        assert collected.in_use == 1
        assert layout.built.list_records() == []
    collect_garbage(layout, NOTHING)
    assert leftovers(layout) == set()


def test_gc__file_being_removed_is_waited_for_and_fetched_anew(
    layout: Layout, wheels: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    store_built(layout, wheels[0], "key")
    clock = _Clock()
    is_collected = threading.Event()

    def keep() -> None:
        with open_cache(layout, ignore) as cache:
            cache.built.store("key", wheels[0])
            clock.has_begun.set()
            is_collected.wait()

    thread = threading.Thread(target=keep)
    calls = itertools.count()

    def keep_meanwhile(directory: Path) -> dict[str, set[str]]:
        leases = read_leases(directory)
        if next(calls) == 2:  # it is about to remove the file, and has seen nobody who wants it
            thread.start()
            clock.has_begun.wait()
        return leases

    monkeypatch.setattr(locks, "time", clock)
    monkeypatch.setattr(gc, "read_leases", keep_meanwhile)

    collected = collect_garbage(layout, NOTHING)
    is_collected.set()
    thread.join()

    assert collected.removed == 2
    assert versions(layout, "file") == [wheels[0].name]
    assert len(layout.built.list_records()) == 1


class _Clock:
    """Knows when somebody has begun to wait for a lock, or has come so far without waiting."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()

    def monotonic(self) -> float:
        return 0

    def sleep(self, seconds: float) -> None:
        self.has_begun.set()
        time.sleep(seconds)


def test_gc__keeps_a_file_whose_record_was_published_after_listing(
    layout: Layout, wheels: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (record,) = store_built(layout, wheels[0], "key")
    data = record.read_bytes()

    is_published: list[int] = []

    def publish_and_die(directory: Path) -> dict[str, set[str]]:
        if not is_published:
            assert not record.exists()
            is_published.append(record.write_bytes(data))
        return read_leases(directory)

    monkeypatch.setattr(gc, "read_leases", publish_and_die)

    collect_garbage(layout, NOTHING)

    assert versions(layout, "file") == [wheels[0].name]
