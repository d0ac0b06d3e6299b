"""Overrides wherever something is built: as a requirement, in a batch, editable, metadata only."""

from __future__ import annotations

import json
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.support.builds import Ground, facts_of, write_project, write_sdist
from tests.support.forge import Place
from tests.support.overrides import add, build, entry, names, read, refuse
from tests.support.universe import PYTHON
from wheelforge.errors import UsageError
from wheelforge.lockfile import read_lock
from wheelforge.models import Kind
from wheelforge.overrides.apply import change_metadata
from wheelforge_isolation import inspect_wheel
from wheelforge_isolation.formats.metadata import all_values, parse_fields


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground.make(tmp_path)


def fields_of(wheel: Path, name: str) -> list[str]:
    return all_values(parse_fields(inspect_wheel(wheel).metadata), name)


METADATA = (
    'metadata.requires-python = ">=3.8"',
    'metadata.summary = "It is ours now."',
    'metadata.classifiers.add = ["Private :: Do Not Upload"]',
    'metadata.provides-extra.add = ["fast"]',
    "metadata.requires-dist.add = [\"six; extra == 'fast'\"]",
)


@pytest.mark.parametrize("kind", [Kind.WHEEL, Kind.EDITABLE])
def test_metadata__has_other_fields(ground: Ground, kind: Kind) -> None:
    project = write_project(ground.links.parent / "demo")

    outcome = build(ground, project, entry(*METADATA), kinds=(kind,))

    assert outcome.error is None, outcome.error
    wheel = outcome.artifacts[0].path
    assert fields_of(wheel, "Requires-Python") == [">=3.8"]
    assert fields_of(wheel, "Summary") == ["It is ours now."]
    assert fields_of(wheel, "Classifier") == ["Private :: Do Not Upload"]
    assert fields_of(wheel, "Provides-Extra") == ["fast"]
    assert fields_of(wheel, "Requires-Dist") == ["six; extra == 'fast'"]


def test_metadata__is_changed_where_nothing_is_built(ground: Ground) -> None:
    place, sdist = Place(path=ground.links.parent), write_sdist(ground.links.parent)
    overrides = place.path / "x.toml"
    overrides.write_text(entry(*METADATA), encoding="utf-8")

    done = place.run(*ground.words("metadata", sdist, "--overrides", overrides))

    assert done.code == 0, done.err
    shown = json.loads(done.out)
    assert (shown["summary"], shown["requires_python"]) == ("It is ours now.", ">=3.8")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            'metadata.classifiers.remove = ["x"]',
            "metadata.classifiers.remove of `demo` 1.0: the me",
        ),
        ('metadata.provides-extra.add = ["y"]', "the metadata has `y`"),
        ('metadata.requires-python = ">=3.7"', "the metadata has just that"),
    ],
)
def test_metadata__that_is_so_already_is_an_error(tmp_path: Path, line: str, reason: str) -> None:
    metadata = b"Name: demo\nRequires-Python: >=3.7\nProvides-Extra: y\n\nRequires-Python: 1\n"
    overrides = read(tmp_path / "x.toml", entry(line))
    assert overrides is not None

    with pytest.raises(UsageError, match=reason):
        change_metadata(overrides.find("demo", "1.0", PYTHON.markers), metadata)


def test_from_source__a_requirement_is_built_though_there_is_a_wheel(ground: Ground) -> None:
    for version in ("1.0", "2.0"):
        ground.stock.add("needed", version)
        write_sdist(ground.links, name="needed", version=version)
    sdist = write_sdist(ground.links.parent, requires=("needed",))
    lines = ('build = "from-source"',)

    plain, built, other = (
        {wheel.sha256 for wheel in build(ground, sdist, text).wheels if wheel.name == "needed"}
        for text in (
            entry('era = "off"'),
            entry(*lines, name="needed"),
            entry(*lines, 'versions = "<2"', name="needed"),
        )
    )

    assert plain == other != built


def test_with_deps__overrides_hold_for_all_that_is_collected(ground: Ground) -> None:
    place = Place(path=ground.links.parent)
    add(ground, "top", "1.0", "needed")
    ground.stock.add("needed")
    write_sdist(ground.links, name="needed", requires=("missing",))
    overrides = place.path / "x.toml"
    text = entry(
        'build = "from-source"',
        'build-requires.remove = ["missing"]',
        'environment.MARK = "here"',
        name="needed",
    )
    overrides.write_text(text, encoding="utf-8")

    done = place.run(
        *ground.words("top>=1", "--with-deps", "--overrides", overrides, "-o", place.path / "out")
    )

    wheels = {path.name: path for path in done.paths}
    assert sorted(wheels) == ["needed-1.0-py3-none-any.whl", "top-1.0-py3-none-any.whl"]
    with zipfile.ZipFile(wheels["needed-1.0-py3-none-any.whl"]) as archive:
        assert json.loads(archive.read("willing_facts.json"))["environ"]["MARK"] == "here"


def test_resume__builds_again_what_other_overrides_are_about(ground: Ground) -> None:
    place, sdist = Place(path=ground.links.parent), write_sdist(ground.links.parent)
    overrides = place.path / "x.toml"
    found: list[str] = []
    for value in ("1", "1", "2"):
        overrides.write_text(entry(f'environment.MARK = "{value}"'), encoding="utf-8")
        words = ("--resume", "--overrides", overrides, "--report", place.path / "r")
        done = place.run(*ground.words(sdist, *words, "-o", place.path / "out"))
        assert done.code == 0, done.err
        found.append(json.loads((place.path / "r").read_text())["builds"][0]["outcome"])

    assert found == ["built", "resumed", "built"]


