"""Every order of operations, every death and every cut of the power that chance comes upon."""

import os
from pathlib import Path

import pytest

from tests.races.exploration import BROKEN, RARE, explore, find_out, playing
from tests.races.machine import File, Loss, Turns
from tests.races.model import LAYOUT, ROLES, Count, Party, Play, leave_a_copy, perform, read_tree
from tests.races.system import MACHINE, SYSTEM, SimulatedPath, simulated, write_file
from tests.support.caches import ignore
from tests.support.stock import chance_of
from wheelforge_isolation import Bounds, Layout, collect_garbage
from wheelforge_isolation.cache import gc
from wheelforge_isolation.cache.gc import _Collector
from wheelforge_isolation.cache.trees import LeasedTree, TreeStore
from wheelforge_isolation.files.locks import Lease, read_leases, try_lock


@pytest.mark.parametrize("examples", [300, pytest.param(20_000, marks=pytest.mark.stress)])
def test_model__nothing_wrong_is_handed_out_or_left_over(examples: int) -> None:
    count = explore(examples, 0)

    assert len(count.traces) > examples * 0.8
    assert count.happened["cuts"] > examples / 10
    assert count.happened["kills"] > examples / 20


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.stress] * (name in RARE)) for name in BROKEN]
)
def test_model__broken_rule_is_found_out(name: str) -> None:
    assert find_out(name)


def test_model__delivered_file_survives_a_power_cut_at_any_moment() -> None:
    counts = [Count() for _ in range(150)]
    with playing():
        for moment, count in enumerate(counts, 1):
            for loss in range(4):
                roles = (ROLES.index(Party.deliver), ROLES.index(Party.deliver))
                tape = bytes([3, 35] * 30)
                play = Play(before=0, roles=roles, tape=tape, cut=moment, loss=loss, kept=(0.5, 0))
                perform(play, count)

    assert counts[0].happened["cuts"] == 4
    assert counts[-1].happened["cuts"] == 0


def test_model__records_vouch_only_for_flushed_files() -> None:
    with playing():
        MACHINE.reset(boots_are_known=False)
        leave_a_copy()
        Party().take()

        (tree, *_) = [*LAYOUT.wheels.list_trees()]
        files = [MACHINE.find(f"{tree}/{path}") for path in read_tree(str(tree))]

    assert files
    assert all(
        isinstance(file, File) and file.safe == (file.content, file.mtime_ns) for file in files
    )


def test_machine__only_flushed_content_survives_a_power_cut() -> None:
    found: set[bytes] = set()
    with simulated():
        for number in range(50):
            MACHINE.reset()
            for path in ("/safe", "/torn"):
                write_file(path, b"content")
            for path, access in (("/safe", os.O_RDWR), ("/", os.O_RDONLY)):
                SYSTEM.fsync(SYSTEM.open(path, access))
            write_file("/late", b"content")

            MACHINE.lose_power(Loss(chance_of(number), 0.0, 0.0))

            names = sorted(SYSTEM.listdir("/"))
            assert SimulatedPath("/safe").read_bytes() == b"content"
            assert names[-2:] == ["safe", "torn"]
            found |= {name.encode() for name in names} | {SimulatedPath("/torn").read_bytes()}

    torn = {b"", b"con", b"con\0\0\0\0", bytes(7), b"content"}
    assert found == {b"late", b"safe", b"torn", *torn}


def test_machine__killed_process_stops_and_frees_its_locks() -> None:
    def hold() -> None:
        write_file("/held", b"")
        assert try_lock(SimulatedPath("/held")) is not None
        while True:
            write_file("/held", b"alive")

    with simulated():
        MACHINE.reset()
        MACHINE.turns = turns = Turns(b"", {1: 9}, 0)
        turns.perform([hold], MACHINE.bury)

        assert turns.dead == {1}
        assert try_lock(SimulatedPath("/held")) is not None
        assert MACHINE.find("/held").mtime_ns < MACHINE.time_ns()


def test_model__tree_taken_after_the_judgement_is_kept_though_its_record_is_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    layout = Layout(root=tmp_path)
    layout.prepare()
    lease = Lease(layout.leases)
    shelf = TreeStore(layout, layout.wheels, lease, ignore)
    shelf.get_or_create("d" * 32, lambda tree: {"made": tree.name}).give_back()
    record = layout.wheels.record("d" * 32)
    taken: list[LeasedTree | None] = []
    unpublish = _Collector._unpublish

    def overlook(collector: _Collector) -> set[str]:
        """List what there is before the record is published."""
        record.rename(tmp_path / "unpublished")
        wanted = unpublish(collector)
        (tmp_path / "unpublished").rename(record)
        return wanted

    def read_too_early(directory: Path) -> dict[str, set[str]]:
        """Read the leases before it is taken, and the record after it is lost."""
        leases = read_leases(directory)
        if not taken:
            taken.append(shelf.get("d" * 32))
            record.unlink()
        return leases

    monkeypatch.setattr(_Collector, "_unpublish", overlook)
    monkeypatch.setattr(gc, "read_leases", read_too_early)
    collect_garbage(layout, Bounds())

    (item,) = taken
    assert item is not None
    assert item.path.is_dir()
    lease.close()
