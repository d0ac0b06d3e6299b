"""Stages, as their users see them: paths, and what is found on disk afterwards."""

import errno
import os
import tarfile
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.caches import refuse_with
from tests.support.processes import holders, kill_holder, needs, run_unprivileged
from wheelforge_isolation import (
    Collection,
    ForgeError,
    Stage,
    collect_stages,
    open_stage,
    stage_name,
    unpack,
)
from wheelforge_isolation.errors import FileAccessError, LocksUnavailableError

DAY_SECONDS = 86400


def keep_stage(parent: Path, name: str = "demo", *, age_days: float = 0) -> Path:
    """Leave a stage for somebody to look at, as if it was done some days ago."""
    with open_stage(parent, name) as stage:
        (stage.path / "log").write_text("all that happened", encoding="utf-8")
        stage.keep()
    mark = stage.path / ".kept"
    then = mark.stat().st_mtime - age_days * DAY_SECONDS
    os.utime(mark, (then, then))
    return stage.path


def listing(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*"))


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file system answer as one does that cannot lock."""
    refuse_with(errno.ENOLCK, monkeypatch, "filelock.lock_descriptor")


def test_stage_name__is_the_same_for_equal_inputs_only() -> None:
    inputs = [("a", "b"), ("a", "b"), ("ab",), ("b", "a"), ("a",), ()]

    names = [stage_name("demo", *texts) for texts in inputs]

    assert names[0] == names[1]
    assert len(set(names)) == len(inputs) - 1


@pytest.mark.parametrize(
    "label", ["demo-1.0.tar.gz", "../up", ".hidden", "a/b\\c", "nul\0", "ü ", "", "x" * 500, ".."]
)
def test_stage_name__is_one_short_plain_component(label: str) -> None:
    name = stage_name(label, "input")

    assert Path(name).name == name
    assert name.isascii()
    assert name.isprintable()
    assert not name.startswith(".")
    assert len(name) < 100


def test_stage_name__tells_its_label() -> None:
    assert stage_name("demo-1.0+local.tar.gz", "x").startswith("demo-1.0+local-")


def test_stage__path_is_the_same_for_the_next_user(tmp_path: Path) -> None:
    paths = []
    for _ in range(3):
        with open_stage(tmp_path, "demo") as stage:
            paths.append(stage.path)

    assert paths == [tmp_path / "demo"] * 3


def test_stage__is_empty_and_closed_to_others(tmp_path: Path) -> None:
    with open_stage(tmp_path / "not" / "there", "demo") as stage:
        assert listing(stage.path) == [".lock"]
        assert stage.path.stat().st_mode & 0o077 == 0


def test_stage__second_user_gets_the_next_slot(tmp_path: Path) -> None:
    with (
        open_stage(tmp_path, "demo") as first,
        open_stage(tmp_path, "demo") as second,
        open_stage(tmp_path, "demo") as third,
        open_stage(tmp_path, "other") as other,
    ):
        names = [stage.path.name for stage in (first, second, third, other)]

    assert names == ["demo", "demo.1", "demo.2", "other"]


def test_stage__another_process_gets_the_next_slot(tmp_path: Path) -> None:
    with open_stage(tmp_path, "demo"), holders(tmp_path, "demo", "demo") as others:
        names = {holder.path.name for holder in others}

    assert names == {"demo.1", "demo.2"}


def test_stage__slot_is_used_again(tmp_path: Path) -> None:
    with holders(tmp_path, "demo") as (holder,), open_stage(tmp_path, "demo") as second:
        holder.leave()
        with open_stage(tmp_path, "demo") as third:
            assert third.path == holder.path != second.path


def test_stage__leaves_nothing_of_any_kind_of_file(tmp_path: Path) -> None:
    parent = tmp_path / "stages"
    with open_stage(parent, "demo") as stage:
        (stage.path / "file").write_bytes(b"x")
        (stage.path / "link").symlink_to(tmp_path)
        (stage.path / "directory" / "deeper").mkdir(parents=True)

    assert listing(parent) == []


def test_stage__failure_leaves_nothing(tmp_path: Path) -> None:
    def fail(stage: Stage) -> NoReturn:
        (stage.path / "directory").mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), open_stage(tmp_path, "demo") as stage:
        fail(stage)

    assert listing(tmp_path) == []


@needs(posix="modes")
def test_stage__without_modes_leaves_nothing(tmp_path: Path) -> None:
    script = """
for mode in (0, 0o500):
    with open_stage(Path(), "demo") as stage:
        inner = stage.path / "inner"
        inner.mkdir()
        (inner / "file").touch(0o444)
        inner.chmod(mode)
        stage.path.chmod(mode)
    print(os.listdir())
"""

    assert run_unprivileged(tmp_path, script).split() == ["[]", "[]"]


def test_stage__kept_is_not_used_again(tmp_path: Path) -> None:
    kept = keep_stage(tmp_path)

    with open_stage(tmp_path, "demo") as stage:
        assert stage.path.name == "demo.1"

    assert (kept / "log").read_text(encoding="utf-8") == "all that happened"


@pytest.mark.parametrize("days", [14.0, 3.0])
def test_stage__kept_is_collected_when_its_days_are_over(tmp_path: Path, days: float) -> None:
    young = keep_stage(tmp_path, age_days=days - 0.1)
    old = keep_stage(tmp_path, age_days=days + 0.1)

    assert collect_stages(tmp_path, kept_days=days) == Collection(removed=[old], kept=[young])
    assert (young / "log").exists()
    assert not old.exists()


def test_stage__kept_is_not_collected_while_in_use(tmp_path: Path) -> None:
    with open_stage(tmp_path, "demo") as stage:
        stage.keep()
        found = collect_stages(tmp_path, kept_days=0)

    assert found == Collection(in_use=[stage.path])


def test_stage__of_a_killed_process_is_collected(tmp_path: Path) -> None:
    with holders(tmp_path, "demo", "demo", "demo") as (dead, living, leaving):
        dead.kill()
        leaving.leave()

        assert collect_stages(tmp_path) == Collection(removed=[dead.path], in_use=[living.path])
        assert (living.path / "held").exists()
    assert listing(tmp_path) == []


def test_collect_stages__absent_parent_has_nothing(tmp_path: Path) -> None:
    assert collect_stages(tmp_path / "absent") == Collection()


def test_collect_stages__leaves_other_names_alone(tmp_path: Path) -> None:
    mine, other = kill_holder(tmp_path, "demo"), kill_holder(tmp_path, "demolition")

    assert collect_stages(tmp_path, "demo") == Collection(removed=[mine])
    assert other.exists()


def test_collect_stages__passes_over_files(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    parent = tmp_path / "stages"
    parent.mkdir()
    (parent / ".git").touch()
    (parent / "link").symlink_to(outside)

    assert collect_stages(parent) == Collection()
    assert listing(parent) == [".git", "link"]
    assert listing(outside) == []


def test_collect_stages__never_follows_a_link(tmp_path: Path) -> None:
    precious = tmp_path / "outside" / "precious"
    precious.parent.mkdir()
    precious.write_text("mine", encoding="utf-8")
    parent = tmp_path / "stages"
    dead = kill_holder(parent, "demo")
    (dead / "directory").mkdir()
    for place in (dead, dead / "directory"):
        (place / "to-file").symlink_to(precious)
        (place / "to-directory").symlink_to(precious.parent)
        (place / "nowhere").symlink_to("gone")

    assert collect_stages(parent).removed == [dead]
    assert listing(parent) == []
    assert precious.read_text(encoding="utf-8") == "mine"


@needs(posix="modes")
@pytest.mark.parametrize("mode", [0, 0o400, 0o555], ids=oct)
def test_collect_stages__removes_dead_stages_whatever_their_modes(
    tmp_path: Path, mode: int
) -> None:
    script = f"""
inner = Path("demo", "closed", "inner")
inner.mkdir(parents=True)
(inner / "file").touch(0o444)
(inner / "outside").symlink_to("../../../precious")
Path("precious").mkdir(0o750)
for closed in (inner, inner.parent, inner.parent.parent):
    closed.chmod({mode})
found = collect_stages(Path("."), "demo")
print(found.removed, os.listdir(), oct(Path("precious").stat().st_mode))
"""

    assert run_unprivileged(tmp_path, script) == "[PosixPath('demo')] ['precious'] 0o40750\n"


@needs(posix="owners")
@pytest.mark.skipif("os.geteuid()", reason="needs root, to leave something of another user")
def test_collect_stages__passes_over_another_users(tmp_path: Path) -> None:
    theirs = tmp_path / "a-theirs"
    (theirs / "precious").mkdir(parents=True)
    theirs.chmod(0o700)
    script = """
for name in ("mine", "z-mine"):
    Path(name).mkdir()
try:
    collect_stages(Path("."))
except ForgeError:
    pass
print(os.listdir())
"""

    assert run_unprivileged(tmp_path, script) == "['a-theirs']\n"


@pytest.mark.parametrize("kind", ["directory", "link"])
def test_stage__replaced_lock_file_is_a_clear_error(tmp_path: Path, kind: str) -> None:
    dead = kill_holder(tmp_path / "stages", "demo")
    (dead / ".lock").unlink()
    if kind == "link":
        (dead / ".lock").symlink_to(tmp_path / "precious")
    else:
        (dead / ".lock").mkdir()

    with pytest.raises(FileAccessError, match="demo"):
        collect_stages(dead.parent)
    with pytest.raises(FileAccessError, match="stages"), open_stage(dead.parent, "demo"):
        pass

    assert not (tmp_path / "precious").exists()


def test_stage__taken_over_starts_empty(tmp_path: Path) -> None:
    dead = kill_holder(tmp_path, "demo")
    (dead / "directory").mkdir()
    (dead / "directory" / "file").touch()

    with open_stage(tmp_path, "demo") as stage:
        assert stage.path == dead
        assert listing(stage.path) == [".lock"]


@needs(posix="inherited descriptors")
def test_stage__is_kept_by_a_child_that_inherits_the_lock(tmp_path: Path) -> None:
    with holders(tmp_path, "demo", with_heir=True) as (holder,):
        holder.kill()
        before = collect_stages(tmp_path)
        with open_stage(tmp_path, "demo") as stage:
            assert stage.path.name == "demo.1"
        holder.end()
        after = collect_stages(tmp_path)

    assert before == Collection(in_use=[holder.path])
    assert after == Collection(removed=[holder.path])


@pytest.mark.usefixtures("no_locks")
def test_stage__without_locks_has_a_unique_name(tmp_path: Path) -> None:
    with open_stage(tmp_path, "demo") as first, open_stage(tmp_path, "demo") as second:
        (first.path / "file").touch()

        assert first.path != second.path
        assert {first.path.parent, second.path.parent} == {tmp_path}
        assert listing(second.path) == []

    assert listing(tmp_path) == []


@pytest.mark.usefixtures("no_locks")
def test_collect_stages__without_locks_refuses(tmp_path: Path) -> None:
    with open_stage(tmp_path, "demo") as stage:
        (stage.path / "file").touch()

        with pytest.raises(LocksUnavailableError) as caught:
            collect_stages(tmp_path)

        assert (stage.path / "file").exists()
    assert isinstance(caught.value, ForgeError)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.usefixtures("no_locks")
def test_stage__without_locks_can_be_kept(tmp_path: Path) -> None:
    assert (keep_stage(tmp_path) / "log").exists()


def test_stage__below_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(FileAccessError, match="file"), open_stage(tmp_path / "file", "demo"):
        pass


@pytest.mark.parametrize("top", [".lock", ".kept"])
def test_stage__content_cannot_pass_for_its_lock_or_mark(tmp_path: Path, top: str) -> None:
    (tmp_path / top).mkdir()
    (tmp_path / top / "setup.py").touch()
    archive = tmp_path / "demo-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(tmp_path / top, top)

    assert listing(unpack(archive, tmp_path / "out").root.parent) == [top, f"{top}/setup.py"]
