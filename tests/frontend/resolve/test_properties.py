"""The resolver against brute force, in small worlds that nobody would think of."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

from hypothesis import example, given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.support.universe import PYTHON, Universe, ask
from wheelforge.errors import PackageNotFoundError, RequirementsError
from wheelforge.resolve import Resolution, resolve

NAMES = ("a", "b", "c", "d")
VERSIONS = ("1", "2", "3", "4b1")
EXTRAS = ("x", "y")
FINAL = VERSIONS[:3]

World = dict[tuple[str, str], tuple[str, ...]]
"""The requirements of each name and version."""


def requirements(versions: tuple[str, ...]) -> st.SearchStrategy[str]:
    extras = st.sampled_from(("", "", "", "[x]", "[x,y]"))
    operators = st.sampled_from(("==", "!=", "<", ">", "<=", ">="))
    bounds = st.builds("{}{}".format, operators, st.sampled_from(versions))
    specifiers = st.lists(bounds, max_size=2).map(",".join)
    markers = st.sampled_from((
        "",
        "",
        "",
        "; extra == 'x'",
        "; extra == 'y'",
        "; python_version < '3'",
    ))
    return st.builds("{}{}{}{}".format, st.sampled_from(NAMES), extras, specifiers, markers)


def worlds(versions: tuple[str, ...]) -> st.SearchStrategy[World]:
    places = st.tuples(st.sampled_from(NAMES), st.sampled_from(versions))
    needs = st.lists(requirements(versions), max_size=3).map(tuple)
    return st.dictionaries(places, needs, min_size=1, max_size=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A world, and what is asked in it."""

    world: World
    roots: tuple[str, ...]
    constraints: tuple[str, ...]

    def solve(self, seed: int | None = None) -> Resolution | None:
        universe = Universe(seed=seed)
        for (name, version), needs in self.world.items():
            universe.add(name, version, *needs, extras=EXTRAS)
        request = ask(*self.roots)._replace(constraints=self.constraints)
        try:
            return resolve(request, universe)
        except (PackageNotFoundError, RequirementsError):
            return None


def cases(versions: tuple[str, ...]) -> st.SearchStrategy[Case]:
    wanted = requirements(versions)
    plain = wanted.filter(lambda text: "[" not in text)
    return st.builds(
        Case,
        world=worlds(versions),
        roots=st.lists(wanted, min_size=1, max_size=3).map(tuple),
        constraints=st.lists(plain, max_size=2).map(tuple),
    )


def is_active(requirement: Requirement, extras: Iterable[str]) -> bool:
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({**PYTHON.markers, "extra": e}) for e in ("", *extras))


def demands(case: Case, chosen: Mapping[str, str]) -> Iterator[Requirement]:
    """Yield all that is asked for, if exactly ``chosen`` is there."""
    pending: list[tuple[tuple[str, ...], frozenset[str]]] = [(case.roots, frozenset())]
    wanted: dict[str, frozenset[str]] = {}
    while pending:
        texts, extras = pending.pop()
        for requirement in map(Requirement, texts):
            if not is_active(requirement, extras):
                continue
            yield requirement
            name = requirement.name
            every = wanted.get(name, frozenset()) | requirement.extras
            if name in chosen and every != wanted.get(name):
                wanted[name] = every
                pending.append((case.world[name, chosen[name]], every))


def is_solution(case: Case, chosen: Mapping[str, str]) -> bool:
    specifiers: dict[str, SpecifierSet] = {}
    for requirement in demands(case, chosen):
        if requirement.name not in chosen:
            return False
        before = specifiers.get(requirement.name, SpecifierSet())
        specifiers[requirement.name] = before & requirement.specifier
    for constraint in map(Requirement, case.constraints):
        if is_active(constraint, ()) and constraint.name in specifiers:
            specifiers[constraint.name] &= constraint.specifier
    return specifiers.keys() == chosen.keys() and all(
        chosen[name] in specifier.filter(v for n, v in case.world if n == name)
        for name, specifier in specifiers.items()
    )


def is_solvable(case: Case) -> bool:
    options = [["", *(v for n, v in case.world if n == name)] for name in NAMES]
    return any(
        is_solution(case, {name: v for name, v in zip(NAMES, versions, strict=True) if v})
        for versions in product(*options)
    )


@example(
    case=Case(
        world={("a", "1"): (), ("a", "2"): ("a==1", "b"), ("b", "1"): ("b",)},
        roots=("a",),
        constraints=(),
    )
)
@given(case=cases(FINAL))
def test_resolver__an_answer_satisfies_everybody_and_there_is_one_if_there_can_be_one(
    case: Case,
) -> None:
    resolution = case.solve()

    if resolution is None:
        assert not is_solvable(case)
    else:
        assert is_solution(case, {pin.name: pin.version for pin in resolution.pins})


@example(
    case=Case(
        world={("a", "1"): ("b",), ("a", "4b1"): (), ("b", "1"): ("a==4b1",)},
        roots=("a",),
        constraints=(),
    )
)
@example(
    case=Case(
        world={
            ("a", "1"): ("d[x]==4b1",),
            ("b", "1"): ("d[x]",),
            ("d", "1"): ("a",),
            ("d", "4b1"): (),
        },
        roots=("b",),
        constraints=(),
    )
)
@example(case=Case(world={("a", "1"): ("a==4b1",), ("a", "4b1"): ()}, roots=("a",), constraints=()))
@given(case=cases(VERSIONS))
def test_resolver__an_answer_with_pre_releases_satisfies_everybody(case: Case) -> None:
    resolution = case.solve()

    if resolution is not None:
        assert is_solution(case, {pin.name: pin.version for pin in resolution.pins})


@given(case=cases(VERSIONS), seed=st.integers(0, 1000))
def test_resolver__the_order_of_files_and_of_requirements_changes_nothing(
    case: Case, seed: int
) -> None:
    turned = replace(case, roots=case.roots[::-1], constraints=case.constraints[::-1])

    assert case.solve() == turned.solve(seed)
