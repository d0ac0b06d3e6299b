"""Z: a zip's directory is the truth, and every byte of the file agrees with it."""

import bz2
import io
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.archives import (
    METADATA,
    ZIP,
    ZIP_PROJECT,
    ZipEnd,
    ZipMember,
    accept,
    check_refusal,
    deflate,
    extra_field,
    raw_zip,
    refuse,
    sdist,
    zip_sdist,
    zipped,
    zipped_link,
)
from wheelforge_isolation import Links

TEXT = b"text" * 30
CRC = zlib.crc32(TEXT)
PACKED = len(deflate(TEXT))
WIDE, UNICODE_NAME = 0x0001, 0x7075
LARGE = 0xFFFFFFFF
BLANK: Mapping[str, int | bytes] = {"crc": 0, "packed": 0, "size": 0}
DESCRIPTORS = {
    "plain": struct.pack("<3L", CRC, PACKED, len(TEXT)),
    "signed": struct.pack("<4s3L", b"PK\7\10", CRC, PACKED, len(TEXT)),
    "wide": struct.pack("<L2Q", CRC, PACKED, len(TEXT)),
    "wide and signed": struct.pack("<4sL2Q", b"PK\7\10", CRC, PACKED, len(TEXT)),
}


def evil(content: bytes = TEXT, **facts: int | bytes) -> ZipMember:
    return zipped("p-1/evil", content, local=facts, central=facts)


def second_name(first: bytes, second: bytes) -> bytes:
    return extra_field(UNICODE_NAME, struct.pack("<BL", 1, zlib.crc32(first)) + second)


def streamed(descriptor: bytes, **stated: int | bytes) -> ZipMember:
    local = {**BLANK, **stated}
    return zipped("p-1/evil", TEXT, deflated=True, flags=8, local=local, descriptor=descriptor)


