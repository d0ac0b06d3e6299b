"""Wheels of earlier builds stay sound at any kill and any failed system call."""

import sys

import pytest

from tests.faults.reuse_sweep import CONTROLS, sabotaged
from tests.faults.sweep import Sweep, can_trace

_SHORT = ("keep a wheel", "use a wheel", "use a directory's", "collect built wheels")

needs_strace = pytest.mark.skipif(not can_trace(), reason="needs strace, and the right to trace")


@needs_strace
def test_reuse_sweep__kills_leave_a_sound_cache_and_whole_deliveries() -> None:
    tally = Sweep(scenarios=_SHORT, share=0.05).kill()

    sys.stdout.write(f"{tally.points} points in {tally.seconds:.0f} s\n")
    assert not tally.violations, "\n".join(map(str, tally.violations))
    assert tally.points >= len(_SHORT)


@needs_strace
@pytest.mark.stress
def test_reuse_sweep__failures_are_told_in_one_sentence_and_harm_nothing() -> None:
    tally = Sweep(scenarios=_SHORT, share=0.01).fail()

    sys.stdout.write(f"{tally.points} points in {tally.seconds:.0f} s\n")
    assert not tally.violations, "\n".join(map(str, tally.violations))
    assert tally.points >= len(_SHORT)


@needs_strace
@pytest.mark.parametrize("sabotage", CONTROLS)
def test_reuse_sweep__finds_what_is_wrong_on_purpose(sabotage: str) -> None:
    assert sabotaged(sabotage).kill().violations
