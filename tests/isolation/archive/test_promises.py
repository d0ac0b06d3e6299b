"""Promises about every archive: nothing by halves, nothing through links, no umask."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.archives import (
    METADATA,
    ZIP,
    accept,
    check_refusal,
    file,
    folder,
    read_tree,
    refuse,
    sdist,
    symlink,
    zip_sdist,
    zipped,
)
from wheelforge_isolation import unpack

CONTENTS: dict[str, bytes] = {
    "PKG-INFO": METADATA,
    "pyproject.toml": b"",
    "run.sh": b"#!/bin/sh\n",
    "é/ü.txt": "é".encode() * 600,
    "d/" + "n" * 90 + "/" + "m" * 90: bytes(100_000),
    "empty": b"",
    "block": bytes(512),
}
LONG_TARGET = "/".join(["d"] + ["t" * 60] * 3)


def tarball(format_: int) -> bytes:
    """Return what the standard library makes of the contents."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=format_) as archive:
        for name, content in CONTENTS.items():
            info = tarfile.TarInfo(f"p-1/{name}")
            info.size, info.mtime = len(content), 1_600_000_000
            info.mode = 0o755 if name == "run.sh" else 0o644
            archive.addfile(info, io.BytesIO(content))
        for kind, name, target in (
            (tarfile.SYMTYPE, "l", "run.sh"),
            (tarfile.SYMTYPE, "é/up", "../d"),
            (tarfile.LNKTYPE, "h", "p-1/run.sh"),
        ):
            info = tarfile.TarInfo(f"p-1/{name}")
            info.type, info.linkname, info.mode = kind, target, 0o755
            archive.addfile(info)
    return buffer.getvalue()


def without_links(root: Path) -> None:
    """Let every hard link be a file of its own."""
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_nlink > 1:
            content, mode = path.read_bytes(), path.stat().st_mode
            path.unlink()
            path.write_bytes(content)
            path.chmod(mode)


@pytest.mark.parametrize(
    "format_",
    [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT],
    ids=["ustar", "gnu", "pax"],
)
def test_unpack__standard_library_reads_the_same_from_a_tar(format_: int, tmp_path: Path) -> None:
    archive = tarball(format_)
    with tarfile.open(fileobj=io.BytesIO(archive)) as peer:
        peer.extractall(tmp_path / "peer", filter="data")
    without_links(tmp_path / "peer")

    outcome = accept(archive, tmp_path / "ours")

    assert read_tree(outcome.root) == read_tree(tmp_path / "peer" / "p-1")
    assert outcome.programs == {"run.sh", "h"}
    assert outcome.rules == []


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["0", "8"])
def test_unpack__standard_library_reads_the_same_from_a_zip(method: int, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.mkdir("p-1/folder")
        for name, content in CONTENTS.items():
            archive.writestr(f"p-1/{name}", content)
    with zipfile.ZipFile(buffer) as peer:
        for name in peer.namelist():
            peer.extract(name, tmp_path / "peer")

    outcome = accept(buffer.getvalue(), tmp_path / "ours", name=ZIP)

    assert read_tree(outcome.root)[0] == read_tree(tmp_path / "peer" / "p-1")[0]
    assert outcome.rules == []


def test_unpack__nothing_is_written_before_the_last_member_is_judged(tmp_path: Path) -> None:
    parts = [file(f"p-1/{n}", b"x" * 1000) for n in range(100)]

    check_refusal(sdist(*parts, file("../evil")), tmp_path, "N2")


def test_unpack__link_to_the_destination_is_the_users_and_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "p-1.tar.gz").write_bytes(sdist(symlink("p-1/l", "a"), file("p-1/a", b"1")))

    assert unpack(tmp_path / "p-1.tar.gz", tmp_path / "link").root == tmp_path / "link" / "p-1"
    assert (tmp_path / "real" / "p-1" / "l").read_bytes() == b"1"


@pytest.mark.parametrize("place", ["p-1/l/x", "p-1/l/d/x", "./p-1//l/./x"])
def test_unpack__nothing_is_written_through_a_link(place: str, tmp_path: Path) -> None:
    parts = (folder("p-1/d"), symlink("p-1/l", "d"), file(place, b"evil"))

    check_refusal(sdist(*parts), tmp_path, "L11")


@pytest.mark.parametrize("umask", [0o077, 0o000, 0o022], ids=oct)
@pytest.mark.parametrize("name", ["p-1.tar.gz", ZIP])
def test_unpack__modes_do_not_depend_on_the_umask(name: str, umask: int, tmp_path: Path) -> None:
    tarred = sdist(file("p-1/d/run", mode=b"0000700\0"), file("p-1/a"), folder("p-1/e"))
    members = (zipped("p-1/d/run", attributes=0o100700 << 16), zipped("p-1/a"), zipped("p-1/e/"))
    before = os.umask(umask)

    try:
        outcome = accept(zip_sdist(*members) if name == ZIP else tarred, tmp_path, name=name)
    finally:
        os.umask(before)

    assert outcome.programs == {"d/run"}
    assert outcome.tree == {"a": b"", "d": None, "d/run": b"", "e": None}


def test_unpack__second_attempt_succeeds_where_the_first_was_refused(tmp_path: Path) -> None:
    refuse(sdist(file("../evil")), tmp_path)

    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "p-1.tar.gz").write_bytes(sdist(file("p-1/a", b"1")))
    unpacked = unpack(tmp_path / "good" / "p-1.tar.gz", tmp_path / "absent" / "out")

    assert (unpacked.root / "a").read_bytes() == b"1"
