"""L: where a link may lead; decided alike whether links are kept or copied."""

from pathlib import Path

import pytest

from tests.support.archives import (
    ZIP,
    Tree,
    accept,
    check_refusal,
    file,
    folder,
    gnu_target,
    gz,
    hardlink,
    pax,
    refuse,
    sdist,
    symlink,
    tar,
    zip_sdist,
    zipped_link,
)
from wheelforge_isolation import Limits, Links

BOTH_MODES = pytest.mark.parametrize("links", Links, ids=lambda links: links.value)
TARGET = file("p-1/a", b"text")


def chain(length: int) -> bytes:
    """Return so many links, each to the next, the last one to a file."""
    return b"".join(symlink(f"p-1/l{n}", f"l{n - 1}") for n in range(length, 1, -1)) + symlink(
        "p-1/l1", "a"
    )


ESCAPING = {
    "above the tree": (symlink("p-1/evil", "../x"), "L6"),
    "far above the tree": (symlink("p-1/evil", "../../../etc/passwd"), "L6"),
    "down and above": (folder("p-1/d") + symlink("p-1/evil", "d/../../x"), "L6"),
    "beside the tree and back": (symlink("p-1/evil", "../p-1/a"), "L6"),
    "absolute": (symlink("p-1/evil", "/usr/bin/python3"), "L7"),
    "absolute with two slashes": (symlink("p-1/evil", "//etc/passwd"), "L7"),
    "the directory above": (symlink("p-1/evil", ".."), "L6"),
    "above by a pax target": (pax(linkpath="../x") + symlink("p-1/evil", "a"), "L6"),
    "above by a gnu target": (gnu_target("../x") + symlink("p-1/evil", "a"), "L6"),
    "hard, above the tree": (hardlink("p-1/evil", "../x"), "L17"),
    "hard, absolute": (hardlink("p-1/evil", "/etc/passwd"), "L17"),
    "hard, down and above": (hardlink("p-1/evil", "p-1/../../x"), "L17"),
}
BAD = {
    "41 hops": (TARGET + chain(41), "L2"),
    "long component in a target": (pax(linkpath="c" * 256) + symlink("p-1/evil", "a"), "L19"),
    "no target": (symlink("p-1/evil", ""), "L5"),
    "turns back behind a link": (
        folder("p-1/d/e") + symlink("p-1/l", "d/e") + TARGET + symlink("p-1/evil", "l/../a"),
        "L9",
    ),
    "turns back behind a later link": (
        symlink("p-1/evil", "l/../a") + folder("p-1/d/e") + symlink("p-1/l", "d/e"),
        "L9",
    ),
    "turns back behind a file": (TARGET + symlink("p-1/evil", "a/../a"), "L9"),
    "member below a link": (folder("p-1/d") + symlink("p-1/l", "d") + file("p-1/l/evil"), "L11"),
    "member below a dangling link": (symlink("p-1/l", "x") + file("p-1/l/evil"), "L11"),
    "member below a loop": (symlink("p-1/l", "l") + folder("p-1/l/evil"), "L11"),
    "hard, to a later member": (hardlink("p-1/evil", "p-1/a") + TARGET, "L14"),
    "hard, to no member": (hardlink("p-1/evil", "p-1/x"), "L14"),
    "hard, to itself": (hardlink("p-1/evil", "p-1/evil"), "L14"),
    "hard, without a target": (hardlink("p-1/evil", ""), "L14"),
    "hard, to a link to nothing": (symlink("p-1/l", "x") + hardlink("p-1/evil", "p-1/l"), "L15"),
    "hard, to a link to a directory": (
        folder("p-1/d") + symlink("p-1/l", "d") + hardlink("p-1/evil", "p-1/l"),
        "L15",
    ),
    "hard, to a loop": (symlink("p-1/l", "l") + hardlink("p-1/evil", "p-1/l"), "L15"),
    "hard, to a link that is left out": (
        symlink("._l", "p-1/a") + hardlink("p-1/evil", "._l") + TARGET,
        "L15",
    ),
    "hard, to a link among the litter": (
        symlink("__MACOSX/l", "a") + hardlink("p-1/evil", "__MACOSX/l") + TARGET,
        "L15",
    ),
    "hard, to a directory": (folder("p-1/d") + hardlink("p-1/evil", "p-1/d"), "L16"),
    "hard, to an implied directory": (file("p-1/d/x") + hardlink("p-1/evil", "p-1/d"), "L16"),
    "link with content": (symlink("p-1/evil", "a", size=b"512") + TARGET, "L18"),
    "hard link with content": (
        TARGET + hardlink("p-1/evil", "p-1/a", size=b"4") + bytes(512),
        "L18",
    ),
    "long target": (pax(linkpath="a/" * 513) + symlink("p-1/evil", "a"), "L19"),
    "long hard target": (pax(linkpath="é" * 600) + hardlink("p-1/evil", "a"), "L19"),
}
NAMED = {"L2": "p-1/l41", "L11": "p-1/l/evil"}
"""The members that a message names which are not called evil."""
BAD_TEXTS = {
    "drive": ("C:/x", "N4"),
    "network path": (r"\\host\share", "N4"),
    "backslash": ("..\\x", "N5"),
    "nul": ("a\0/../../x", "N6"),
    "newline": ("a\nb", "N7"),
    "direction override": ("a\u202eb", "N7"),
}


