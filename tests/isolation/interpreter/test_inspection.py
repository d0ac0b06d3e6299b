"""Archives are inspected without unpacking them, and judged as strictly."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.archives import (
    METADATA,
    MTIME,
    accept,
    file,
    gz,
    octal,
    pax,
    sdist,
    symlink,
    tar,
    zip_sdist,
    zipped,
)
from tests.support.corpus import SDISTS, Sdist
from tests.support.hostile_wheels import EVIL, HOSTILE
from tests.support.wheels import DIST_INFO, FILE_NAME, Draft, added, row
from tests.support.wheels import METADATA as WHEEL_METADATA
from wheelforge_isolation import Limits, inspect_sdist, inspect_wheel, unpack
from wheelforge_isolation.errors import ArchiveError
from wheelforge_isolation.files import fs
from wheelforge_isolation.wheels import open_wheel

DRAFTS = {
    **{case: evil.wheel for case, evil in EVIL.items()},
    **{case: draft for case, (_, _, draft) in HOSTILE.items()},
    "a wrong checksum": Draft(
        members=(zipped("a.py", b"a = 1", crc=1),), rows=added(row("a.py", b"a = 1"))
    ),
}


def put(directory: Path, content: bytes, name: str = FILE_NAME) -> Path:
    path = directory / name
    path.write_bytes(content)
    return path


def test_inspect__wheel_says_what_it_is(tmp_path: Path) -> None:
    content = Draft().pack()

    found = inspect_wheel(put(tmp_path, content))

    assert (found.name, found.version, found.metadata) == ("demo", "1.0", WHEEL_METADATA)
    assert (found.size_bytes, found.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert found.notes == ()


def test_inspect__what_is_odd_about_a_wheel_is_told(tmp_path: Path) -> None:
    wheel = Draft(files={f"{DIST_INFO}/WHEEL": b"Wheel-Version: 1.0\nTag: cp311-none-any\n"})

    found = inspect_wheel(put(tmp_path, wheel.pack()))

    assert [note.rule for note in found.notes] == ["W9"]


@pytest.mark.parametrize("case", DRAFTS)
def test_inspect__wheel_that_cannot_be_opened_is_refused(case: str, tmp_path: Path) -> None:
    path = put(tmp_path, DRAFTS[case].pack())
    with pytest.raises(ArchiveError) as opened, open_wheel(path):
        pytest.fail("the wheel was accepted")

    with pytest.raises(ArchiveError) as inspected:
        inspect_wheel(path)

    assert str(inspected.value) == str(opened.value)
    assert list(tmp_path.iterdir()) == [path]


def test_inspect__wheel_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, Draft(files={"demo/data": bytes(1 << 20)}).pack())
    monkeypatch.delattr(fs, "spool")
    monkeypatch.delattr(fs, "create_file")

    assert inspect_wheel(path).name == "demo"


def test_inspect__limits_hold_for_a_wheel_that_is_inspected(tmp_path: Path) -> None:
    path = put(tmp_path, Draft().pack())

    with pytest.raises(ArchiveError) as caught:
        inspect_wheel(path, Limits(total_bytes=100))

    assert caught.value.rule == "X1"


@pytest.mark.parametrize(("name", "make"), [("p-1.tar.gz", sdist), ("p-1.zip", zip_sdist)])
def test_inspect__sdist_is_described(name: str, make: Callable[[], bytes], tmp_path: Path) -> None:
    content = make()

    found = inspect_sdist(put(tmp_path, content, name))

    assert (found.top, found.metadata, found.notes) == ("p-1", METADATA, ())
    assert (found.size_bytes, found.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_inspect__sdist_without_pkg_info_has_no_metadata(tmp_path: Path) -> None:
    found = inspect_sdist(put(tmp_path, gz(tar(file("p-1/setup.py"))), "p-1.tar.gz"))

    assert found.metadata is None
    assert [note.rule for note in found.notes] == ["Y5"]


def test_inspect__link_in_the_place_of_pkg_info_is_none(tmp_path: Path) -> None:
    parts = (file("p-1/other", METADATA), symlink("p-1/PKG-INFO", "other"), file("p-1/setup.py"))

    assert inspect_sdist(put(tmp_path, gz(tar(*parts)), "p-1.tar.gz")).metadata is None


@pytest.mark.parametrize(
    "content",
    [
        gz(tar(file("p-1/README"), file("q/README"))),
        sdist(file("p-1/../../evil")),
        sdist(symlink("p-1/link", "../../evil")),
        sdist()[:-9],
        b"",
    ],
    ids=["two directories", "climbs out", "points out", "cut", "empty"],
)
def test_inspect__bad_sdist_is_refused_as_by_unpacking(content: bytes, tmp_path: Path) -> None:
    path = put(tmp_path, content, "p-1.tar.gz")
    with pytest.raises(ArchiveError) as unpacked:
        unpack(path, tmp_path / "out")

    with pytest.raises(ArchiveError) as inspected:
        inspect_sdist(path)

    assert str(inspected.value) == str(unpacked.value)


@pytest.mark.usefixtures("real_sdists")
@pytest.mark.parametrize("real", SDISTS, ids=lambda real: real.file)
def test_inspect__real_sdist_is_described_as_unpacked(real: Sdist, tmp_path: Path) -> None:
    unpacked = unpack(real.path, tmp_path / "out")

    found = inspect_sdist(real.path)

    assert found.top == unpacked.root.name
    assert found.metadata == (unpacked.root / "PKG-INFO").read_bytes()
    assert set(map(str, found.notes)) == set(map(str, unpacked.notes))


FUTURE = int(time.time()) + 9999


@pytest.mark.parametrize(
    ("times", "newest"),
    [
        ((MTIME + 5, MTIME + 9, MTIME + 1), MTIME + 9),
        ((FUTURE,), MTIME),
        ((0, 315532800, 631151999), MTIME),
    ],
    ids=["several", "the future", "constants"],
)
def test_inspect__newest_time_can_be_true(
    times: tuple[int, ...], newest: int, tmp_path: Path
) -> None:
    parts = [file(f"p-1/{each}", mtime=octal(each)) for each in times]

    assert accept(sdist(*parts), tmp_path).unpacked.newest == newest


def test_inspect__fractions_of_a_second_are_left_out_of_the_newest_time(tmp_path: Path) -> None:
    content = sdist(pax(mtime=f"{MTIME + 7}.9") + file("p-1/a"))

    assert accept(content, tmp_path).unpacked.newest == MTIME + 7


def test_inspect__zip_has_a_newest_time_too(tmp_path: Path) -> None:
    content = zip_sdist(zipped("p-1/a", date=(2021 - 1980) << 9 | 9 << 5 | 13))

    assert accept(content, tmp_path, name="p-1.zip").unpacked.newest == 1631491200


def test_inspect__where_no_time_can_be_true_there_is_no_newest(tmp_path: Path) -> None:
    content = gz(tar(file("p-1/setup.py", mtime=octal(0))))

    assert accept(content, tmp_path).unpacked.newest is None
