"""Overrides for single packages: what each key changes in a real build, and what is refused."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.support.builds import Ground, facts_of, write_project, write_sdist
from tests.support.forge import Place
from tests.support.overrides import add, build, entry, names, read, refuse
from tests.support.universe import PYTHON
from wheelforge.errors import UsageError
from wheelforge_isolation import inspect_wheel
from wheelforge_isolation.formats.metadata import all_values, parse_fields

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground.make(tmp_path)


def test_build_requires__are_added_replaced_and_removed(ground: Ground) -> None:
    for version in ("1.0", "2.0"):
        add(ground, "helper", version, "gone; python_version > '3'")
    ground.stock.add("extra")
    sdist = write_sdist(ground.links.parent, requires=("helper>=2", "missing"))
    text = entry(
        'build-requires.add = ["extra"]',
        'build-requires.replace = ["helper<2"]',
        'build-requires.remove = ["missing", "gone"]',
        "ignore-missing = true",
    )

    outcome = build(ground, sdist, text)

    assert names(outcome) == {"extra", "helper", "willing"}
    assert {wheel.version for wheel in outcome.wheels if wheel.name == "helper"} == {"1.0"}
    assert any("build-requires.add" in note and "it is old" in note for note in outcome.notes)


def test_build_requires__are_replaced_where_requirements_have_them(ground: Ground) -> None:
    for version in ("1.0", "2.0"):
        ground.stock.add("deep", version)
    add(ground, "helper", "1.0", "deep>=2")
    sdist = write_sdist(ground.links.parent, requires=("helper",))

    outcome = build(ground, sdist, entry('build-requires.replace = ["deep<2"]'))

    assert names(outcome) == {"deep", "helper", "willing"}
    assert "1.0" in {wheel.version for wheel in outcome.wheels if wheel.name == "deep"}


def test_build_requires__hold_for_requirements_that_are_built(ground: Ground) -> None:
    ground.stock.add("extra")
    write_sdist(ground.links, name="needed", requires=("missing",))
    sdist = write_sdist(ground.links.parent, requires=("needed",))
    text = entry('build-requires.remove = ["missing"]', name="needed")

    assert names(build(ground, sdist, text)) >= {"needed"}
    assert build(ground, sdist, entry('environment.A = "1"', name="other")).error is not None


def test_environment_and_config_settings__reach_the_hooks_of_that_package(ground: Ground) -> None:
    sdist = write_sdist(ground.links.parent)
    text = entry('environment = { MARK = "x" }', 'config-settings = { a = "b", c = ["d"] }')

    facts = facts_of(build(ground, sdist, text, config_settings={"a": "z", "e": "f"}))

    assert facts["environ"]["MARK"] == "x"
    assert facts["settings"] == {"a": "b", "c": ["d"], "e": "f"}


PATCH = """\
--- a/notes.txt
+++ b/notes.txt
@@ -1,2 +1,2 @@
 one
