"""Wheels of directories in a git repository: when its history counts, and when it does not."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.builds import Ground, ask, write_project
from wheelforge.models import Policy, Reuse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wheelforge.models import Outcome

    Change = Callable[[Path], object]

READER = b"""
import subprocess
def find_version(root):
    return subprocess.check_output(["git", "describe"], cwd=root, text=True)
"""
"""A build requirement that asks a repository for its history."""


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    ground = Ground.make(tmp_path)
    ground.stock.add("reader", files={"reader.py": READER})
    return ground


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Write one project of a repository with several."""
    top = tmp_path / "top"
    path = write_project(top / "project")
    for name in ("project/demo.txt", "project/data.txt", "other/other.txt", ".gitignore"):
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_text("one\n", encoding="utf-8")
    git(top, "init", "--quiet")
    commit(top)
    return path


def git(place: Path, *words: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    command = ["git", *who, *words]
    subprocess.run(command, cwd=place, check=True, capture_output=True)


def commit(place: Path) -> None:
    git(place, "add", ".")
    git(place, "commit", "--quiet", "--allow-empty", "-m", "one")


def build(ground: Ground, source: Path, **facts: Any) -> Outcome:
    usual: dict[str, Any] = {"policy": Policy(reuse=Reuse.ALL), "variables": dict(os.environ)}
    with ground.forge(**(usual | facts)) as forge:
        return forge.build(ask(source, ground.cache.parent / "out"))


def write(name: str, text: str = "two\n") -> Change:
    return lambda project: (project / name).write_text(text, encoding="utf-8")


def committed(name: str) -> Change:
    def change(project: Path) -> None:
        write(name)(project)
        commit(project.parent)

    return change


HISTORY: dict[str, tuple[str, Change]] = {
    "a commit of another project": ("commit", committed("../other/other.txt")),
    "an empty commit": ("commit", commit),
    "a tag": ("tags", lambda project: git(project, "tag", "v1")),
    "a branch": ("branch", lambda project: git(project, "checkout", "-b", "other")),
    "a change beside it": ("changed", write("../other/other.txt")),
}
FILES: dict[str, tuple[str, Change]] = {
    "a file that is no longer tracked": (
        "tracked",
        lambda project: git(project, "rm", "--cached", "data.txt"),
    ),
    "a file that is tracked": ("files.new.txt", committed("new.txt")),
    "a rule above it": ("ignored", write("../.gitignore")),
    "a rule of this clone": ("ignored", write("../.git/info/exclude")),
    "a file of it that is committed": ("files.demo.txt", committed("demo.txt")),
}


def plain(project: Path) -> None:
    """Leave the project as it is."""


SPEAKERS: dict[str, Change] = {
    "a build requirement": lambda project: write_project(project, requires=("reader",)),
    "a script": write("setup.py", "import os\nos.system('git rev-parse HEAD')\n"),
    "a path out of it": write("build.toml", 'readme = "../README.md"\n'),
    "a crate": write("Cargo.toml", "[package]\n"),
}


@pytest.mark.parametrize("name", HISTORY)
def test_repository__history_is_of_others_unless_code_speaks_of_it(
    ground: Ground, project: Path, name: str
) -> None:
    before = build(ground, project)

    HISTORY[name][1](project)

    assert (before.verdict, build(ground, project).verdict) == ("built", "reused")


@pytest.mark.parametrize(
    ("name", "speaker"), list(zip(HISTORY, [*SPEAKERS, "a build requirement"], strict=True))
)
def test_repository__history_counts_where_code_speaks_of_it(
    ground: Ground, project: Path, name: str, speaker: str
) -> None:
    SPEAKERS[speaker](project)
    commit(project)
    before = build(ground, project)
    fact, change = HISTORY[name]

    change(project)
    changed, settled = build(ground, project), build(ground, project)

    assert [each.verdict for each in (before, changed, settled)] == ["built", "built", "reused"]
    assert changed.cause is not None
    assert fact in {"changed", changed.cause.place.removeprefix("source.git.")}


@pytest.mark.parametrize("name", FILES)
def test_repository__files_count_in_any_case(ground: Ground, project: Path, name: str) -> None:
    before = build(ground, project)
    fact, change = FILES[name]

    change(project)
    changed = build(ground, project)

    assert (before.verdict, changed.verdict) == ("built", "built")
    assert changed.cause is not None
    assert changed.cause.place.removeprefix("source.git.").removeprefix("source.") == fact


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("setuptools", READER, "reused"),  # it asks for names of files only
        ("versioneer", b"", "built"),  # its code is encoded
        ("strange", READER, "built"),
        ("strange", b"", "reused"),
    ],
)
def test_repository__build_requirements_are_known_by_their_code_or_name(
    ground: Ground, project: Path, name: str, code: bytes, expected: str
) -> None:
    ground.stock.add(name, files={f"{name}.py": code})
    write_project(project, requires=(name,))
    commit(project)
    build(ground, project)

    commit(project)

    assert build(ground, project).verdict == expected


def test_repository__rule_of_the_user_counts(ground: Ground, project: Path, tmp_path: Path) -> None:
    rules = tmp_path / "git" / "ignore"
    rules.parent.mkdir()
    variables = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    found = [build(ground, project, variables=variables).verdict for _ in range(2)]
    rules.write_text("*.txt\n", encoding="utf-8")

    assert [*found, build(ground, project, variables=variables).verdict] == [
        *("built", "reused", "built")
    ]


def test_repository__clone_without_history_is_the_same(ground: Ground, project: Path) -> None:
    build(ground, project)
    commit(project)
    clone = project.parent.with_name("clone")
    git(project.parent, "clone", "--quiet", "--depth=1", project.parent.as_uri(), str(clone))

    assert build(ground, clone / "project").verdict == "reused"


def test_repository__that_is_broken_has_its_projects_always_built(
    ground: Ground, project: Path
) -> None:
    (project / ".git").write_text("nothing", encoding="utf-8")

    found = [build(ground, project) for _ in range(2)]

    assert [each.verdict for each in found] == ["built", "built"]
    assert found[1].cause is not None
    assert found[1].cause.code == "unknown"
    assert "git says: fatal: " in found[1].cause.sentence


def test_repository__of_another_program_has_its_projects_always_built(
    ground: Ground, tmp_path: Path
) -> None:
    project = write_project(tmp_path / "top" / "project")
    (tmp_path / "top" / ".hg").mkdir()

    found = [build(ground, project) for _ in range(2)]

    assert [each.verdict for each in found] == ["built", "built"]
    assert found[1].cause is not None
    assert found[1].cause.sentence.endswith("/top/.hg`")


def test_repository__is_searched_for_once_for_each_content(
    ground: Ground, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(ground, project)

    def refuse(*_: object) -> None:
        raise AssertionError("it was searched again")

    monkeypatch.setattr("wheelforge.build.code_search.find_inputs_of_project", refuse)

    assert build(ground, project).verdict == "reused"
