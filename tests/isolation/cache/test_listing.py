"""The entries of a cache, and the place that it takes."""

import time
from pathlib import Path

import pytest

from tests.support.caches import COUNT, DAY_SECONDS, store_built
from wheelforge_isolation import Layout, list_entries, measure_disk


def test_listing__has_wheels_and_files(filled: Layout, wheels: list[Path]) -> None:
    entries = sorted(list_entries(filled), key=lambda entry: (entry.kind, entry.file))

    files, found = entries[:COUNT], entries[COUNT:]
    assert [entry.kind for entry in entries] == ["file"] * COUNT + ["wheel"] * COUNT
    assert [entry.file for entry in files] == [path.name for path in wheels]
    assert [entry.size_bytes for entry in files] == [path.stat().st_size for path in wheels]
    assert [(entry.name, entry.version) for entry in found] == [
        ("demo", str(number)) for number in range(COUNT)
    ]
    for entry, age_days in zip(found, range(COUNT, 0, -1), strict=True):
        tree = filled.wheels.tree(entry.tree)
        sizes = [path.stat().st_size for path in tree.rglob("*") if path.is_file()]
        assert entry.size_bytes == sum(sizes)
        assert entry.path.is_file()
        assert time.time() - entry.last_used == pytest.approx(age_days * DAY_SECONDS, abs=60)


def test_listing__has_built_wheels(layout: Layout, wheels: list[Path]) -> None:
    (record,) = store_built(layout, wheels[3], "key", age_days=2)

    (built,) = (entry for entry in list_entries(layout) if entry.kind == "built")

    assert (built.name, built.version, built.file) == ("demo", "3", wheels[3].name)
    assert (built.path, built.size_bytes) == (record, record.stat().st_size)
    assert time.time() - built.last_used == pytest.approx(2 * DAY_SECONDS, abs=60)


def test_listing__disk_use_counts_each_file_once(layout: Layout) -> None:
    (layout.root / "a").mkdir(parents=True)
    (layout.root / "a" / "file").write_bytes(bytes(1000))
    (layout.root / "b").hardlink_to(layout.root / "a" / "file")
    (layout.root / "c").write_bytes(bytes(10))
    (layout.root / "link").symlink_to("c")

    assert measure_disk(layout) == 1010 + len("c")


def test_listing__absent_cache_is_empty(layout: Layout) -> None:
    assert list(list_entries(layout)) == []
    assert measure_disk(layout) == 0
