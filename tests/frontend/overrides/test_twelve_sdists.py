"""Twelve real sdists that no frontend builds today become wheels with one file of overrides.

Run with ``-m stress tests/frontend/overrides/test_twelve_sdists.py``; it takes some minutes.
They are for CPython 3.11: some need what Python 3.12 removed.
"""

import sys

import pytest

from tests.support.corpus import FIXTURES, OVERRIDDEN, Listed, fetch_missing
from tests.support.forge import Place
from wheelforge.overrides.model import read_overrides

pytestmark = [
    pytest.mark.network,
    pytest.mark.stress,
    pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="needs Python 3.11"),
]
_FILE = FIXTURES / "overrides" / "overrides.toml"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Return where all of them are built, with one cache."""
    problems = fetch_missing(OVERRIDDEN)
    if problems:
        pytest.skip(f"{len(problems)} sdists cannot be fetched, as {problems[0]}")
    return Place(path=tmp_path_factory.mktemp("twelve"))


@pytest.mark.parametrize("sdist", OVERRIDDEN, ids=lambda sdist: sdist.file)
def test_twelve__build_with_overrides_and_not_without(place: Place, sdist: Listed) -> None:
    words = [str(sdist.path), "--wheel", "--era", "off", "-o", str(place.path / sdist.file)]

    without = place.run(*words)
    built = place.run(*words, "--overrides", _FILE)

    assert without.code in {3, 4}
    assert len(built.paths) == 1


def test_twelve__have_one_entry_each() -> None:
    overrides = read_overrides((), [_FILE])

    assert len(OVERRIDDEN) == 12
    assert overrides is not None
