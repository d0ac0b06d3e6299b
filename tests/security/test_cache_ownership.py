"""A cache that another user can change is not used; one of ours is private, whatever the umask."""

import os
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.security.users import User, make_users
from tests.support.builds import write_sdist
from wheelforge.build.prestart import Prestarter
from wheelforge_isolation import Layout, stage_name

pytestmark = pytest.mark.xdist_group("users")


@pytest.fixture(name="two")
def _two() -> Iterator[tuple[User, User]]:
    with make_users("alice", "mallory") as (alice, mallory):
        yield alice, mallory


@pytest.fixture(name="alice")
def _alice(two: tuple[User, User]) -> User:
    return two[0]


@pytest.fixture(name="mallory")
def _mallory(two: tuple[User, User]) -> User:
    return two[1]


def sdist_of(user: User, **code: Any) -> Path:  # ruff: ignore[any-type]
    sdist = write_sdist(user.home, own=True, **code)
    user.own(user.home)
    return sdist


def layout_of(user: User) -> Layout:
    return Layout(root=user.home / ".cache" / "wheelforge")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def as_root_at_home_of(user: User, *argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wheelforge", *map(str, argv)],
        env={"PATH": "/usr/bin:/bin", "HOME": str(user.home), "LANG": "C.UTF-8"},
        cwd=user.home,
        capture_output=True,
        text=True,
        check=False,
    )


def plant_guess(layout: Layout, source: Path) -> Path:
    """Let the cache name a program of mallory's for ``source``; return what it would create."""
    trace = source.parent / "trace"
    program = source.parent / "program"
    program.write_text(f"#!/bin/sh\nid > {trace}\n", encoding="ascii")
    program.chmod(0o755)
    Prestarter(layout.root).store(source, str(program), "json", {})
    return trace


def test_cache_of_another_user__root_does_not_use_it(alice: User) -> None:
    sdist = sdist_of(alice)
    assert alice.wheelforge(sdist, "-o", alice.home / "first").returncode == 0
    trace = plant_guess(layout_of(alice), sdist)
    alice.own(alice.home)

    done = as_root_at_home_of(alice, sdist, "-o", alice.home / "second")

    assert done.returncode == 0, done.stderr
    assert f"belongs to {alice.name}, not to root; a temporary cache is used" in done.stderr
    assert not trace.exists()
    assert {path.lstat().st_uid for path in layout_of(alice).root.rglob("*")} == {alice.uid}
    assert alice.wheelforge(sdist, "-o", alice.home / "third").returncode == 0


def test_cache_of_another_user__is_not_collected_by_root(alice: User) -> None:
    assert alice.wheelforge(sdist_of(alice), "-o", alice.home / "out").returncode == 0
    before = sorted(layout_of(alice).root.rglob("*"))

    done = as_root_at_home_of(alice, "cache", "clear")

    assert done.returncode == 5
    assert done.stderr.startswith("error[cache-foreign]: ")
    assert "sudo -H" in done.stderr
    assert sorted(layout_of(alice).root.rglob("*")) == before


def test_cache_of_another_user__that_may_be_read_is_not_believed(
    alice: User, mallory: User
) -> None:
    shared = mallory.home / "shared"
    assert mallory.wheelforge(sdist_of(mallory), "--cache-dir", shared).returncode == 0
    sdist = sdist_of(alice)
    trace = plant_guess(Layout(root=shared), sdist)
    mallory.own(shared)
    for path in (shared, *shared.rglob("*")):
        path.chmod(0o755)

    done = alice.wheelforge(sdist, "--cache-dir", shared, "-o", alice.home / "out")

    assert done.returncode == 0, done.stderr
    assert f"belongs to {mallory.name}, not to {alice.name}" in done.stderr
    assert not trace.exists()


def test_cache_of_another_user__one_temporary_cache_serves_a_batch(
    alice: User, mallory: User
) -> None:
    shared = mallory.home / "shared"
    mallory.own(_make_directory(shared, 0o777))
    sources = [write_sdist(alice.home, own=True, name=name) for name in ("one", "two")]
    alice.own(alice.home)

    done = alice.wheelforge(*sources, "--cache-dir", shared, "-o", alice.home / "out")

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("a temporary cache is used") == 1
    assert list(shared.iterdir()) == []


@pytest.mark.parametrize(
    ("mode", "told"),
    [(0o755, "it cannot be written to"), (0o1777, "belongs to root, not to {}")],
    ids=["that only root can write to is read", "that all can write to is not used"],
)
def test_cache_of_root__is_used_as_far_as_others_cannot_write_to_it(
    alice: User, mode: int, told: str
) -> None:
    shared = _make_directory(alice.home.parent / "shared", mode)

    done = alice.wheelforge(sdist_of(alice), "--cache-dir", shared, "-o", alice.home / "out")

    assert done.returncode == 0, done.stderr
    assert told.format(alice.name) in done.stderr
    assert list(shared.iterdir()) == []


def test_cache_of_a_group__is_refused_to_its_owner_and_not_used_by_others(
    alice: User, mallory: User
) -> None:
    shared = alice.own(_make_directory(alice.home / "shared", 0o2775))
    os.chown(shared, alice.uid, mallory.gid)

    refused = alice.wheelforge(sdist_of(alice), "--cache-dir", shared, "-o", alice.home / "out")
    done = mallory.wheelforge(sdist_of(mallory), "--cache-dir", shared)

    assert refused.returncode == 5
    assert refused.stderr.startswith("error[cache-shared]: ")
    assert done.returncode == 0, done.stderr
    assert f"belongs to {alice.name}, not to {mallory.name}" in done.stderr
    assert list(shared.iterdir()) == []


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077])
def test_new_cache__is_private_whatever_the_umask(alice: User, umask: int) -> None:
    done = alice.wheelforge(sdist_of(alice), "-o", alice.home / "out", umask=umask)

    assert done.returncode == 0, done.stderr
    assert mode_of(layout_of(alice).root) == 0o700
    assert mode_of(layout_of(alice).root.parent) == 0o700


