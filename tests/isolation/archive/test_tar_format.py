"""F1 to F8 and F13 to F19: the format of tar, of which every block is accounted for."""

from pathlib import Path

import pytest

from tests.support.archives import (
    BLOCK,
    PROJECT,
    accept,
    binary,
    check_refusal,
    file,
    folder,
    gnu_name,
    gnu_target,
    gz,
    header,
    octal,
    pax,
    raw_pax,
    record,
    refuse,
    sdist,
    symlink,
    tar,
)

EVIL = file("p-1/evil")


def unclean(member: bytes) -> bytes:
    """Put something into the last byte of the padding, which belongs to nothing."""
    return member[:-1] + b"x"


LONG = "p-1/" + "n" * 200
ACCEPTED = {
    "v7": (file("p-1/a", b"1", magic=bytes(8)), "a"),
    "ustar": (file("a", b"1", prefix=b"p-1"), "a"),
    "gnu": (file("p-1/a", b"1", magic=b"ustar  \0"), "a"),
    "gnu with times in the place of the prefix": (
        file("p-1/a", b"1", magic=b"ustar  \0", prefix=b"14010000000\00014010000000\0"),
        "a",
    ),
    "gnu name": (gnu_name(LONG) + file("p-1/cut", b"1", magic=b"ustar  \0"), "n" * 200),
    "pax name": (pax(path=LONG) + file("p-1/cut", b"1"), "n" * 200),
    "Solaris' pax": (raw_pax(record("path", LONG), b"X") + file("p-1/cut", b"1"), "n" * 200),
    "pax size alone": (pax(size="1") + file("p-1/a", b"1", size=bytes(12)), "a"),
    "pax size of zeros": (pax(size="1") + file("p-1/a", b"1", size=octal(0)), "a"),
    "pax size repeated": (pax(size="1") + file("p-1/a", b"1"), "a"),
    "binary size": (file("p-1/a", b"1", size=b"\x80" + bytes(10) + b"\1"), "a"),
    "comment of git archive": (
        raw_pax(record("comment", "c0ffee"), b"g") + file("p-1/a", b"1"),
        "a",
    ),
    "foreign keys, even twice": (
        raw_pax(record("LIBARCHIVE.creationtime", "1") * 2) + file("p-1/a", b"1"),
        "a",
    ),
    "a file whose cut name ends like a directory's": (
        gnu_name(LONG) + file("p-1/", b"1", flag=b"\0", magic=b"ustar  \0"),
        "n" * 200,
    ),
    "v7 with text in the place of the prefix": (
        file("p-1/a", b"1", magic=bytes(8), prefix=b"text"),
        "a",
    ),
    "blank fields": (
        file("p-1/a", b"1", mode=b" " * 8, uid=bytes(8), gid=b"\0 \0", mtime=b" " * 12),
        "a",
    ),
    "octal without an end": (file("p-1/a", b"1", size=b"000000000001"), "a"),
    "octal with blanks": (file("p-1/a", b"1", size=b"         1 \0"), "a"),
}
EXTENSIONS = {
    "two pax headers": (pax(path="p-1/a") + pax(path="p-1/b") + EVIL, "F3"),
    "two pax headers of different make": (
        pax(path="p-1/a") + raw_pax(record("path", "p-1/b"), b"X") + EVIL,
        "F3",
    ),
    "pax and gnu name": (pax(path="p-1/a") + gnu_name("p-1/b") + EVIL, "F4"),
    "gnu and pax target": (gnu_target("a") + pax(linkpath="b") + symlink("p-1/evil", "c"), "F4"),
    "one name for all": (raw_pax(record("path", "p-1/x"), b"g") + EVIL, "F5"),
    "one target for all": (raw_pax(record("linkpath", "x"), b"g") + EVIL, "F5"),
    "one size for all": (raw_pax(record("size", "0"), b"g") + EVIL, "F5"),
    "record too long": (raw_pax(b"99 path=p-1/a\n") + EVIL, "F6"),
    "record too short": (raw_pax(b"5 path=p-1/a\n") + EVIL, "F6"),
    "record of length zero": (raw_pax(b"0 path=p-1/a\n") + EVIL, "F6"),
    "record of negative length": (raw_pax(b"-9 path=a\n") + EVIL, "F6"),
    "record without a length": (raw_pax(b"path=p-1/a\n") + EVIL, "F6"),
    "record without an equals sign": (raw_pax(b"8 path1\n") + EVIL, "F6"),
    "record without a key": (raw_pax(b"5 =a\n") + EVIL, "F6"),
    "record without a newline": (raw_pax(b"12 path=p-1/a") + EVIL, "F6"),
    "no record": (raw_pax(b"x") + EVIL, "F6"),
    "name twice": (raw_pax(record("path", "p-1/a") + record("path", "p-1/b")) + EVIL, "F6"),
    "size twice": (raw_pax(record("size", "0") * 2) + EVIL, "F6"),
    "size that is no number": (pax(size="1k") + EVIL, "F7"),
    "size with a fraction": (pax(size="0.0") + EVIL, "F7"),
    "size with a sign": (pax(size="+0") + EVIL, "F7"),
    "empty size": (pax(size="") + EVIL, "F7"),
    "pax header at the end": (EVIL + pax(path="p-1/a"), "F8"),
    "gnu name at the end": (EVIL + gnu_name("p-1/a"), "F8"),
    "two gnu names": (gnu_name("p-1/a") + gnu_name("p-1/b") + EVIL, "F19"),
    "bytes behind a pax header": (unclean(pax(mtime="1")) + EVIL, "F6"),
    "bytes behind a gnu name": (unclean(gnu_name("p-1/a")) + EVIL, "F6"),
    "a header for all at the end": (EVIL + raw_pax(record("comment", "c"), b"g"), "F8"),
    "large pax header": (pax(comment="c" * (256 << 10)) + EVIL, "F19"),
    "large gnu name": (gnu_name("c" * (128 << 10)) + EVIL, "F19"),
    "many headers for all": (raw_pax(record("comment", "c"), b"g") * 17 + EVIL, "F19"),
    "large headers for all": ((raw_pax(record("comment", "c" * 250_000), b"g") + EVIL) * 5, "F19"),
    "chain of pax headers": (pax(comment="c") * 1200 + EVIL, "F3"),
    "extension of negative size": (header(flag=b"x", size=binary(-512)) + EVIL, "F19"),
    "extension beyond the end": (header(flag=b"x", size=octal(99_999)), "F17"),
}
SIZES = {
    "two sizes": (pax(size="512") + file("p-1/evil", b"1") + bytes(BLOCK), "F2"),
    "no size and one": (pax(size="0") + file("p-1/evil", b"1"), "F2"),
    "negative": (file("p-1/evil", size=binary(-512)), "F16"),
    "a little negative": (file("p-1/evil", size=binary(-1)), "F16"),
    "negative by pax": (pax(size="-512") + file("p-1/evil"), "F16"),
    "beyond the end": (file("p-1/evil", size=b"77777777777\0"), "F17"),
    "far beyond the end": (file("p-1/evil", size=b"\x80" + b"\xff" * 11), "F17"),
    "beyond what tarfile reads": (file("p-1/evil", size=b"\xbf" + b"\xff" * 11), "F18"),
    "beyond the end by pax": (pax(size="8589934592") + file("p-1/evil", b"1"), "F17"),
    "beyond anything by pax": (pax(size="9" * 20) + file("p-1/evil"), "F17"),
    "no number": (file("p-1/evil", size=b"0000000009\0"), "F18"),
    "mode of garbage": (file("p-1/evil", mode=b"rw-r--r-"), "F18"),
    "time of garbage": (file("p-1/evil", mtime=b"yesterday"), "F18"),
    "owner of garbage": (file("p-1/evil", uid=b"garbage!"), "F18"),
    "digits behind a NUL": (file("p-1/evil", size=b"\0" + b"0" * 11), "F18"),
    "octal as Python writes it": (file("p-1/evil", mode=b"0o00644\0"), "F18"),
    "time with a sign": (file("p-1/evil", mtime=b"-0000000001\0"), "F18"),
}
ENDS = {
    "wrong checksum": (file("p-1/evil", checksum=b"0000000\0") + bytes(1024), "F13"),
    "a checksum that is no number": (file("p-1/evil", checksum=b"checksum"), "F13"),
    "text instead of a header": (b"text" * 128, "F13"),
    "half a header": (header(name=b"p-1/evil")[:300], "F14"),
    "half a block of zeros": (bytes(300), "F14"),
    "one block of zeros and a member": (bytes(BLOCK) + EVIL + bytes(1024), "F14"),
    "a member behind the end": (bytes(1024) + EVIL, "F15"),
    "a second tar behind the end": (bytes(1024) + tar(*PROJECT, EVIL), "F15"),
    "a byte behind the end": (bytes(10_239) + b"x", "F15"),
}


