"""N: which names are names everywhere, and what is left of the others."""

import struct
import zlib
from pathlib import Path

import pytest

from tests.support.archives import (
    ZIP,
    ZipMember,
    accept,
    check_refusal,
    extra_field,
    file,
    folder,
    gnu_name,
    pax,
    refuse,
    sdist,
    symlink,
    zip_sdist,
    zipped,
)

SECOND_NAME = extra_field(0x7075, struct.pack("<BL", 1, zlib.crc32(b"p-1/\xe9")) + "p-1/é".encode())
LONGEST_COMPONENT = "c" * 255
LONGEST_PATH = "p-1/" + "/".join(["d" * 203] * 4 + ["d" * 204])
DEEPEST_PATH = "p-1" + "/d" * 63

ESCAPING = {
    "beside the tree": "../evil",
    "from inside the tree": "p-1/../../evil",
    "behind a slash": "/../evil",
    "behind a dot": "./../evil",
}
BAD = {
    "turns back inside": (file("p-1/x/../a"), "N3", "p-1/x/../a"),
    "ends on two dots": (folder("p-1/x/.."), "N3", "p-1/x/.."),
    "drive": (file("C:/x"), "N4", "C:/x"),
    "drive without a slash": (file("c:x"), "N4", "c:x"),
    "drive behind a slash": (file("/C:/x"), "N4", "/C:/x"),
    "drive behind a dot": (file("./C:/x"), "N4", "./C:/x"),
    "network path": (file(r"\\host\share"), "N4", r"\\host\share"),
    "device path": (file(r"\\?\C:\x"), "N4", r"\\?\C:\x"),
    "backslash": (file("p-1\\a"), "N5", "p-1\\a"),
    "nul in the header": (file(b"p-1/good\0/evil"), "N6", "member 3"),
    "nul in a gnu name": (gnu_name(b"p-1/good\0/evil") + file("p-1/x"), "N6", "member"),
    "nul in a pax name": (pax(path="p-1/good\0/evil") + file("p-1/x"), "N6", "p-1/good\\x00/evil"),
    "newline": (file("p-1/a\nb"), "N7", "p-1/a\\nb"),
    "escape": (file("p-1/\x1b[2J"), "N7", "p-1/\\x1b[2J"),
    "delete": (file("p-1/\x7f"), "N7", "p-1/\\x7f"),
    "second set of controls": (file("p-1/\x85"), "N7", "p-1/\\x85"),
    "line separator": (file("p-1/\u2028"), "N7", "p-1/\\u2028"),
    "paragraph separator": (file("p-1/\u2029"), "N7", "p-1/\\u2029"),
    "direction override": (file("p-1/\u202egpj.py"), "N7", "p-1/\\u202egpj.py"),
    "direction isolate": (file("p-1/\u2066"), "N7", "p-1/\\u2066"),
    "direction mark": (file("p-1/\u200f"), "N7", "p-1/\\u200f"),
    "empty": (file(""), "N8", "member 3"),
    "empty directory": (folder(""), "N8", "member 3"),
    "emptied by pax": (pax(path="") + file("p-1/x"), "N8", "member 3"),
    "directory emptied by pax": (pax(path="") + folder("p-1/x"), "N8", "member 3"),
    "a file named dot": (file(".", b"x"), "N9", "member 3 `.`"),
    "a link named dot": (symlink("./", "p-1"), "N9", "member 3 `./`"),
    "file named as a directory": (file("p-1/a/", b"x"), "N10", "p-1/a/"),
    "long component": (pax(path=f"p-1/{LONGEST_COMPONENT}c") + file("p-1/x"), "N15", "p-1/ccc"),
    "long component in bytes": (pax(path=f"p-1/{'é' * 128}") + file("p-1/x"), "N15", "p-1/ééé"),
    "long path": (pax(path=f"{LONGEST_PATH}d") + file("p-1/x"), "N15", "p-1/ddd"),
    "deep path": (pax(path=f"{DEEPEST_PATH}/d") + file("p-1/x"), "N15", "p-1/d/d"),
    "bottomless path": (pax(path="p-1" + "/d" * 1500) + file("p-1/x"), "N15", "p-1/d/d"),
}
MENDED = {
    "absolute": (file("/p-1/a", b"x"), "a", ["N1"]),
    "absolute twice": (file("/p-1/a", b"x") + file("/p-1/a", b"x"), "a", ["N1"]),
    "network path": (file("//p-1/a", b"x"), "a", ["N1"]),
    "behind a dot": (file("./p-1/./a", b"x"), "a", []),
    "double slash": (file("p-1//a", b"x"), "a", []),
    "reserved on Windows": (file("p-1/aux.c", b"x"), "aux.c", ["N11"]),
    "Windows' null": (file("p-1/NUL", b"x"), "NUL", ["N11"]),
    "raised digit": (file("p-1/com¹.txt", b"x"), "com¹.txt", ["N11"]),
    "colon": (file("p-1/a:b", b"x"), "a:b", ["N12"]),
    "trailing dot": (file("p-1/a.", b"x"), "a.", ["N12"]),
    "trailing blank": (file("p-1/a ", b"x"), "a ", ["N12"]),
    "raw bytes": (file(b"p-1/\xe9", b"x"), "\udce9", ["N14"]),
    "longest component": (pax(path=f"p-1/{'c' * 255}") + file("x", b"x"), "c" * 255, []),
}
TWINS = {
    "directories": folder("p-1/A") + folder("p-1/a"),
    "implied directories": file("p-1/A/x") + file("p-1/a/y"),
    "a directory and a file": folder("p-1/A") + file("p-1/a"),
    "a link and a file": symlink("p-1/A", "pyproject.toml") + file("p-1/a"),
    "a link and what is below its twin": symlink("p-1/A", "b") + file("p-1/b/x") + file("p-1/a/x"),
    "unicode forms": file("p-1/\u00e9/x") + file("p-1/e\u0301/y"),
    "sharp s": folder("p-1/\u00df") + folder("p-1/SS"),
    "kelvin sign": folder("p-1/\u212a") + folder("p-1/k"),
}
BAD_IN_ZIP = {
    "backslash from Unix": (zipped("p-1\\a"), "N5", "p-1\\a"),
    "climbs by backslashes": (zipped("p-1\\..\\..\\evil", system=0), "N2", "p-1/../../evil"),
    "drive from DOS": (zipped("C:\\a", system=10), "N4", "C:/a"),
    "nul": (zipped("p-1/ab\0cd"), "N6", "p-1/ab\\x00cd"),
    "control": (zipped("p-1/a\nb"), "N7", "p-1/a\\nb"),
    "empty": (zipped(""), "N8", "member 3"),
    "climbs out": (zipped("../evil"), "N2", "../evil"),
    "raw bytes flagged as utf-8": (zipped(b"p-1/\xe9", flags=0x800), "N14", "p-1/\\udce9"),
}
IN_ZIP = {
    "backslash from DOS": (zipped("p-1\\d\\a", b"x", system=0), "d/a", []),
    "backslash from NTFS": (zipped("p-1\\d\\a", b"x", system=10), "d/a", []),
    "backslash from VFAT": (zipped("p-1\\d\\a", b"x", system=14), "d/a", []),
    "utf-8 as flagged": (zipped("p-1/é", b"x", flags=0x800), "é", []),
    "utf-8 unflagged": (zipped("p-1/é", b"x"), "é", []),
    "code page 437": (zipped(b"p-1/\xe9", b"x"), "\u0398", ["N14"]),
    "absolute": (zipped("/p-1/a", b"x"), "a", ["N1"]),
    "a second name in utf-8": (zipped(b"p-1/\xe9", b"x", extra=SECOND_NAME), "é", []),
}


