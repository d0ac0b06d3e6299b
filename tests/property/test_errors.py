"""Every error of ours, with any facts, is the same after a trip between processes."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelforge import errors as frontend_errors
from wheelforge_isolation import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXTS = st.text(st.characters(), max_size=300)  # lone surrogates too: archives have them


def _list_kinds(kind: type[errors.ForgeError]) -> Iterator[type[errors.ForgeError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _list_kinds(child)


def _takes_texts(kind: type[errors.ForgeError]) -> bool:
    if kind.__init__ is Exception.__init__:
        return True
    parameters = inspect.signature(kind).parameters.values()
    return all(parameter.annotation in {"str", parameter.empty} for parameter in parameters)


LOADED = [getattr(frontend_errors, name) for name in dir(frontend_errors)]
ALL = {*_list_kinds(errors.ForgeError), *_list_kinds(frontend_errors.BuildError)}
KINDS = sorted(filter(_takes_texts, ALL), key=lambda kind: kind.__qualname__)


@st.composite
def _errors(draw: st.DrawFn) -> errors.ForgeError:
    kind = draw(st.sampled_from(KINDS))
    return kind(*[draw(TEXTS) for _ in range(_count_facts(kind))])


def _count_facts(kind: type[errors.ForgeError]) -> int:
    if kind.__init__ is Exception.__init__:
        return 0
    return len(inspect.signature(kind).parameters)


def _describe(error: errors.ForgeError) -> tuple[object, ...]:
    return type(error), error.args, vars(error), str(error), error.hint


@given(_errors(), st.sampled_from(range(pickle.HIGHEST_PROTOCOL + 1)))
def test_errors_survive_a_trip_between_processes(error: errors.ForgeError, protocol: int) -> None:
    arrived = pickle.loads(pickle.dumps(error, protocol))  # ruff: ignore[suspicious-pickle-usage]

    assert _describe(arrived) == _describe(error)


@given(_errors())
def test_errors_survive_being_copied(error: errors.ForgeError) -> None:
    twin = copy.deepcopy(error)

    assert _describe(twin) == _describe(error)


@given(TEXTS)
def test_a_foreign_name_is_shown_in_printable_characters_and_not_at_length(name: str) -> None:
    shown = errors.quoted(name)

    assert shown.isprintable()
    assert len(shown) <= errors.NAME_LIMIT + len("``…")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__qualname__)
def test_an_error_has_a_code_of_its_own(kind: type[errors.ForgeError]) -> None:
    same = [other for other in KINDS if other.code == kind.code]

    assert same == [kind]
