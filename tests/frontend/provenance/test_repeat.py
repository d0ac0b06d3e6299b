"""Builds that are made twice, in other circumstances the second time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.builds import Ground, names_in, write_sdist
from tests.support.forge import Done, Place
from tests.support.maker import maker, write_thing


@pytest.fixture
def place(tmp_path: Path) -> Place:
    write_thing(tmp_path)
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / maker().name).write_bytes(maker().content)
    return Place(path=tmp_path)


def build(place: Place, *words: str | Path) -> Done:
    links = ("--no-index", "-f", place.path / "wheels")
    source = place.path / "thing-1.0.tar.gz"
    return place.run(source, "-o", place.path / "out", *links, "--repeat", *words)


def test_repeat__of_a_sound_backend_is_identical(place: Place) -> None:
    done = build(place, "--report", place.path / "report.json")

    name = "thing-1.0-py3-none-any.whl"
    text = f"`{name}`: the second time it is identical"
    (facts,) = json.loads((place.path / "report.json").read_text(encoding="utf-8"))["builds"]
    assert (done.code, names_in(place.path / "out")) == (0, [name])
    assert text in done.err
    assert text in facts["notes"]


def test_repeat__compares_with_the_wheel_of_an_earlier_build(place: Place) -> None:
    build(place)

    done = build(place, "--sbom", "sidecar")

    assert "the second time it is identical" in done.err
    assert names_in(place.path / "out") == [
        "thing-1.0-py3-none-any.whl",
        "thing-1.0-py3-none-any.whl.cdx.json",
    ]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("files['made'] = os.getcwd().replace('\\\\', '/')", "built-elsewhere"),
        ("files['made'] = os.environ.get('TZ', 'none')", "line 1: `none`, and `Pacific/Chatham`"),
        ("files['made'] = os.environ.get('MAX_JOBS', 'none')", "line 1: `none`, and `1`"),
    ],
)
def test_repeat__tells_what_a_wheel_has_of_its_circumstances(
    tmp_path: Path, code: str, text: str
) -> None:
    ground, place = Ground.make(tmp_path), Place(path=tmp_path)
    source = write_sdist(tmp_path, build_wheel=f"import os; {code}")

    done = place.run(*ground.words(source, "-o", tmp_path / "out", "--repeat"))

    assert done.code == 1, done.err
    assert "`demo-1.0-py3-none-any.whl`: the second time it is different" in done.err
    assert "`made`: line 1: " in done.err
    assert text in done.err


def test_repeat__failure_of_the_second_time_is_told(tmp_path: Path) -> None:
    ground, place = Ground.make(tmp_path), Place(path=tmp_path)
    code = "import os; assert 'built-elsewhere' not in os.getcwd()"
    source = write_sdist(tmp_path, build_wheel=code)

    done = place.run(*ground.words(source, "-o", tmp_path / "out", "--repeat"))

    assert done.code == 1
    assert "the second time it cannot be built: " in done.err
    assert len(done.out.splitlines()) == 1


def test_repeat__of_a_batch_tells_of_each_build(tmp_path: Path) -> None:
    ground, place = Ground.make(tmp_path), Place(path=tmp_path)
    sources = [write_sdist(tmp_path, name=name) for name in ("one", "two")]

    done = place.run(*ground.words(*sources, "-o", tmp_path / "out", "--repeat"))

    assert done.err.count("the second time it is different") == 2
