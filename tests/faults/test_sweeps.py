"""The cache stays sound, without repair by hand, at any kill and any failed system call."""

import signal
import subprocess
import sys

import pytest

from tests.faults.calls import LAST, Call, Reader
from tests.faults.kill_sweep import CONTROLS, sabotaged
from tests.faults.processes import wait_for
from tests.faults.sweep import Sweep, can_trace, compare, spread
from tests.faults.workshop import Point

_ROOT = "/ground/"
_SHORT = ("unpack a zip", "install, wheels there", "cache gc of litter", "cache verify")
"""Scenarios that take no more than a moment, and together do everything but build."""


needs_strace = pytest.mark.skipif(not can_trace(), reason="needs strace, and the right to trace")


@needs_strace
def test_kill_sweep__leaves_a_sound_cache_and_nothing_else() -> None:
    tally = Sweep(scenarios=[*_SHORT, "build a wheel"], share=0.1).kill()

    sys.stdout.write(f"{tally.points} points in {tally.seconds:.0f} s\n")
    assert not tally.violations, "\n".join(map(str, tally.violations))
    assert tally.outcomes["missed"] <= tally.points / 20
    assert tally.points >= 20


@needs_strace
@pytest.mark.long
def test_fault_sweep__is_told_in_one_sentence_and_harms_nothing() -> None:
    tally = Sweep(scenarios=[*_SHORT, "build a wheel"], share=0.01).fail()

    sys.stdout.write(f"{tally.points} points in {tally.seconds:.0f} s\n")
    assert not tally.violations, "\n".join(map(str, tally.violations))
    assert tally.outcomes["missed"] <= tally.points / 20
    assert tally.points >= 50


@needs_strace
@pytest.mark.parametrize("sabotage", CONTROLS)
def test_sweeps__find_what_is_wrong_on_purpose(sabotage: str) -> None:
    assert sabotaged(sabotage).kill().violations


@needs_strace
@pytest.mark.parametrize("scenario", ["unpack, links kept", "build a wheel"])
def test_sweeps__fork_does_to_the_disk_what_a_new_process_does(scenario: str) -> None:
    forked, new = compare(scenario)

    assert forked == new
    assert len(forked) > 20


def read(*lines: str) -> list[Call]:
    return list(Reader(_ROOT, (f"{_ROOT}cache",)).read(lines))


def test_calls__that_failed_have_changed_nothing() -> None:
    calls = read(
        'mkdir("/ground/cache/a", 0755) = 0',
        'mkdir("/ground/cache/a", 0755) = -1 EEXIST (File exists)',
        'openat(AT_FDCWD</x>, "/ground/cache/a/b", O_RDONLY|O_CLOEXEC) = 3</ground/cache/a/b>',
        'openat(AT_FDCWD</x>, "/ground/cache/c", O_WRONLY|O_CREAT, 0644) = 3</ground/cache/c>',
        'write(3</ground/cache/c>, ""..., 4) = 4',
        "flock(3</ground/cache/c>, LOCK_EX|LOCK_NB) = 0",
    )

    assert [call.name for call in calls if call.changes] == ["mkdir", "openat", "write"]


def test_calls__are_counted_by_name_wherever_they_go() -> None:
    calls = read(
        'unlink("/elsewhere") = 0',
        'unlink("/ground/cache/a") = 0',
        'unlinkat(5</ground/cache/trees>, "b", 0) = 0',
        "exit_group(0) = ?",
    )

    assert [(call.name, call.ordinal) for call in calls] == [
        ("unlink", 2),
        ("unlinkat", 1),
        (LAST, 1),
    ]
    assert calls[1].what == "unlinkat cache/trees/b"


def test_calls__random_names_look_alike() -> None:
    draft = f"/ground/cache/drafts-v1/123-{'0f' * 16}.{'a1' * 16}"

    (call,) = read(f'rename("{draft}", "/ground/cache/records/0f/{"0f" * 16}.json") = 0')

    assert call.what == "rename cache/drafts-v1/#.# cache/records/#/#.json"


def test_calls__injected_error_is_known() -> None:
    (call,) = read('mkdir("/ground/cache/a", 0755) = -1 ENOSPC (No space left) (INJECTED)')

    assert call.is_injected
    assert not call.has_worked


def test_sweeps__share_is_spread_evenly_and_never_empty() -> None:
    (call,) = read('unlink("/ground/cache/a") = 0')
    points = [Point(scenario=str(number), call=call) for number in range(10)]

    assert [point.scenario for point in spread(points, 0.3)] == ["0", "3", "6"]
    assert spread(points, 0.0) == points[:1]
    assert spread(points, 1.0) == points


def test_sweeps__process_that_does_not_end_is_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"]) as process:
        assert wait_for(process.pid, 0.1) == (-signal.SIGKILL, True)
