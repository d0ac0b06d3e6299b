"""Workspaces of uv and hatch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.source import ROOT
from wheelforge.cli import main
from wheelforge.cli.arguments import parse_words

UV = Path(sys.executable).with_name("uv")
TABLES = {
    "uv": "[tool.uv.workspace]\nmembers = ['packages/*', 'one']\nexclude = ['packages/s*']\n",
    "hatch": (
        "[tool.hatch.envs.default]\nworkspace.members = ['packages/*', { path = 'one' }]\n"
        "workspace.exclude = ['packages/s*']\n"
    ),
}
SYSTEM = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
BACKEND = ROOT / "fixtures" / "projects" / "minimal" / "backend.py"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a workspace of uv: `one`, `Two_x`, `plain` without a backend; `seeds` is excluded."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(TABLES["uv"], encoding="utf-8")
    for place, name, system in (
        ("one", "one", SYSTEM),
        ("packages/two", "Two_x", SYSTEM),
        ("packages/plain", "plain", ""),
        ("packages/seeds", "seeds", SYSTEM),
        ("packages/virtual", "virtual", f"{SYSTEM}[tool.uv]\npackage = false\n"),
    ):
        path = tmp_path / place
        (path / "src").mkdir(parents=True)
        project = f"[project]\nname = '{name}'\nversion = '1.0'\n{system}"
        (path / "pyproject.toml").write_text(project, encoding="utf-8")
        (path / "backend.py").write_bytes(BACKEND.read_bytes())
    (tmp_path / "packages" / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("place", [".", "packages/two"])
def test_all_packages__are_those_that_can_be_built(
    root: Path, monkeypatch: pytest.MonkeyPatch, table: str, place: str
) -> None:
    (root / "pyproject.toml").write_text(TABLES[table], encoding="utf-8")
    monkeypatch.chdir(root / place)

    options = parse_words(["--all-packages"])

    assert options.sources == [root / "packages" / "two", root / "one"]
    assert options.outdir == root / "dist"
    assert parse_words(["lock", str(root), "--all-packages"]).sources == options.sources


def test_all_packages__have_the_root_among_them_if_it_is_a_project(root: Path) -> None:
    text = f"[project]\nname = 'root'\nversion = '1'\n{SYSTEM}{TABLES['uv']}"
    (root / "pyproject.toml").write_text(text, encoding="utf-8")

    assert parse_words(["--all-packages"]).sources == [
        root,
        root / "packages" / "two",
        root / "one",
    ]


def test_packages__are_chosen_by_name(root: Path) -> None:
    words = ["--package", "plain", "--package", "two.X", "-o", "out"]

    options = parse_words(words)

    assert options.sources == [root / "packages" / "plain", root / "packages" / "two"]
    assert options.outdir == root / "out"


def test_all_packages__are_the_same_as_those_of_uv(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--all-packages", "--cache-dir", str(root / "cache"), "--no-index"]) == 0
    ours = {Path(line).name for line in capsys.readouterr().out.splitlines()}
    assert ours == {path.name for path in (root / "dist").iterdir()}
    if not UV.exists():
        pytest.skip("needs uv")

    words = ["build", "--all-packages", "--offline", "-q", "-o", "theirs", "--python"]
    subprocess.run([str(UV), *words, sys.executable, "--cache-dir", "uv"], check=True)

    theirs = {path.name for path in (root / "theirs").iterdir() if path.name != ".gitignore"}
    assert theirs == ours


def test_packages__may_be_called_by_a_directory_whose_name_is_none(root: Path) -> None:
    (root / "one").rename(root / "packages" / "my one")
    (root / "packages" / "my one" / "pyproject.toml").write_text(SYSTEM, encoding="utf-8")

    assert parse_words(["--package", "my one"]).sources == [root / "packages" / "my one"]


def test_packages__of_one_name_are_told_with_their_places(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "packages" / "copy").mkdir()
    (root / "packages" / "copy" / "pyproject.toml").write_text(
        f"[project]\nname = 'two.X'\nversion = '1.0'\n{SYSTEM}", encoding="utf-8"
    )

    assert main(["--all-packages"]) == 2

    places = " and ".join(f"`{root / 'packages' / name}`" for name in ("copy", "two"))
    assert f"line 1: two members are called `two-x`: {places}\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text", "reason"),
    [
        (["--package", "tow-x"], "", "; did you mean `two-x`?"),
        (["--package", "no name"], "", "`no name` is no member of the workspace"),
        (["--package", "zzz"], "", "; its members are one, plain, two-x, virtual"),
        (["--all-packages", "--package", "one"], "", "cannot be combined with `--all-packages`"),
        (["one", "packages/two", "--all-packages"], "", "name the directory of one workspace"),
        (["six==1.0", "--all-packages"], "", "name the directory of one workspace"),
        (["--all-packages"], "[project]\nname = 'x'\n", "or above it has a table `[tool.uv.wor"),
        (["--all-packages"], "[tool.uv.workspace]\nmembers = ['x']\n", "has no packages"),
        (["--all-packages"], "[tool.uv.workspace]\nmembers = 3", "line 2: `members` is no list"),
        (["--all-packages"], "[tool.uv.workspace]\nmembers = ['/x']", "line 2: `/x` is no pattern"),
        (["--all-packages"], "[tool.uv.workspace]\nmembers = [", "it is not TOML: "),
    ],
)
def test_wrong_workspace__is_told(
    root: Path, capsys: pytest.CaptureFixture[str], words: list[str], text: str, reason: str
) -> None:
    if text:
        (root / "pyproject.toml").write_text(text, encoding="utf-8")

    assert main(words) == 2

    err = capsys.readouterr().err
    assert reason in err
    assert len(err.splitlines()) <= 2
