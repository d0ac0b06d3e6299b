"""Many processes, one name: who shares a stage with another finds the other's marker in it."""

import io
import subprocess
import sys
import tarfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.processes import holders, needs
from wheelforge_isolation import Collection, collect_stages, stage_name

NAME = stage_name("demo-1.0.tar.gz", "the same inputs")

_VISITOR = """
import os, sys
from pathlib import Path
from wheelforge_isolation import open_stage

for _ in range(int(sys.argv[3])):
    with open_stage(Path(sys.argv[1]), sys.argv[2]) as stage:
        marker = stage.path / "held"
        with marker.open("x") as file:
            file.write(str(os.getpid()))
        assert sorted(os.listdir(stage.path)) == [".lock", "held"]
        assert marker.read_text() == str(os.getpid())
"""
"""Comes and goes, and makes sure each time that it is alone."""

_KILLER = """
import os, random, signal, sys
from pathlib import Path
import packaging.utils, packaging.version  # lest every child loads them again
from wheelforge_isolation import open_stage, unpack_archive

def work(progress):
    sys.addaudithook(lambda *_: os.write(progress, b"."))  # at whatever touches a file system
    while True:
        with open_stage(Path(sys.argv[1]), sys.argv[2]) as stage:
            (stage.path / "held").open("x").close()
            unpack_archive(Path(sys.argv[3]), stage.path)

moments = random.Random(int(sys.argv[4]))
for _ in range(int(sys.argv[5])):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        work(writer)
    os.close(writer)
    for _ in range(moments.randrange(1, 400)):
        os.read(reader, 1) or sys.exit("a worker died by itself")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reader)
"""
"""Kills workers that stage and unpack, each after a number of steps that chance decides."""


@pytest.fixture
def sdist(tmp_path: Path) -> Path:
    path = tmp_path / "demo-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("pyproject.toml", "demo/__init__.py", "demo/data/table.csv", "README"):
            member = tarfile.TarInfo(f"demo-1.0/{name}")
            member.size = 3000
            archive.addfile(member, io.BytesIO(bytes(member.size)))
        link = tarfile.TarInfo("demo-1.0/link")
        link.type, link.linkname = tarfile.SYMTYPE, "README"
        archive.addfile(link)
    return path


@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.stress)])
def test_staging_races__users_of_one_name_have_a_stage_each(tmp_path: Path, count: int) -> None:
    with holders(tmp_path, *[NAME] * count) as crowd:
        paths = {holder.path for holder in crowd}

        assert len(paths) == count
        assert {path.parent for path in paths} == {tmp_path}
        assert set(collect_stages(tmp_path).in_use) == paths

    assert list(tmp_path.iterdir()) == []


def test_staging_races__only_stages_of_killed_processes_are_collected(tmp_path: Path) -> None:
    with holders(tmp_path, *[NAME] * 16) as crowd:
        living, dead = crowd[::2], crowd[1::2]
        for holder in dead:
            holder.kill()

        found = collect_stages(tmp_path)

        assert set(found.removed) == {holder.path for holder in dead}
        assert set(found.in_use) == {holder.path for holder in living}
        assert all((holder.path / "held").exists() for holder in living)
        assert set(tmp_path.iterdir()) == {holder.path for holder in living}


@pytest.mark.parametrize(
    ("visitors", "rounds"), [(8, 100), pytest.param(50, 1000, marks=pytest.mark.stress)]
)
def test_staging_races__no_process_is_in_the_stage_of_another(
    tmp_path: Path, visitors: int, rounds: int
) -> None:
    command = [sys.executable, "-c", _VISITOR, str(tmp_path), NAME, str(rounds)]

    with ExitStack() as stack:
        running = [stack.enter_context(subprocess.Popen(command)) for _ in range(visitors)]
        while any(process.poll() is None for process in running):
            collect_stages(tmp_path)

    assert {process.returncode for process in running} == {0}
    assert list(tmp_path.iterdir()) == []


@needs(posix="fork")
@pytest.mark.parametrize("kills", [100, pytest.param(3000, marks=pytest.mark.stress)])
def test_staging_races__killed_leave_nothing_and_the_living_are_not_disturbed(
    tmp_path: Path, sdist: Path, kills: int
) -> None:
    parent = tmp_path / "stages"
    command = [sys.executable, "-c", _KILLER, str(parent), NAME, str(sdist)]

    with holders(parent, NAME) as (living,), ExitStack() as stack:
        killers = [
            stack.enter_context(subprocess.Popen([*command, str(seed), str(kills // 2)]))
            for seed in range(2)
        ]
        while any(killer.poll() is None for killer in killers):
            assert living.path in collect_stages(parent).in_use
        left = set(parent.iterdir())
        found = collect_stages(parent)

        assert {killer.returncode for killer in killers} == {0}
        assert found == Collection(removed=found.removed, in_use=[living.path])
        assert {*found.removed, living.path} == left
        assert list(parent.iterdir()) == [living.path]
        assert sorted(path.name for path in living.path.iterdir()) == [".lock", "held"]


def test_staging_races__one_of_many_unpacks_into_a_directory(tmp_path: Path, sdist: Path) -> None:
    destination = tmp_path / "out"
    command = [sys.executable, "-m", "wheelforge", "unpack", str(sdist), str(destination)]

    with ExitStack() as stack:
        running = [
            stack.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
            for _ in range(8)
        ]
        errors = [process.communicate()[1].partition(":")[0] for process in running]

    assert sorted(process.returncode for process in running) == [0, *[2] * 7]
    assert errors.count("error[destination-not-empty]") == 7
    assert [path.name for path in destination.iterdir()] == ["demo-1.0"]
    assert len(list(destination.rglob("*"))) == 8
