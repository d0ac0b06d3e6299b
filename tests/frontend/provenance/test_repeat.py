"""Builds that are made twice, in other circumstances the second time."""

from __future__ import annotations

import json
import os
import sys
import time
import zipfile
from pathlib import Path

import pytest

from tests.support.builds import Ground, names_in, write_sdist
from tests.support.forge import Done, Place
from tests.support.maker import maker, write_thing
from wheelforge.hooks.sandbox.prefix import Prefix
from wheelforge.verify import circumstances
from wheelforge.verify.circumstances import OtherCircumstances, open_place
from wheelforge.verify.repeat import Repeater


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
        ("files['made'] = os.environ.get('TZ', 'none')", "line 1: `UTC`, and `Pacific/Chatham`"),
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


LOOKS = {
    "umask": "umask = os.umask(0); os.umask(umask); files['made'] = f'{umask:03o}'",
    "user": "files['made'] = str(os.getuid())",
    "number of cores": "files['made'] = str(len(os.sched_getaffinity(0)))",
    "order of entries": "files['made'] = ' '.join(n for n in os.listdir() if n in 'abc')",
    "time": "import datetime; files['made'] = str(datetime.date.today().year)",
}


def can_change(look: str) -> bool:
    """Return whether a circumstance can be another one on this machine."""
    with open_place() as (place, reorders):
        others = OtherCircumstances(place, reorders=reorders)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    return look not in others.unchanged and (look != "number of cores" or cores > 1)


@pytest.mark.skipif(os.name == "nt", reason="there are neither umask nor user ids")
@pytest.mark.parametrize("look", LOOKS)
def test_repeat__has_other_circumstances(tmp_path: Path, look: str) -> None:
    if not can_change(look):
        pytest.skip(f"the {look} is always the same here")
    ground, place = Ground.make(tmp_path), Place(path=tmp_path)
    files = dict.fromkeys("cab", "")
    source = write_sdist(tmp_path, build_wheel=f"import os; {LOOKS[look]}", more=files)

    done = place.run(*ground.words(source, "-o", tmp_path / "out", "--repeat"))

    assert done.code == 1, done.err
    assert "`made`: line 1: " in done.err


def test_repeat__circumstance_that_stays_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circumstances, "find_clock", dict)
    monkeypatch.setattr(circumstances, "find_other_user", Prefix)
    ground = Ground.make(tmp_path)
    repeater = Repeater(ground.settings())
    outcome = ground.build(write_sdist(tmp_path), tmp_path / "out")

    told = [repeater.repeat(outcome).notes[-1] for _ in range(2)]

    assert "the second time has the same user and time" in told[0]
    assert told[1] != told[0]


@pytest.mark.skipif(sys.platform != "linux", reason="needs a sandbox")
def test_repeat__is_in_the_same_sandbox(tmp_path: Path) -> None:
    ground, place = Ground.make(tmp_path), Place(path=tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("hush", encoding="utf-8")
    look = f"import os; files['made'] = str(os.path.exists({str(secret)!r}))"
    source = write_sdist(tmp_path, build_wheel=look)
    words = ground.words(source, "-o", tmp_path / "out", "--repeat", "--sandbox", "auto")

    done = place.run(*words)

    if "sandbox: none" in done.err:
        pytest.skip("there is no sandbox")
    with zipfile.ZipFile(tmp_path / "out" / "demo-1.0-py3-none-any.whl") as archive:
        assert archive.read("made") == b"False"
    assert "`made`" not in done.err
    assert "`willing_facts.json`: line 1: " in done.err


def test_repeat__failure_of_the_second_time_is_told(tmp_path: Path) -> None:
    ground, place = Ground.make(tmp_path), Place(path=tmp_path)
    code = "import os; assert 'built-elsewhere' not in os.getcwd()"
    source = write_sdist(tmp_path, build_wheel=code)

    done = place.run(*ground.words(source, "-o", tmp_path / "out", "--repeat"))

    assert done.code == 1
    assert "the second time it cannot be built: " in done.err
    assert len(done.out.splitlines()) == 1


@pytest.mark.skipif(not circumstances.find_clock(), reason="needs libfaketime")
def test_repeat__what_cannot_be_built_in_another_year_is_built_at_the_same_time(
    tmp_path: Path,
) -> None:
    ground, place = Ground.make(tmp_path), Place(path=tmp_path)
    code = f"import time; assert time.time() < {time.time()} + 1e6, 'another year'"
    source = write_sdist(tmp_path, build_wheel=code)

    done = place.run(*ground.words(source, "-o", tmp_path / "out", "--repeat"))

    assert "it cannot be built in another year, but at the same time" in done.err
    assert "`demo-1.0-py3-none-any.whl`: the second time it is" in done.err


def test_repeat__of_a_batch_tells_of_each_build(tmp_path: Path) -> None:
    ground, place = Ground.make(tmp_path), Place(path=tmp_path)
    sources = [write_sdist(tmp_path, name=name) for name in ("one", "two")]

    done = place.run(*ground.words(*sources, "-o", tmp_path / "out", "--repeat"))

    assert done.err.count("the second time it is different") == 2
