"""Every error of ours, with any facts, is the same after a trip between processes."""

import ast
import copy
import inspect
import pickle
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from tests.support.source import MODULES, parse
from wheelforge import errors as frontend_errors
from wheelforge_isolation import errors

TEXTS = st.text(st.characters(), max_size=300)  # lone surrogates too: archives have them


def _list_kinds(kind: type[errors.ForgeError]) -> Iterator[type[errors.ForgeError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _list_kinds(child)


def _count_texts(kind: type[errors.ForgeError]) -> int | None:
    """Return how many facts an error takes, or nothing if not all of them are texts."""
    if kind.__init__ is Exception.__init__:
        return 0
    parameters = inspect.signature(kind).parameters.values()
    are_texts = all(parameter.annotation in {"str", parameter.empty} for parameter in parameters)
    return len(parameters) if are_texts else None


LOADED = [getattr(frontend_errors, name) for name in dir(frontend_errors)]
TABLES = [kind for kind in LOADED if "kinds" in getattr(kind, "__dict__", {})]
OTHERS = {*_list_kinds(errors.ForgeError)} - {*_list_kinds(frontend_errors.BuildError)}
CODED = sorted(
    (kind for kind in OTHERS if "code" in vars(kind)), key=lambda kind: kind.__qualname__
)
COUNTS = {kind: _count_texts(kind) for kind in CODED}
KINDS = [(kind, count) for kind, count in COUNTS.items() if count is not None]
ROWS = [(kind, code) for kind in TABLES for code in kind.kinds]
LISTS = {
    *("accepted", "added", "details", "locked", "missing", "names", "reasons", "removed"),
    *("requirements", "ring", "searched", "versions"),
}
NUMBERS = {"attempts", "line", "rounds", "seconds", "status"}


def _draw_fact(draw: st.DrawFn, name: str) -> object:
    if name in LISTS:
        return tuple(draw(st.lists(TEXTS, max_size=3)))
    if name == "files":
        return tuple(draw(st.lists(st.tuples(TEXTS, TEXTS), max_size=3)))
    if name == "difference":
        return draw(st.tuples(TEXTS, TEXTS, TEXTS))
    if name == "failure":
        return frontend_errors.Failure(source=draw(TEXTS), hook=draw(TEXTS), status=1)
    return draw(st.integers(0, 9)) if name in NUMBERS else draw(TEXTS)


@st.composite
def _errors(draw: st.DrawFn) -> errors.ForgeError:
    if draw(st.booleans()):
        other, count = draw(st.sampled_from(KINDS))
        return other(*[draw(TEXTS) for _ in range(count)])
    kind, code = draw(st.sampled_from(ROWS))
    facts = [_draw_fact(draw, name) for name in kind.kinds[code].facts.split()]
    error: errors.ForgeError = kind(code, *facts) if len(kind.kinds) > 1 else kind(*facts)
    return error


def _describe(error: errors.ForgeError) -> tuple[object, ...]:
    return type(error), error.args, vars(error), str(error), error.hint


@given(_errors(), st.sampled_from(range(pickle.HIGHEST_PROTOCOL + 1)))
def test_error__survives_a_trip_between_processes(error: errors.ForgeError, protocol: int) -> None:
    arrived = pickle.loads(pickle.dumps(error, protocol))  # ruff: ignore[suspicious-pickle-usage]

    assert _describe(arrived) == _describe(error)


@given(_errors())
def test_error__can_be_copied(error: errors.ForgeError) -> None:
    assert _describe(copy.deepcopy(error)) == _describe(error)


@given(TEXTS)
def test_error__foreign_name_is_shown_in_printable_characters_and_not_at_length(name: str) -> None:
    shown = errors.quoted(name)

    assert shown.isprintable()
    assert len(shown) <= errors.NAME_LIMIT + len("``…")


def test_error__has_a_code_of_its_own() -> None:
    of_archives = {*errors.ArchiveError.codes.values()}
    codes = [code for _, code in ROWS] + [kind.code for kind, _ in KINDS] + [*of_archives]

    assert [code for code in codes if codes.count(code) > 1] == []


def test_error__is_raised_with_the_facts_of_its_code() -> None:
    nodes = (node for path in MODULES for node in ast.walk(parse(path)))
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    tables = {kind.__name__: kind.kinds for kind in TABLES}

    wrong: list[str] = []
    for call in calls:
        rows = tables.get(getattr(call.func, "id", ""), {})
        code, *facts = (
            call.args if len(rows) > 1 else [ast.Constant(next(iter(rows), "")), *call.args]
        )
        if not rows or not isinstance(code, ast.Constant) or ast.Starred in map(type, facts):
            continue
        if len(facts) != len(rows[str(code.value)].facts.split()):
            wrong.append(ast.unparse(call))
    assert wrong == []