MEMBERS = {
    "another local name": (zipped("p-1/evil", local={"name": b"p-1/good"}), "Z1"),
    "a longer local name": (zipped("p-1/evil", local={"name": b"p-1/evil.py"}), "Z1"),
    "a second name in the directory": (evil(extra=second_name(b"p-1/evil", b"x")), "Z1"),
    "a second name in the local header": (
        zipped(b"p-1/\xe9", local={"extra": second_name(b"p-1/\xe9", b"p-1/setup.py")}),
        "Z1",
    ),
    "another local size": (zipped("p-1/evil", TEXT, local={"size": 5}), "Z2"),
    "another local packed size": (zipped("p-1/evil", TEXT, local={"packed": 5}), "Z2"),
    "another local checksum": (zipped("p-1/evil", TEXT, local={"crc": 5}), "Z2"),
    "another local method": (zipped("p-1/evil", TEXT, local={"method": 8}), "Z2"),
    "another local flag": (zipped("p-1/evil", TEXT, local={"flags": 1}), "Z2"),
    "a blank local size": (zipped("p-1/evil", TEXT, local={"size": 0}), "Z2"),
    "a wrong descriptor": (streamed(struct.pack("<3L", CRC, PACKED, 5)), "Z2"),
    "a wrong checksum in the descriptor": (
        streamed(struct.pack("<4s3L", b"PK\7\10", 0, PACKED, len(TEXT))),
        "Z2",
    ),
    "a descriptor of another signature": (
        streamed(struct.pack("<4s3L", b"evil", CRC, PACKED, len(TEXT))),
        "Z2",
    ),
    "neither blank nor right": (streamed(DESCRIPTORS["signed"], size=5), "Z2"),
    "declares more": (evil(deflate(TEXT), method=8, size=500, crc=CRC), "Z3"),
    "declares less": (evil(deflate(TEXT), method=8, size=5, crc=zlib.crc32(TEXT[:5])), "Z3"),
    "stored, declares more": (evil(size=500), "Z3"),
    "stored, declares less": (evil(size=5, crc=zlib.crc32(TEXT[:5])), "Z3"),
    "junk behind the content": (evil(deflate(TEXT) + b"junk", method=8, size=120, crc=CRC), "Z3"),
    "wrong checksum": (evil(crc=5), "Z4"),
    "wrong checksum, packed": (evil(deflate(TEXT), method=8, size=120, crc=5), "Z4"),
    "no deflate data": (evil(b"\xff" * 9, method=8, size=120, crc=CRC), "Z4"),
    "content cut": (evil(deflate(TEXT)[:-1], method=8, size=120, crc=CRC), "F10"),
    "no content": (evil(b"", method=8, size=0, crc=0), "F10"),
    "only in the directory": (
        ZipMember(b"", {"name": b"p-1/evil", "crc": 0, "packed": 0, "size": 0}, b""),
        "Z7",
    ),
    "no descriptor": (streamed(b""), "Z7"),
    "half a descriptor": (streamed(DESCRIPTORS["plain"][:-1]), "Z7"),
    "directory with content": (zipped("p-1/evil/", b"x"), "Z16"),
    "directory by its mode with content": (evil(attributes=0o040755 << 16), "Z16"),
    "directory with a checksum": (zipped("p-1/evil/", crc=5), "Z4"),
    "two wide sizes": (evil(extra=extra_field(WIDE, bytes(16)) * 2), "Z12"),
    "half a unicode name": (evil(extra=extra_field(UNICODE_NAME, b"x")), "Z12"),
    "an empty unicode name": (zipped(b"p-1/\xe9", extra=second_name(b"p-1/\xe9", b"")), "Z12"),
    "a unicode name that is none": (
        zipped(b"p-1/\xe9", extra=second_name(b"p-1/\xe9", b"\xff")),
        "Z12",
    ),
    "a unicode name of another version": (
        zipped(
            b"p-1/\xe9",
            extra=extra_field(UNICODE_NAME, struct.pack("<BL", 2, zlib.crc32(b"p-1/\xe9")) + b"x"),
        ),
        "Z12",
    ),
    "two unicode names": (evil(extra=extra_field(UNICODE_NAME, b"x") * 2), "Z12"),
    "no wide size": (
        zipped("p-1/evil", central={"size": LARGE, "extra": extra_field(WIDE, b"")}),
        "Z12",
    ),
    "an extra field cut": (evil(extra=extra_field(WIDE, bytes(16))[:-1]), "Z12"),
}
FOREIGN = {
    "encrypted": (evil(flags=0x1), "Z10", "encrypted"),
    "strongly encrypted": (evil(flags=0x41), "Z10", "encrypted"),
    "masked": (evil(flags=0x2000), "Z10", "encrypted"),
    "on another disk": (zipped("p-1/evil", central={"disk": 1}), "Z10", "another part"),
    "bzip2": (evil(bz2.compress(TEXT), method=12, size=120, crc=CRC), "Z11", "method 12"),
    "lzma": (evil(lzma.compress(TEXT), method=14, size=120, crc=CRC), "Z11", "method 14"),
    "zstandard": (evil(method=93), "Z11", "method 93"),
    "of a later zip": (evil(needed=64), "Z11", "version 6.4"),
}
SOUND = zip_sdist(zipped("p-1/a", TEXT))
FILES = {
    "one of two counted": (zip_sdist(end=ZipEnd(facts={"here": 1, "count": 1})), "Z7"),
    "three of two counted": (zip_sdist(end=ZipEnd(facts={"here": 3, "count": 3})), "Z7"),
    "a member that is not listed": (
        raw_zip(*ZIP_PROJECT, zipped("p-1/evil", is_listed=False)),
        "Z7",
    ),
    "a first member that is not listed": (
        raw_zip(zipped("p-1/evil", is_listed=False), *ZIP_PROJECT),
        "Z8",
    ),
    "a gap between members": (zip_sdist(evil(), zipped("p-1/a", descriptor=b"gap")), "Z7"),
    "two entries for one member": (
        raw_zip(*ZIP_PROJECT, ZipMember(b"", {**zipped("p-1/x").central, "offset": 0}, b"")),
        "Z5",
    ),
    "one member inside another": (zip_sdist(zipped("p-1/a", TEXT, central={"offset": 10})), "Z5"),
    "bytes before": (zip_sdist(prefix=b"PK junk"), "Z8"),
    "bytes before that nobody counts": (b"PK junk" + SOUND, "Z8"),
    "bytes behind": (SOUND + b"junk", "Z8"),
    "a byte behind zeros": (SOUND + bytes(100) + b"x", "Z8"),
    "too many zeros behind": (SOUND + bytes((1 << 16) + 1), "Z8"),
    "a long comment and zeros behind": (
        zip_sdist(end=ZipEnd(comment=b"c" * 0xFFFF)) + bytes(2),
        "Z8",
    ),
    "a directory elsewhere": (zip_sdist(end=ZipEnd(facts={"start": 0})), "Z8"),
    "two zips": (SOUND + SOUND, "Z8"),
    "a cut comment": (zip_sdist(end=ZipEnd(comment=b"comment"))[:-1], "Z8"),
    "an end in the comment": (zip_sdist(end=ZipEnd(comment=b"PK\5\6" + bytes(18))), "Z9"),
    "the start of an end in the comment": (zip_sdist(end=ZipEnd(comment=b"- PK\5\6 -")), "Z9"),
    "the start of an end, last": (zip_sdist(end=ZipEnd(comment=b"PK\5\6")), "Z9"),
    "a zip in the comment": (zip_sdist(end=ZipEnd(comment=SOUND)), "Z9"),
    "no end": (SOUND[:-22], "F10"),
    "half an end": (SOUND[:-10], "F10"),
    "nothing but magic": (b"PK", "F10"),
    "half a locator": (b"PK\6\7" + b"PK\5\6" + bytes(18), "Z8"),
    "a locator a byte short": (b"PK\6\7" + bytes(15) + b"PK\5\6" + bytes(18), "Z8"),
    "more in the wide end": (zip_sdist(end=ZipEnd(wide={}, wide_data=b"data")), "Z12"),
    "ends that disagree": (zip_sdist(end=ZipEnd(wide={}, facts={"here": 1, "count": 1})), "Z12"),
    "a wide end elsewhere": (zip_sdist(end=ZipEnd(wide={"position": 0})), "Z12"),
    "a wide end beyond the file": (zip_sdist(end=ZipEnd(wide={"position": 1 << 40})), "Z12"),
    "a wide end beyond any file": (zip_sdist(end=ZipEnd(wide={"position": (1 << 63) - 1})), "Z12"),
    "a wide end beyond anything": (zip_sdist(end=ZipEnd(wide={"position": (1 << 64) - 1})), "Z12"),
    "a wide directory elsewhere": (zip_sdist(end=ZipEnd(wide={"start": 1 << 63})), "Z8"),
    "a wide count": (zip_sdist(end=ZipEnd(wide={"count": 5})), "Z7"),
}
FINE = {
    "stored": (zipped("p-1/a", TEXT), TEXT),
    "deflated": (zipped("p-1/a", TEXT, deflated=True), TEXT),
    "deflated to nothing": (zipped("p-1/a", b"", deflated=True), b""),
    "a full buffer": (zipped("p-1/a", bytes(1 << 20), deflated=True), bytes(1 << 20)),
    "two full buffers": (zipped("p-1/a", bytes(2 << 20), deflated=True), bytes(2 << 20)),
    "more than a buffer": (zipped("p-1/a", TEXT * 20_000, deflated=True), TEXT * 20_000),
    "a comment of its own": (zipped("p-1/a", TEXT, central={"comment": b"comment"}), TEXT),
    "other extra fields": (
        zipped("p-1/a", TEXT, local={"extra": extra_field(0x5455, b"\1time")}),
        TEXT,
    ),
    "extra fields as padding": (zipped("p-1/a", TEXT, local={"extra": bytes(3)}), TEXT),
    "a wide local size": (
        zipped(
            "p-1/a",
            TEXT,
            local={
                "size": LARGE,
                "packed": LARGE,
                "extra": extra_field(WIDE, struct.pack("<2Q", len(TEXT), len(TEXT))),
            },
        ),
        TEXT,
    ),
    "a wide size": (
        zipped(
            "p-1/a",
            TEXT,
            central={"size": LARGE, "extra": extra_field(WIDE, struct.pack("<Q", len(TEXT)))},
        ),
        TEXT,
    ),
    "an end inside": (zipped("p-1/a", b"PK\5\6" + b"\xff" * 40), b"PK\5\6" + b"\xff" * 40),
    "a zip inside": (zipped("p-1/a", SOUND), SOUND),
    "a gzip inside": (zipped("p-1/a", sdist()), sdist()),
}
ENDS = {
    "plain": zip_sdist(zipped("p-1/a", TEXT)),
    "with a comment": zip_sdist(zipped("p-1/a", TEXT), end=ZipEnd(comment=b"c" * 0xFFFF)),
    "wide": zip_sdist(zipped("p-1/a", TEXT), end=ZipEnd(wide={})),
    "padded": zip_sdist(zipped("p-1/a", TEXT)) + bytes(1 << 16),
    "padded behind a comment": zip_sdist(zipped("p-1/a", TEXT), end=ZipEnd(comment=b"c" * 0x7FFF))
    + bytes(1 << 15),
}