@pytest.mark.parametrize("name", ESCAPING.values(), ids=ESCAPING)
def test_name__name_that_climbs_out_is_refused(name: str, tmp_path: Path) -> None:
    check_refusal(sdist(file(name, b"x")), tmp_path, "N2", "archive-member-escapes", f"`{name}`")


@pytest.mark.parametrize(("part", "rule", "shown"), BAD.values(), ids=BAD)
def test_name__bad_name_is_refused(part: bytes, rule: str, shown: str, tmp_path: Path) -> None:
    check_refusal(sdist(part), tmp_path, rule, "archive-member-name", shown)


@pytest.mark.parametrize(("part", "path", "rules"), MENDED.values(), ids=MENDED)
def test_name__harmless_name_is_taken_and_noted(
    part: bytes, path: str, rules: list[str], tmp_path: Path
) -> None:
    outcome = accept(sdist(part), tmp_path)

    assert outcome.rules == rules
    assert outcome.tree[path] == b"x"


def test_name__names_that_only_windows_reserves_are_no_reason_for_a_warning(tmp_path: Path) -> None:
    outcome = accept(sdist(file("p-1/aux.c"), file("p-1/a:b"), file("p-1/a.")), tmp_path)

    assert outcome.warnings == []


def test_name__empty_file_named_as_a_directory_is_one(tmp_path: Path) -> None:
    outcome = accept(sdist(file("p-1/a/"), file("p-1/b/", flag=b"\0")), tmp_path)

    assert outcome.tree == {"a": None, "b": None}


