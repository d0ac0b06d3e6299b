"""Wheels of directories: used again if nothing in the directory has changed, if that is asked."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.builds import Ground, ask, names_in, write_project
from tests.support.caches import NOTHING
from tests.support.forge import Place
from tests.support.processes import needs
from wheelforge.build import key_document
from wheelforge.models import Kind, Policy, Reuse
from wheelforge.overrides.model import read_overrides
from wheelforge_isolation import Layout, collect_garbage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wheelforge.models import Outcome

    Change = Callable[[Path], object]

SETTINGS = "[package]\nkind = 'one'\n"


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground.make(tmp_path)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = write_project(tmp_path / "project")
    (path / "demo.txt").write_text("one", encoding="utf-8")
    (path / "sub").mkdir()
    (path / "sub" / "script").write_text("#!/bin/sh\n", encoding="utf-8")
    return path


def build(ground: Ground, source: Path, **facts: Any) -> Outcome:
    kinds: tuple[Kind, ...] = facts.pop("kinds", (Kind.WHEEL,))
    output = facts.pop("output", ground.cache.parent / "out")
    usual: dict[str, Any] = {"policy": Policy(reuse=Reuse.ALL), "variables": dict(os.environ)}
    with ground.forge(**(usual | facts)) as forge:
        return forge.build(ask(source, output, kinds=kinds))


def verdicts(ground: Ground, source: Path, count: int = 2, **facts: Any) -> list[str]:
    return [build(ground, source, **facts).verdict for _ in range(count)]


def write(name: str, text: str) -> Change:
    def change(project: Path) -> None:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    return change


def same_size_and_time(project: Path) -> None:
    path = project / "demo.txt"
    times = path.stat()
    path.write_text("two", encoding="utf-8")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def linked(project: Path) -> None:
    (project / "demo.txt").rename(project / "sub" / "demo.txt")
    (project / "demo.txt").symlink_to("sub/demo.txt")


EDITS: dict[str, tuple[str, Change]] = {
    "bytes": ("source.files.demo.txt", same_size_and_time),
    "a new file": ("source.files.new.txt", write("new.txt", "")),
    "a file less": ("source.files.demo.txt", lambda project: (project / "demo.txt").unlink()),
    "another name": (
        "source.files.other.txt",
        lambda project: (project / "demo.txt").rename(project / "other.txt"),
    ),
    "a mode": ("source.files.sub/script", lambda project: (project / "sub/script").chmod(0o755)),
    "an empty directory": ("source.files.sub/empty", lambda path: (path / "sub/empty").mkdir()),
    "a link in place of a file": ("source.files.demo.txt", linked),
    "a hidden file": ("source.files..settings", write(".settings", "one")),
    "an archive that is no result": ("source.files.dist/data.zip", write("dist/data.zip", "")),
    "a product of a build": ("source.files.build/lib/old.py", write("build/lib/old.py", "")),
    "a directory like a cache": ("source.files.data/CACHEDIR.TAG", write("data/CACHEDIR.TAG", "")),
}


@pytest.mark.parametrize("name", EDITS)
def test_directory__edit_is_built(ground: Ground, project: Path, name: str) -> None:
    place, change = EDITS[name]
    before = verdicts(ground, project)

    change(project)
    changed, settled = build(ground, project), build(ground, project)

    assert before == ["built", "reused"]
    assert (changed.verdict, settled.verdict) == ("built", "reused")
    assert changed.cause is not None
    assert changed.cause.place == place


def test_directory__is_built_again_in_another_umask(
    ground: Ground, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = verdicts(ground, project)

    monkeypatch.setattr(key_document, "read_umask", lambda: 0o077)
    changed = build(ground, project)

    assert (*before, changed.verdict) == ("built", "reused", "built")
    assert changed.cause is not None
    assert changed.cause.place == "policy.umask"


def touched(project: Path) -> None:
    for path in (project, project / "demo.txt"):
        os.utime(path, (1, 1))


def chain_of(*changes: Change) -> Change:
    return lambda project: [change(project) for change in changes]


SAME: dict[str, Change] = {
    "times": touched,
    "results": write("dist/demo-1.0-py3-none-any.whl", ""),
    "a compiled module": write("sub/__pycache__/script.pyc", ""),
    "a hidden cache": write(".tool/CACHEDIR.TAG", ""),
    "a cache in a hidden directory": write(".cache/tool/CACHEDIR.TAG", ""),
    "a statement beside a wheel": chain_of(
        write("dist/demo-1.0-py3-none-any.whl", ""),
        write("dist/demo-1.0-py3-none-any.whl.json", ""),
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_directory__same_content_is_not_built(ground: Ground, project: Path, name: str) -> None:
    build(ground, project)

    SAME[name](project)

    assert build(ground, project).verdict == "reused"


def test_directory__virtual_environment_in_it_does_not_count(ground: Ground, project: Path) -> None:
    build(ground, project)

    for name in ("pyvenv.cfg", "bin/python", "Scripts/python.exe", "lib/x.py"):
        write(f"environment/{name}", "")(project)

    assert build(ground, project).verdict == "reused"


def test_directory__cache_in_it_does_not_count(project: Path) -> None:
    ground = Ground(cache=project / "cache", links=project.parent).apart(project.parent / "links")

    assert verdicts(ground, project, output=project / "dist") == ["built", "reused"]


def test_directory__copy_elsewhere_is_the_same(ground: Ground, project: Path) -> None:
    build(ground, project)
    copy = project.with_name("copy")
    shutil.copytree(project, copy)

    assert build(ground, copy).verdict == "reused"


def test_directory__is_always_built_unless_asked(ground: Ground, project: Path) -> None:
    assert verdicts(ground, project, policy=Policy()) == ["built", "built"]
    assert Layout(root=ground.cache).built.list_records() == []


def test_directory__sdist_and_wheel_are_both_used_again(ground: Ground, project: Path) -> None:
    output = project / "dist"
    first = build(ground, project, kinds=(), output=output)
    second = build(ground, project, kinds=(), output=output)

    assert (first.verdict, second.verdict) == ("built", "reused")
    assert second.artifacts == first.artifacts
    assert names_in(output) == ["demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"]
    assert build(ground, project).verdict == "built"  # the wheel alone may be another one


def test_directory__sdist_that_is_damaged_is_built_with_its_wheel(
    ground: Ground, project: Path
) -> None:
    build(ground, project, kinds=())
    layout = Layout(root=ground.cache)
    (sdist,) = layout.files.rglob("*.tar.gz")
    sdist.write_bytes(b"")

    assert verdicts(ground, project, kinds=()) == ["built", "reused"]


def test_directory__collector_takes_the_sdist_with_its_record(
    ground: Ground, project: Path
) -> None:
    build(ground, project, kinds=())
    layout = Layout(root=ground.cache)

    collect_garbage(layout, NOTHING)

    assert layout.built.list_records() == []
    assert not [*layout.files.rglob("demo-*")]


DURING = {
    "edit": "open('demo.txt', 'w').write('two')",
    "edit and back": "open('demo.txt', 'w').write('one')",
    "new file": "open('new.txt', 'w').close()",
    "file less": "import os; os.remove('demo.txt')",
}


@pytest.mark.parametrize("name", DURING)
def test_directory__edited_during_the_build_is_not_kept(
    ground: Ground, project: Path, name: str
) -> None:
    write_project(project, build_wheel=DURING[name])

    build(ground, project)

    assert Layout(root=ground.cache).built.list_records() == []


PRODUCT = """
import os
os.makedirs("build/lib", exist_ok=True)
os.makedirs("demo.egg-info", exist_ok=True)
for path in ("build/lib/demo.py", "demo.egg-info/SOURCES.txt", "_version.py"):
    open(path, "w").close()