@pytest.mark.parametrize(("member", "rule"), MEMBERS.values(), ids=MEMBERS)
def test_zip__contradictory_member_is_refused(member: ZipMember, rule: str, tmp_path: Path) -> None:
    check_refusal(zip_sdist(member), tmp_path, rule, "archive-damaged", "member", name=ZIP)


@pytest.mark.parametrize(("member", "rule", "reason"), FOREIGN.values(), ids=FOREIGN)
def test_zip__unusual_member_is_refused(
    member: ZipMember, rule: str, reason: str, tmp_path: Path
) -> None:
    error = refuse(zip_sdist(member), tmp_path, name=ZIP)

    assert (error.rule, error.code) == (rule, "archive-kind")
    assert "`p-1/evil`" in str(error)
    assert reason in str(error)


@pytest.mark.parametrize(
    "end",
    [ZipEnd(facts={"disk": 1}), ZipEnd(facts={"here": 1}), ZipEnd(wide={"parts": 2})],
    ids=["disk", "count", "wide"],
)
def test_zip__part_of_an_archive_is_refused(end: ZipEnd, tmp_path: Path) -> None:
    check_refusal(zip_sdist(end=end), tmp_path, "Z10", "archive-kind", name=ZIP)


@pytest.mark.parametrize("end", [ZipEnd(), ZipEnd(wide={})], ids=["plain", "wide"])
def test_zip__without_members_is_refused(end: ZipEnd, tmp_path: Path) -> None:
    check_refusal(raw_zip(end=end), tmp_path, "Y1", "archive-layout", name=ZIP)


