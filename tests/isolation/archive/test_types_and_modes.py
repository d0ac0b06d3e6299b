"""S, M and T: what kinds of members there are, and which modes and times they get."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.archives import (
    MTIME,
    TAR_GZ,
    ZIP,
    accept,
    binary,
    check_refusal,
    file,
    folder,
    octal,
    pax,
    raw_pax,
    record,
    refuse,
    sdist,
    zip_sdist,
    zipped,
)

EARLIEST = 315_619_200
"""1980-01-02."""
SPARSE = {
    "gnu": file("p-1/evil", flag=b"S"),
    "pax 0.0": pax(GNU__sparse__size="1000000000000") + file("p-1/evil"),
    "pax 1.0": pax(GNU__sparse__major="1", GNU__sparse__name="p-1/evil") + file("p-1/x"),
    "for all": raw_pax(record("GNU.sparse.realsize", "1000000000000"), b"g") + file("p-1/evil"),
}
MODES = {
    "plain": (0o644, False),
    "closed": (0o000, False),
    "private": (0o600, False),
    "group": (0o640, False),
    "open": (0o666, False),
    "setuid": (0o4644, False),
    "sticky": (0o1666, False),
    "program": (0o755, True),
    "private program": (0o700, True),
    "program of the group": (0o610, True),
    "program of others": (0o601, True),
    "setuid program": (0o6777, True),
}
OLD = {
    "negative": binary(-100_000),
    "very negative": binary(-(1 << 62)),
    "zero": octal(0),
    "of the seventies": octal(200_000_000),
    "first second of zip": octal(315_532_800),
}


def mtime(path: Path) -> float:
    return path.lstat().st_mtime


@pytest.fixture(params=[0o077, 0o000], ids=["private", "open"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


REFUSED = {
    **{
        what: (file("p-1/evil", flag=flag), "S1", f"`p-1/evil` is {what}")
        for flag, what in ((b"3", "a character device"), (b"4", "a block device"), (b"6", "a fifo"))
    },
    **{
        f"type {flag!r}": (file("p-1/evil", flag=flag), "S2", "`p-1/evil`")
        for flag in (b"Z", b"D", b"M", b"N", b"V", b"8", b"\xff")
    },
    "directory with content": (
        folder("p-1/evil", size=octal(512)) + bytes(512),
        *("S5", "`p-1/evil`"),
    ),
}


@pytest.mark.parametrize(("part", "rule", "says"), REFUSED.values(), ids=REFUSED)
def test_member__neither_file_nor_directory_is_refused(
    part: bytes, rule: str, says: str, tmp_path: Path
) -> None:
    check_refusal(sdist(part), tmp_path, rule, "archive-member-type", says)


@pytest.mark.parametrize("form", [0o010000, 0o020000, 0o060000, 0o140000], ids=oct)
def test_member__device_in_a_zip_is_refused(form: int, tmp_path: Path) -> None:
    device = zipped("p-1/evil", attributes=(form | 0o644) << 16)

    check_refusal(zip_sdist(device), tmp_path, "S1", "archive-member-type", "`p-1/evil`", name=ZIP)


@pytest.mark.parametrize("flag", [b"0", b"\0", b"7"], ids=["regular", "old", "contiguous"])
def test_member__regular_file_has_one_of_three_types(flag: bytes, tmp_path: Path) -> None:
    assert accept(sdist(file("p-1/a", b"text", flag=flag)), tmp_path).tree == {"a": b"text"}


@pytest.mark.parametrize("part", SPARSE.values(), ids=SPARSE)
def test_member__sparse_file_is_refused(part: bytes, tmp_path: Path) -> None:
    error = refuse(sdist(part), tmp_path)

    assert (error.rule, error.code) == ("S4", "archive-member-type")
    assert "sparse" in str(error)
    assert "`--sparse`" in error.hint


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("name", [TAR_GZ, ZIP])
@pytest.mark.parametrize(("mode", "is_program"), MODES.values(), ids=MODES)
def test_member__mode_makes_a_program(
    mode: int, name: str, *, is_program: bool, tmp_path: Path
) -> None:
    archive = sdist(file("p-1/a", mode=octal(mode, 7)))
    if name == ZIP:
        archive = zip_sdist(zipped("p-1/a", attributes=(0o100000 | mode) << 16))

    assert accept(archive, tmp_path, name=name).programs == ({"a"} if is_program else set())


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("mode", [0o000, 0o666, 0o700, 0o7777], ids=oct)
def test_member__directory_can_be_entered_whatever_its_mode_says(mode: int, tmp_path: Path) -> None:
    stated = octal(mode, 7)
    parts = folder("p-1", mode=stated) + folder("p-1/d", mode=stated) + file("p-1/d/e/x", b"1")

    assert accept(sdist(parts), tmp_path).tree == {"d": None, "d/e": None, "d/e/x": b"1"}


def test_member__owners_are_ignored(tmp_path: Path) -> None:
    alien = file("p-1/a", uid=octal(4242, 7), gid=octal(4242, 7))

    outcome = accept(sdist(alien, file("p-1/b", uid=binary(4242)[-8:])), tmp_path)

    assert {(outcome.root / name).stat().st_uid for name in "ab"} == {os.geteuid()}


@pytest.mark.parametrize("stated", OLD.values(), ids=OLD)
def test_member__time_before_zip_becomes_its_second_day(stated: bytes, tmp_path: Path) -> None:
    outcome = accept(sdist(file("p-1/a", mtime=stated), folder("p-1/d", mtime=stated)), tmp_path)

    assert [mtime(outcome.root / name) for name in "ad"] == [EARLIEST, EARLIEST]


@pytest.mark.parametrize("seconds", [1 << 33, 1 << 62, 1 << 80], ids=["2242", "2**62", "2**80"])
def test_member__time_to_come_becomes_the_present(seconds: int, tmp_path: Path) -> None:
    stated = binary(seconds)
    start = int(time.time())

    outcome = accept(sdist(file("p-1/a", mtime=stated), folder("p-1/d", mtime=stated)), tmp_path)

    assert mtime(outcome.root / "a") == mtime(outcome.root / "d")
    assert start <= mtime(outcome.root / "a") <= time.time()


@pytest.mark.parametrize("stated", ["nan", "inf", "-inf", "1e30", "1e400", "", "yesterday"])
def test_member__time_that_is_no_date_becomes_the_present(stated: str, tmp_path: Path) -> None:
    start = int(time.time())

    outcome = accept(sdist(pax(mtime=stated) + file("p-1/a")), tmp_path)

    assert start <= mtime(outcome.root / "a") <= time.time()
    assert (outcome.rules, outcome.warnings) == (["T3"], [])
    assert "`p-1/a`" in outcome.unpacked.notes[0].text


@pytest.mark.parametrize("blank", [bytes(12), b" " * 12], ids=["nul", "blank"])
def test_member__time_that_is_not_stated_becomes_the_present(blank: bytes, tmp_path: Path) -> None:
    start = int(time.time())

    outcome = accept(sdist(file("p-1/a", mtime=blank)), tmp_path)

    assert start <= mtime(outcome.root / "a") <= time.time()


def test_member__times_are_kept_in_whole_seconds_and_in_their_order(tmp_path: Path) -> None:
    parts = (
        pax(mtime="1500000000.999") + file("p-1/a.pyx"),
        file("p-1/a.c", mtime=octal(1_500_000_001)),
        folder("p-1/d", mtime=octal(1_500_000_002)),
        file("p-1/d/x", mtime=octal(1_500_000_003)),
    )

    outcome = accept(sdist(*parts), tmp_path)

    times = [mtime(outcome.root / name) - 1_500_000_000 for name in ("a.pyx", "a.c", "d", "d/x")]
    assert times == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("date", "clock"),
    [(0, 0), (13 << 5 | 1, 0), (2 << 5 | 31, 0), (1 << 5 | 1, 24 << 11), (1 << 5 | 1, 30)],
    ids=["none", "thirteenth month", "31 February", "24 o'clock", "sixtieth second"],
)
def test_member__zip_date_that_is_none_is_now(date: int, clock: int, tmp_path: Path) -> None:
    start = int(time.time())

    outcome = accept(zip_sdist(zipped("p-1/a", date=date, time=clock)), tmp_path, name=ZIP)

    assert start <= mtime(outcome.root / "a") <= time.time()


def test_member__zip_date_is_read_as_utc(tmp_path: Path) -> None:
    dated = zipped("p-1/a", date=(2020 - 1980) << 9 | 9 << 5 | 13, time=12 << 11 | 26 << 5 | 20)

    outcome = accept(zip_sdist(dated, zipped("p-1/b", date=1 << 5 | 1)), tmp_path, name=ZIP)

    assert mtime(outcome.root / "a") == MTIME
    assert mtime(outcome.root / "b") == EARLIEST