-two
+zwei
--- /dev/null
+++ b/more/new.txt
@@ -0,0 +1 @@
+new
"""


def test_patches__change_the_fresh_tree(ground: Ground) -> None:
    (ground.links.parent / "a.patch").write_text(PATCH, encoding="utf-8")
    sdist = write_sdist(
        ground.links.parent, more={"notes.txt": "zero\none\ntwo\n", "old.txt": "x\n"}
    )
    tree = ground.links.parent / "tree"
    text = entry('patches = ["a.patch"]', 'delete = ["old.txt"]')

    outcome = build(ground, sdist, text, tree=tree)

    assert outcome.error is None, outcome.error
    assert (tree / "demo-1.0" / "notes.txt").read_text() == "zero\none\nzwei\n"
    assert (tree / "demo-1.0" / "more" / "new.txt").read_text() == "new\n"
    assert not (tree / "demo-1.0" / "old.txt").exists()


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        (PATCH, "there is no file `notes.txt`"),
        (PATCH.replace("notes.txt", "../x"), "`../x` has a '..' component [N2]"),
        (PATCH.replace("notes.txt", "PKG-INFO"), "the hunk of line 3 of the patch does not fit"),
        (PATCH[PATCH.index("--- /dev") :].replace("more/new.txt", "PKG-INFO"), "there already"),
    ],
)
def test_patches__that_do_not_fit_are_refused(ground: Ground, patch: str, reason: str) -> None:
    (ground.links.parent / "a.patch").write_text(patch, encoding="utf-8")

    found = refuse(ground, write_sdist(ground.links.parent), entry('patches = ["a.patch"]'))

    assert found.startswith("4: ")
    assert reason in found


def test_metadata__is_changed_in_the_wheel_and_its_record(ground: Ground) -> None:
    sdist = write_sdist(ground.links.parent)
    text = entry('metadata.requires-dist.add = ["six>=1.16", "attrs"]')

    outcome = build(ground, sdist, text)

    assert outcome.error is None, outcome.error
    wheel = inspect_wheel(outcome.artifacts[0].path)
    assert all_values(parse_fields(wheel.metadata), "Requires-Dist") == ["attrs", "six>=1.16"]
    with zipfile.ZipFile(outcome.artifacts[0].path) as archive:
        assert archive.testzip() is None
    assert wheel.sha256 == outcome.artifacts[0].sha256


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            'build-requires.replace = ["x<2"]',
            "build-requires.replace of `demo` 1.0: nothing requires `x`",
        ),
        (
            'build-requires.remove = ["X"]',
            "build-requires.remove of `demo` 1.0: nothing requires `x`",
        ),
        ('metadata.requires-dist.remove = ["x"]', "nothing requires `x`"),
        ('delete = ["x"]', "there is no file `x`"),
        ('build = "never"', "build of `demo` 1.0: it is never built"),
    ],
)
def test_unused__is_an_error_unless_that_is_said(ground: Ground, lines: str, reason: str) -> None:
    sdist = write_sdist(ground.links.parent)

    found = refuse(ground, sdist, entry(lines))

    assert found.startswith("4: ")
    assert reason in found
    if "never" not in lines:
        assert build(ground, sdist, entry(lines, "ignore-missing = true")).error is None


def test_directory__is_never_changed(ground: Ground) -> None:
    project = write_project(ground.links.parent / "demo")
    text = entry('delete = ["pyproject.toml"]')

    assert "directory" in refuse(ground, project, text)
    assert (project / "pyproject.toml").exists()
    assert facts_of(build(ground, project, entry('environment.MARK = "y"')))["environ"]["MARK"]


def test_matching__by_version_and_marker(tmp_path: Path) -> None:
    text = entry('versions = ">=2"', 'era = "off"') + entry(
        "when = \"sys_platform == 'win32'\"", 'build = "never"'
    )
    overrides = read(tmp_path / "x.toml", text)
    assert overrides is not None

    def find(name: str, version: str, platform: str) -> set[str]:
        markers = {**PYTHON.markers, "sys_platform": platform}
        return {key[0] for key in overrides.find(name, version, markers).values}

    assert find("demo", "2.0", "win32") == {"era", "build"}
    assert find("demo", "1.0", "linux") == find("other", "2.0", "win32") == set()
    assert find("demo", "", "linux") == set()


def test_files__later_ones_win_key_by_key(tmp_path: Path) -> None:
    first = tmp_path / "first.toml"
    first.write_text(entry('environment = { A = "1", B = "1" }'), encoding="utf-8")
    overrides = read(tmp_path / "second.toml", entry('environment.B = "2"'), first)
    assert overrides is not None

    found = overrides.find("demo", "1.0", PYTHON.markers)

    assert found.table("environment") == {"A": "1", "B": "2"}


def test_one_file__that_sets_a_key_twice_contradicts_itself(tmp_path: Path) -> None:
    text = entry('era = "off"') + entry('versions = "<2"', 'era = "always"')
    overrides = read(tmp_path / "x.toml", text)
    assert overrides is not None

    assert overrides.find("demo", "2.0", PYTHON.markers).value("era") == "off"
    with pytest.raises(UsageError, match=r"line 9: `era` of `demo` is set in line 4 too"):
        overrides.find("demo", "1.0", PYTHON.markers)


def test_digest__depends_on_the_contents_of_patches(tmp_path: Path) -> None:
    def digest(patch: str) -> str:
        (tmp_path / "a.patch").write_text(patch, encoding="utf-8")
        overrides = read(tmp_path / "x.toml", entry('patches = ["a.patch"]'))
        assert overrides is not None
        return overrides.digest

    assert digest(PATCH) == digest(PATCH) != digest(PATCH.replace("zwei", "2"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("schema = 2", "line 1: `schema` is 1 as far as this release knows"),
        ("packages = []", "line 1: `packages` has no meaning; did you mean `package`?"),
        ("package = 1", "line 1: an entry begins with `[[package]]`"),
        ("package = [1]", "line 1: an entry is a table"),
        ("[[package]]\nreason = 'x'", "line 1: an entry needs a `name`"),
        ("[[package]]\nname = 'x'\nera = 'off'", "line 1: an entry needs a `reason`"),
        (entry(), "line 1: the entry changes nothing"),
        (
            entry("environments.A = '1'"),
            "line 4: `environments` has no meaning; did you mean `environment`?",
        ),
        (entry("[package.build-requires]", "adds = ['x']"), "line 5: `build-requires.adds` has no"),
        (entry("environment = 'x'"), "line 4: `environment` is a table"),
        (entry("environment.A = 1"), "line 4: `environment.A`: it must be text"),
        (entry("environment.PYTHONPATH = 'x'"), "line 4: `environment.PYTHONPATH`: hooks never"),
        (entry("environment.'A=' = 'x'"), "line 4: `environment.A=`: it is no name of a variable"),
        (entry("build-requires.add = ['x y']"), "line 4: `build-requires.add`: `x y` is no requ"),
        (entry("build-requires.add = 'x'"), "line 4: `build-requires.add`: it must be an array"),
        (
            entry("build-requires.remove = ['x>1']"),
            "line 4: `build-requires.remove`: `x>1` is no n",
        ),
        (entry("patches = ['x']"), "line 4: `patches`: `x` cannot be read: No such file"),
        (entry("limits.timeout = 'x'"), "line 4: `limits.timeout`: `x` is not a time like 600"),
        (entry("era = 'x'"), "line 4: `era`: it must be one of off, fallback, always"),
        (entry("era = 'off'", name="x y"), "line 2: `name`: `x y` is no name of a package"),
        (entry("versions = 'x'", "era = 'off'"), "line 4: `versions`: `x` is no specifier"),
        (entry("\nwhen = 'x'", "era = 'off'"), "line 5: `when`: `x` is no marker"),
        (entry("ignore-missing = 'x'"), "line 4: `ignore-missing`: it is true or false"),
    ],
)
def test_wrong_file__is_one_sentence_with_the_line(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path / "x.toml", text)

    assert caught.value.code == "overrides-invalid"
    assert str(caught.value).partition("x.toml`, ")[2].startswith(sentence)


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        ("", "it is no unified diff"),
        ("--- a/x\n+++ b/x\n", "line 3: a hunk is expected"),
        ("--- a/x\n+++ b/y\n@@ -1 +1 @@\n-a\n+b\n", "line 1: renames are not applied"),
        ("--- x\n+++ x\n@@ -1 +1 @@\n-a\n+b\n", "line 1: `x` has no plain directory"),
        ("--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n-a\n", "line 3: the hunk has not as many lines"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\nxa\n", "line 4: neither context nor change"),
        ("GIT binary patch\n", "line 1: binary patches, renames and links"),
        ("new file mode 120000\n", "line 1: binary patches, renames and links"),
    ],
)
def test_wrong_patch__is_refused_with_its_line(tmp_path: Path, patch: str, reason: str) -> None:
    (tmp_path / "a.patch").write_text(patch, encoding="utf-8")

    with pytest.raises(UsageError, match=f"line 4: `patches`: `a.patch`: {reason}"):
        read(tmp_path / "x.toml", entry('patches = ["a.patch"]'))


def test_command_line__reads_overrides_beside_configuration(ground: Ground) -> None:
    place = Place(path=ground.links.parent)
    sdist = write_sdist(place.path)
    (place.path / "config.toml").write_text(entry('environment.A = "1"'), encoding="utf-8")
    overrides = place.path / "overrides.toml"
    overrides.write_text(entry('environment.B = "2"'), encoding="utf-8")
    words: list[str | Path] = [
        "--overrides",
        overrides,
        "--config",
        place.path / "config.toml",
        "-o",
        place.path,
    ]

    done = place.run(*ground.words(sdist, *words))

    assert done.code == 0, done.err
    with zipfile.ZipFile(done.paths[0]) as archive:
        seen = json.loads(archive.read("willing_facts.json"))["environ"]
    assert (seen["A"], seen["B"]) == ("1", "2")
    assert "`overrides.toml`, line 1, `demo`: environment.B (it is old)" in done.err


def test_explain__names_file_line_and_reason_of_each_value(tmp_path: Path) -> None:
    place = Place(path=tmp_path)
    for name, lines in (
        ("a.toml", ('environment = { A = "1", B = "1" }', 'limits.timeout = "2h"')),
        ("b.toml", ('versions = "<2"', '[package.environment]\nB = "2"')),
    ):
        (tmp_path / name).write_text(entry(*lines, reason=f"as {name}"), encoding="utf-8")
    words: list[str | Path] = ["overrides", "explain", "--overrides", tmp_path / "a.toml"]
    words += ["--overrides", tmp_path / "b.toml"]

    done = place.run(*words, "Demo==1.0")

    assert done.out.splitlines() == [
        f'environment.A = "1"  # {tmp_path}/a.toml, line 4: as a.toml',
        f'environment.B = "2"  # {tmp_path}/b.toml, line 6: as b.toml',
        f"limits.timeout = 7200.0  # {tmp_path}/a.toml, line 5: as a.toml",
    ]
    shown = json.loads(place.run(*words, "demo", "--json").out)
    assert [row["value"] for row in shown["values"]] == ["1", "1", 7200.0]
    assert place.run(*words, "other").out == "no overrides are about other\n"
    assert place.run(*words, "demo>1").error == "option-invalid"
    assert place.run("overrides", "explain", "demo").error == "option-invalid"


def test_check__applies_all_and_builds_nothing(ground: Ground) -> None:
    place = Place(path=ground.links.parent)
    good = write_sdist(place.path, more={"notes.txt": "one\ntwo\n"})
    bad = write_sdist(place.path, name="bad")
    (place.path / "a.patch").write_text(PATCH, encoding="utf-8")
    overrides = place.path / "x.toml"
    patches = 'patches = ["a.patch"]'
    overrides.write_text(entry(patches) + entry(patches, name="bad"), encoding="utf-8")

    done = place.run("overrides", *ground.words("check", good, bad, "--overrides", overrides))

    assert (done.code, done.error) == (3, "override-failed")
    assert done.out == "demo-1.0.tar.gz: `x.toml`, line 1, `demo`: patches (it is old)\n"
    assert not (place.path / "dist").exists()
