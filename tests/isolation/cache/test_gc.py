"""The collector, as it is seen from outside: what is on disk, and what it says it did."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.caches import (
    COUNT,
    MOMENTS,
    NOTHING,
    fill_fast,
    grow_older,
    ignore,
    leftovers,
    refuse_with,
    users,
    versions,
    write_wheels,
)
from tests.support.processes import run_unprivileged
from tests.support.trees import read_tree
from wheelforge_isolation import (
    Bounds,
    Layout,
    collect_garbage,
    list_entries,
    open_cache,
    open_stage,
)
from wheelforge_isolation.cache import gc
from wheelforge_isolation.cache.records import parse_record
from wheelforge_isolation.errors import FileAccessError, LocksUnavailableError
from wheelforge_isolation.files import fs
from wheelforge_isolation.files.locks import read_leases, try_lock

UNBOUNDED = Bounds()
IN_USE = {"use": 2, "keep": 1, "fetch": 1, "fill": 1, "stage": 0}
"""Trees and places of files that a user needs."""
_COLLECT = """
from wheelforge_isolation import Bounds, IsolationError, Layout, collect_garbage

try:
    collect_garbage(Layout(root=Path("cache")), Bounds(max_bytes=0))
except IsolationError as error:
    print(type(error).__name__, *error.args)  # how to make them a sentence is out of reach