def test_cache_of_ours__that_is_open_to_others_is_closed(alice: User) -> None:
    root = _make_directory(layout_of(alice).root, 0o777)
    alice.own(alice.home)

    done = alice.wheelforge(sdist_of(alice), "-o", alice.home / "out")

    assert done.returncode == 0, done.stderr
    assert mode_of(root) == 0o700


@pytest.mark.parametrize("name", ["stage-v1", "locks", "leases", "logs-v1", "files-v1"])
def test_directory_in_our_cache__that_root_has_made_is_set_aside(alice: User, name: str) -> None:
    sdist, root = sdist_of(alice), _make_directory(layout_of(alice).root, 0o700)
    alice.own(alice.home)
    planted = _make_directory(root / name, 0o755)
    (planted / "kept").touch()

    done = alice.wheelforge(sdist, "-o", alice.home / "out")

    assert done.returncode == 0, done.stderr
    assert f"note: {planted}: it belongs to root; it was set aside" in done.stderr
    assert alice.wheelforge("cache", "clear").returncode == 0


@pytest.mark.parametrize("name", ["stage-v1", "locks", "logs-v1", "environments-v2"])
def test_link_in_our_cache__is_not_followed(alice: User, name: str) -> None:
    root = _make_directory(layout_of(alice).root, 0o700)
    documents = _make_directory(alice.home / "documents", 0o755)
    (documents / "thesis").write_text("ten years", encoding="ascii")
    (root / name).symlink_to(documents)
    alice.own(alice.home)

    built = alice.wheelforge(sdist_of(alice), "-o", alice.home / "out")
    cleared = alice.wheelforge("cache", "clear")

    assert (built.returncode, cleared.returncode) == (0, 0), built.stderr + cleared.stderr
    assert [path.name for path in documents.iterdir()] == ["thesis"]
    assert mode_of(documents) == 0o755


def test_stage__that_is_a_link_at_the_beginning_is_replaced(alice: User) -> None:
    sdist = sdist_of(alice)
    stages = _make_directory(layout_of(alice).stages, 0o700)
    documents = _make_directory(alice.home / "documents", 0o755)
    (documents / "thesis").write_text("ten years", encoding="ascii")
    (stages / stage_name("demo-1.0", str(sdist))).symlink_to(documents)
    alice.own(alice.home)

    done = alice.wheelforge(sdist, "-o", alice.home / "out")

    assert done.returncode == 0, done.stderr
    assert [path.name for path in documents.iterdir()] == ["thesis"]
    assert mode_of(documents) == 0o755


def test_stage__that_a_hook_replaces_by_a_link_empties_nothing_else(alice: User) -> None:
    documents = _make_directory(alice.home / "documents", 0o755)
    (documents / "thesis").write_text("ten years", encoding="ascii")
    code = f"""
        import os, pathlib
        here = pathlib.Path.cwd()
        stage = next(path for path in here.parents if path.parent.name == "stage-v1")
        stage.rename(stage.with_name(f"moved-{{os.getpid()}}"))
        stage.symlink_to({str(documents)!r})
        raise SystemExit(1)
    """
    sdist = sdist_of(alice, build_wheel=textwrap.dedent(code))

    for _ in range(2):
        done = alice.wheelforge(sdist, "-o", alice.home / "out")
        assert done.returncode == 5
        assert "error[stage-lost]" in done.stderr

    assert [path.name for path in documents.iterdir()] == ["thesis"]
    assert mode_of(documents) == 0o755


def test_cache__that_is_deleted_while_a_build_runs_is_not_the_projects_fault(alice: User) -> None:
    code = f"import shutil; shutil.rmtree({str(layout_of(alice).root)!r})"
    sdist = sdist_of(alice, build_wheel=code)

    done = alice.wheelforge(sdist, "-o", alice.home / "out")

    assert done.returncode == 5
    assert "error[stage-lost]" in done.stderr
    assert sdist_of(alice).exists()
    assert alice.wheelforge(sdist, "-o", alice.home / "out").returncode == 0


def test_log__that_is_a_link_is_replaced(alice: User) -> None:
    sdist = sdist_of(alice, build_wheel="print('from the backend', flush=True)")
    profile = alice.home / ".profile"
    profile.write_text("mine", encoding="ascii")
    assert alice.wheelforge(sdist, "-o", alice.home / "out").returncode == 0
    (log,) = layout_of(alice).logs.iterdir()
    log.unlink()
    log.symlink_to(profile)

    done = alice.wheelforge(sdist, "-o", alice.home / "out", "--no-reuse")

    assert done.returncode == 0, done.stderr
    assert profile.read_text(encoding="ascii") == "mine"
    assert "from the backend" in log.read_text(encoding="utf-8")


def test_cache__that_cannot_be_made_is_a_clear_error(alice: User) -> None:
    closed = _make_directory(alice.home.parent / "closed", 0o755)

    done = alice.wheelforge(sdist_of(alice), variables={"HOME": str(closed)})

    assert done.returncode == 5
    assert done.stderr.startswith("error[cache-unavailable]: ")
    assert "--no-cache" in done.stderr


def _make_directory(path: Path, mode: int) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    return path