def test_zip__name_of_bytes_is_cut_in_a_message(tmp_path: Path) -> None:
    content = bytearray(raw_zip(zipped(f"p-1/{'x' * 200}", bytes(9_000)), *ZIP_PROJECT))
    struct.pack_into("<H", content, 26, 3_000)  # the length of its name

    assert len(str(refuse(bytes(content) + bytes(3_000), tmp_path, name=ZIP))) < 1000


@pytest.mark.parametrize(("archive", "rule"), FILES.values(), ids=FILES)
def test_zip__ambiguous_file_is_refused(archive: bytes, rule: str, tmp_path: Path) -> None:
    check_refusal(archive, tmp_path, rule, "archive-damaged", name=ZIP)


@pytest.mark.parametrize(("member", "content"), FINE.values(), ids=FINE)
def test_zip__member_may_be(member: ZipMember, content: bytes, tmp_path: Path) -> None:
    outcome = accept(zip_sdist(member), tmp_path, name=ZIP)

    assert outcome.tree == {"a": content}
    assert outcome.rules == []


@pytest.mark.parametrize("archive", ENDS.values(), ids=ENDS)
def test_zip__end_may_be(archive: bytes, tmp_path: Path) -> None:
    assert accept(archive, tmp_path, name=ZIP).tree == {"a": TEXT}