"""


@pytest.fixture
def another(tmp_path: Path) -> Path:
    """A wheel that is not in the cache."""
    return write_wheels(tmp_path / "more", COUNT + 1)[COUNT]


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99, 1])
def test_gc__size_bound_removes_the_least_recently_used(filled: Layout, share: float) -> None:
    before = sorted(list_entries(filled), key=lambda entry: entry.last_used)
    bound = int(sum(entry.size_bytes for entry in before) * share)

    collected = collect_garbage(filled, Bounds(max_bytes=bound))

    after = sorted(list_entries(filled), key=lambda entry: entry.last_used)
    gone = before[: len(before) - len(after)]
    assert before == gone + after
    assert sum(entry.size_bytes for entry in after) <= bound
    assert sum(entry.size_bytes for entry in [*gone[-1:], *after]) > bound or not gone
    assert collected.freed_bytes == sum(entry.size_bytes for entry in gone)
    assert (collected.removed, collected.in_use, collected.is_done) == (len(gone), 0, True)


def test_gc__age_bound_removes_older_entries_only(filled: Layout) -> None:
    collect_garbage(filled, Bounds(max_age_days=3.5))

    assert versions(filled) == ["3", "4", "5"]
    assert len(versions(filled, "file")) == 3
    assert len(filled.wheels.list_trees()) == 3


def test_gc__use_makes_an_entry_young(filled: Layout, wheels: list[Path]) -> None:
    with open_cache(filled, ignore) as cache:
        cache.wheels.add(wheels[0]).item.give_back()

    collect_garbage(filled, Bounds(max_age_days=3.5))

    assert versions(filled) == ["0", "3", "4", "5"]


def test_gc__without_bounds_keeps_every_record(filled: Layout) -> None:
    before = read_tree(filled.root)

    collected = collect_garbage(filled, UNBOUNDED)

    assert (collected.removed, collected.freed_bytes) == (0, 0)
    assert before.items() <= read_tree(filled.root).items()


def test_gc__cleared_cache_is_empty(filled: Layout) -> None:
    collect_garbage(filled, NOTHING)

    assert leftovers(filled) == set()
    assert filled.wheels.list_trees() == filled.list_files() == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_gc__keeps_what_a_living_process_uses_or_makes(
    filled: Layout, another: Path, moment: str
) -> None:
    with users(filled, another, moment) as (user,):
        before = read_tree(user.path) if user.path.is_dir() else {}

        collected = collect_garbage(filled, NOTHING)

        assert user.path.exists()
        assert (read_tree(user.path) if user.path.is_dir() else {}) == before
        assert collected.in_use == IN_USE[moment]
        user.leave()
    collect_garbage(filled, NOTHING)
    assert leftovers(filled) == set()


@pytest.mark.parametrize("moment", MOMENTS)
def test_gc__removes_what_a_dead_process_left(
    layout: Layout, wheels: list[Path], moment: str
) -> None:
    with users(layout, wheels[0], moment) as (user,):
        user.kill()
    before = leftovers(layout)

    collect_garbage(layout, UNBOUNDED)

    assert {path.split("/")[0] for path in before} >= {"leases"} or moment == "stage"
    assert {path.split("/")[0] for path in leftovers(layout)} <= {"wheels-v2", "files-v1"}
    assert len(layout.wheels.list_trees()) == len(versions(layout)) == (moment == "use")
    assert len(layout.list_files()) == len(versions(layout, "file"))
    assert list(layout.stages.iterdir()) == [layout.stages / ".git"]


def test_gc__tells_dead_users_from_living_ones(filled: Layout, wheels: list[Path]) -> None:
    with users(filled, wheels[0], "use", "use") as (living, dead):
        dead.kill()

        collected = collect_garbage(filled, NOTHING)

        assert len(read_leases(filled.leases)) == collected.in_use == 1
        assert living.path == dead.path
        assert living.path.is_dir()
        living.leave()


def test_gc__keeps_a_tree_until_every_user_gave_it_back(filled: Layout) -> None:
    with open_cache(filled, ignore) as cache:
        key = next(entry.path.stem for entry in list_entries(filled) if entry.kind == "wheel")
        items = [cache.trees[0].get(key) for _ in range(2)]
        counts = []
        for item in items:
            assert item is not None
            item.give_back()
            counts.append(collect_garbage(filled, NOTHING).in_use)

    assert counts == [1, 0]


def test_gc__keeps_a_tree_published_after_listing(
    filled: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = filled.wheels.list_records()[0]
    data = record.read_bytes()
    record.unlink()  # as it is before its maker publishes it

    def publish_and_die(directory: Path) -> dict[str, set[str]]:
        record.write_bytes(data)
        return read_leases(directory)

    monkeypatch.setattr(gc, "read_leases", publish_and_die)

    collected = collect_garbage(filled, UNBOUNDED)

    found = parse_record(data)
    assert found is not None
    assert collected.removed == 0
    assert filled.wheels.tree(found.tree).is_dir()


def test_gc__keeps_a_tree_whose_record_was_renewed(
    filled: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in filled.wheels.list_records()}
    pending = dict(before)

    def renew_and_leave(directory: Path) -> dict[str, set[str]]:
        while pending:
            path, data = pending.popitem()
            assert not path.exists()
            path.write_bytes(data)
        return read_leases(directory)

    monkeypatch.setattr(gc, "read_leases", renew_and_leave)

    collect_garbage(filled, NOTHING)

    assert len(filled.wheels.list_trees()) == len(before) == COUNT


def test_gc__second_collector_goes_away(filled: Layout) -> None:
    lock = try_lock(filled.lock("gc"))
    assert lock is not None
    before = read_tree(filled.root)

    assert not collect_garbage(filled, NOTHING).is_done
    assert read_tree(filled.root) == before
    lock.release()


def test_gc__without_locks_refuses(filled: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_with(errno.ENOLCK, monkeypatch, "filelock.lock_descriptor")

    with pytest.raises(LocksUnavailableError) as caught:
        collect_garbage(filled, NOTHING)

    assert caught.value.hint
    assert len(versions(filled)) == len(filled.wheels.list_trees()) == COUNT


def test_gc__read_only_cache_is_one_clear_error(tmp_path: Path, filled: Layout) -> None:
    before = read_tree(filled.root)

    output = run_unprivileged(tmp_path, _COLLECT)

    assert output == "FileAccessError create cache/locks Permission denied\n"
    assert read_tree(filled.root) == before


def test_gc__unseen_users_are_not_taken_for_dead(
    filled: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir, listdir = os.scandir, os.listdir
    refused = (str(filled.leases), filled.leases)

    def refuse(function: Callable[..., object]) -> Callable[..., object]:
        def look(path: object = ".") -> object:
            if path in refused:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return function(path)

        return look

    filled.leases.mkdir(exist_ok=True)
    monkeypatch.setattr(os, "scandir", refuse(scandir))
    monkeypatch.setattr(os, "listdir", refuse(listdir))

    with pytest.raises(FileAccessError):
        collect_garbage(filled, NOTHING)

    monkeypatch.undo()
    assert len(filled.wheels.list_trees()) == COUNT


@pytest.mark.parametrize(("age_days", "is_left"), [(0, True), (13, True), (15, False)])
def test_gc__quarantine_is_kept_for_a_fortnight(
    filled: Layout, *, age_days: float, is_left: bool
) -> None:
    with open_cache(filled, ignore) as cache:
        cache.trees[0].set_aside(filled.wheels.list_records()[0], "a test")
    for path in list(filled.quarantine.glob("*")):
        if path.suffix == ".why":  # the record itself is as old as it was
            grow_older(path, age_days)

    collect_garbage(filled, UNBOUNDED)

    assert len(list(filled.quarantine.glob("*"))) == 2 * is_left
    assert len(filled.wheels.list_trees()) == COUNT - 1


@pytest.mark.parametrize(
    ("days", "max_age_days", "is_left"),
    [(30, None, True), (100, None, False), (30, 60, True), (30, 10, False), (100, 200, True)],
)
def test_gc__answers_are_kept_for_ninety_days(
    layout: Layout, days: float, max_age_days: float | None, *, is_left: bool
) -> None:
    answers = [layout.resolutions / "a.json", layout.interpreters / "b.json.draft"]
    for answer in answers:
        answer.parent.mkdir(parents=True)
        answer.touch()
        grow_older(answer, days)

    collect_garbage(layout, Bounds(max_age_days=max_age_days))

    assert {answer.exists() for answer in answers} == {is_left}


def test_gc__kept_stages_go_with_the_days(filled: Layout) -> None:
    for days in (1, 20):
        with open_stage(filled.stages, f"old{days}") as stage:
            stage.keep()
        grow_older(stage.path / ".kept", days)

    collect_garbage(filled, Bounds(kept_days=10))

    assert sorted(path.name for path in filled.stages.iterdir()) == [".git", "old1"]


@pytest.mark.parametrize("kind", ["file", "directory", "link", "full directory"])
def test_gc__foreign_things_do_not_stop_it(filled: Layout, kind: str) -> None:
    places = [path for path in filled.root.rglob("*") if path.is_dir()]
    below = [filled.drafts, filled.quarantine, filled.leases, filled.root / "locks"]
    for place in {filled.root, *places, *below} - set(filled.root.glob("*/trees/*/*/**")):
        place.mkdir(exist_ok=True)
        for name in ("foreign", "foreign.json", "foreign.lock", "foreign.pins", "foreign.why"):
            make_foreign(place / name, kind)
    trees = [path for path in filled.wheels.list_trees() if "foreign" not in path.name]

    for bounds in (UNBOUNDED, NOTHING):
        collect_garbage(filled, bounds)

    assert versions(filled) == []
    assert [path for path in trees if path.exists()] == []
    assert (filled.root / "foreign").is_symlink() or (filled.root / "foreign").exists()


def make_foreign(path: Path, kind: str) -> None:
    if kind == "file":
        path.write_bytes(b"foreign")
    elif kind == "link":
        path.symlink_to("nowhere")
    else:
        path.mkdir()
        if kind == "full directory":
            (path / "precious").touch()


def test_gc__buckets_of_other_releases_are_not_touched(filled: Layout) -> None:
    for name in ("wheels-v9/trees/ab/tree", "files-v9/ab/file", "stage-v2/demo"):
        (filled.root / name).mkdir(parents=True)

    collect_garbage(filled, NOTHING)

    assert (filled.root / "wheels-v9/trees/ab/tree").is_dir()
    assert (filled.root / "files-v9/ab/file").is_dir()
    assert (filled.root / "stage-v2/demo").is_dir()


def test_gc__unreadable_record_goes_with_its_tree(filled: Layout) -> None:
    filled.wheels.list_records()[0].write_bytes(b"half a rec")

    collect_garbage(filled, UNBOUNDED)

    assert len(filled.wheels.list_trees()) == COUNT - 1
    assert len(filled.wheels.list_records()) == COUNT - 1


def test_gc__empty_file_directory_goes(filled: Layout) -> None:
    for path in filled.list_files()[:2]:
        next(path.iterdir()).unlink()

    collect_garbage(filled, UNBOUNDED)

    assert len(filled.list_files()) == COUNT - 2


def test_gc__tree_that_resists_does_not_save_others(
    filled: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubborn = filled.wheels.list_trees()[2]
    remove_tree = fs.remove_tree

    def resist(path: str) -> None:
        if path == str(stubborn):
            raise FileAccessError("remove", path, "it resists")
        remove_tree(path)

    monkeypatch.setattr(fs, "remove_tree", resist)

    collected = collect_garbage(filled, NOTHING)

    assert filled.wheels.list_trees() == [stubborn]
    assert collected.removed == 2 * COUNT - 1


def test_gc__absent_cache_has_nothing_to_collect(layout: Layout) -> None:
    collected = collect_garbage(layout, NOTHING)

    assert (collected.removed, collected.is_done) == (0, True)


def test_gc__many_entries_are_collected_to_the_last(layout: Layout) -> None:
    fill_fast(layout, 300)

    assert collect_garbage(layout, NOTHING).removed == 300
    assert leftovers(layout) == set()
