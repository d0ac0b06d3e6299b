"""Builds of what could be used again: what is compared, what differs, and what is delivered."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests.support.builds import Ground, ask, names_in, write_sdist
from tests.support.forge import Place
from wheelforge.build.verify_reuse import compare_wheels
from wheelforge.errors import ReuseDifferenceError
from wheelforge.models import Outcome, Policy

STEADY = """
import os, zipfile
base = "demo-1.0.dist-info"
texts = {
    "demo.py": "one = 1\\n",
    f"{base}/METADATA": "Metadata-Version: 2.2\\nName: demo\\nVersion: 1.0\\n",
    f"{base}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
}
import base64, hashlib
def row(each):
    digest = base64.urlsafe_b64encode(hashlib.sha256(texts[each].encode()).digest())
    return f"{each},sha256={digest.rstrip(b'=').decode()},{len(texts[each])}\\n"
record = "".join(map(row, texts)) + f"{base}/RECORD,,\\n"
answer = "demo-1.0-py3-none-any.whl"
with zipfile.ZipFile(os.path.join(directory, answer), "w") as archive:
    for each in texts:
        archive.writestr(each, texts[each])
    archive.writestr(f"{base}/RECORD", record)
"""
"""A backend that makes the same files at each time."""
COUNTED = """
path = {path!r}
number = open(path).read()
files = {{"number.txt": number}}
"""
"""A backend that reads a file which is in no key."""


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground.make(tmp_path)


def build(ground: Ground, source: Path, rate: float = 1.0) -> Outcome:
    with ground.forge(policy=Policy(verify_reuse=rate)) as forge:
        return forge.try_build(ask(source, ground.cache.parent / "out"))


def test_verify_reuse__same_wheel_is_built_and_delivered(ground: Ground, tmp_path: Path) -> None:
    source = write_sdist(tmp_path, build_wheel=STEADY)
    first, second = build(ground, source), build(ground, source)

    assert (first.verdict, second.verdict) == ("built", "built")
    assert first.cause is not None
    assert second.cause is not None
    assert (first.cause.code, second.cause.code) == ("first", "verified")
    assert second.cause.follows == ()
    assert second.cause.sentence.endswith(", which is the same")


def test_verify_reuse__difference_is_an_error_and_the_new_wheel_is_delivered(
    ground: Ground, tmp_path: Path
) -> None:
    read = tmp_path / "read"
    read.write_text("1", encoding="utf-8")
    source = write_sdist(tmp_path, build_wheel=COUNTED.format(path=str(read)))
    build(ground, source)
    read.write_text("2", encoding="utf-8")

    outcome, later = build(ground, source), build(ground, source, rate=0)

    assert isinstance(outcome.error, ReuseDifferenceError)
    assert outcome.error.exit_code == 4
    assert outcome.cause is not None
    assert "number.txt" in outcome.cause.follows
    assert not [name for name in outcome.cause.follows if name.endswith("RECORD")]
    for each in (outcome, later):
        with zipfile.ZipFile(each.artifacts[0].path) as archive:
            assert archive.read("number.txt") == b"2"
    assert later.verdict == "reused"


def test_verify_reuse__wheel_is_used_again_without_it(ground: Ground, tmp_path: Path) -> None:
    source = write_sdist(tmp_path)
    build(ground, source, rate=0)

    assert build(ground, source, rate=0).verdict == "reused"


def test_verify_reuse__requirements_are_used_again(ground: Ground, tmp_path: Path) -> None:
    write_sdist(ground.links, name="helper", build_wheel=STEADY.replace("demo", "helper"))
    source = write_sdist(
        tmp_path, build_wheel=STEADY, get_requires_for_build_wheel="answer = ['helper']"
    )
    first, second = build(ground, source), build(ground, source)

    assert (first.error, second.error) == (None, None)
    assert [wheel.sha256 for wheel in first.wheels] == [wheel.sha256 for wheel in second.wheels]


def write_wheel(path: Path, mode: int = 0o644, moment: int = 1980, text: str = "") -> Path:
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("demo.py", "demo-1.0.dist-info/RECORD"):
            info = zipfile.ZipInfo(name, (moment, 1, 1, 0, 0, 0))
            info.external_attr = (0o100000 | mode) << 16
            archive.writestr(info, text if name == "demo.py" else f"{mode}{text}")
    return path


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"moment": 2020}, []),
        ({"mode": 0o755}, ["demo-1.0.dist-info/RECORD", "demo.py"]),
        ({"text": "one"}, ["demo.py"]),
    ],
)
def test_wheels__are_compared_by_files(
    tmp_path: Path, change: dict[str, int], expected: list[str]
) -> None:
    name = "demo-1.0-py3-none-any.whl"
    first, second = (tmp_path / each / name for each in ("first", "second"))

    found = compare_wheels(write_wheel(first), write_wheel(second, **change))  # type: ignore[arg-type]

    assert found == [each for each in expected if not each.endswith("RECORD")]


def test_verify_reuse_option__tells_files_in_the_error_and_the_report(
    ground: Ground, tmp_path: Path
) -> None:
    code = "import time; files = {'time.txt': str(time.time_ns())}"
    source, report = write_sdist(tmp_path, build_wheel=code), tmp_path / "report.json"
    words = ground.words(source, "-o", tmp_path / "out", "--report", report)
    place = Place(path=tmp_path)
    place.run(*words)

    done = place.run(*words, "--verify-reuse", "100%")

    assert (done.code, done.error) == (4, "reuse-differs")
    assert "`time.txt`" in done.err
    (facts,) = json.loads(report.read_text(encoding="utf-8"))["builds"]
    assert facts["cause"]["code"] == "verified"
    assert "time.txt" in facts["cause"]["follows"]
    assert names_in(tmp_path / "out") == ["demo-1.0-py3-none-any.whl"]


@pytest.mark.parametrize("rate", ["101%", "2", "-1", "x", "", "nan"])
def test_verify_reuse_option__refuses_what_is_no_share(tmp_path: Path, rate: str) -> None:
    done = Place(path=tmp_path).run(tmp_path, f"--verify-reuse={rate}")

    assert (done.code, done.error) == (2, "option-invalid")
    assert "is not a share" in done.err
