"""L10 and X6: what becomes of links where there are none."""

from pathlib import Path

import pytest

from tests.support.archives import (
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
    zipped_link,
)
from wheelforge_isolation import Limits, Links

TARGET = file("p-1/a", b"text")
DIRECTORY = folder("p-1/d") + file("p-1/d/x", b"1") + file("p-1/d/e/y", b"2")
COPIED: dict[str, tuple[bytes, Tree]] = {
    "a file": (TARGET + symlink("p-1/l", "a"), {"a": b"text", "l": b"text"}),
    "a later file": (symlink("p-1/l", "a") + TARGET, {"a": b"text", "l": b"text"}),
    "a file elsewhere": (
        TARGET + symlink("p-1/f/g/l", "../../a"),
        {"a": b"text", "f": None, "f/g": None, "f/g/l": b"text"},
    ),
    "a file through links": (
        symlink("p-1/l", "m") + symlink("p-1/m", "n") + symlink("p-1/n", "a") + TARGET,
        {"a": b"text", "l": b"text", "m": b"text", "n": b"text"},
    ),
    "a file below a link": (
        symlink("p-1/l", "m/x") + symlink("p-1/m", "f") + file("p-1/f/x", b"1"),
        {"f": None, "f/x": b"1", "l": b"1", "m": None, "m/x": b"1"},
    ),
    "a directory": (
        DIRECTORY + symlink("p-1/l", "d"),
        {"d": None, "d/e": None, "d/e/y": b"2", "d/x": b"1",
         "l": None, "l/e": None, "l/e/y": b"2", "l/x": b"1"},
    ),
    "an empty directory": (folder("p-1/d") + symlink("p-1/l", "d"), {"d": None, "l": None}),
    "a later directory": (
        symlink("p-1/l", "d") + file("p-1/d/x", b"1"),
        {"d": None, "d/x": b"1", "l": None, "l/x": b"1"},
    ),
    "a directory with a link": (
        TARGET + symlink("p-1/d/l", "../a") + symlink("p-1/m", "d"),
        {"a": b"text", "d": None, "d/l": b"text", "m": None, "m/l": b"text"},
    ),
    "a directory with a link to a directory": (
        file("p-1/f/x", b"1") + symlink("p-1/d/l", "../f") + symlink("p-1/m", "d"),
        {"d": None, "d/l": None, "d/l/x": b"1", "f": None,
         "f/x": b"1", "m": None, "m/l": None, "m/l/x": b"1"},
    ),
    "a hard link": (
        TARGET + hardlink("p-1/h", "p-1/a") + symlink("p-1/l", "h"),
        {"a": b"text", "h": b"text", "l": b"text"},
    ),
    "a directory with hard links to links": (
        TARGET
        + symlink("p-1/d/l", "../a")
        + hardlink("p-1/d/h", "p-1/d/l")
        + symlink("p-1/m", "d"),
        {"a": b"text", "d": None, "d/h": b"text", "d/l": b"text",
         "m": None, "m/h": b"text", "m/l": b"text"},
    ),
    "a sibling of its own directory": (
        file("p-1/f/x", b"1") + symlink("p-1/f/l", "../g") + file("p-1/g/y", b"2"),
        {"f": None, "f/l": None, "f/l/y": b"2", "f/x": b"1", "g": None, "g/y": b"2"},
    ),
}  # fmt: skip
LEFT_OUT: dict[str, tuple[bytes, Tree, list[str]]] = {
    "leads nowhere": (symlink("p-1/l", "x"), {}, ["L4"]),
    "leads through a file": (TARGET + symlink("p-1/l", "a/x"), {"a": b"text"}, ["L4"]),
    "leads to itself": (symlink("p-1/l", "l"), {}, ["L3"]),
    "leads in a circle": (symlink("p-1/l", "m") + symlink("p-1/m", "l"), {}, ["L3", "L3"]),
    "leads into a circle": (symlink("p-1/l", "m") + symlink("p-1/m", "m"), {}, ["L3", "L3"]),
    "leads below itself": (symlink("p-1/l", "l/x"), {}, ["L3"]),
    "leads to its directory": (symlink("p-1/d/l", "."), {"d": None}, ["L10"]),
    "leads to an ancestor": (symlink("p-1/d/e/l", "../.."), {"d": None, "d/e": None}, ["L10"]),
    "leads to the top": (symlink("p-1/d/l", ".."), {"d": None}, ["L10"]),
    "leads to an ancestor by a link": (
        symlink("p-1/d/l", "../m") + symlink("p-1/m", "d"),
        {"d": None, "m": None},
        ["L10", "L10"],
    ),
    "leads to a directory that leads back": (
        symlink("p-1/d/l", "../e") + symlink("p-1/e/m", "../d"),
        {"d": None, "d/l": None, "e": None, "e/m": None},
        ["L10", "L10"],
    ),
}