@BOTH_MODES
@pytest.mark.parametrize(("part", "rule"), ESCAPING.values(), ids=ESCAPING)
def test_link__that_leads_out_is_refused(
    part: bytes, rule: str, links: Links, tmp_path: Path
) -> None:
    check_refusal(sdist(part), tmp_path, rule, "archive-member-escapes", "`p-1/evil`", links=links)


@BOTH_MODES
@pytest.mark.parametrize(("part", "rule"), BAD.values(), ids=BAD)
def test_link__senseless_one_is_refused(
    part: bytes, rule: str, links: Links, tmp_path: Path
) -> None:
    name = NAMED.get(rule, "p-1/evil")

    check_refusal(sdist(part), tmp_path, rule, "archive-member-link", f"`{name}`", links=links)


@pytest.mark.parametrize("flag", [b"1", b"2"], ids=["hard", "symbolic"])
@pytest.mark.parametrize(("target", "rule"), BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_link__target_is_held_to_name_rules(
    flag: bytes, target: str, rule: str, tmp_path: Path
) -> None:
    error = refuse(sdist(pax(linkpath=target) + file("p-1/evil", flag=flag)), tmp_path)

    assert error.rule in {rule, "L19"}
    assert "`p-1/evil`" in str(error)
    assert "target" in str(error)


@BOTH_MODES
def test_link__for_the_top_level_directory_is_refused(links: Links, tmp_path: Path) -> None:
    error = refuse(gz(tar(symlink("p-1", "."))), tmp_path, links=links)

    assert (error.rule, error.code) == ("L8", "archive-member-escapes")
    assert "`p-1`" in str(error)


def test_link__absolute_link_comes_with_advice_about_virtual_environments(tmp_path: Path) -> None:
    error = refuse(sdist(symlink("p-1/.venv/bin/python", "/usr/bin/python3")), tmp_path)

    assert "`/usr/bin/python3`" in str(error)
    assert "virtual environment" in error.hint


def test_link__of_a_zip_is_held_to_the_same_rules(tmp_path: Path) -> None:
    error = refuse(zip_sdist(zipped_link("p-1/evil", "../x")), tmp_path, name=ZIP)

    assert (error.rule, error.code) == ("L6", "archive-member-escapes")


def test_link__message_about_a_hard_link_is_safe_to_print(tmp_path: Path) -> None:
    target = b"p-1/\xff" + b"n" * 500

    error = refuse(sdist(pax(linkpath=target) + hardlink("p-1/evil", "a")), tmp_path)

    assert len(str(error)) < 400


KEPT = {
    "before its target": (symlink("p-1/l", "a") + TARGET, {"a": b"text", "l": "a"}),
    "to a directory": (
        file("p-1/d/x", b"1") + symlink("p-1/l", "d"),
        {"d": None, "d/x": b"1", "l": "d"},
    ),
    "to its own directory": (folder("p-1/d") + symlink("p-1/d/l", "."), {"d": None, "d/l": "."}),
    "to an ancestor": (folder("p-1/d") + symlink("p-1/d/up", ".."), {"d": None, "d/up": ".."}),
    "to itself": (symlink("p-1/l", "l"), {"l": "l"}),
    "in a circle": (symlink("p-1/l", "m") + symlink("p-1/m", "l"), {"l": "m", "m": "l"}),
    "to nothing": (symlink("p-1/l", "x/y"), {"l": "x/y"}),
    "through a file": (TARGET + symlink("p-1/l", "a/x"), {"a": b"text", "l": "a/x"}),
    "with a detour": (
        TARGET + folder("p-1/d") + symlink("p-1/l", "./d//../a/"),
        {"a": b"text", "d": None, "l": "a"},
    ),
    "through a link": (
        file("p-1/d/x", b"1") + symlink("p-1/l", "d") + symlink("p-1/m", "l/x"),
        {"d": None, "d/x": b"1", "l": "d", "m": "l/x"},
    ),
    "twice": (symlink("p-1/l", "a") * 2 + TARGET, {"a": b"text", "l": "a"}),
    "in place of a file": (
        TARGET + file("p-1/l") + symlink("p-1/l", "a"),
        {"a": b"text", "l": "a"},
    ),
    "and is replaced by a file": (
        TARGET + symlink("p-1/l", "a") + file("p-1/l", b"2"),
        {"a": b"text", "l": b"2"},
    ),
    "hard, to a hard link over a file": (
        file("p-1/b", b"old")
        + TARGET
        + symlink("p-1/s", "a")
        + hardlink("p-1/h", "p-1/s")
        + hardlink("p-1/b", "p-1/h"),
        {"a": b"text", "b": b"text", "h": b"text", "s": "a"},
    ),
    "hard, in the place of what it leads to": (
        symlink("p-1/a", ".")
        + hardlink("p-1/b", "p-1/a")
        + hardlink("p-1/a", "p-1/b")
        + file("p-1/b", b"last"),
        {"a": b"last", "b": b"last"},
    ),
    "up and to a file": (
        TARGET + symlink("p-1/d/l", "../a"),
        {"a": b"text", "d": None, "d/l": "../a"},
    ),
}


@pytest.mark.parametrize(("parts", "tree"), KEPT.values(), ids=KEPT)
def test_link__is_kept_that_leads(parts: bytes, tree: Tree, tmp_path: Path) -> None:
    assert accept(sdist(parts), tmp_path, links=Links.KEEP).tree == tree


def test_link__kept_link_that_leads_nowhere_is_noted_without_a_warning(tmp_path: Path) -> None:
    outcome = accept(sdist(symlink("p-1/l", "x"), symlink("p-1/m", "m")), tmp_path)

    assert outcome.warnings == []
    assert ["`p-1/l`" in note.text for note in outcome.unpacked.notes] == [True, False]
    assert ["`p-1/m`" in note.text for note in outcome.unpacked.notes] == [False, True]


LONG_TARGET = "/".join(["d" * 100] * 3)


@pytest.mark.parametrize(
    "extension", [pax(linkpath=LONG_TARGET), gnu_target(LONG_TARGET)], ids=["pax", "gnu"]
)
def test_link__long_target_is_taken_from_an_extension(extension: bytes, tmp_path: Path) -> None:
    outcome = accept(sdist(extension + symlink("p-1/l", "cut")), tmp_path, links=Links.KEEP)

    assert outcome.tree == {"l": LONG_TARGET}


@BOTH_MODES
def test_link__forty_hops_are_allowed(links: Links, tmp_path: Path) -> None:
    outcome = accept(sdist(TARGET, chain(40)), tmp_path, links=links)

    assert (outcome.root / "l40").read_bytes() == b"text"


@BOTH_MODES
def test_link__every_link_on_the_way_is_a_hop(links: Links, tmp_path: Path) -> None:
    parts = (folder("p-1/d"), symlink("p-1/d/l", "."), symlink("p-1/evil", "d" + "/l" * 5))

    accept(sdist(*parts), tmp_path / "six", links=links, limits=Limits(link_hops=6))
    error = refuse(sdist(*parts), tmp_path / "five", links=links, limits=Limits(link_hops=5))

    assert (error.rule, error.code) == ("L2", "archive-member-link")


@BOTH_MODES
def test_link__replaced_by_a_file_keeps_its_target(links: Links, tmp_path: Path) -> None:
    parts = TARGET + symlink("p-1/l", "a") + file("p-1/l", b"evil")

    outcome = accept(sdist(parts), tmp_path, links=links)

    assert outcome.tree == {"a": b"text", "l": b"evil"}
    assert outcome.warnings == ["D6"]


HARD = {
    "to a file": (TARGET + hardlink("p-1/h", "p-1/a"), {"a": b"text", "h": b"text"}),
    "by another spelling": (
        TARGET + hardlink("./p-1//h", "./p-1//a"),
        {"a": b"text", "h": b"text"},
    ),
    "to a hard link": (
        TARGET + hardlink("p-1/h", "p-1/a") + hardlink("p-1/i", "p-1/h"),
        {"a": b"text", "h": b"text", "i": b"text"},
    ),
    "to what is replaced later": (
        TARGET + hardlink("p-1/h", "p-1/a") + file("p-1/a", b"2"),
        {"a": b"2", "h": b"text"},
    ),
}


@BOTH_MODES
@pytest.mark.parametrize(("parts", "tree"), HARD.values(), ids=HARD)
def test_link__hard_one_becomes_a_copy(
    parts: bytes, tree: Tree, links: Links, tmp_path: Path
) -> None:
    assert accept(sdist(parts), tmp_path, links=links).tree == tree


@BOTH_MODES
def test_link__hard_to_symbolic_becomes_a_copy(links: Links, tmp_path: Path) -> None:
    parts = symlink("p-1/l", "m") + symlink("p-1/m", "a") + hardlink("p-1/h", "p-1/l") + TARGET

    outcome = accept(sdist(parts, hardlink("p-1/i", "p-1/h")), tmp_path, links=links)

    assert (outcome.tree["h"], outcome.tree["i"]) == (b"text", b"text")


def test_link__hard_link_is_as_executable_as_its_target(tmp_path: Path) -> None:
    outcome = accept(
        sdist(file("p-1/run", mode=b"0000755\0"), hardlink("p-1/h", "p-1/run")), tmp_path
    )

    assert outcome.programs == {"run", "h"}