def test_name__dot_for_the_root_adds_nothing(tmp_path: Path) -> None:
    outcome = accept(sdist(folder("./"), folder("."), folder("/"), file("./p-1/a", b"x")), tmp_path)

    assert outcome.tree == {"a": b"x"}


@pytest.mark.parametrize("path", [LONGEST_PATH, DEEPEST_PATH], ids=["longest", "deepest"])
def test_name__longest_and_deepest_path_is_written(path: str, tmp_path: Path) -> None:
    outcome = accept(sdist(pax(path=path) + file("p-1/x", b"x")), tmp_path)

    assert outcome.tree[path.removeprefix("p-1/")] == b"x"


@pytest.mark.parametrize("part", TWINS.values(), ids=TWINS)
def test_name__twins_that_are_no_files_are_refused(part: bytes, tmp_path: Path) -> None:
    error = refuse(sdist(part), tmp_path)

    assert (error.rule, error.code) == ("N13", "archive-members-clash")
    assert "only by letter case or Unicode form" in str(error)


def test_name__files_that_differ_in_case_are_both_written_where_they_can_be(tmp_path: Path) -> None:
    outcome = accept(sdist(file("p-1/A", b"1"), file("p-1/a", b"2")), tmp_path)

    assert outcome.warnings == ["N13"]
    assert outcome.tree == {"A": b"1", "a": b"2"}


@pytest.mark.parametrize(("member", "rule", "shown"), BAD_IN_ZIP.values(), ids=BAD_IN_ZIP)
def test_name__bad_name_in_a_zip_is_refused(
    member: ZipMember, rule: str, shown: str, tmp_path: Path
) -> None:
    check_refusal(zip_sdist(member), tmp_path, rule, None, shown, name=ZIP)


@pytest.mark.parametrize(("member", "path", "rules"), IN_ZIP.values(), ids=IN_ZIP)
def test_name__name_in_a_zip_is_decoded(
    member: ZipMember, path: str, rules: list[str], tmp_path: Path
) -> None:
    outcome = accept(zip_sdist(member), tmp_path, name=ZIP)

    assert outcome.rules == rules
    assert outcome.tree[path] == b"x"


def test_name__message_shows_two_hundred_characters_of_a_name(tmp_path: Path) -> None:
    error = refuse(sdist(pax(path="p-1/" + "n" * 900) + file("p-1/x")), tmp_path)

    assert len(str(error)) < 320
    assert f"`p-1/{'n' * 196}…`" in str(error)