def signed(block: bytes) -> bytes:
    """Give a header the checksum of those who took bytes as signed."""
    counted = block[:148] + b" " * 8 + block[156:BLOCK]
    total = sum(byte - 256 if byte > 127 else byte for byte in counted)
    return block[:148] + b"%06o\0 " % total + block[156:]


@pytest.mark.parametrize(("part", "path"), ACCEPTED.values(), ids=ACCEPTED)
def test_tar__format_is_read(part: bytes, path: str, tmp_path: Path) -> None:
    outcome = accept(sdist(part), tmp_path)

    assert outcome.tree[path] == b"1"
    assert outcome.rules == []


def test_tar__format_that_mixes_pax_and_gnu_is_read_and_noted(tmp_path: Path) -> None:
    parts = gnu_name(LONG) + file("p-1/cut", b"1") + pax(mtime="1") + file("p-1/b")

    outcome = accept(sdist(parts), tmp_path)

    assert outcome.tree["n" * 200] == b"1"
    assert outcome.rules == ["F1"]


def test_tar__checksum_of_signed_bytes_is_right_too(tmp_path: Path) -> None:
    assert accept(sdist(signed(file("p-1/é", b"1"))), tmp_path).tree == {"é": b"1"}


@pytest.mark.parametrize(("part", "rule"), EXTENSIONS.values(), ids=EXTENSIONS)
def test_tar__malformed_extension_is_refused(part: bytes, rule: str, tmp_path: Path) -> None:
    check_refusal(sdist(part), tmp_path, rule, "archive-damaged")


