"""Builds with just what is locked, and wheels that are built once and kept."""

from pathlib import Path

import pytest

from tests.support.builds import Ground, ask, names_in, write_project, write_sdist
from tests.support.stock import PYENV
from wheelforge.cli import main

WHEEL = "demo-1.0-py3-none-any.whl"


def counting(place: Path) -> str:
    """Return code that leaves a letter for each time that it is run."""
    return f"open({str(place)!r}, 'a').write('x')"


def count(place: Path) -> int:
    return len(place.read_text(encoding="ascii")) if place.exists() else 0


def lock(ground: Ground, source: Path) -> Path:
    path = source.parent / "pylock.build.toml"
    assert main(["lock", *ground.words(source, "-o", path)]) == 0
    return path


def build_locked(ground: Ground, source: Path, locked: Path, *words: str) -> int:
    return main(ground.words(source, "-w", "-o", source.parent / "out", "--locked", locked, *words))


def test_lock__fetched_files_build_offline(tmp_path: Path, own: Ground) -> None:
    own.stock.add("extra")
    project = write_project(tmp_path / "project", get_requires_for_build_wheel="answer = ['extra']")
    locked = lock(own, project)
    fresh = Ground(cache=tmp_path / "fresh", links=own.links)
    assert main(["fetch", *fresh.words("--locked", locked)]) == 0

    assert build_locked(fresh, project, locked, "--offline") == 0
    assert names_in(tmp_path / "out") == [WHEEL]


def test_lock__newer_release_changes_nothing(tmp_path: Path, own: Ground) -> None:
    project = write_project(tmp_path / "project")
    locked = lock(own, project)
    own.stock.add("willing", "9.0", files={"willing.py": b"raise SystemExit('new')"})

    assert build_locked(own, project, locked) == 0


def test_lock__locking_builds_nothing(tmp_path: Path, own: Ground) -> None:
    lock(own, write_project(tmp_path / "project", build_wheel=counting(tmp_path / "built")))

    assert count(tmp_path / "built") == 0
    assert names_in(tmp_path) == ["own", "project", "pylock.build.toml"]


def test_lock__other_requirements_are_refused(
    tmp_path: Path, own: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    own.stock.add("extra")
    project = write_project(tmp_path / "project")
    locked = lock(own, project)
    write_project(project, requires=("extra",))
    capsys.readouterr()

    assert build_locked(own, project, locked) == 3

    message = capsys.readouterr().err
    assert message.startswith("error[lock-stale]: ")
    assert "extra" in message
    assert not (tmp_path / "out").exists()


def test_lock__other_bytes_are_refused(
    tmp_path: Path, own: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    sdist = write_sdist(tmp_path)
    locked = lock(own, sdist)
    write_sdist(tmp_path, more={"new.txt": "x"})
    capsys.readouterr()

    assert build_locked(own, sdist, locked) == 3
    assert capsys.readouterr().err.startswith("error[lock-source-changed]: ")


def test_lock__another_python_is_refused(
    tmp_path: Path, own: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    found = sorted(PYENV.glob("3.10.*/bin/python"))
    if not found:
        pytest.skip("needs Python 3.10 of pyenv")
    project = write_project(tmp_path / "project")
    locked = lock(own, project)
    capsys.readouterr()

    assert build_locked(own, project, locked, "--python", str(found[0])) == 3
    assert capsys.readouterr().err.startswith("error[lock-other-python]: ")


def test_lock__requirement_without_a_wheel_is_locked_with_its_own(
    tmp_path: Path, own: Ground
) -> None:
    own.stock.add("deepest")
    write_sdist(own.links, name="deeper", requires=("deepest",))
    write_sdist(own.links, name="deep", requires=("deeper",))
    project = write_project(tmp_path / "project", requires=("deep",))

    locked = lock(own, project)

    text = locked.read_text(encoding="utf-8")
    for name in ("deep-1.0.tar.gz", "deeper-1.0.tar.gz", "deepest-1.0-py3-none-any.whl"):
        assert name in text
    fresh = Ground(cache=tmp_path / "fresh", links=own.links)
    assert main(["fetch", *fresh.words("--locked", locked)]) == 0
    assert build_locked(fresh, project, locked, "--offline") == 0


# Wheels that are built because nobody has them


def build_needy(ground: Ground, tmp_path: Path, *words: str) -> None:
    project = write_project(tmp_path / "project", requires=("needed",))
    assert main(ground.words(project, "-w", "-o", tmp_path / "out", *words)) == 0


@pytest.mark.parametrize(("words", "times"), [((), 1), (("--offline",), 1), (("--refresh",), 2)])
def test_built_wheel__is_built_again_only_on_request(
    tmp_path: Path, own: Ground, words: tuple[str, ...], times: int
) -> None:
    write_sdist(own.links, name="needed", build_wheel=counting(tmp_path / "built"))

    build_needy(own, tmp_path)
    build_needy(own, tmp_path, *words)

    assert count(tmp_path / "built") == times


def test_built_wheel__sdist_with_other_bytes_is_built_again(tmp_path: Path, own: Ground) -> None:
    write_sdist(own.links, name="needed", build_wheel=counting(tmp_path / "built"))
    build_needy(own, tmp_path)
    changed = counting(tmp_path / "built")
    write_sdist(own.links, name="needed", build_wheel=changed, more={"new.txt": "x"})

    build_needy(own, tmp_path, "--refresh")
    build_needy(own, tmp_path)

    assert count(tmp_path / "built") == 2


def test_built_wheel__two_builds_build_it_once(tmp_path: Path, own: Ground) -> None:
    write_sdist(own.links, name="needed", build_wheel=counting(tmp_path / "built"))
    projects = [write_project(tmp_path / name, requires=("needed",)) for name in ("one", "two")]

    with own.forge() as forge:
        for project in projects:
            forge.build(ask(project, tmp_path / "out"))

    assert count(tmp_path / "built") == 1


def test_build_requirement__cycle_is_refused(
    tmp_path: Path, own: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sdist(own.links, name="chicken", requires=("egg",))
    write_sdist(own.links, name="egg", requires=("chicken",))
    project = write_project(tmp_path / "project", requires=("egg",))

    assert main(own.words(project, "-w", "-o", tmp_path / "out")) == 3
    assert "`egg` needs `chicken` needs `egg` to be built" in capsys.readouterr().err


def test_build_requirement__failure_names_the_requirement(
    tmp_path: Path, own: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sdist(own.links, name="needed", build_wheel="raise SystemExit('no steel')")
    project = write_project(tmp_path / "project", requires=("needed",))

    assert main(own.words(project, "-w", "-o", tmp_path / "out")) == 4
    assert "`needed-1.0.tar.gz`: building the wheel has failed" in capsys.readouterr().err
