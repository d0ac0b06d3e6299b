"""A build that is cancelled ends, whoever has stopped the processes that watch over its hooks."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.codes import raises
from tests.support.hooks import LINUX_ONLY, Place, runners, wait_until, wait_until_ended
from wheelforge.errors import HookError
from wheelforge.hooks.runner import HookOptions, HookRunner

pytestmark = LINUX_ONLY

STOP_THE_KEEPER = """
import os, signal, subprocess, sys, time
sleep = "import os, time; os.setsid(); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", sleep])
with open("pids.new", "w") as file:
    file.write(f"{os.getppid()} {os.getpid()} {child.pid}")
os.kill(os.getppid(), signal.SIGSTOP)
os.rename("pids.new", "pids")
time.sleep(600)
"""
CANCEL_IN_A_HANDLER = """
import signal
from wheelforge import RunnerPool, HookOptions

pool = RunnerPool()

def handle(*_):
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    pool.cancel()

signal.signal(signal.SIGUSR1, handle)

def end():
    signal.raise_signal(signal.SIGUSR1)

with pool, pool.open(python="", backend="", environment={}, terms=HookOptions()) as runner:
    with runner._cancellation.reaching(end):
        pool.cancel()
print("cancelled", pool.is_cancelled())
"""
MANY_VARIABLES = {f"LONG_{number}": "x" * 100_000 for number in range(40)}
"""More than a socket takes in while nobody reads."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.make(tmp_path)


def cancel_once(runner: HookRunner, ask: Callable[[], object], event: Callable[[], bool]) -> None:
    """Ask in another thread, and cancel when it has come to ``event``."""

    def ask_in_vain() -> None:
        with pytest.raises(HookError) as caught:
            ask()
        errors.append(caught.value)

    errors: list[HookError] = []
    thread = threading.Thread(target=ask_in_vain)
    thread.start()
    wait_until(event)
    runner.cancel()
    thread.join()
    assert errors[0].code == "hook-cancelled"


@pytest.mark.parametrize("way", ["fork", pytest.param("spawn", marks=pytest.mark.stress)])
def test_cancelled_hook__ends_with_a_keeper_that_is_stopped(place: Place, way: str) -> None:
    pids = place.project / "pids"
    with place.serve() as server, runners(place, server, way) as make:
        runner = make(grace_seconds=0.1)
        cancel_once(runner, lambda: place.ask(runner, STOP_THE_KEEPER), pids.exists)

        wait_until_ended(pids)


def test_late_hook__ends_with_a_keeper_that_is_stopped(place: Place) -> None:
    with place.serve() as server, runners(place, server, "fork") as make:
        runner = make(grace_seconds=0.1, timeout_seconds=3.0)
        with raises("hook-lost"):
            place.ask(runner, STOP_THE_KEEPER)

        wait_until_ended(place.project / "pids")


@pytest.mark.parametrize(
    "variables",
    [pytest.param({}, id="few", marks=pytest.mark.stress), pytest.param(MANY_VARIABLES, id="many")],
)
def test_cancelled_hook__ends_with_a_server_that_is_stopped(
    place: Place, variables: dict[str, str]
) -> None:
    terms = HookOptions(base={**place.world(), **variables}, grace_seconds=0.1)
    with place.serve() as server, HookRunner(terms, server) as runner:
        place.ask(runner, "")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)

        waiting = runner._cancellation._ends
        cancel_once(runner, lambda: place.ask(runner, ""), lambda: bool(waiting))


def test_late_hook__ends_with_a_server_that_is_stopped(place: Place) -> None:
    terms = HookOptions(
        base={**place.world(), **MANY_VARIABLES}, grace_seconds=0.1, timeout_seconds=3.0
    )
    with place.serve() as server, HookRunner(terms, server) as runner:
        place.ask(runner, "")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)

        with raises("hook-timed-out"):
            place.ask(runner, "")
        assert place.ask(runner, "answer = 'another server'") == "another server"


def test_cancel__may_be_called_by_a_signal_handler_that_interrupts_it() -> None:
    words = [sys.executable, "-c", CANCEL_IN_A_HANDLER]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)

    assert done.stdout == "cancelled True\n", done.stderr
