"""F9 to F12, F20 and F21: the file around the archive, read to its very end."""

import bz2
import gzip
import lzma
import struct
import zlib
from pathlib import Path

import pytest

from tests.support.archives import (
    PROJECT,
    TAR_GZ,
    ZIP,
    accept,
    check_refusal,
    file,
    gz,
    raw_zip,
    refuse,
    sdist,
    tar,
    zip_sdist,
    zipped,
)
from wheelforge_isolation import unpack

PLAIN = tar(*PROJECT, file("p-1/a", b"1"))
SOUND = gz(PLAIN)
ZIP_END = b"PK\5\6" + bytes(16)


def flipped(data: bytes, position: int) -> bytes:
    """Return ``data`` with one bit the other way."""
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


def split(data: bytes, streams: int) -> bytes:
    """Return ``data`` in so many gzip streams."""
    size = -(-len(data) // streams)
    return b"".join(gz(data[n * size : (n + 1) * size]) for n in range(streams))


def annotated(data: bytes) -> bytes:
    """Return a gzip stream that uses every optional field of its header."""
    head = b"\x1f\x8b\x08\x1e" + bytes(4) + b"\0\3" + b"\4\0abcd" + b"name\0" + b"comment\0"
    head += struct.pack("<H", zlib.crc32(head) & 0xFFFF)
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = engine.compress(data) + engine.flush()
    return head + body + struct.pack("<2L", zlib.crc32(data), len(data))


DAMAGED = {
    "wrong checksum": (flipped(SOUND, -8), "F9"),
    "wrong length": (flipped(SOUND, -4), "F9"),
    "wrong method": (flipped(SOUND, 2), "F9"),
    "reserved flag": (SOUND[:3] + b"\x80" + SOUND[4:], "F9"),
    "bad block": (SOUND[:10] + b"\xff" * 20 + SOUND[30:], "F9"),
    "wrong checksum of a second stream": (SOUND + flipped(gz(b"\0"), -8), "F9"),
    "cut in the magic": (SOUND[:2], "F10"),
    "cut in the header": (SOUND[:9], "F10"),
    "cut in the middle": (SOUND[: len(SOUND) // 2], "F10"),
    "cut trailer": (SOUND[:-1], "F10"),
    "no trailer": (SOUND[:-8], "F10"),
    "second stream cut": (SOUND + gz(b"\0")[:-1], "F10"),
    "65 streams": (split(PLAIN, 65), "F11"),
    "junk behind": (SOUND + b"junk", "F12"),
    "a byte behind": (SOUND + b"\1", "F12"),
    "half a magic behind": (SOUND + b"\x1f", "F12"),
    "junk behind zeros": (SOUND + bytes(100) + b"junk", "F12"),
    "a stream behind zeros": (SOUND + bytes(100) + SOUND, "F12"),
    "too many zeros behind": (SOUND + bytes((1 << 16) + 1), "F12"),
    "second archive": (SOUND + SOUND, "F15"),
    "nothing": (b"", "F20"),
}
ACCEPTED = {
    "64 streams": split(PLAIN, 64),
    "streams that end in mid-header": split(PLAIN, 7),
    "an empty stream behind": SOUND + gz(b""),
    "zeros behind": SOUND + bytes(1 << 16),
    "every field of the header": annotated(PLAIN),
    "no compression": gzip.compress(PLAIN, 0, mtime=0),
}
STRANGERS = {
    "zip": (TAR_GZ, zip_sdist(), "not tar.gz but zip"),
    "bzip2": (TAR_GZ, bz2.compress(PLAIN), "not tar.gz but bzip2"),
    "xz": (TAR_GZ, lzma.compress(PLAIN), "not tar.gz but xz"),
    "compress": (TAR_GZ, b"\x1f\x9d\x90" + bytes(600), "not tar.gz but compress"),
    "an error page": (TAR_GZ, b"<!doctype html>", "not tar.gz but HTML"),
    "tar": (TAR_GZ, PLAIN, "not tar.gz but something else"),
    "gzip named zip": (ZIP, SOUND, "not zip but gzip"),
    "tar named zip": (ZIP, PLAIN, "not zip but something else"),
    "zip and gzip at once": (TAR_GZ, SOUND + raw_zip(zipped("p-1/setup.py")), "at once"),
    "tar and zip at once": (ZIP, tar(file("PK")) + ZIP_END + b"\0\0", "at once"),
}
LEGACY = ["p-1.tgz", "p-1.tar", "p-1.tar.bz2", "p-1.tar.xz", "p-1.tar.Z", "p-1", ".tar.gz", ".zip"]


@pytest.mark.parametrize(("archive", "rule"), DAMAGED.values(), ids=DAMAGED)
def test_gzip__damaged_file_is_refused(archive: bytes, rule: str, tmp_path: Path) -> None:
    error = refuse(archive, tmp_path)

    assert (error.rule, error.code) == (rule, "archive-damaged")
    assert "download it again" in error.hint


@pytest.mark.parametrize("archive", ACCEPTED.values(), ids=ACCEPTED)
def test_gzip__may_come_in_streams_and_be_padded(archive: bytes, tmp_path: Path) -> None:
    outcome = accept(archive, tmp_path)

    assert outcome.tree == {"a": b"1"}
    assert outcome.rules == []


@pytest.mark.parametrize("size", [(1 << 20) - 1, 1 << 20, 3 << 20], ids=["below", "at", "beyond"])
def test_gzip__content_that_fills_the_buffer_is_read_whole(size: int, tmp_path: Path) -> None:
    content = bytes(size)

    assert accept(sdist(file("p-1/a", content)), tmp_path).tree == {"a": content}


@pytest.mark.parametrize(
    "archive", [gz(b""), gz(bytes(10_240)), gz(tar())], ids=["gzip", "tar", "end marker"]
)
def test_gzip__archive_of_nothing_is_refused(archive: bytes, tmp_path: Path) -> None:
    check_refusal(archive, tmp_path, "Y1", "archive-layout")


@pytest.mark.parametrize(("name", "archive", "reason"), STRANGERS.values(), ids=STRANGERS)
def test_gzip__file_of_another_kind_is_refused(
    name: str, archive: bytes, reason: str, tmp_path: Path
) -> None:
    check_refusal(archive, tmp_path, "F21", "archive-kind", reason, name=name)


@pytest.mark.parametrize("name", LEGACY)
def test_gzip__file_of_another_name_is_refused(name: str, tmp_path: Path) -> None:
    check_refusal(SOUND, tmp_path, "F21", "archive-kind", name=name)


@pytest.mark.parametrize("suffix", ["tgz", "tar.bz2", "tar.xz"])
def test_archive__old_kind_of_sdist_is_refused_with_a_remedy(suffix: str, tmp_path: Path) -> None:
    error = refuse(SOUND, tmp_path, name=f"demo-1.0.{suffix}")

    assert "only .tar.gz and .zip are read: rename a .tgz, and repack others" in str(error)


def test_gzip__suffix_may_be_in_capitals(tmp_path: Path) -> None:
    (tmp_path / "P-1.TAR.GZ").write_bytes(SOUND)

    assert unpack(tmp_path / "P-1.TAR.GZ", tmp_path / "out").notes == ()
