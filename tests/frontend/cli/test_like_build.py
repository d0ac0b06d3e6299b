"""A script that runs `python -m build` goes on working when it names wheelforge instead."""

from importlib.metadata import version

import pytest

from tests.like_build import CASES, TABLE, Sight, compare_all, render

PEER = "1.6.1"
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(version("build") != PEER, reason=f"the table is of build {PEER}"),
    pytest.mark.xdist_group("like_build"),  # both tests look at the same runs
]


@pytest.fixture(scope="session")
def sights() -> list[tuple[Sight, Sight]]:
    """Return what is to be seen of both programs in all cases."""
    return compare_all(CASES)


def test_pypa_build__each_difference_is_explained(sights: list[tuple[Sight, Sight]]) -> None:
    seen = zip(CASES, sights, strict=True)

    wrong = [(case, sight) for case, sight in seen if (sight[0] != sight[1]) != bool(case.reason)]

    assert wrong == []


def test_pypa_build__table_shows_both_programs(sights: list[tuple[Sight, Sight]]) -> None:
    assert TABLE.read_text(encoding="utf-8") == render(CASES, sights)