"""


def git(place: Path, *words: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    command = ["git", *who, *words]
    subprocess.run(command, cwd=place, check=True, capture_output=True)


def commit(project: Path) -> Path:
    (project / ".gitignore").write_text("build/\n*.egg-info/\n_version.py\n", encoding="utf-8")
    git(project, "init", "--quiet")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "-m", "one")
    return project


def test_directory__products_of_the_build_prevent_nothing(ground: Ground, project: Path) -> None:
    commit(write_project(project, build_wheel=PRODUCT))
    first = build(ground, project)

    git(project, "clean", "-dfxq")
    second = build(ground, project)

    assert (first.verdict, second.verdict) == ("built", "reused")


@needs(posix="links")
def test_directory__link_out_of_it_counts_by_what_is_there(ground: Ground, project: Path) -> None:
    outside = project.with_name("outside.txt")
    outside.write_text("one", encoding="utf-8")
    (project / "link.txt").symlink_to(outside)
    found = verdicts(ground, project)
    outside.write_text("two", encoding="utf-8")
    found += verdicts(ground, project)
    (project / "place").symlink_to(project.with_name("out"), target_is_directory=True)
    found += verdicts(ground, project)

    assert found == ["built", "reused", "built", "reused", "built", "built"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('key-files = ["read"]', ["built", "reused", "built"]),
        ("reuse = false", ["built", "built", "built"]),
    ],
)
def test_directory__overrides_hold(
    ground: Ground, project: Path, line: str, expected: list[str]
) -> None:
    file, read = project.with_name("overrides.toml"), project.with_name("read")
    file.write_text(f'[[package]]\nname = "demo"\nreason = "a test"\n{line}\n', encoding="utf-8")
    read.write_text("one", encoding="utf-8")
    overrides = read_overrides((), [file])
    found = verdicts(ground, project, overrides=overrides)
    read.write_text("two", encoding="utf-8")

    assert [*found, build(ground, project, overrides=overrides).verdict] == expected


def test_directory__variable_of_a_ci_run_counts_where_a_file_names_it(
    ground: Ground, project: Path
) -> None:
    write("setup.py", 'os.environ["BUILD_NUMBER"]')(project)

    def run(number: str) -> str:
        variables = {**os.environ, "BUILD_NUMBER": number}
        return build(ground, project, variables=variables).verdict

    assert [run("1"), run("1"), run("2"), run("1")] == ["built", "reused", "built", "reused"]


def test_directory__many_files_are_named_by_the_directories_at_the_top(
    ground: Ground, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wheelforge.build.directory_content._MOST_FILES", 2)
    build(ground, project)
    write("sub/script", "")(project)

    changed = build(ground, project)

    assert changed.cause is not None
    assert changed.cause.sentence == "`sub` has other bytes or another mode"


def test_reuse_option__stands_on_the_line_or_in_a_file(ground: Ground, project: Path) -> None:
    place = Place(path=project.parent)
    config = project / "wheelforge.toml"

    def run(*more: str) -> str:
        report = place.path / "report.json"
        words = ground.words("-w", project, "-o", place.path / "out", "--report", report, *more)
        done = place.run(*words)
        assert done.code == 0, done.err
        return str(json.loads(report.read_text("utf-8"))["builds"][0]["outcome"])

    found = [run("--reuse"), run("--reuse"), run()]
    config.write_text("reuse = true\n", encoding="utf-8")
    found += [run("--config", str(config)), run("--config", str(config))]
    found += [run("--config", str(config), "--no-reuse")]

    assert found == ["built", "reused", "built", "built", "reused", "built"]
    assert place.run("--reuse", "--no-reuse", project).code == 2