@pytest.mark.parametrize("stated", [BLANK, {}], ids=["blank", "stated"])
@pytest.mark.parametrize("descriptor", DESCRIPTORS.values(), ids=DESCRIPTORS)
def test_zip__descriptor_may_follow_a_member(
    descriptor: bytes, stated: Mapping[str, int | bytes], tmp_path: Path
) -> None:
    member = zipped("p-1/a", TEXT, deflated=True, flags=8, local=stated, descriptor=descriptor)

    assert accept(zip_sdist(member), tmp_path, name=ZIP).tree == {"a": TEXT}


def test_zip__directory_that_starts_where_a_second_end_would_read_is_refused(
    tmp_path: Path,
) -> None:
    # Its position is spelled `PK\5\6`, and zipfile takes the last of these for the end.
    start = int.from_bytes(b"PK\5\6", "little")
    before = sum(len(member.local + member.data) for member in (*ZIP_PROJECT, zipped("p-1/a")))
    large = zipped("p-1/a", bytes(start - before))

    check_refusal(zip_sdist(large, end=ZipEnd(comment=b"c" * 22)), tmp_path, "Z9", name=ZIP)


ODD = {
    "a directory by its mode, deflated": zipped("p-1/d", method=8, attributes=0o040755 << 16),
    "a directory, deflated": zipped("p-1/d/", method=8, size=0, crc=0),
    "a directory, an empty stream": zipped("p-1/d/", deflate(b""), method=8, size=0, crc=0),
    "a directory before a descriptor": zipped("p-1/d/", flags=8, descriptor=b"PK\7\10" + bytes(12)),
}


@pytest.mark.parametrize("member", ODD.values(), ids=ODD)
def test_zip__directory_may_be(member: ZipMember, tmp_path: Path) -> None:
    assert accept(zip_sdist(member), tmp_path, name=ZIP).tree == {"d": None}


def test_zip__directory_may_list_the_members_in_another_order(tmp_path: Path) -> None:
    first, second = zipped("p-1/a", b"1"), zipped("p-1/b", b"22")
    offset = len(first.local) + len(first.data)
    listed = (
        ZipMember(first.local, {**second.central, "offset": offset}, first.data),
        ZipMember(second.local, {**first.central, "offset": 0}, second.data),
    )

    assert accept(raw_zip(*listed), tmp_path, name=ZIP).tree == {"a": b"1", "b": b"22"}


@pytest.mark.parametrize("system", [3, 19], ids=["Unix", "macOS"])
def test_zip__link_by_its_attributes_is_a_link(system: int, tmp_path: Path) -> None:
    link = zipped("p-1/l", b"a", system=system, attributes=0o120777 << 16)

    outcome = accept(zip_sdist(link, zipped("p-1/a", TEXT)), tmp_path, name=ZIP, links=Links.KEEP)

    assert outcome.tree == {"a": TEXT, "l": "a"}


def test_zip__link_from_a_system_without_links_is_a_file(tmp_path: Path) -> None:
    member = zipped("p-1/l", b"a", system=0, attributes=0o120777 << 16)

    assert accept(zip_sdist(member), tmp_path, name=ZIP).tree == {"l": b"a"}


@pytest.mark.parametrize(
    ("target", "rule"), [("", "L5"), ("a/" * 512 + "b", "L19")], ids=["no target", "long target"]
)
def test_zip__link_that_means_nothing_is_refused(target: str, rule: str, tmp_path: Path) -> None:
    error = refuse(zip_sdist(zipped_link("p-1/evil", target)), tmp_path, name=ZIP)

    assert (error.rule, error.code) == (rule, "archive-member-link")
    assert "`p-1/evil`" in str(error)


def test_zip__what_the_standard_library_streams_is_read(tmp_path: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    pipe, noise = Pipe(), os.urandom(300_000)
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("p-1/PKG-INFO", METADATA)
        archive.writestr("p-1/pyproject.toml", b"")
        with archive.open("p-1/a", "w", force_zip64=True) as member:
            member.write(noise)

    outcome = accept(pipe.getvalue(), tmp_path, name=ZIP)

    assert outcome.tree == {"a": noise}
    assert outcome.rules == []