@pytest.mark.parametrize(("part", "rule"), SIZES.values(), ids=SIZES)
def test_tar__number_that_cannot_be_is_refused(part: bytes, rule: str, tmp_path: Path) -> None:
    check_refusal(sdist(part), tmp_path, rule, "archive-damaged", "`p-1/evil`")


@pytest.mark.parametrize(("end", "rule"), ENDS.values(), ids=ENDS)
def test_tar__wrong_end_is_refused(end: bytes, rule: str, tmp_path: Path) -> None:
    check_refusal(gz(tar(*PROJECT, end=end)), tmp_path, rule, "archive-damaged")


def test_tar__damage_is_located_by_the_last_member_before_it(tmp_path: Path) -> None:
    error = refuse(gz(tar(*PROJECT, end=b"\1" * BLOCK)), tmp_path)

    assert "member 2 `p-1/pyproject.toml`" in str(error)


@pytest.mark.parametrize("end", [b"", bytes(BLOCK)], ids=["none", "one block"])
def test_tar__missing_end_marker_is_noted(end: bytes, tmp_path: Path) -> None:
    assert accept(gz(tar(*PROJECT, end=end)), tmp_path).warnings == ["F14"]


def test_tar__time_for_all_members_is_theirs(tmp_path: Path) -> None:
    both = raw_pax(record("mtime", "1500000000"), b"g") + file("p-1/a")

    outcome = accept(sdist(both, pax(mtime="1510000000") + file("p-1/b")), tmp_path)

    assert [int((outcome.root / name).stat().st_mtime) for name in "ab"] == [
        1_500_000_000,
        1_510_000_000,
    ]


def test_tar__zeros_behind_the_end_are_padding(tmp_path: Path) -> None:
    assert accept(gz(tar(*PROJECT, end=bytes(100_000))), tmp_path).rules == []


def test_tar__sixteen_global_headers_per_member_are_allowed(tmp_path: Path) -> None:
    headers = raw_pax(record("comment", "c"), b"g") * 16

    outcome = accept(sdist(headers + file("p-1/a"), headers + file("p-1/b")), tmp_path)

    assert outcome.tree == {"a": b"", "b": b""}


def test_tar__bytes_of_a_member_are_skipped_by_the_size_that_pax_states(tmp_path: Path) -> None:
    hidden = file("p-1/hidden", b"evil")
    carrier = pax(size=str(len(hidden))) + file("p-1/a", size=octal(0)) + hidden

    assert accept(sdist(carrier, folder("p-1/d")), tmp_path).tree == {"a": hidden, "d": None}
