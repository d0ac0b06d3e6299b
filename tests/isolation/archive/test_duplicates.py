"""D: members that contradict each other."""

import time
from pathlib import Path

import pytest

from tests.support.archives import (
    PROJECT,
    ZIP,
    Tree,
    accept,
    check_refusal,
    file,
    folder,
    hardlink,
    refuse,
    sdist,
    symlink,
    zip_sdist,
    zipped,
)

CLASHES = {
    "file, then directory": (file("p-1/x") + folder("p-1/x"), "D2", ["p-1/x"]),
    "link, then directory": (symlink("p-1/x", "a") + folder("p-1/x"), "D2", ["p-1/x"]),
    "directory, then file": (folder("p-1/x") + file("p-1/x"), "D3", ["p-1/x"]),
    "implied directory, then file": (file("p-1/x/y") + file("p-1/x"), "D3", ["p-1/x"]),
    "directory, then hard link": (
        file("p-1/a") + folder("p-1/x") + hardlink("p-1/x", "p-1/a"),
        "D3",
        ["p-1/x"],
    ),
    "the top, then a file": (file("p-1"), "D3", ["p-1"]),
    "file as a parent": (file("p-1/x") + file("p-1/x/y"), "D4", ["p-1/x", "p-1/x/y"]),
    "file as a grandparent": (file("p-1/x") + folder("p-1/x/y/z"), "D4", ["p-1/x", "p-1/x/y/z"]),
    "hard link as a parent": (
        file("p-1/a") + hardlink("p-1/x", "p-1/a") + file("p-1/x/y"),
        "D4",
        ["p-1/x", "p-1/x/y"],
    ),
    "directory, then link": (folder("p-1/x") + symlink("p-1/x", "a"), "D5", ["p-1/x"]),
    "full directory, then link": (file("p-1/x/y") + symlink("p-1/x", "a"), "D5", ["p-1/x"]),
}
HARMLESS: dict[str, tuple[bytes, Tree, list[str]]] = {
    "the same file": (file("p-1/a", b"1") * 2, {"a": b"1"}, []),
    "the same link": (symlink("p-1/l", "x") * 2, {"l": "x"}, []),
    "the same hard link": (
        file("p-1/a", b"1") + hardlink("p-1/h", "p-1/a") * 2,
        {"a": b"1", "h": b"1"},
        [],
    ),
    "the same file by another name": (
        file("p-1/a", b"1") + file("./p-1//a", b"1"),
        {"a": b"1"},
        [],
    ),
    "the same directory": (
        folder("p-1/d") * 2 + file("p-1/d/x") + folder("p-1/d"),
        {"d": None, "d/x": b""},
        [],
    ),
    "another content": (file("p-1/a", b"1") + file("p-1/a", b"2"), {"a": b"2"}, ["D1"]),
    "another length": (file("p-1/a", b"") + file("p-1/a", b"2"), {"a": b"2"}, ["D1"]),
    "another target": (symlink("p-1/l", "x") + symlink("p-1/l", "y"), {"l": "y"}, ["D1"]),
    "a link for a file": (file("p-1/a") + symlink("p-1/a", "x"), {"a": "x"}, ["D6"]),
    "a file for a link": (symlink("p-1/a", "x") + file("p-1/a", b"1"), {"a": b"1"}, ["D6"]),
    "another project file further down": (
        file("p-1/d/setup.py", b"1") + file("p-1/d/setup.py", b"2"),
        {"d": None, "d/setup.py": b"2"},
        ["D1"],
    ),
}
DECISIVE = ["PKG-INFO", "pyproject.toml", "setup.py", "setup.cfg"]


@pytest.mark.parametrize(("parts", "rule", "names"), CLASHES.values(), ids=CLASHES)
def test_repeats__of_another_kind_are_refused(
    parts: bytes, rule: str, names: list[str], tmp_path: Path
) -> None:
    error = refuse(sdist(parts), tmp_path)

    assert (error.rule, error.code) == (rule, "archive-members-clash")
    assert all(f"`{name}`" in str(error) for name in names)


@pytest.mark.parametrize(("parts", "tree", "warnings"), HARMLESS.values(), ids=HARMLESS)
def test_repeats__last_one_wins(
    parts: bytes, tree: Tree, warnings: list[str], tmp_path: Path
) -> None:
    outcome = accept(sdist(parts), tmp_path)

    assert outcome.tree == tree
    assert outcome.warnings == warnings


def test_repeats__of_everything_are_taken_in_silence(tmp_path: Path) -> None:
    parts = (*PROJECT, file("p-1/a", b"1"), symlink("p-1/l", "a"), folder("p-1/d"))

    outcome = accept(sdist(*parts, *parts), tmp_path)

    assert outcome.tree == {"a": b"1", "d": None, "l": "a"}
    assert outcome.rules == []


@pytest.mark.parametrize("name", DECISIVE)
def test_repeats__of_a_decisive_file_are_refused(name: str, tmp_path: Path) -> None:
    path = f"p-1/{name}"

    error = refuse(sdist(file(path, b"good"), file(path, b"evil")), tmp_path)

    assert (error.rule, error.code) == ("D1", "archive-members-clash")
    assert f"`{path}`" in str(error)


@pytest.mark.parametrize("first", [b"", b"good"], ids=["empty", "full"])
@pytest.mark.parametrize("name", DECISIVE)
def test_repeats__of_a_decisive_file_in_a_zip_are_refused(
    name: str, first: bytes, tmp_path: Path
) -> None:
    path = f"p-1/{name}"
    archive = zip_sdist(zipped(path, first), zipped(path, b"evil"))

    check_refusal(archive, tmp_path, "D1", "archive-members-clash", name=ZIP)


def test_repeats__link_for_a_decisive_file_is_refused(tmp_path: Path) -> None:
    parts = file("p-1/setup.py", b"good") + symlink("p-1/setup.py", "evil.py")

    check_refusal(sdist(parts), tmp_path, "D1")


@pytest.mark.parametrize("first", [b"", b"1"], ids=["empty", "full"])
def test_repeats__last_one_in_a_zip_wins(first: bytes, tmp_path: Path) -> None:
    outcome = accept(zip_sdist(zipped("p-1/a", first), zipped("p-1/a", b"2")), tmp_path, name=ZIP)

    assert outcome.tree == {"a": b"2"}
    assert outcome.warnings == ["D1"]


def test_repeats__are_judged_in_linear_time(tmp_path: Path) -> None:
    files = file("p-1/a", bytes(16 << 20)) + file("p-1/b", bytes(16 << 20))
    flips = (hardlink("p-1/x", f"p-1/{'ab'[n % 2]}") for n in range(2000))
    archive = sdist(files, *flips)
    start = time.process_time()

    accept(archive, tmp_path)

    assert time.process_time() - start < 5
