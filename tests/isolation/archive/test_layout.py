"""Y: what an sdist holds, what it says of itself, and where it is put."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.archives import (
    METADATA,
    ZIP,
    accept,
    check_refusal,
    file,
    folder,
    gz,
    hardlink,
    raw_zip,
    read_tree,
    refuse,
    sdist,
    symlink,
    tar,
    zipped,
)
from wheelforge_isolation import Links, unpack, unpack_archive
from wheelforge_isolation.errors import (
    ArchiveError,
    DestinationNotEmptyError,
    FileMissingError,
)

BOTH_MODES = pytest.mark.parametrize("links", Links, ids=lambda links: links.value)
PYPROJECT = file("p-1/pyproject.toml")
PKG_INFO = file("p-1/PKG-INFO", METADATA)
SAME_RELEASE = {"p-1": "p-1", "capitals": "P-1", "zeros": "p-1.0.0"}
SAME_NAMES = [
    ("PyBabel_json-0.2.0", "PyBabel-json-0.2.0"),
    ("bitmath-1.0.2.post3", "bitmath-1.0.2-3"),
    ("zope.interface-5.0", "zope_interface-5.0"),
    ("demo-1.0rc1", "demo-1.0.RC1"),
    ("py_3dtiles-1.0", "py-3dtiles-1.0"),
]
ROOTLESS = (file("setup.py", b"1"), file("demo/a", b"2"), file("PKG-INFO", METADATA))


def packed(top: str, metadata: bytes | None = None) -> bytes:
    """Return an sdist of one project file and, if given, metadata."""
    parts = [file(f"{top}/pyproject.toml")]
    if metadata is not None:
        parts.append(file(f"{top}/PKG-INFO", metadata))
    return gz(tar(*parts))


def metadata(name: str, version: str, *lines: str, format_: str = "2.2") -> bytes:
    head = (f"Metadata-Version: {format_}", f"Name: {name}", f"Version: {version}", *lines)
    return "\n".join(head).encode() + b"\n\nA description.\nName: other\n"


REFUSED = {
    "a directory without a name": ([folder("./")], "Y1", "empty"),
    "seven directories": (
        [file(f"{name}/x") for name in "gfedcba"],
        "Y2",
        "found 7: `a`, `b`, `c`, `d`, `e`, …",
    ),
    "a single file": ([file("p-1", b"text")], "Y2", "found 1: `p-1`"),
    "a modern one without a directory": ([*ROOTLESS, file("pyproject.toml")], "Y2", "found 4"),
    "metadata without a project": (
        [PKG_INFO, folder("p-1/setup.py")],
        "Y6",
        "no pyproject.toml or setup.py in `p-1`",
    ),
}


@pytest.mark.parametrize(("parts", "rule", "text"), REFUSED.values(), ids=REFUSED)
def test_sdist__odd_layout_is_refused(
    parts: list[bytes], rule: str, text: str, tmp_path: Path
) -> None:
    check_refusal(gz(tar(*parts)), tmp_path, rule, "archive-layout", text)


def test_sdist__old_archive_without_a_top_level_directory_gets_one(tmp_path: Path) -> None:
    links = (symlink("demo/l", "../setup.py"), hardlink("h", "demo/l"))

    outcome = accept(gz(tar(*ROOTLESS, *links)), tmp_path)

    assert outcome.root.name == "p-1"
    assert outcome.warnings == ["Y2"]
    tree = {"demo": None, "demo/a": b"2", "demo/l": "../setup.py", "h": b"1", "setup.py": b"1"}
    assert outcome.tree == tree


def test_sdist__link_of_an_old_archive_cannot_leave_the_directory_it_gets(tmp_path: Path) -> None:
    assert refuse(gz(tar(*ROOTLESS, symlink("evil", "../x"))), tmp_path).rule == "L6"


def test_sdist__zip_without_a_top_level_directory_is_old(tmp_path: Path) -> None:
    archive = raw_zip(zipped("setup.py"), zipped("a", b"1"), zipped("pyproject.toml"))

    outcome = accept(archive, tmp_path, name=ZIP)

    assert outcome.root.name == "p-1"
    assert outcome.warnings == ["Y2", "Y5"]
    assert outcome.tree == {"a": b"1", "setup.py": b""}


ZIPPED = raw_zip(zipped("setup.py"), zipped("a"))
TARRED = gz(tar(file("setup.py")))
NAMES = {
    **dict.fromkeys(["...zip", "..zip", "....zip"], ZIPPED),
    **{f"{stem}.tar.gz": TARRED for stem in ("..", ".", "C:x", "a\\b", "a\nb")},
}


@pytest.mark.parametrize("name", NAMES)
def test_sdist__name_of_an_archive_is_no_way_out(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(NAMES[name])
    neighbour = tmp_path / "deep" / "out" / "neighbour"
    neighbour.mkdir(parents=True)
    (neighbour.parent / "private").mkdir()

    with (
        pytest.raises(ArchiveError) if NAMES[name] is TARRED else contextlib.suppress(ArchiveError)
    ):
        unpack_archive(tmp_path / name, neighbour.parent / "private")

    assert neighbour.exists()
    assert {path.name for path in tmp_path.iterdir()} == {name, "deep"}
    assert {path.name for path in neighbour.parent.iterdir()} == {"neighbour", "private"}
    assert NAMES[name] is ZIPPED or list((neighbour.parent / "private").iterdir()) == []


@pytest.mark.parametrize("top", SAME_RELEASE.values(), ids=SAME_RELEASE)
def test_sdist__top_level_directory_is_named_like_the_archive(top: str, tmp_path: Path) -> None:
    outcome = accept(packed(top, METADATA), tmp_path)

    assert outcome.root.name == top
    assert outcome.rules == []


@pytest.mark.parametrize(("stem", "top"), SAME_NAMES)
def test_sdist__names_of_one_release_are_normalised(stem: str, top: str, tmp_path: Path) -> None:
    name, _, version = top.rpartition("-")
    name, version = ("bitmath", "1.0.2-3") if name == "bitmath-1.0.2" else (name, version)

    assert accept(packed(top, metadata(name, version)), tmp_path, name=f"{stem}.tar.gz").rules == []


@pytest.mark.parametrize("top", ["q-1", "p-2", "p", "p-1-2"])
def test_sdist__top_of_another_release_is_noted(top: str, tmp_path: Path) -> None:
    outcome = accept(packed(top, METADATA), tmp_path)

    assert outcome.warnings == ["Y3"]
    assert f"`{top}`" in outcome.unpacked.notes[0].text


@pytest.mark.parametrize("line", ["Name: q", "Version: 2"])
@pytest.mark.parametrize("format_", ["2.2", "2.10", "3.0"])
def test_sdist__other_metadata_is_refused(line: str, format_: str, tmp_path: Path) -> None:
    key, _, value = line.partition(": ")
    fields = {"Name": "p", "Version": "1"} | {key: value}
    stated = metadata(fields["Name"], fields["Version"], format_=format_)

    check_refusal(packed("p-1", stated), tmp_path, "Y4", "archive-layout", "PKG-INFO")


NOTED = {
    "old metadata of another release": (packed("p-1", metadata("q", "1", format_="1.0")), ["Y4"]),
    "metadata 2.1 of another release": (packed("p-1", metadata("q", "1", format_="2.1")), ["Y4"]),
    "lines that end as on Windows, and a description": (
        packed("p-1", metadata("p", "1.0", "Summary: x").replace(b"\n", b"\r\n")),
        [],
    ),
    "no metadata": (packed("p-1"), ["Y5"]),
    "setup.py makes a project": (gz(tar(PKG_INFO, file("p-1/setup.py"))), []),
    "no sdist": (gz(tar(file("p-1/a", b"1"))), ["Y5", "Y6"]),
}


@pytest.mark.parametrize(("archive", "rules"), NOTED.values(), ids=NOTED)
def test_sdist__oddity_is_noted(archive: bytes, rules: list[str], tmp_path: Path) -> None:
    outcome = accept(archive, tmp_path)

    assert (outcome.warnings, outcome.rules) == (rules, rules)


HOSTILE_METADATA = {
    "number of the format": metadata("p", "1", format_="9" * 5000),
    "version": metadata("p", "9" * 5000),
    "version of the release": metadata("p", "1." + "9" * 5000),
    "raw bytes": METADATA.replace(b"Name: p", b"Name: \xff"),
    "nul": METADATA.replace(b"Name: p", b"Name: p\0"),
    "nothing": b"",
    "no version": b"Metadata-Version: 2.2\nName: p\n",
    "a long name": metadata("n" * 100_000, "1"),
    "many blanks": b"Name: p" + b" " * 200_000 + b"x",
}


@pytest.mark.parametrize("content", HOSTILE_METADATA.values(), ids=HOSTILE_METADATA)
def test_sdist__hostile_metadata_is_refused_or_noted(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "p-1.tar.gz").write_bytes(packed("p-1", content))

    texts: list[str] = []
    try:
        texts += map(str, unpack(tmp_path / "p-1.tar.gz", tmp_path / "out").notes)
    except ArchiveError as error:
        texts.append(str(error))

    assert all(text.endswith("[Y4]") and len(text) < 400 for text in texts)


def test_sdist__metadata_is_judged_in_linear_time(tmp_path: Path) -> None:
    blanks = metadata("p", "1", "License-File: a" + " " * 100_000 + "b")
    start = time.process_time()

    accept(packed("p-1", blanks), tmp_path)

    assert time.process_time() - start < 5


LICENSED = file("p-1/PKG-INFO", metadata("p", "1", "License-File: LICENSE", format_="2.4"))
LINKED = {
    "a project file": ([PKG_INFO, symlink("p-1/setup.py", "d/real"), file("p-1/d/real")], set()),
    "metadata": ([PYPROJECT, symlink("p-1/PKG-INFO", "real"), file("p-1/real", METADATA)], set()),
    "metadata that leads nowhere": ([PYPROJECT, symlink("p-1/PKG-INFO", "x")], {"L4", "Y5"}),
    "a licence": (
        [PYPROJECT, LICENSED, symlink("p-1/LICENSE", "COPYING"), file("p-1/COPYING")],
        set(),
    ),
}
MISLED = {
    "metadata of another release": (
        [PYPROJECT, symlink("p-1/PKG-INFO", "real"), file("p-1/real", metadata("q", "1"))],
        "Y4",
    ),
    "a project file that leads nowhere": ([PKG_INFO, symlink("p-1/setup.py", "x")], "Y6"),
}


@BOTH_MODES
@pytest.mark.parametrize(("parts", "rules"), LINKED.values(), ids=LINKED)
def test_sdist__link_is_followed(
    parts: list[bytes], rules: set[str], links: Links, tmp_path: Path
) -> None:
    assert set(accept(gz(tar(*parts)), tmp_path, links=links).rules) == rules


@BOTH_MODES
@pytest.mark.parametrize(("parts", "rule"), MISLED.values(), ids=MISLED)
def test_sdist__linked_file_is_judged(
    parts: list[bytes], rule: str, links: Links, tmp_path: Path
) -> None:
    assert refuse(gz(tar(*parts)), tmp_path, links=links).rule == rule


@pytest.mark.parametrize(("format_", "rules"), [("2.3", []), ("2.4", ["Y8"]), ("2.5", ["Y8"])])
def test_sdist__missing_licence_is_noted(format_: str, rules: list[str], tmp_path: Path) -> None:
    lines = ("License-File: LICENSE", "License-File: d/NOTICE")
    stated = file("p-1/PKG-INFO", metadata("p", "1", *lines, format_=format_))

    outcome = accept(gz(tar(PYPROJECT, stated, file("p-1/LICENSE"))), tmp_path)

    assert outcome.warnings == rules
    assert all("`d/NOTICE`" in note.text for note in outcome.unpacked.notes)


def test_sdist__litter_of_macos_is_left_out(tmp_path: Path) -> None:
    litter = (file("__MACOSX/p-1/._a"), file("._p-1"), symlink("._l", "/etc/passwd"))

    outcome = accept(sdist(*litter, file("p-1/a"), file("p-1/._a")), tmp_path)

    assert outcome.tree == {"a": b"", "._a": b""}
    assert (set(outcome.rules), outcome.warnings) == ({"Y9"}, [])


@pytest.mark.parametrize(
    "top", [".lock", ".kept", ".wheelforge-unpacking", "probe-link", ".git", "-rf", "~"]
)
def test_sdist__top_level_directory_may_have_any_name(top: str, tmp_path: Path) -> None:
    (tmp_path / "p-1.tar.gz").write_bytes(packed(top))

    assert unpack(tmp_path / "p-1.tar.gz", tmp_path / "out").root == tmp_path / "out" / top
    assert read_tree(tmp_path / "out" / top)[0] == {"pyproject.toml": b""}


@pytest.mark.parametrize(
    "place", ["mine", ".", ".wheelforge-unpacking-notes/mine", ".wheelforge-unpacking.1/mine"]
)
def test_sdist__destination_that_holds_something_stays_as_it_is(place: str, tmp_path: Path) -> None:
    (tmp_path / "p-1.tar.gz").write_bytes(sdist())
    mine = tmp_path / "out" / place
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("text", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(DestinationNotEmptyError) as caught:
        unpack(tmp_path / "p-1.tar.gz", tmp_path / "out")

    assert caught.value.exit_code == 2
    assert sorted(tmp_path.rglob("*")) == before
    assert mine.read_text(encoding="utf-8") == "text"


def test_sdist__archive_that_is_not_there_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError) as caught:
        unpack(tmp_path / "p-1.tar.gz", tmp_path / "out")

    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "reason"), [(Path.mkdir, "it is a directory"), (os.mkfifo, "it is no regular file")]
)
def test_sdist__that_is_no_file_is_called_what_it_is(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    make(tmp_path / "p-1.tar.gz")

    with pytest.raises(FileMissingError, match=reason):
        unpack(tmp_path / "p-1.tar.gz", tmp_path / "out")


def test_sdist__what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "p-1.tar.gz").write_bytes(sdist())
    left = tmp_path / "out" / f".wheelforge-unpacking-{'0' * 32}"
    (left / "p-1").mkdir(parents=True)
    for name in (".lock", "probe-case", "p-1/half"):
        (left / name).touch()

    unpack(tmp_path / "p-1.tar.gz", tmp_path / "out")

    assert [path.name for path in (tmp_path / "out").iterdir()] == ["p-1"]
