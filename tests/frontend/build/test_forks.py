"""A hook that fails in a fork, and what becomes of its build: it is tried in a fresh process."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.builds import Ground, ask, facts_of, names_in, write_project, write_sdist
from tests.support.hooks import LINUX_ONLY
from wheelforge.errors import BackendFailedError
from wheelforge.models import Outcome

pytestmark = LINUX_ONLY

TELL = """
import os, sys
import willing
is_forked = willing.IMPORTED != os.getpid()
print("forked" if is_forked else "fresh", os.path.exists("litter"), flush=True)
open("litter", "w").close()
"""
FAIL_IN_FORK = f"{TELL}\nif is_forked: raise RuntimeError('not in a fork')"
FAIL = f"{TELL}\nraise RuntimeError('in a fork or not')"


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """Return a cache that remembers nothing of other tests."""
    return Ground.make(tmp_path)


def read_log(outcome: Outcome) -> list[str]:
    assert outcome.log is not None
    lines = outcome.log.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith(("forked", "fresh"))]


def is_forked(outcome: Outcome) -> bool:
    facts = facts_of(outcome)
    return bool(facts["imported"] != facts["running"])


def test_fork__failed_hook_is_tried_in_a_fresh_process_on_a_fresh_tree(
    tmp_path: Path, ground: Ground
) -> None:
    outcome = ground.build(write_sdist(tmp_path, build_wheel=FAIL_IN_FORK), tmp_path / "out")

    assert not is_forked(outcome)
    assert read_log(outcome) == ["forked False", "fresh False"]
    (note,) = [note for note in outcome.notes if "forked" in note]
    assert "`willing` has failed in a forked process" in note
    assert "please report" in note


@pytest.mark.parametrize(
    "code",
    [
        f"{TELL}\nif is_forked: answer = 'nothing.whl'",
        f"{TELL}\nif is_forked: os.abort()",
        f"{TELL}\nif is_forked: answer = 5",
    ],
)
def test_fork__result_or_crash_of_a_fork_only_does_not_count(
    tmp_path: Path, ground: Ground, code: str
) -> None:
    outcome = ground.build(write_sdist(tmp_path, build_wheel=code), tmp_path / "out")

    assert read_log(outcome) == ["forked False", "fresh False"]
    assert names_in(tmp_path / "out") == ["demo-1.0-py3-none-any.whl"]


def test_fork__environment_in_which_it_failed_is_remembered(tmp_path: Path, ground: Ground) -> None:
    failing = write_sdist(tmp_path, name="failing", build_wheel=FAIL_IN_FORK)
    sound = write_sdist(tmp_path, name="sound")

    before = ground.build(sound, tmp_path / "before")
    ground.build(failing, tmp_path / "out")
    after = ground.build(sound, tmp_path / "after")
    again = ground.build(failing, tmp_path / "out")

    assert [is_forked(before), is_forked(after)] == [True, False]
    assert read_log(again) == ["fresh False"]
    assert not any("fork" in note for note in (*after.notes, *again.notes))


def test_fork__hook_that_fails_fresh_too_fails_once(tmp_path: Path, ground: Ground) -> None:
    sdist = write_sdist(tmp_path, build_wheel=FAIL)

    with ground.forge() as forge:
        outcome = forge.try_build(ask(sdist, tmp_path / "out"))
        again = forge.try_build(ask(sdist, tmp_path / "out"))

    assert isinstance(outcome.error, BackendFailedError)
    assert b"fresh" in outcome.error.failure.output
    assert b"forked" not in outcome.error.failure.output
    assert read_log(outcome) == read_log(again) == ["forked False", "fresh False"]
    assert not any("fork" in note for note in outcome.notes)


@pytest.mark.parametrize(
    "code",
    [
        f"{TELL}\nimport time; time.sleep(600)",
        f"{TELL}\nos.kill(os.getpid(), 9)",
        f"{TELL}\nraise OSError(28, 'No space left on device')",
    ],
)
def test_fork__hook_ended_from_outside_is_not_tried_again(
    tmp_path: Path, ground: Ground, code: str
) -> None:
    with ground.forge(policy=replace(ground.settings().policy, timeout_seconds=5.0)) as forge:
        outcome = forge.try_build(ask(write_sdist(tmp_path, build_wheel=code), tmp_path / "out"))

    assert outcome.error is not None
    assert (outcome.error.code == "hook-timed-out") == ("sleep" in code)
    assert read_log(outcome) == ["forked False"]


def test_fork__project_is_tried_again_in_its_directory(tmp_path: Path, ground: Ground) -> None:
    project = write_project(tmp_path / "project", build_wheel=FAIL_IN_FORK)

    assert read_log(ground.build(project, tmp_path / "out")) == ["forked False", "fresh True"]
