"""Variables and umask that every build has, so that wheels do not differ, and their record."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.builds import Ground, ask, facts_of, write_project, write_sdist
from wheelforge.build.forge import Components
from wheelforge.hooks.pool import RunnerPool
from wheelforge.models import Kind
from wheelforge.provenance.options import Provenance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wheelforge.models import Outcome

SET = {"PYTHONHASHSEED": "0", "TZ": "UTC"}
LOOK = "umask = os.umask(0); os.umask(umask); files['seen'] = f'{umask:03o}'"
ORDER = "files['seen'] = f\"{hash('a text')} {sys.flags.hash_randomization} {time.tzname[0]}\""


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground.make(tmp_path)


@pytest.fixture
def umask() -> Iterator[int]:
    before = os.umask(0o077)
    yield before
    os.umask(before)


def build(ground: Ground, source: Path, forks: bool = True, **facts: Any) -> Outcome:  # ruff: ignore[boolean-type-hint-positional-argument, boolean-default-value-positional-argument]
    kinds = facts.pop("kinds", (Kind.WHEEL,))
    with RunnerPool(forks=forks) as pool:
        components = Components(pool=pool)
        with ground.forge(components=components, **facts) as forge:
            return forge.build(ask(source, ground.cache.parent / "out", kinds=kinds))


def seen_by(outcome: Outcome) -> str:
    with zipfile.ZipFile(outcome.artifacts[-1].path) as archive:
        return archive.read("seen").decode()


@pytest.mark.parametrize("forks", [True, False], ids=["fork", "spawn"])
def test_hooks__have_one_order_of_sets_and_one_time_zone(
    tmp_path: Path, ground: Ground, *, forks: bool
) -> None:
    source = write_sdist(tmp_path, build_wheel=f"import sys, time; {ORDER}")

    outcome = build(ground, source, forks)

    environ = facts_of(outcome)["environ"]
    assert {name: environ[name] for name in SET} == SET
    assert environ.get("LC_ALL") == ("C.UTF-8" if sys.platform == "linux" else None)
    words = [sys.executable, "-c", "print(hash('a text'))"]
    expected = subprocess.check_output(words, env={"PYTHONHASHSEED": "0"}, text=True)
    assert seen_by(outcome) == f"{expected.strip()} 0 UTC"


def test_hooks__variables_that_are_given_win(tmp_path: Path, ground: Ground) -> None:
    given = {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    variables = {**ground.settings().variables, **given}

    outcome = build(ground, write_sdist(tmp_path), variables=variables)

    environ = facts_of(outcome)["environ"]
    assert {name: environ[name] for name in given} == given


@pytest.mark.usefixtures("umask")
@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize("forks", [True, False], ids=["fork", "spawn"])
def test_hooks__of_an_sdist_have_one_umask_and_those_of_a_directory_that_of_the_user(
    tmp_path: Path, ground: Ground, *, forks: bool
) -> None:
    sdist = write_sdist(tmp_path, build_wheel=f"import os; {LOOK}")
    project = write_project(tmp_path / "project", name="other", build_wheel=f"import os; {LOOK}")

    found = [
        seen_by(build(ground, source, forks, kinds=kinds))
        for source, kinds in ((sdist, (Kind.WHEEL,)), (project, (Kind.WHEEL,)), (project, ()))
    ]

    assert found == ["022", "077", "022"]


@pytest.mark.usefixtures("umask")
@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_statement__has_what_was_set(tmp_path: Path, ground: Ground) -> None:
    stated = Provenance(statements=True)

    outcomes = [
        build(ground, source, provenance=stated, kinds=())
        for source in (write_sdist(tmp_path), write_project(tmp_path / "tree", name="other"))
    ]

    artifacts = [artifact for outcome in outcomes for artifact in outcome.artifacts]
    found = [_read_internal(artifact.path) for artifact in artifacts]
    assert [each["policy"]["umask"] for each in found] == ["022", "077", "022"]
    for each in found:
        assert SET.items() <= each["variables"].items()


def _read_internal(wheel: Path) -> Any:
    statement = json.loads(Path(f"{wheel}.provenance.json").read_text(encoding="utf-8"))
    return statement["predicate"]["buildDefinition"]["internalParameters"]
