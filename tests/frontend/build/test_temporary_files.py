"""Temporary files of hooks: a directory of the stage, where nothing speaks against it."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.builds import Ground, ask, facts_of, write_sdist
from tests.support.hooks import LINUX_ONLY
from wheelforge.models import Outcome, Policy, Reuse

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there a variable always names one")
TELL = """
import os, tempfile
place = tempfile.gettempdir()
print("temporary", place, os.listdir(place), len(place.encode()), flush=True)
open(os.path.join(place, "litter"), "w").close()
"""
LONGEST = 74


@pytest.fixture
def short() -> Iterator[Path]:
    """Yield a directory with a short path, as caches of users have."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        yield Path(place).resolve()


@pytest.fixture
def near(short: Path, tmp_path: Path) -> Ground:
    """Return a ground whose stages have short paths."""
    return Ground(cache=short / "c", links=tmp_path / "links").apart(tmp_path / "links")


def build(ground: Ground, tmp_path: Path, code: str = TELL, **variables: str) -> Outcome:
    given = {**ground.settings().variables, **variables}
    sdist = write_sdist(tmp_path, build_wheel=code)
    with ground.forge(policy=Policy(reuse=Reuse.OFF), variables=given) as forge:
        return forge.build(ask(sdist, tmp_path / "out"))


def places_of(outcome: Outcome) -> list[str]:
    assert outcome.log is not None
    lines = outcome.log.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("temporary ") for line in lines if line.startswith("temporary ")]


def test_temporary_files__are_in_the_stage_and_go_with_it(tmp_path: Path, near: Ground) -> None:
    outcomes = [build(near, tmp_path) for _ in range(2)]

    for outcome in outcomes:
        (line,) = places_of(outcome)
        assert line.startswith(f"{near.cache}/stage-v1/demo-1.0-")
        assert line.split("/")[-1].startswith("tmp [] ")
    assert near.stages == []


@LINUX_ONLY
def test_temporary_files__hooks_are_forked_all_the_same(tmp_path: Path, near: Ground) -> None:
    facts = facts_of(build(near, tmp_path))

    assert facts["imported"] != facts["running"]


def test_temporary_files__variable_that_names_a_directory_counts(
    tmp_path: Path, near: Ground
) -> None:
    named = tmp_path / "named"
    named.mkdir()

    (line,) = places_of(build(near, tmp_path, TMPDIR=str(named)))

    assert line.startswith(f"{named} ")
    assert [path.name for path in named.iterdir()] == ["litter"]


def test_temporary_files__stage_with_a_long_path_has_none(tmp_path: Path, near: Ground) -> None:
    far = Ground(cache=near.cache / ("x" * LONGEST), links=near.links)
    code = "import os; print('temporary', os.environ.get('TMPDIR'))"

    assert places_of(build(far, tmp_path, code)) == ["None"]


def test_temporary_files__sockets_of_multiprocessing_have_names_that_fit(
    tmp_path: Path, near: Ground
) -> None:
    code = """
import os, tempfile
from multiprocessing.connection import Listener
place = tempfile.mkdtemp(prefix="pymp-")
Listener(os.path.join(place, "listener-abcdefgh")).close()
print("temporary", len(os.environ["TMPDIR"].encode()))
"""
    (before,) = places_of(build(near, tmp_path, code))
    longer = near.cache / ("x" * (LONGEST - int(before) - 1))

    lengths = places_of(build(Ground(cache=longer, links=near.links), tmp_path, code))

    assert lengths == [str(LONGEST)]


def test_temporary_files__are_in_no_key_of_a_wheel(tmp_path: Path, near: Ground) -> None:
    # The stage of another place has another name.
    first = write_sdist(tmp_path, build_wheel=TELL)
    second = tmp_path / "elsewhere" / first.name

    with near.forge() as forge:
        before = forge.build(ask(first, tmp_path / "out"))
        second.parent.mkdir()
        first.rename(second)
        after = forge.build(ask(second, tmp_path / "out"))

    assert [before.is_reused, after.is_reused] == [False, True]
