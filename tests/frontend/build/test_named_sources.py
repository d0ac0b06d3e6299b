"""Sources that are no paths: a name, a URL, or both; and what a lock says of a machine."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.forge import Done, Place
from tests.support.index import File, Index, Manners, Project, serve, sha256
from tests.support.maker import helper, maker, mark_of, thing_file, write_thing
from tests.support.stock import PYENV
from wheelforge_isolation import remove_tree

THEN, NOW = "2020-05-01T00:00:00Z", "2024-05-01T00:00:00Z"
OTHER_PYTHON = PYENV / "3.12.1" / "bin" / "python"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(path=tmp_path, variables={"PIP_RETRIES": "0"})


@pytest.fixture
def index() -> Iterator[Index]:
    with serve(Project("maker", maker()), Project("thing", thing_file())) as running:
        yield running


def build(place: Place, index: Index, source: str, *words: str | Path) -> Done:
    return place.run(source, "-o", place.path / "out", "-i", index.url, *words)


def url_of(index: Index, file: File) -> str:
    return f"{index.origin}/files/{file.name}"


HASH = f"#sha256={sha256(thing_file().content)}"


@pytest.mark.parametrize(
    "source",
    ["thing", "thing==1.0", "Thing>=0.5", f"{{url}}{HASH}", f"thing @ {{url}}{HASH}"],
    ids=["name", "version", "range", "URL", "name and URL"],
)
def test_named_source__is_built_by_its_name_or_url(place: Place, index: Index, source: str) -> None:
    assert mark_of(build(place, index, source.format(url=url_of(index, thing_file())))) == "good"


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        ("thing==9.0", ("source-not-found", 3), ""),
        ("nothing==1.0", ("package-not-found", 3), ""),
        ("nothing", ("package-not-found", 3), ""),
        ("hg+https://index.test/thing", ("source-invalid", 2), ""),
        ("http://127.0.0.1:1/thing-1.0.tar.gz", ("index-unreachable", 5), ""),
        (f"{{url}}#sha256={sha256(b'other')}", ("download-mismatch", 5), ""),
        ("other @ {url}", ("result-invalid", 4), "the source is other"),
    ],
)
def test_named_source__what_is_not_there_or_another_is_said(
    place: Place, index: Index, source: str, error: tuple[str, int], said: str
) -> None:
    done = build(place, index, source.format(url=url_of(index, thing_file())))

    assert (done.error, done.code, done.out) == (*error, "")
    assert said in done.err
    assert not (place.path / "out").exists()


def test_named_source__offline_neither_a_name_nor_a_url_is_asked_for(
    place: Place, index: Index
) -> None:
    file = thing_file()
    refused = [
        build(place, index, source, "--offline")
        for source in ("thing==1.0", url_of(index, file), f"thing @ {url_of(index, file)}")
    ]

    assert [(done.error, done.code) for done in refused] == [("offline", 5)] * 3
    assert index.asked == []


def test_named_source__offline_a_directory_is_as_good_as_an_index(place: Place) -> None:
    for file in (maker(), thing_file()):
        (place.path / file.name).write_bytes(file.content)

    words = ("--offline", "--no-index", "-f", place.path)
    assert mark_of(place.run("thing==1.0", "-o", place.path / "out", *words)) == "good"


def test_named_source__a_release_says_which_version_is_to_come_of_it(
    place: Place, index: Index
) -> None:
    index.put(Project("thing", replace(thing_file(), name="thing-2.0.tar.gz")))

    done = build(place, index, "thing==2.0")

    assert (done.error, done.code) == ("result-invalid", 4)


# Locks


def test_named_source__a_lock_holds_no_secret_and_nothing_of_this_machine(place: Place) -> None:
    login = ("me", "secret")
    project, archive = place.path / "project", write_thing(place.path / "in")
    wheels = place.path / "wheels"
    for directory in (project, wheels):
        directory.mkdir()
    (wheels / helper("x").name).write_bytes(helper("x").content)
    direct = helper("x", "direct")
    projects = (Project("maker", maker()), Project("direct", direct))
    with serve(*projects, manners=Manners(login=login)) as index:
        url = url_of(index, direct).replace("://", "://me:secret@")
        settings = f'requires = ["maker", "helper", "direct @ {url}"]\nbuild-backend = "maker"\n'
        (project / "pyproject.toml").write_text(f"[build-system]\n{settings}", encoding="utf-8")
        lock = place.path / "pylock.build.toml"
        words = ("-i", index.url_as(*login), "-f", wheels)

        done = place.run("lock", project, archive, "-o", lock, *words)

        assert done.code == 0, done.err
        text = lock.read_text(encoding="utf-8")
        assert "secret" not in text
        assert str(place.path) not in text
        assert 'path = "wheels/helper-1.0-py3-none-any.whl"' in text
        remove_tree(str(place.layout.root))
        assert place.run("fetch", "--locked", lock, *words).code == 0
        index.asked.clear()
        cut_off = ("-w", "-o", place.path / "out", "--locked", lock, "--offline")
        assert [mark_of(place.run(each, *cut_off)) for each in (project, archive)] == ["good"] * 2
        assert index.asked == []


def test_named_source__a_fetched_lock_of_releases_builds_offline(
    place: Place, index: Index
) -> None:
    lock, cut_off = place.path / "pylock.build.toml", ("--locked", "--offline")
    file = thing_file()
    url = url_of(index, file).replace("://", "://me:secret@")
    for number, source in enumerate(("thing==1.0", "thing", f"thing @ {url}")):
        listed = place.path / f"list-{number}.txt"
        listed.write_text(source, encoding="utf-8")
        assert place.run("lock", "-r", listed, "-o", lock, "-i", index.url).code == 0
        assert "secret" not in lock.read_text(encoding="utf-8")
        remove_tree(str(place.layout.root))
        early = place.run("-r", listed, *cut_off[:1], lock, *cut_off[1:])
        assert (early.error, early.code) == ("offline", 5)
        assert "hint: `wheelforge fetch --locked FILE` gets all" in early.err

        assert place.run("fetch", "--locked", lock).out == "2 files are in the cache\n"

        index.asked.clear()
        words = ("-r", listed, "-o", place.path / "out", "--locked", lock, "--offline")
        assert mark_of(place.run(*words)) == "good"
        assert index.asked == []


def test_named_source__a_locked_release_stays_the_one_it_was(place: Place, index: Index) -> None:
    lock = place.path / "pylock.build.toml"
    assert place.run("lock", "thing", "-o", lock, "-i", index.url).code == 0
    newer = replace(thing_file(), name="thing-2.0.tar.gz")
    index.put(Project("thing", thing_file(), newer))

    assert mark_of(build(place, index, "thing", "--locked", lock)) == "good"
    checked = place.run("lock", "thing", "-o", lock, "-i", index.url, "--check", "--refresh")
    assert (checked.error, checked.code) == ("lock-outdated", 1)
    assert "  - thing is thing-1.0.tar.gz\n" in checked.err


def test_named_source__a_locked_release_with_other_bytes_is_refused(
    place: Place, index: Index
) -> None:
    lock = place.path / "pylock.build.toml"
    assert place.run("lock", "thing==1.0", "-o", lock, "-i", index.url).code == 0
    index.put(Project("thing", replace(thing_file(), content=b"other")))

    done = build(place, index, "thing==1.0", "--locked", lock)

    assert (done.error, done.code) == ("download-mismatch", 5)


@pytest.mark.skipif(not OTHER_PYTHON.exists(), reason="needs another Python")
def test_named_source__a_lock_for_two_pythons_serves_both(place: Place, index: Index) -> None:
    archive = write_thing(place.path / "in")
    lock = place.path / "pylock.build.toml"
    pythons = [str(OTHER_PYTHON), str(PYENV / "3.13.0" / "bin" / "python")]
    words = ("-i", index.url)

    done = place.run("lock", archive, "-o", lock, *words, "-p", pythons[0], "-p", pythons[1])

    assert done.code == 0, done.err
    versions = re.findall(r'version = "(3\.\d+)"', lock.read_text(encoding="utf-8"))
    assert sorted(versions) == ["3.12", "3.13"]
    for python in pythons:
        cut_off = ("-o", place.path / "out", "--locked", lock, "-p", python)
        assert mark_of(place.run(archive, *cut_off, *words)) == "good"


def test_named_source__a_lock_of_another_time_has_what_there_was_then(place: Place) -> None:
    old, new = replace(maker(), uploaded=THEN), replace(maker("2.0", "new"), uploaded=NOW)
    source = replace(thing_file(), uploaded=THEN)
    lock = place.path / "pylock.build.toml"
    archive = write_thing(place.path / "in")
    with serve(
        Project("maker", old, new), Project("thing", source), manners=Manners(json=True)
    ) as index:
        words = ("-i", index.url)
        locked = place.run("lock", archive, "-o", lock, *words, "--era", "always")
        assert locked.code == 0, locked.err
        as_of_then = place.run(archive, "-o", place.path / "then", *words, "--locked", lock)
        as_of_now = place.run(archive, "-o", place.path / "now", *words)

    assert "with what there was on 2020-05-02, as the index says" in locked.err
    assert (mark_of(as_of_then), mark_of(as_of_now)) == ("good", "new")


@pytest.mark.network
def test_named_source__a_release_is_built_from_the_real_index(place: Place) -> None:
    (wheel,) = place.run("six==1.17.0", "-o", place.path / "out").paths
    assert wheel.name == "six-1.17.0-py2.py3-none-any.whl"
    listed = place.run("cache", "list", "--json")
    assert {entry["kind"] for entry in json.loads(listed.out)} >= {"wheel", "environment"}
