"""Leases: what a process says it uses is known to others, as long as it lives and no longer."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.caches import refuse_with
from tests.support.processes import needs, run_at_once
from wheelforge_isolation.errors import DiskFullError
from wheelforge_isolation.files import locks
from wheelforge_isolation.files.locks import Lease, read_leases, try_lock, wait_for_lock

_HOLDER = """
import sys
from pathlib import Path
from wheelforge_isolation.files.locks import Lease, wait_for_lock

lease = Lease(Path(sys.argv[1]))
lease.pin("tree")
with wait_for_lock(Path(sys.argv[2]), lambda: None):
    print(lease.id, flush=True)
    sys.stdin.read()
"""
DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "leases"


@pytest.fixture
def lease(directory: Path) -> Lease:
    return Lease(directory)


def pins(directory: Path) -> set[str]:
    return set[str]().union(*read_leases(directory).values())


def test_lease__pin_is_seen_until_it_is_given_back(lease: Lease, directory: Path) -> None:
    found = []
    for name in ("a", "b"):
        lease.pin(name)
        found.append(pins(directory))
    for name in ("a", "b"):
        lease.unpin(name)
        found.append(pins(directory))

    assert found == [{"a"}, {"a", "b"}, {"b"}, set()]
    lease.close()


def test_lease__pinned_twice_is_given_back_twice(lease: Lease, directory: Path) -> None:
    lease.pin("a")
    lease.pin("a")
    lease.unpin("a")
    once = pins(directory)
    lease.unpin("a")

    assert (once, pins(directory)) == ({"a"}, set())
    lease.close()


def test_lease__may_pin_again_after_giving_back(lease: Lease, directory: Path) -> None:
    for _ in range(3):
        lease.pin("a")
        assert pins(directory) == {"a"}
        lease.unpin("a")
        assert pins(directory) == set()
    lease.close()


def test_lease__closed_leaves_nothing(lease: Lease, directory: Path) -> None:
    lease.pin("a")

    lease.close()
    lease.unpin("a")  # a late unpin does no harm
    lease.close()

    assert list(directory.iterdir()) == []


def test_lease__without_pins_writes_nothing(lease: Lease, directory: Path) -> None:
    lease.close()

    assert not directory.exists()
    assert read_leases(directory) == {}


def test_lease__pins_of_the_living_are_read_and_of_the_dead_removed(directory: Path) -> None:
    lock = directory.parent / "lock"
    command = [sys.executable, "-c", _HOLDER, str(directory), str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        name = holder.stdout.readline().decode().strip()
        before = read_leases(directory)
        holder.kill()

    assert before == {name: {"tree"}}
    assert read_leases(directory) == {}
    assert list(directory.iterdir()) == []


def test_lease__threads_may_pin_at_once(lease: Lease, directory: Path) -> None:
    def use() -> None:
        for number in range(300):
            lease.pin(f"tree {number % 7}")
            lease.unpin(f"tree {number % 7}")
        lease.pin("kept")

    run_at_once(*[use] * 8)

    assert pins(directory) == {"kept"}
    lease.close()


@needs(posix="write without an append")
def test_lease__line_that_was_cut_short_spoils_no_other(
    lease: Lease, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:4]))
        with pytest.raises(DiskFullError):
            lease.pin("first")

    lease.pin("second")
    lease.pin("first")

    assert pins(directory) >= {"first", "second"}
    lease.close()


def test_lease__pin_that_failed_is_written_at_the_next_try(
    lease: Lease, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease.pin("other")
    for _ in range(2):
        with monkeypatch.context() as patch:
            refuse_with(errno.ENOSPC, patch, "os.write")
            with pytest.raises(DiskFullError):
                lease.pin("tree")

    lease.pin("tree")

    assert pins(directory) == {"other", "tree"}
    lease.close()


def test_lease__failed_unpin_stays_pinned(
    lease: Lease, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease.pin("tree")
    with monkeypatch.context() as patch:
        refuse_with(errno.ENOSPC, patch, "os.write")
        lease.unpin("tree")

    assert pins(directory) == {"tree"}
    lease.close()


def test_lease__full_disk_is_an_error(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_with(errno.ENOSPC, monkeypatch, "os.makedirs")

    with pytest.raises(DiskFullError):
        lease.pin("tree")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_lease__is_mute_where_nothing_can_be_written(
    lease: Lease, directory: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with monkeypatch.context() as patch:
        refuse_with(number, patch, "os.makedirs")
        lease.pin("tree")
        lease.unpin("tree")
    lease.close()

    assert not directory.exists()


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="needs /proc")
def test_lease__that_got_its_lock_only_leaves_nothing(
    lease: Lease, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(DESCRIPTORS.iterdir())
    real_open = os.open

    def refuse(path: Path, flags: int, mode: int) -> int:
        if path.suffix == ".pins":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real_open(path, flags, mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        lease.pin("tree")
    lease.close()

    assert list(directory.iterdir()) == []
    assert set(DESCRIPTORS.iterdir()) == before


def test_leases__foreign_files_are_passed_over(lease: Lease, directory: Path) -> None:
    lease.pin("tree")
    (directory / "directory.lock").mkdir()
    (directory / "link.lock").symlink_to("nowhere")
    (directory / "README").write_text("+tree\n", encoding="utf-8")

    assert read_leases(directory) == {lease.id: {"tree"}}
    lease.close()


def test_leases__pins_without_a_lock_are_removed(lease: Lease, directory: Path) -> None:
    lease.pin("tree")
    (directory / "dead.pins").write_text("\n+tree", encoding="utf-8")

    assert read_leases(directory) == {lease.id: {"tree"}}
    assert {path.stem for path in directory.iterdir()} == {lease.id}
    lease.close()


def test_leases__unlistable_are_an_error_and_not_an_empty_list(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_with(errno.EACCES, monkeypatch, "os.scandir")

    with pytest.raises(PermissionError):
        read_leases(directory)


@needs(posix="the removal of open files")
def test_lease__taken_for_a_dead_one_begins_anew(
    lease: Lease, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def come_second(path: Path) -> None:
        monkeypatch.setattr(locks, "try_lock", try_lock)
        path.touch()
        assert read_leases(directory) == {}
        assert not path.exists()

    monkeypatch.setattr(locks, "try_lock", come_second)

    lease.pin("tree")

    assert pins(directory) == {"tree"}
    lease.close()


def test_wait_for_lock__admits_one_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def enter() -> None:
        for _ in range(10):
            with wait_for_lock(tmp_path / "locks" / "key.lock", lambda: None):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    run_at_once(*[enter] * 5)

    assert set(most) == {1}
    assert len(most) == 50
    assert list((tmp_path / "locks").iterdir()) == []


def test_wait_for_lock__long_wait_is_announced_once_and_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "ANNOUNCEMENT_SECONDS", 0.05)
    path = tmp_path / "key.lock"
    lock = try_lock(path)
    assert lock is not None
    announced: list[bool] = []

    with wait_for_lock(path, lambda: announced.append(True), patience_seconds=0.3):
        assert announced == [True]

    assert path.exists()
    lock.release()


def test_wait_for_lock__does_not_wait_for_a_killed_owner(directory: Path) -> None:
    lock = directory.parent / "lock"
    command = [sys.executable, "-c", _HOLDER, str(directory), str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()

    with wait_for_lock(lock, lambda: pytest.fail("it waits"), patience_seconds=5):
        assert try_lock(lock) is None


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EACCES, errno.EROFS])
def test_wait_for_lock__needs_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse_with(number, monkeypatch, "filelock.lock_descriptor")
    entered = []

    with wait_for_lock(tmp_path / "key.lock", lambda: None):
        entered.append(True)

    assert entered == [True]
