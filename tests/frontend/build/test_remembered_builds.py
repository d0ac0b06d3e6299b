"""Cached resolutions: the work that they save a second build, and when they are stale."""

import os
from pathlib import Path

import pytest

from tests.support.forge import Done, Place
from tests.support.index import File, Project, sdist, serve
from tests.support.maker import helper, maker, mark_of, write_thing
from tests.support.witness import watch

_UNWANTED = {
    *("urllib3", "resolvelib", "ssl", "http.client", "html.parser"),
    # pypa/build imports the rest of packaging.
    "packaging.metadata",
    *("wheelforge.index.http", "wheelforge.resolve.search", "wheelforge.diagnosis"),
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    write_thing(tmp_path)
    return Place(path=tmp_path, variables={"PIP_RETRIES": "0"})


def build(place: Place, *words: str | Path) -> Done:
    return place.run(place.path / "thing-1.0.tar.gz", "-o", place.path / "out", *words)


def put(directory: Path, *files: File) -> Path:
    directory.mkdir(exist_ok=True)
    for file in files:
        (directory / file.name).write_bytes(file.content)
    return directory


def test_remembered_build__loads_no_resolver_and_asks_no_index(place: Place) -> None:
    source = place.path / "thing-1.0.tar.gz"
    with serve(Project("maker", maker())) as index:
        words = (source, "-o", place.path / "out", "-i", index.url)
        assert place.call(*words).code == 0
        index.asked.clear()

        modules, asked, files = watch(place, *words)

        assert index.asked == []
    parts = [file.replace(os.sep, "/") for file in files]
    assert len([file for file in parts if "/resolutions-v" in file]) == 1
    assert len([file for file in parts if "/interpreters-v" in file]) <= 1
    assert (modules & _UNWANTED, asked) == (set(), "")


def test_find_links__new_wheel_is_noticed_at_once(place: Place) -> None:
    wheels = put(place.path / "wheels", maker())
    first = build(place, "--no-index", "-f", wheels)
    put(wheels, maker("2.0", "newer"))

    assert mark_of(build(place, "--no-index", "-f", wheels)) == "newer"
    assert first.code == 0


def test_find_links__removed_wheel_is_not_wanted(place: Place) -> None:
    wheels = put(place.path / "wheels", maker(), maker("2.0", "newer"))
    assert mark_of(build(place, "--no-index", "-f", wheels)) == "newer"
    (wheels / maker("2.0").name).unlink()

    assert mark_of(build(place, "--no-index", "-f", wheels)) == "good"


def test_offline__directories_are_read_without_a_remembered_answer(place: Place) -> None:
    wheels = put(place.path / "wheels", maker())

    assert mark_of(build(place, "--offline", "--no-index", "-f", wheels)) == "good"


def test_offline__remembered_answer_of_an_index_is_used(place: Place) -> None:
    with serve(Project("maker", maker())) as index:
        build(place, "-i", index.url)
        index.asked.clear()

        assert mark_of(build(place, "-i", index.url, "--offline")) == "good"
        assert index.asked == []


def test_refresh__finds_a_newer_release(place: Place) -> None:
    with serve(Project("maker", maker())) as index:
        build(place, "-i", index.url)
        index.put(Project("maker", maker(), maker("2.0", "newer")))

        assert mark_of(build(place, "-i", index.url)) == "good"
        assert mark_of(build(place, "-i", index.url, "--refresh")) == "newer"


@pytest.mark.parametrize("variable", ["PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"])
def test_constraints_of_pip__limit_what_is_built_with(place: Place, variable: str) -> None:
    limits = place.path / "limits.txt"
    limits.write_text("maker<2\n", encoding="utf-8")
    variables = {variable: str(limits)}
    with serve(Project("maker", maker(), maker("2.0", "newer"))) as index:
        source = place.path / "thing-1.0.tar.gz"
        done = place.run(source, "-o", place.path / "out", "-i", index.url, **variables)

        assert mark_of(done) == "good"
        assert mark_of(build(place, "-i", index.url)) == "newer"


def test_prefer_binary__older_wheel_beats_a_newer_sdist(place: Place) -> None:
    source = place.path / "thing-1.0.tar.gz"
    with serve(Project("maker", maker(), sdist("maker", "2.0"))) as index:
        words = (source, "-o", place.path / "out", "-i", index.url)

        assert mark_of(place.run(*words, PIP_PREFER_BINARY="1")) == "good"
        assert index.count("/files/maker-2.0.tar.gz") == 0


def test_credentials__of_a_requirement_are_used_and_not_stored(tmp_path: Path) -> None:
    wheel = helper("unused")
    with serve(Project("helper", wheel), Project("maker", maker())) as index:
        bare = f"{index.origin}/files/{wheel.name}"
        url = bare.replace("://", "://me:secret@")
        write_thing(tmp_path, "maker", f"helper @ {url}")
        place = Place(path=tmp_path)

        assert build(place, "-i", index.url).code == 0
        known = [path for path in place.layout.root.rglob("*") if path.is_file()]
        assert not [path for path in known if b"secret" in path.read_bytes()]
        asked = index.headers_of(wheel.name)
    assert [headers["authorization"] for headers in asked] == ["Basic bWU6c2VjcmV0"] * len(asked)
    assert asked != []
