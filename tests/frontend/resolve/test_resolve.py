"""The versions chosen for given requirements."""

import pytest

from tests.support.universe import ORIGIN, Universe, sha256_of
from wheelforge.resolve import search

FAST = ["a 1.0: b; extra == 'fast' | c; extra == 'slow'", "b 1.0", "c 1.0"]
MARKED = ["a 1.0: b; sys_platform == 'win32' | c; python_version < '3.12'", "b 1.0", "c 1.0"]
NESTED = [
    "a 1.0: a[x,y]; extra == 'all' | b[z]; extra == 'x' | c; extra == 'y'",
    *("b 1.0: d; extra == 'z'", "c 1.0", "d 1.0"),
]
CHOICES = {
    "nothing for nothing": ([], [], []),
    "the newest": (["a 1.9", "a 1.10", "a 1.2"], ["a"], ["a 1.10"]),
    "what is needed, and what that needs": (
        ["a 1.0: b", "b 1.0: c", "c 1.0: a"],
        *(["a"], ["a 1.0", "b 1.0", "c 1.0"]),
    ),
    "an older one where the newest conflicts": (
        ["a 2.0: b>=2", "a 1.0: b", "b 1.0", "b 2.0"],
        *(["a", "b<2"], ["a 1.0", "b 1.0"]),
    ),
    "an older one where the newest needs what is gone": (
        ["a 2.0: gone", "a 1.0"],
        *(["a"], ["a 1.0"]),
    ),
    "what the markers of the Python ask for": (
        MARKED,
        ["a", "b; os_name == 'nt'"],
        ["a 1.0", "c 1.0"],
    ),
    "no extra without a word": (FAST, ["a"], ["a 1.0"]),
    "what an extra asks for": (FAST, ["a[fast]"], ["a 1.0", "b 1.0"]),
    "what two extras ask for": (FAST, ["a[Fast, slow]"], ["a 1.0", "b 1.0", "c 1.0"]),
    "what extras of extras ask for": (NESTED, ["a[all]"], ["a 1.0", "b 1.0", "c 1.0", "d 1.0"]),
    "a name and its extra of one version": (
        ["a 2.0: b>=2; extra == 'x'", "a 1.0: b; extra == 'x'", "b 1.0"],
        *(["a", "a[x]"], ["a 1.0", "b 1.0"]),
    ),
    "no pre-release": (["a 1.0", "a 2.0b1"], ["a"], ["a 1.0"]),
    "a pre-release that is asked for": (["a 1.0", "a 2.0b1"], ["a>=1.5a0"], ["a 2.0b1"]),
    "a pre-release where nothing else fits": (
        ["a 1.0", "a 2.0b1", "a 2.0.dev1"],
        *(["a>1"], ["a 2.0b1"]),
    ),
}


@pytest.mark.parametrize(("files", "asked", "pins"), CHOICES.values(), ids=CHOICES)
def test_resolver__takes(
    universe: Universe, files: list[str], asked: list[str], pins: list[str]
) -> None:
    universe.add_lines(*files)

    assert universe.pins(*asked) == pins


def test_resolver__a_pin_tells_everything_about_its_file(universe: Universe) -> None:
    file_name = universe.add("a", "1.0")

    (pin,) = universe.resolve("A").pins

    assert pin.file_name == file_name
    assert pin.url == f"{ORIGIN}/files/{file_name}"
    assert pin.sha256 == sha256_of(file_name)
    assert pin.origin == ORIGIN
    assert pin.is_wheel


def test_resolver__a_pin_names_everybody_who_asked_for_it(universe: Universe) -> None:
    universe.add("a", "1.0", "b>=1", "c")
    universe.add("c", "2.0", "b")
    universe.add("b", "1.0")

    requested_by = {pin.name: pin.requested_by for pin in universe.resolve("a", "b<3").pins}

    assert requested_by == {
        "a": ("a",),
        "b": ("a 1.0: b>=1", "b<3", "c 2.0: b"),
        "c": ("a 1.0: c",),
    }


# Markers and extras


def test_resolver__an_extra_that_there_is_not_is_noted(universe: Universe) -> None:
    universe.add("a", "1.0")

    assert universe.resolve("a[nope]").notes == ("`a 1.0` has no extra `nope`",)


def test_resolver__what_an_extra_shares_with_its_name_is_asked_for_once(universe: Universe) -> None:
    universe.add("a", "1.0", "b", "b; extra == 'x' or os_name == 'posix'", extras=("x",))
    universe.add_many("b", "1.0")

    assert universe.resolve("a[x]").pins[1].requested_by == (
        "a 1.0: b",
        "a 1.0: b; extra == 'x' or os_name == 'posix'",
    )


def test_resolver__a_version_that_needs_another_version_of_himself_is_passed_over(
    universe: Universe,
) -> None:
    universe.add("a", "2.0", "a<2")
    universe.add("a", "1.0", "a")

    resolution = universe.resolve("a")

    assert [pin.version for pin in resolution.pins] == ["1.0"]
    assert resolution.notes == ("`a 2.0` was passed over: it asks for `a<2`",)


def test_resolver__a_search_without_end_is_given_up(
    universe: Universe, monkeypatch: pytest.MonkeyPatch
) -> None:
    universe.add("a", "1.0", "b")
    universe.add_many("b", "1.0")
    monkeypatch.setattr(search, "ROUNDS", 1)

    error = universe.refuse("a")

    assert str(error) == "the requirements of the project were not resolved in 1 rounds"


# Which versions count


def test_resolver__pre_release_is_taken_where_everything_else_is_yanked(universe: Universe) -> None:
    universe.add("a", "1.0", yanked="")
    universe.add("a", "2.0b1")

    assert universe.pins("a") == ["a 2.0b1"]


def test_resolver__a_yanked_version_is_taken_only_when_pinned_exactly(universe: Universe) -> None:
    universe.add("a", "2.0", yanked="broken")
    universe.add("a", "1.0")

    assert universe.pins("a") == ["a 1.0"]
    assert universe.pins("a>=1", constraints=("a==2.0",)) == ["a 2.0"]
    assert universe.resolve("a==2").notes == ("`a 2.0` was yanked: broken",)
    assert "`a` 2.0 cannot be taken: yanked: broken" in str(universe.refuse("a==2.*"))


def test_resolver__what_is_for_another_python_is_passed_over(universe: Universe) -> None:
    universe.add("a", "3.0", python=">=3.12")
    universe.add("a", "2.0", python_inside="<3.11")
    universe.add("a", "1.0", python="what?")

    assert universe.pins("a") == ["a 1.0"]
    assert universe.resolve("a").notes == ("`a 2.0` was passed over: it is for Python <3.11",)


def test_resolver__broken_metadata_is_passed_over_and_noted(universe: Universe) -> None:
    universe.add("a", "2.0", "b>>1")
    universe.add("a", "1.0")

    (note,) = universe.resolve("a").notes

    assert note.startswith("`a 2.0` was passed over: `b>>1` is among its requirements: ")


def test_resolver__constraints_bind_only_what_is_needed(universe: Universe) -> None:
    universe.add_many("a", "1.0", "2.0")

    assert universe.pins("a", constraints=("a<2", "b==1; os_name == 'nt'", "zzz==1")) == ["a 1.0"]
