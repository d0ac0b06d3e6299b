"""Directories, requirement files and locks for a server on the network."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tomllib
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.builds import Ground, names_in, write_project, write_sdist
from tests.support.far import Far, plain, serving_far
from tests.support.index import File, Project, serve
from wheelforge_isolation import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a server forks"),
    pytest.mark.xdist_group("service-remote-inputs"),
]
ALL_FILES = "[files.update({f'facts/{p}': p.read_bytes().hex()}) for p in Path().rglob('*')]"


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    """A server that has its build requirements, and one sdist, from an index at a URL."""
    place = tmp_path_factory.mktemp("remote")
    ground = Ground.make(place)
    wheels = [File(name=path.name, content=path.read_bytes()) for path in ground.links.iterdir()]
    listed = write_sdist(place, name="listed")
    sdist = File(name=listed.name, content=listed.read_bytes())
    with serve(Project("willing", *wheels), Project("listed", sdist)) as index:
        places = ("--index-url", index.url)
        with serving_far(ground, place, "--target", "this=3.11", places=places) as far:
            yield far


def list_uploads(far: Far) -> list[str]:
    names = [path.name for path in (far.service.home / "uploads").glob("*/*")]
    return sorted(names)


def read_facts(path: Path) -> list[dict[str, object]]:
    facts = json.loads(path.read_bytes())["builds"]
    names = ("label", "backend", "outcome", "environment", "python")
    return [{name: build[name] for name in names} for build in facts]


def test_remote_directory__is_built_as_in_one_process(far: Far, tmp_path: Path) -> None:
    tree = write_project(tmp_path / "my tree", name="rooted")

    remote = far.run(tree, "--report", tmp_path / "a.json")
    names = names_in(tree / "dist")
    remove_tree(str(tree / "dist"))
    local = far.near(tree, "--report", tmp_path / "b.json")

    assert remote.code == local.code == 0, remote.err
    assert names == names_in(tree / "dist") == ["rooted-1.0-py3-none-any.whl", "rooted-1.0.tar.gz"]
    assert remote.out == local.out
    assert read_facts(tmp_path / "a.json") == read_facts(tmp_path / "b.json")
    assert list(far.service.home.glob("runs/*/tree")) == []
    assert far.run("why", "rooted").out.startswith("rooted-1.0-py3-none-any.whl: ")


def test_remote_directory__that_has_not_changed_is_sent_once(far: Far, tmp_path: Path) -> None:
    tree = write_project(tmp_path / "steady", name="steady")
    before = list_uploads(far)

    codes = [far.run(tree, "-o", tmp_path / f"out{number}").code for number in range(2)]
    one = list_uploads(far)
    (tree / "new.py").touch()
    far.run(tree, "-o", tmp_path / "out")

    assert codes == [0, 0]
    assert len(one) == len(before) + 1
    assert len(list_uploads(far)) == len(before) + 2


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_remote_directory__is_sent_without_all_that_is_none_of_its_sdist(
    far: Far, tmp_path: Path
) -> None:
    tree = write_project(tmp_path / "clean", name="clean")
    for name in (
        "secret.env",
        "module.py",
        "dist/clean-0.9.tar.gz",
        "dist/clean-0.9-py3-none-any.whl",
    ):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text("x", encoding="utf-8")
    (tree / ".gitignore").write_text("*.env\n", encoding="utf-8")
    (tree / "script.sh").write_text("#!/bin/sh\n", encoding="utf-8")
    (tree / "script.sh").chmod(0o755)
    (tree / "link").symlink_to("module.py")
    git = shutil.which("git") or ""
    subprocess.run([git, "init", "--quiet"], cwd=tree, check=True)

    assert far.run(tree, "-w", "-o", tmp_path / "out").code == 0

    (archive,) = (far.service.home / "uploads").glob("*/clean.tree.tar.gz")
    with tarfile.open(archive) as members:
        found = {each.name.partition("/")[2]: each for each in members.getmembers()}
    assert sorted(found) == [".gitignore", "link", "module.py", "pyproject.toml", "script.sh"]
    assert found["script.sh"].mode == 0o755
    assert found["link"].linkname == "module.py"
    assert {(each.uid, each.gid, each.uname) for each in found.values()} == {(0, 0, "")}


def test_remote_directory__that_fails_half_way_ends_as_in_one_process(
    far: Far, tmp_path: Path
) -> None:
    tree = write_project(tmp_path / "half", name="half", build_wheel="raise SystemExit('no')")

    remote = far.run(tree)
    names = names_in(tree / "dist")
    remove_tree(str(tree / "dist"))
    local = far.near(tree)

    assert (remote.code, remote.error) == (local.code, local.error) == (4, "backend-failed")
    assert names == names_in(tree / "dist") == ["half-1.0.tar.gz"]


def test_remote_directory__whose_version_is_in_its_repository_is_refused(
    far: Far, tmp_path: Path
) -> None:
    tree = write_project(tmp_path / "tagged", requires=("setuptools_scm[toml]>=8",))
    text = (tree / "pyproject.toml").read_text().replace('version = "1.0"', 'dynamic = ["version"]')
    (tree / "pyproject.toml").write_text(text)

    done = far.run(tree)

    assert (done.code, done.error) == (5, "server-unusable")
    assert "has its version of `setuptools-scm`, from a repository that is not sent" in done.err


def test_remote_requirements__are_built_as_in_one_process(far: Far, tmp_path: Path) -> None:
    sdist = write_sdist(tmp_path, name="here")
    write_project(tmp_path / "tree", name="grown")
    digest = hashlib.sha256(sdist.read_bytes()).hexdigest()
    (tmp_path / "more.txt").write_text("listed<2\nlisted==1.0 ; python_version < '3'\n")
    lines = [
        f"{sdist} --hash=sha256:{digest}", str(tmp_path / "tree"), "-r more.txt",
        "listed ; sys_platform == 'none'",
    ]  # fmt: skip
    (tmp_path / "wanted.txt").write_text("\n".join(lines))

    done = {
        name: run("-r", tmp_path / "wanted.txt", "-w", "-o", tmp_path / name, "--events",
                  tmp_path / f"{name}.events")
        for name, run in (("a", far.run), ("b", far.near))
    }  # fmt: skip

    assert done["a"].code == done["b"].code == 0, done["a"].err
    assert names_in(tmp_path / "a") == names_in(tmp_path / "b")
    assert len(names_in(tmp_path / "a")) == 3
    events = {
        name: [json.loads(line) for line in (tmp_path / f"{name}.events").read_text().splitlines()]
        for name in done
    }
    queued = {
        name: [(each["id"], each["build"]) for each in told if each["kind"] == "queued"]
        for name, told in events.items()
    }
    assert queued["a"] == queued["b"]
    assert sorted(done["a"].out.replace("/a/", "/b/").splitlines()) == sorted(
        done["b"].out.splitlines()
    )


@pytest.mark.parametrize("place", ["archive", "release"])
def test_remote_requirement__with_another_hash_fails_as_in_one_process(
    far: Far, tmp_path: Path, place: str
) -> None:
    sdist = write_sdist(tmp_path, name="hashed")
    name = str(sdist) if place == "archive" else "listed==1.0"
    (tmp_path / "wanted.txt").write_text(f"{name} --hash=sha256:{'0' * 64}\n")

    remote, local = (
        run("-r", tmp_path / "wanted.txt", "-o", tmp_path / "out") for run in (far.run, far.near)
    )

    assert (remote.code, remote.error) == (local.code, local.error)
    assert remote.error == "hash-refused"
    assert names_in(tmp_path / "out") == []


def test_remote_lock_of_a_project__is_built(far: Far, tmp_path: Path) -> None:
    sdist = write_sdist(tmp_path, name="pinned")
    digest = hashlib.sha256(sdist.read_bytes()).hexdigest()
    (tmp_path / "pylock.toml").write_text(
        'lock-version = "1.0"\ncreated-by = "test"\n'
        f'[[packages]]\nname = "pinned"\nversion = "1.0"\n'
        f'sdist = {{path = "{sdist.name}", hashes = {{sha256 = "{digest}"}}}}\n'
    )

    done = far.run("-r", tmp_path / "pylock.toml", "--python", "this", "-o", tmp_path / "out")

    assert done.code == 0, done.err
    assert names_in(tmp_path / "out") == ["pinned-1.0-py3-none-any.whl"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("--index-url https://example.org/simple", "`--index-url` of a requirements file is not"),
        ("--find-links /wheels\nlisted", "`--find-links` of a requirements file is not"),
        ("demo @ git+file:///repository", "is only on this machine"),
    ],
)
def test_remote_requirements__that_name_what_is_only_here_are_refused(
    far: Far, tmp_path: Path, line: str, reason: str
) -> None:
    (tmp_path / "wanted.txt").write_text(f"{line}\n")

    done = far.run("-r", tmp_path / "wanted.txt")

    assert (done.code, done.error) == (5, "server-unusable")
    assert reason in done.err


def test_remote_lock__is_the_one_that_is_made_in_one_process(far: Far, tmp_path: Path) -> None:
    sdist, tree = write_sdist(tmp_path), write_project(tmp_path / "tree", name="other")
    locks = {name: tmp_path / f"pylock.{name}.toml" for name in ("a", "b")}

    remote = far.run("lock", sdist, tree, "listed==1.0", "-o", locks["a"])
    local = far.near("lock", sdist, tree, "listed==1.0", "-o", locks["b"])

    assert (remote.code, plain(remote.err)) == (local.code, plain(local.err)) == (0, "")
    assert remote.out == f"{locks['a']}\n"
    content = {name: tomllib.loads(path.read_text()) for name, path in locks.items()}
    assert content["a"] == content["b"]
    assert far.run("lock", "--check", sdist, tree, "listed==1.0", "-o", locks["b"]).code == 0
    outdated = far.run("lock", "--check", sdist, "-o", locks["b"])
    assert (outdated.code, outdated.error) == (1, "lock-outdated")


def test_remote_lock__of_a_source_that_fails_ends_as_in_one_process(
    far: Far, tmp_path: Path
) -> None:
    bad = write_sdist(tmp_path, name="bad", requires=("absent-from-the-index",))

    remote = far.run("lock", bad, "-o", tmp_path / "pylock.a.toml")
    local = far.near("lock", bad, "-o", tmp_path / "pylock.b.toml")

    assert (remote.code, remote.error) == (local.code, local.error)
    assert remote.code != 0
    assert not (tmp_path / "pylock.a.toml").exists()


def test_remote_why__tells_how_two_builds_differ(far: Far, tmp_path: Path) -> None:
    old, new = (write_sdist(tmp_path, name="twice", version=version) for version in ("1.0", "2.0"))
    for sdist in (old, new):
        assert far.run(sdist, "-o", tmp_path / "out").code == 0

    done = far.run("why", "twice==2.0", "twice==1.0")
    same = far.run("why", old, old)
    unknown = far.run("why", "twice", "unheard-of")

    assert done.code == 0, done.err
    assert done.out.startswith("twice-2.0-py3-none-any.whl: the sdist has other bytes")
    assert same.out == "twice-1.0-py3-none-any.whl: nothing has changed\n"
    assert (unknown.code, unknown.error) == (2, "option-invalid")
