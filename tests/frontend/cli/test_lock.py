"""The command `lock`: many sources at once, some of which fail, and a lock that is checked."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.support.builds import Ground, write_project, write_sdist
from tests.support.stock import PYENV
from wheelforge.cli import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sdist(tmp_path: Path) -> Path:
    return write_sdist(tmp_path, name="good")


@pytest.fixture
def needy(tmp_path: Path) -> Path:
    """Return a project that asks for what there is not, after it has got what it declares."""
    more = "answer = ['absent']"
    return write_project(tmp_path / "needy", get_requires_for_build_wheel=more)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pylock.build.toml"


def lock(own: Ground, path: Path, *words: str | Path) -> int:
    return main(["lock", *own.words(*words, "-o", path)])


def names(path: Path) -> list[str]:
    """Return the sources in a lock."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return [source["name"] for source in content["tool"]["wheelforge"]["sources"]]


def test_lock__takes_requirement_files_and_many_at_once(
    tmp_path: Path, own: Ground, path: Path, sdist: Path
) -> None:
    write_project(tmp_path / "one", requires=("demo",))
    write_project(tmp_path / "demo")
    own.stock.add("demo")
    lines = f"{sdist}\n{tmp_path}/one\n{tmp_path}/demo\nother; python_version < '3'\n"
    (tmp_path / "list.txt").write_text(lines, encoding="utf-8")

    # `one` is locked with the release of `demo`, as it is built when it is built alone.
    assert lock(own, path, "-r", tmp_path / "list.txt", "-j", "2") == 0

    assert names(path) == ["demo", "good-1.0.tar.gz", "one"]


@pytest.mark.parametrize("words", [(), ("--keep-going",)])
def test_lock__of_sources_that_fail_is_written_if_it_may_go_on(
    own: Ground,
    path: Path,
    needy: Path,
    words: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = lock(own, path, needy, write_sdist(path.parent, name="good"), *words)

    err = capsys.readouterr().err
    assert "`absent`" in err
    assert (code, path.exists()) == ((1, True) if words else (3, False))
    if words:
        assert names(path) == ["good-1.0.tar.gz"]
        assert err.endswith("error: not in the lock, as they have failed: `needy`\n")


def test_lock__of_nothing_that_works_is_not_written(own: Ground, path: Path, needy: Path) -> None:
    assert lock(own, path, needy, "--keep-going") == 3
    assert not path.exists()


def test_check__tells_what_differs_and_writes_nothing(
    tmp_path: Path, own: Ground, path: Path, sdist: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = write_project(tmp_path / "project")
    assert lock(own, path, project, sdist) == 0
    before = path.read_bytes()
    assert lock(own, path, project, sdist, "--check") == 0
    capsys.readouterr()
    own.stock.add("extra", "2.0")
    write_project(project, requires=("extra",))

    assert lock(own, path, project, "--check") == 1

    first, *lines, hint = capsys.readouterr().err.splitlines()
    assert first == f"error[lock-outdated]: `{path}` is not what would be written:"
    assert [line[:16] for line in lines] == [
        "  - source good-",
        "  - good-1.0.tar",
        "  + project requ",
        "  + extra-2.0-py",
    ]
    assert hint == "hint: the same command without `--check` writes it"
    assert path.read_bytes() == before


def test_check__tells_no_more_than_people_read(
    tmp_path: Path, own: Ground, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    projects = [write_project(tmp_path / f"project-{number:02}") for number in range(12)]
    assert lock(own, path, projects[0]) == 0
    capsys.readouterr()

    assert lock(own, path, *projects, "--check") == 1

    lines = capsys.readouterr().err.splitlines()
    assert (len(lines), lines[-2]) == (23, "  and 2 more")


@pytest.mark.skipif(
    not (PYENV / "3.12.1" / "bin" / "python").exists(), reason="needs another Python"
)
def test_lock__has_a_source_for_the_pythons_that_it_works_with(
    tmp_path: Path, own: Ground, path: Path
) -> None:
    more = "import sys; answer = ['absent'] if sys.version_info >= (3, 12) else []"
    project = write_project(tmp_path / "project", get_requires_for_build_wheel=more)
    pythons = ("-p", "3.11", "-p", str(PYENV / "3.12.1" / "bin" / "python"))

    assert lock(own, path, project, *pythons, "--keep-going") == 1

    content = tomllib.loads(path.read_text(encoding="utf-8"))
    found = content["tool"]["wheelforge"]["sources"]
    assert [source["python"]["version"] for source in found] == ["3.11"]


def test_lock__needs_isolation_and_no_other_lock(
    own: Ground, path: Path, sdist: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lock(own, path, sdist, "-n") == 2
    assert capsys.readouterr().err.startswith("error[option-invalid]: `--no-isolation` ")
    assert lock(own, path, sdist, "--locked", path) == 2
    assert "`wheelforge lock` has no such option; builds use a lock" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("deps.toml",), "a lock has to be called `pylock.toml` or `pylock.NAME.toml`"),
        (("deps.toml", "--check"), "a lock has to be called `pylock.toml` or `pylock.NAME.toml`"),
        (("pylock.absent.toml", "--check"), "it cannot be read: No such file or directory"),
    ],
)
def test_lock__that_cannot_be_written_or_compared_is_refused_before_any_work(
    own: Ground,
    path: Path,
    words: tuple[str, ...],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = path.with_name(words[0])

    code = lock(own, path, "absent-1.0.tar.gz", *words[1:])

    error = f"error[lock-invalid]: `{path}`: {reason}\n"
    assert (code, capsys.readouterr().err.startswith(error)) == (2, True)
