"""Build requirements in the versions of the set that a build is for."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.support.builds import Ground, ask, write_sdist
from tests.support.forge import Place
from tests.support.overrides import add, entry, read
from wheelforge_isolation import digest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.forge import Done

MATCH = 'build-requires.match = ["core"]'
NOTED = "import importlib.metadata as m; files['core.txt'] = m.version('core')"


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """Return a cache, and `core` in two versions."""
    ground = Ground.make(tmp_path)
    for version in ("1.0", "2.0"):
        ground.stock.add("core", version)
    return ground


def write_ext(directory: Path, *requires: str, code: str = NOTED) -> Path:
    """Write the sdist `ext`, whose wheel says with which `core` it was built."""
    return write_sdist(directory, name="ext", requires=requires or ("core",), build_wheel=code)


def run(ground: Ground, text: str, *words: str | Path) -> Done:
    place = Place(path=ground.links.parent)
    (place.path / "x.toml").write_text(text, encoding="utf-8")
    given = ("--overrides", place.path / "x.toml", "-o", place.path / "out")
    return place.run(*ground.words(*words, *given))


def read_core(ground: Ground) -> str:
    """Return the version of `core` that the delivered wheel of `ext` was built with."""
    wheel = ground.links.parent / "out" / "ext-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        return archive.read("core.txt").decode()


def write_lock(ground: Ground, sdist: Path, version: str) -> Path:
    """Write a `pylock.toml` with `ext` and that version of `core`."""
    wheel = ground.links / f"core-{version}-py3-none-any.whl"
    lines = [
        'lock-version = "1.0"\ncreated-by = "test"',
        f'[[packages]]\nname = "core"\nversion = "{version}"',
        f'[[packages.wheels]]\npath = "{wheel}"\nhashes.sha256 = "{digest(wheel)}"',
        '[[packages]]\nname = "ext"\nversion = "1.0"',
        f'[packages.sdist]\npath = "{sdist}"\nhashes.sha256 = "{digest(sdist)}"',
    ]
    path = ground.links.parent / "pylock.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("words", [(), ("--no-reuse",)])
def test_match__takes_the_version_of_a_set_also_if_it_is_resumed(
    ground: Ground, words: tuple[str, ...]
) -> None:
    write_ext(ground.links)
    found: list[str] = []
    for version, text in (
        ("1.0", entry('era = "off"', name="ext")),
        ("1.0", entry(MATCH, name="ext")),
        ("2.0", entry(MATCH, name="ext")),
    ):
        add(ground, f"top{version[0]}", "1.0", f"core=={version}\nRequires-Dist: ext")
        done = run(ground, text, f"top{version[0]}>=1", "--with-deps", "--resume", *words)
        assert done.code == 0, done.err
        found.append(read_core(ground))

    assert found == ["2.0", "1.0", "2.0"]


def test_match__holds_for_what_requirements_require_and_for_those_that_are_built(
    ground: Ground,
) -> None:
    add(ground, "middle", "1.0", "core")
    note = "import importlib.metadata as m; files['inner.py'] = 'CORE = ' + repr(m.version('core'))"
    write_sdist(ground.links, name="inner", requires=("core",), build_wheel=note)
    sdist = write_ext(
        ground.links.parent,
        *("middle", "inner"),
        code=f"{NOTED}; import inner; files['core.txt'] += ' ' + inner.CORE",
    )
    text = entry(MATCH, name="ext") + entry(MATCH, name="inner")

    done = run(ground, text, "-r", write_lock(ground, sdist, "1.0"))

    assert done.code == 0, done.err
    assert read_core(ground) == "1.0 1.0"


def test_match__in_a_plan_shows_the_version_of_the_lock(ground: Ground) -> None:
    lock = write_lock(ground, write_ext(ground.links.parent), "1.0")

    done = run(ground, entry(MATCH, name="ext"), "-r", lock, "--plan", "--json")

    (build,) = json.loads(done.out)["builds"]
    files = {file["name"]: file["version"] for file in build["environment"]["files"]}
    assert files["core"] == "1.0"


def test_match__of_a_build_that_is_locked_is_what_the_lock_states(
    ground: Ground, tmp_path: Path
) -> None:
    sdist, text = write_ext(tmp_path), entry(MATCH, name="ext")
    locked = tmp_path / "pylock.build.toml"
    words = ("--overrides", tmp_path / "x.toml", "-o", locked)
    (tmp_path / "x.toml").write_text(text, encoding="utf-8")
    lock = write_lock(ground, sdist, "1.0")
    assert Place(path=tmp_path).run("lock", *ground.words("-r", lock, *words)).code == 0

    done = run(ground, text, sdist, "--locked", locked)

    assert (done.code, read_core(ground)) == (0, "1.0"), done.err


def test_match__without_a_version_is_one_sentence_whatever_was_built_before(
    ground: Ground, tmp_path: Path
) -> None:
    sdist, text = write_ext(tmp_path), entry(MATCH, name="ext")
    assert run(ground, text, "-r", write_lock(ground, sdist, "2.0")).code == 0

    done = run(ground, text, sdist)

    assert done.code == 3
    reason = "build-requires.match of `ext` 1.0: no version of `core` is known: build a set that"
    assert f"error[override-failed]: `{tmp_path / 'x.toml'}`, line 4: {reason}" in done.err
    assert run(ground, entry(MATCH, "ignore-missing = true", name="ext"), sdist).code == 0
    refused = run(
        ground, entry('build-requires.match = ["none"]', name="ext"), "-r", tmp_path / "pylock.toml"
    )
    assert "no version of `none` is known" in refused.err


def test_match__of_what_nothing_requires_is_an_error(ground: Ground, tmp_path: Path) -> None:
    sdist = write_sdist(tmp_path, name="ext")

    done = run(ground, entry(MATCH, name="ext"), "-r", write_lock(ground, sdist, "1.0"))

    assert "build-requires.match of `ext` 1.0: nothing requires `core`" in done.err


def test_match__builds_anew_for_another_version_and_not_for_the_same(
    ground: Ground, tmp_path: Path
) -> None:
    sdist, overrides = write_ext(tmp_path), read(tmp_path / "x.toml", entry(MATCH, name="ext"))
    causes: list[str] = []
    for version in ("1.0", "2.0", "1.0"):
        with ground.forge(overrides=overrides) as forge:
            outcome = forge.build(ask(sdist, tmp_path / "out", set_versions={"core": version}))
        causes.append(outcome.cause.place if outcome.cause else outcome.verdict)

    assert causes == ["", "closure.wheels.core.version", "reused"]


def test_match__that_changes_the_set_again_and_again_is_told(ground: Ground) -> None:
    limit = "'>=2' if m.version('core') < '2' else '<2'"
    lines = "Metadata-Version: 2.2\\nName: ext\\nVersion: 1.0\\nRequires-Dist: core"
    code = f"{NOTED}; import willing; limit = {limit}; text = '{lines}' + limit + '\\n'"
    write_ext(ground.links, code=f"{code}; willing._metadata = lambda facts: facts['text']")

    done = run(ground, entry(MATCH, name="ext"), "ext>=1", "--with-deps")

    assert done.error == "set-unsettled", done.err
    assert "what sdists require depends on the version of `core` that they are built" in done.err
