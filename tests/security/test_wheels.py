"""Wheels from outside: no part of an environment is theirs to make, and none costs without end."""

import os
import sys
from pathlib import Path

import pytest

from tests.support.builds import Ground, write_sdist
from tests.support.codes import raises
from tests.support.forge import Place
from tests.support.processes import needs
from tests.support.wheels import FILE_NAME, WHEEL, Draft
from wheelforge_isolation import inspect_wheel
from wheelforge_isolation.errors import WheelInvalidError

LIBRARY = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}"
SKELETON = ["pyvenv.cfg", "pyvenv.cfg/x", "bin", "lib", LIBRARY, f"{LIBRARY}/site-packages"]
NUMBERS = [b"a%d" % number for number in range(400)]
ENDLESS = b"Tag: " + b"-".join([b".".join(NUMBERS)] * 3)
"""A tag that stands for 64 million."""
TAGS = {
    "many lines": b"".join(b"Tag: py3-none-a%d\n" % number for number in range(40_000)),
    "many on each line": b"".join(
        b"Tag: %s-none-any\n" % b".".join(b"a%d" % (number + more) for more in range(30))
        for number in range(0, 90_000, 30)
    ),
}


@needs(posix="the skeleton of Windows is another")
@pytest.mark.parametrize("place", SKELETON)
def test_environment__a_wheel_with_a_part_of_it_is_refused(tmp_path: Path, place: str) -> None:
    ground = Ground.make(tmp_path)
    ground.stock.add("evil", files={f"DATA/data/{place}": b"evil", "evil.py": b""})
    sdist = write_sdist(tmp_path, requires=("evil",))

    done = Place(path=tmp_path).run(*ground.words("build", sdist, "--outdir", tmp_path / "out"))

    assert (done.code, done.error) == (3, "wheel-invalid")
    assert "`evil-1.0-py3-none-any.whl`" in done.err
    assert "[W16]" in done.err
    assert not os.path.lexists(tmp_path / "out")
    assert list((ground.cache / "environments-v2" / "trees").rglob("*.py")) == []


def wheel_with(tags: bytes, directory: Path) -> Path:
    """Return a wheel whose WHEEL states those tags."""
    stated = WHEEL[: WHEEL.index(b"Tag: ")] + tags + b"\n"
    path = directory / FILE_NAME
    path.write_bytes(Draft(files={"demo-1.0.dist-info/WHEEL": stated}).pack())
    return path


@pytest.mark.parametrize("tags", TAGS.values(), ids=TAGS)
def test_wheel__tags_without_end_are_refused(tmp_path: Path, tags: bytes) -> None:
    with pytest.raises(WheelInvalidError) as caught:
        inspect_wheel(wheel_with(tags, tmp_path))

    assert caught.value.rule == "W9"


def test_wheel__a_value_folded_a_million_times_is_read_in_one_go(tmp_path: Path) -> None:
    # A copy of the value for each of its lines would be 3,000 GB.
    metadata = (
        b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nLicense: x\n" + b" x\n" * 2_000_000
    )
    path = tmp_path / FILE_NAME
    path.write_bytes(Draft(files={"demo-1.0.dist-info/METADATA": metadata}).pack())

    assert inspect_wheel(path).notes == ()


def test_wheel__a_large_file_is_not_parsed(tmp_path: Path) -> None:
    with raises("archive-too-large") as caught:
        inspect_wheel(wheel_with(b"X: " + b"x" * (1 << 20), tmp_path))

    assert caught.value.member == "demo-1.0.dist-info/WHEEL"


def test_wheel__a_tag_that_stands_for_millions_is_not_expanded(tmp_path: Path) -> None:
    wheel = inspect_wheel(wheel_with(ENDLESS, tmp_path))

    assert [note.rule for note in wheel.notes] == ["W9"]
