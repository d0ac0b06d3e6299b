"""X: how much an archive may ask for."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.archives import (
    PROJECT,
    ZIP,
    accept,
    check_refusal,
    file,
    gz,
    hardlink,
    pax,
    raw_pax,
    record,
    refuse,
    sdist,
    tar,
    zip_sdist,
    zipped,
)
from wheelforge_isolation import Limits
from wheelforge_isolation.archive.members import Kind, Member, Plan
from wheelforge_isolation.archive.spool import Contents
from wheelforge_isolation.archive.writer import write_plan
from wheelforge_isolation.errors import DiskFullError

METADATA_BYTES = len(PROJECT[0].rstrip(b"\0")) - 512
MEBIBYTE = 1 << 20
TAR_BOMB = gz(bytes(80 * MEBIBYTE))
ZIP_BOMB = zip_sdist(zipped("p-1/evil", bytes(80 * MEBIBYTE), deflated=True))
TEN = sdist(*(file(f"p-1/{n}") for n in range(8)))


def total(content: int) -> Limits:
    return Limits(total_bytes=METADATA_BYTES + content)


THOUSAND = {
    "tar": ("p-1.tar.gz", sdist(file("p-1/a", bytes(600)), file("p-1/b", bytes(400)))),
    "zip": (
        ZIP,
        zip_sdist(zipped("p-1/a", bytes(600)), zipped("p-1/b", bytes(400), deflated=True)),
    ),
    "hard links, which become copies": (
        "p-1.tar.gz",
        sdist(file("p-1/a", bytes(100)), *(hardlink(f"p-1/{n}", "p-1/a") for n in range(9))),
    ),
}


@pytest.mark.parametrize(("name", "archive"), THOUSAND.values(), ids=THOUSAND)
def test_limits__size_of_the_whole_is_limited(name: str, archive: bytes, tmp_path: Path) -> None:
    accept(archive, tmp_path / "enough", name=name, limits=total(1000))
    error = refuse(archive, tmp_path / "short", name=name, limits=total(999))

    assert (error.rule, error.code) == ("X1", "archive-too-large")
    assert "raise the limit" in error.hint


def test_limits__stream_is_stopped_where_it_outgrows_the_limit(tmp_path: Path) -> None:
    limits = Limits(total_bytes=MEBIBYTE, members=10)

    check_refusal(gz(os.urandom(4 * MEBIBYTE)), tmp_path, "X1", limits=limits)


@pytest.mark.parametrize(
    ("name", "archive"), [("p-1.tar.gz", TAR_BOMB), (ZIP, ZIP_BOMB)], ids=["gzip", "zip"]
)
def test_limits__bomb_is_refused_by_its_ratio(name: str, archive: bytes, tmp_path: Path) -> None:
    check_refusal(archive, tmp_path, "X2", "archive-too-large", "100 times", name=name)


def test_limits__empty_streams_before_a_bomb_do_not_help_it(tmp_path: Path) -> None:
    check_refusal(gz(b"") * 63 + TAR_BOMB, tmp_path, "X2")


def test_limits__ratio_of_a_small_archive_does_not_matter(tmp_path: Path) -> None:
    outcome = accept(sdist(file("p-1/a", bytes(8 * MEBIBYTE))), tmp_path)

    assert outcome.tree == {"a": bytes(8 * MEBIBYTE)}


@pytest.mark.parametrize(
    ("name", "archive"),
    [
        ("p-1.tar.gz", sdist(file("p-1/evil", bytes(1001)))),
        (ZIP, zip_sdist(zipped("p-1/evil", bytes(1001), deflated=True))),
    ],
    ids=["tar", "zip"],
)
def test_limits__size_of_a_member_is_limited(name: str, archive: bytes, tmp_path: Path) -> None:
    accept(archive, tmp_path / "enough", name=name, limits=Limits(member_bytes=1001))
    error = refuse(archive, tmp_path / "short", name=name, limits=Limits(member_bytes=1000))

    assert (error.rule, error.code) == ("X3", "archive-too-large")
    assert "`p-1/evil`" in str(error)


@pytest.mark.parametrize(
    ("name", "archive"),
    [
        ("p-1.tar.gz", TEN),
        ("p-1.tar.gz", sdist(*(pax(comment="c") + file(f"p-1/{n}") for n in range(4)))),
        ("p-1.tar.gz", sdist(*[raw_pax(record("comment", "c"), b"g")] * 7, file("p-1/a"))),
        (ZIP, zip_sdist(*(zipped(f"p-1/{n}") for n in range(8)))),
    ],
    ids=["members", "pax headers", "global headers", "members of a zip"],
)
def test_limits__count_extension_headers(name: str, archive: bytes, tmp_path: Path) -> None:
    accept(archive, tmp_path / "enough", name=name, limits=Limits(members=10))
    error = refuse(archive, tmp_path / "short", name=name, limits=Limits(members=9))

    assert (error.rule, error.code) == ("X4", "archive-too-large")


@pytest.mark.parametrize(
    ("path", "limits"),
    [
        ("p-1/some/path", Limits(path_bytes=12)),
        ("p-1/component", Limits(component_bytes=8)),
        ("p-1/a/b", Limits(depth=2)),
    ],
    ids=["path", "component", "depth"],
)
def test_limits__of_names_can_be_set(path: str, limits: Limits, tmp_path: Path) -> None:
    check_refusal(gz(tar(file(path))), tmp_path, "N15", None, f"`{path}`", limits=limits)


def test_limits__disk_without_room_is_noticed_before_anything_is_written(tmp_path: Path) -> None:
    def fail(member: Member) -> Iterator[bytes]:
        raise AssertionError(member)

    huge = Member(number=1, name="p-1/a", kind=Kind.FILE, size=1 << 60)
    plan = Plan(top="p-1", directories={"p-1": None}, files={"p-1/a": huge}, links={})

    with pytest.raises(DiskFullError, match=r"bytes needed, [\d,]+ free"):
        write_plan(plan, Contents(fail), str(tmp_path))

    assert list(tmp_path.iterdir()) == []
