"""Builds of one directory take turns; those of archives never meet; nothing is left in a tree."""

import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

import wheelforge.build.session
from tests.support.builds import Ground, Hearer, ask, facts_of, names_in, write_project, write_sdist
from tests.support.hooks import wait_until
from tests.support.processes import in_threads, run_at_once
from wheelforge.build.forge import Forge
from wheelforge.models import Kind, Outcome
from wheelforge_isolation import wait_for_turn

ALONE = """
import os, time
os.mkdir("alone")
while not os.path.exists("go"):
    time.sleep(0.005)
os.rmdir("alone")
"""
"""Fails if another one is at work in the same directory."""


def build_together(forge: Forge, project: Path, output: Path) -> list[Outcome]:
    """Start two builds, and let them go once one is at work and the other has begun to wait."""
    build = partial(forge.try_build, ask(project, output))
    with in_threads(build, build) as outcomes:
        wait_until((project / "alone").exists)
        (project / "go").touch()
    return outcomes


def test_directory__two_threads_take_turns(tmp_path: Path, ground: Ground) -> None:
    project = write_project(tmp_path / "project", build_wheel=ALONE)

    with ground.forge() as forge:
        outcomes = build_together(forge, project, tmp_path / "out")

    assert [outcome.error for outcome in outcomes] == [None, None]
    assert names_in(project) == ["go", "pyproject.toml"]


def test_directory__two_processes_take_turns(tmp_path: Path, ground: Ground) -> None:
    project = write_project(tmp_path / "project", build_wheel=ALONE)
    outputs = [tmp_path / name for name in ("first", "second")]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "wheelforge", *ground.words(project, "-w", "-o", output)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for output in outputs
    ]
    wait_until((project / "alone").exists)
    (project / "go").touch()
    ends = [(process.communicate()[1], process.returncode) for process in processes]

    assert [code for _, code in ends] == [0, 0], ends
    assert [names_in(output) for output in outputs] == [["demo-1.0-py3-none-any.whl"]] * 2


def test_directory__long_wait_names_the_holder(
    tmp_path: Path, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write_project(tmp_path / "project")
    hurried = partial(wait_for_turn, announce_after_seconds=0)
    monkeypatch.setattr(wheelforge.build.session, "wait_for_turn", hurried)
    hearer = Hearer()
    with ground.forge(hearer) as forge:
        thread = threading.Thread(target=forge.build, args=[ask(project, tmp_path / "out")])
        with wait_for_turn(project, lambda _: None, label="somebody's own work"):
            thread.start()
            wait_until(lambda: hearer.notes)
        thread.join()

    (note,) = hearer.notes
    assert note.startswith("waiting for process ")
    assert note.endswith(", which builds somebody's own work just now")


def test_directory__two_spellings_are_one(tmp_path: Path, ground: Ground) -> None:
    project = write_project(tmp_path / "project")
    (tmp_path / "link").symlink_to(project)
    request = ask(tmp_path / "link", tmp_path / "out", tree=project / ".." / "project")

    with ground.forge() as forge:
        outcome = forge.try_build(request)

    assert outcome.error is None


def test_stage__archives_are_built_at_once_each_in_its_own(tmp_path: Path, ground: Ground) -> None:
    place = tmp_path / "meeting"
    place.mkdir()
    meet = f"""
import os, time
open({str(place)!r} + "/" + str(os.getpid()), "w").close()
while len(os.listdir({str(place)!r})) < 2:
    time.sleep(0.005)
"""
    sdist = write_sdist(tmp_path, build_wheel=meet)
    requests = [ask(sdist, tmp_path / name) for name in ("one", "two")]
    with ground.forge() as forge:
        outcomes = run_at_once(*(partial(forge.build, request) for request in requests))

    assert len({facts_of(outcome)["directory"] for outcome in outcomes}) == 2
    assert ground.stages == []


def test_stage__starts_pristine_at_the_same_path(tmp_path: Path, ground: Ground) -> None:
    code = "import os; assert not os.path.exists('left'); open('left', 'w').close()"
    sdist = write_sdist(tmp_path, build_wheel=code)

    directories = {facts_of(ground.build(sdist, tmp_path / "out"))["directory"] for _ in range(2)}

    assert len(directories) == 1


def test_directory__nothing_of_ours_is_left(tmp_path: Path, ground: Ground) -> None:
    project = write_project(tmp_path / "project", own=True)
    before = names_in(project)

    for kinds in ((), (Kind.EDITABLE,), (Kind.METADATA,)):
        ground.build(project, tmp_path / "out", kinds=kinds)

    assert names_in(project) == before


# Where the sdist is unpacked on request


def test_extract_dir__sdist_is_unpacked_there_and_stays(tmp_path: Path, ground: Ground) -> None:
    project = write_project(tmp_path / "project")

    outcome = ground.build(project, tmp_path / "out", kinds=(), tree=tmp_path / "tree")

    assert facts_of(outcome)["directory"] == str(tmp_path / "tree" / "demo-1.0")
    assert names_in(tmp_path / "tree") == ["demo-1.0"]
    assert names_in(tmp_path / "tree" / "demo-1.0") == ["PKG-INFO", "pyproject.toml"]


def test_extract_dir__second_run_replaces_only_the_first(tmp_path: Path, ground: Ground) -> None:
    tree = tmp_path / "tree"
    (tree / "demo-0.9").mkdir(parents=True)
    (tree / "mine.txt").write_text("mine", encoding="utf-8")
    sdist = write_sdist(tmp_path, build_wheel="open('left', 'w').close()")
    ground.build(sdist, tmp_path / "out", tree=tree)
    assert (tree / "demo-1.0" / "left").exists()
    write_sdist(tmp_path)

    ground.build(sdist, tmp_path / "out", tree=tree)

    assert names_in(tree) == ["demo-0.9", "demo-1.0", "mine.txt"]
    assert not (tree / "demo-1.0" / "left").exists()


def test_extract_dir__link_is_replaced_and_not_followed(tmp_path: Path, ground: Ground) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "file").touch()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "demo-1.0").symlink_to(mine)

    ground.build(write_sdist(tmp_path), tmp_path / "out", tree=tmp_path / "tree")

    assert names_in(mine) == ["file"]
    assert not (tmp_path / "tree" / "demo-1.0").is_symlink()


def test_extract_dir__refused_archive_leaves_the_old_tree(tmp_path: Path, ground: Ground) -> None:
    tree = tmp_path / "tree"
    ground.build(write_sdist(tmp_path), tmp_path / "out", tree=tree)
    damaged = tmp_path / "demo-1.0.tar.gz"
    damaged.write_bytes(damaged.read_bytes()[:-20])

    with ground.forge() as forge:
        outcome = forge.try_build(ask(damaged, tmp_path / "out", tree=tree))

    assert outcome.error is not None
    assert outcome.error.code == "archive-damaged"
    assert names_in(tree) == ["demo-1.0"]
    assert names_in(tree / "demo-1.0") == ["PKG-INFO", "pyproject.toml"]