def doubling(levels: int) -> bytes:
    """Return directories of which each holds two links to the next: 2**levels files when copied."""
    links = (
        symlink(f"p-1/d{n}/{name}", f"../d{n + 1}") for n in range(levels) for name in ("a", "b")
    )
    return b"".join(links) + file(f"p-1/d{levels}/x", b"x")


@pytest.mark.parametrize(("parts", "tree"), COPIED.values(), ids=COPIED)
def test_copies__link_becomes_a_copy_of(parts: bytes, tree: Tree, tmp_path: Path) -> None:
    outcome = accept(sdist(parts), tmp_path, links=Links.COPY)

    assert outcome.tree == tree
    assert outcome.rules == []


@pytest.mark.parametrize(("parts", "tree", "rules"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_copies__link_is_left_out_that(
    parts: bytes, tree: Tree, rules: list[str], tmp_path: Path
) -> None:
    outcome = accept(sdist(parts), tmp_path, links=Links.COPY)

    assert outcome.tree == tree
    assert outcome.warnings == rules


def test_copies__warning_about_a_link_left_out_names_it_and_what_it_leads_to(
    tmp_path: Path,
) -> None:
    (note,) = accept(sdist(symlink("p-1/d/l", "../d")), tmp_path, links=Links.COPY).unpacked.notes
    assert "`p-1/d/l`" in note.text
    assert "`../d`" in note.text


def test_copies__links_of_a_zip_are_copied_too(tmp_path: Path) -> None:
    archive = zip_sdist(zipped_link("p-1/l", "d"), zipped("p-1/d/x", b"1", deflated=True))

    outcome = accept(archive, tmp_path, name=ZIP, links=Links.COPY)

    assert outcome.tree == {"d": None, "d/x": b"1", "l": None, "l/x": b"1"}


def test_copies__copy_has_the_mode_and_the_time_of_the_original(tmp_path: Path) -> None:
    run = file("p-1/d/run", mode=b"0000755\0", mtime=b"%011o\0" % 1_500_000_000)

    outcome = accept(sdist(run, symlink("p-1/l", "d")), tmp_path, links=Links.COPY)

    assert outcome.programs == {"d/run", "l/run"}
    assert (outcome.root / "l/run").stat().st_mtime == 1_500_000_000


def test_copies__copy_is_held_to_the_limits_of_names(tmp_path: Path) -> None:
    deep = "p-1/" + "d/" * 40
    parts = file(deep + "x") + symlink("p-1" + "/e" * 30 + "/evil", "../" * 30 + "d")

    check_refusal(sdist(parts), tmp_path, "N15", links=Links.COPY)


def test_copies__copies_that_multiply_are_refused(tmp_path: Path) -> None:
    error = refuse(sdist(doubling(30)), tmp_path, links=Links.COPY)

    assert (error.rule, error.code) == ("X6", "archive-too-large")
    assert "10,000" in str(error)


def test_copies__links_that_would_multiply_are_kept(tmp_path: Path) -> None:
    assert accept(sdist(doubling(30)), tmp_path, links=Links.KEEP).tree["d0/a"] == "../d1"


def test_copies__number_of_copies_is_a_limit(tmp_path: Path) -> None:
    archive = sdist(DIRECTORY, symlink("p-1/l", "d"), symlink("p-1/m", "x"))

    accept(archive, tmp_path / "5", links=Links.COPY, limits=Limits(link_copies=5))
    check_refusal(archive, tmp_path / "4", "X6", links=Links.COPY, limits=Limits(link_copies=4))


def test_copies__copies_count_against_the_size_of_the_whole(tmp_path: Path) -> None:
    archive = sdist(file("p-1/a", bytes(1000)), symlink("p-1/l", "a"))
    limits = Limits(total_bytes=1900)

    accept(archive, tmp_path / "kept", links=Links.KEEP, limits=limits)
    error = refuse(archive, tmp_path / "copied", links=Links.COPY, limits=limits)

    assert (error.rule, error.code) == ("X1", "archive-too-large")