def test_build_requires__are_removed_where_requirements_have_them(ground: Ground) -> None:
    add(ground, "helper", "1.0", "gone")
    sdist = write_sdist(ground.links.parent, requires=("helper",))

    outcome = build(ground, sdist, entry('build-requires.remove = ["gone"]'))

    assert names(outcome) == {"helper", "willing"}
    assert "nothing requires `other`" in refuse(
        ground, sdist, entry('build-requires.remove = ["gone", "other"]')
    )


def test_limits__say_how_many_jobs_build_tools_start(ground: Ground) -> None:
    text = entry("limits.jobs = 3", 'environment.MAX_JOBS = "1"')

    seen = facts_of(build(ground, write_sdist(ground.links.parent), text))["environ"]

    assert (seen["CMAKE_BUILD_PARALLEL_LEVEL"], seen["MAKEFLAGS"].strip()) == ("3", "-j3")
    assert seen["MAX_JOBS"] == "1"


def test_report_lock_and_log__name_each_entry_in_force(ground: Ground) -> None:
    place, sdist = Place(path=ground.links.parent), write_sdist(ground.links.parent)
    ground.stock.add("extra")
    overrides, lock = place.path / "x.toml", place.path / "pylock.toml"
    text = entry('environment.A = "1"') + entry(
        'versions = "<2"', 'build-requires.add = ["extra"]', 'environment.B = "1"', reason="x > y"
    )
    overrides.write_text(text, encoding="utf-8")
    words = (sdist, "--overrides", overrides)

    done = place.run(*ground.words(*words, "--report", place.path / "r", "-o", place.path / "out"))
    place.run(*ground.words(*words, "--report", place.path / "s", "-o", place.path / "out"))
    locked = place.run(*ground.words("lock", *words, "-o", lock))

    assert (done.code, locked.code) == (0, 0), done.err + locked.err
    (found,) = json.loads((place.path / "r").read_text(encoding="utf-8"))["builds"]
    assert found["overrides"] == [
        {"package": "demo", "versions": "<2", "file": str(overrides), "line": 5}
        | {"keys": ["build-requires.add", "environment.B"], "reason": "x > y"},
        {"package": "demo", "versions": "", "file": str(overrides), "line": 1}
        | {"keys": ["environment.A"], "reason": "it is old"},
    ]
    (again,) = json.loads((place.path / "s").read_text(encoding="utf-8"))["builds"]
    assert (again["outcome"], again["overrides"]) == ("reused", found["overrides"])
    told = "`x.toml`, line 5, `demo<2`: build-requires.add, environment.B (x > y)"
    assert told in done.err
    assert f"-- overrides: {told} --" in Path(found["log"]).read_text(encoding="utf-8")
    (source,) = tomllib.loads(lock.read_text(encoding="utf-8"))["tool"]["wheelforge"]["sources"]
    assert source["overrides"][0] == told
    assert read_lock(lock).sources[0].overrides[0] == told


PATCH = """\
--- a/pyproject.toml
+++ b/pyproject.toml
@@ -1,2 +1,2 @@
 [project]
-name = "demo"
+name = "other"
"""


@pytest.mark.parametrize(("backend", "count"), [("hatchling.build", 1), ("flit", 0)])
def test_patch__of_metadata_that_hatchling_takes_from_elsewhere_is_said(
    ground: Ground, backend: str, count: int
) -> None:
    place = Place(path=ground.links.parent)
    (place.path / "a.patch").write_text(PATCH, encoding="utf-8")
    project = f'[project]\nname = "demo"\n[build-system]\nbuild-backend = "{backend}"\n'
    sdist = write_sdist(place.path, more={"pyproject.toml": project})
    overrides = place.path / "x.toml"
    overrides.write_text(entry('patches = ["a.patch"]'), encoding="utf-8")

    done = place.run("overrides", *ground.words("check", sdist, "--overrides", overrides))

    assert done.code == 0, done.err
    assert done.out.count("hatchling reads PKG-INFO instead") == count


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("limits.memory = '12 boxes'", "`limits.memory`: `12 boxes` is not a size like 5GB"),
        ("limits.memory = 0", "`limits.memory`: it must be more than nothing"),
        ("limits.jobs = 0", "`limits.jobs`: it must be a number from 1 on"),
        ("limits.jobs = true", "`limits.jobs`: it must be a number from 1 on"),
        ("limits.exclusive = 'x'", "`limits.exclusive`: it is true or false"),
        ("build = 'later'", "`build`: it must be one of never, from-source"),
        ("metadata.requires-python = 'x'", "`metadata.requires-python`: `x` is no specifier"),
        ('metadata.summary = "a\\nb"', "`metadata.summary`: it must be one line of text"),
        ("metadata.classifiers.add = ['']", "`metadata.classifiers.add`: it must be one line"),
        ("metadata.classifier.add = ['a']", "`metadata.classifier` has no meaning; did you mean"),
    ],
)
def test_wrong_value__is_one_sentence_with_the_line(
    tmp_path: Path, line: str, sentence: str
) -> None:
    with pytest.raises(UsageError, match="line 4: ") as caught:
        read(tmp_path / "x.toml", entry(line))

    assert sentence in str(caught.value)
