"""Values are like dataclasses in all that counts, and are defined without compiling."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from wheelforge_isolation.values import State, Value, asdict, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable


class Point(Value):
    """Something with all that a field can have."""

    x: int
    y: int = 2
    names: list[str] = field(default_factory=list[str], hash=False)
    hidden: str = field(default="", repr=False, compare=False)


class Labelled(Point):
    """Something that has the fields of another, and one more."""

    label: str = ""


class Even(Value):
    """Something that refuses what it is not."""

    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError(self.number)


class Tally(State):
    """Something that is filled bit by bit."""

    count: int = 0
    seen: list[str] = field(default_factory=list[str])


def test_what_is_not_given_has_its_default() -> None:
    assert (Point(x=1).y, Point(x=1).names) == (2, [])


def test_a_default_that_is_made_is_made_for_each() -> None:
    assert Tally().seen is not Tally().seen


def test_a_class_has_the_fields_of_the_class_it_extends() -> None:
    assert asdict(Labelled(x=1, label="a")) == {
        "x": 1,
        "y": 2,
        "names": [],
        "hidden": "",
        "label": "a",
    }


@pytest.mark.parametrize("given", [{}, {"x": 1, "z": 3}, {"x": 1, "yy": 3}])
def test_what_is_missing_or_unknown_is_refused(given: dict[str, int]) -> None:
    with pytest.raises(TypeError, match=r"Point: missing or unknown: (x|yy|z)$"):
        Point(**given)  # type: ignore[arg-type]


def test_a_value_stays_as_it_is() -> None:
    point = Point(x=1)

    with pytest.raises(AttributeError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del point.x


def test_a_state_changes_but_gets_no_fields_that_nobody_declared() -> None:
    tally = Tally()
    tally.count += 1

    assert tally == Tally(count=1)
    with pytest.raises(AttributeError):
        tally.total = 1  # type: ignore[attr-defined]


def test_equal_are_values_of_one_class_with_equal_fields() -> None:
    assert Point(x=1) == Point(x=1, hidden="s")
    assert Point(x=1) != Point(x=2)
    assert Point(x=1) != Labelled(x=1)
    assert hash(Point(x=1)) == hash(Point(x=1, names=["a"], hidden="s"))


def test_a_state_has_no_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Tally())


def test_what_is_no_part_of_the_spelling_is_not_shown() -> None:
    assert repr(Point(x=1, hidden="s")) == "Point(x=1, y=2, names=[])"


def test_a_class_may_refuse_what_it_is_given() -> None:
    with pytest.raises(ValueError, match="3"):
        replace(Even(number=2), number=3)


def pickled(point: Labelled) -> Labelled:
    found = pickle.loads(pickle.dumps(point))  # ruff: ignore[suspicious-pickle-usage]
    assert isinstance(found, Labelled)
    return found


@pytest.mark.parametrize("repeat", [copy.copy, copy.deepcopy, pickled])
def test_copies_are_equal(repeat: Callable[[Labelled], Labelled]) -> None:
    point = Labelled(x=1, names=["a"], hidden="s", label="b")

    assert asdict(repeat(point)) == asdict(point)


def test_values_inside_of_others_are_spelled_out_too() -> None:
    outer = Tally(seen=[Point(x=1)])  # type: ignore[list-item]

    assert asdict(outer) == dataclasses.asdict(outer)


def test_dataclasses_takes_a_value_for_one_of_its_own() -> None:
    point = Point(x=1, names=["a"])

    assert dataclasses.is_dataclass(Point)
    assert [each.name for each in dataclasses.fields(point)] == ["x", "y", "names", "hidden"]
    assert dataclasses.asdict(point) == asdict(point)
    assert dataclasses.replace(point, y=3) == replace(point, y=3)


def test_nobody_pays_for_what_dataclasses_imports() -> None:
    code = "import sys, wheelforge_isolation.values; sys.exit('dataclasses' in sys.modules)"
    # What measures coverage in children imports all sorts of things.
    variables = {name: os.environ[name] for name in os.environ if not name.startswith("COVERAGE")}

    done = subprocess.run([sys.executable, "-c", code], env=variables, check=False)

    assert done.returncode == 0
