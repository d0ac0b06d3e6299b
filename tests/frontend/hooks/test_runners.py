"""Guarantees of every hook runner, tested alike on each."""

import contextlib
import io
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from build import BuildBackendException, ProjectBuilder
from pyproject_hooks import BackendUnavailable, HookMissing

from tests.support.codes import raises
from tests.support.hooks import (
    DAEMON,
    LINUX_ONLY,
    STUBBORN,
    WAYS,
    Place,
    is_running,
    kill,
    read_pids,
    runners,
    wait_until,
    wait_until_ended,
)
from tests.support.processes import in_threads, run_at_once
from tests.support.stock import this_python
from wheelforge.errors import HookFailedError
from wheelforge.hooks.runner import HookRunner
from wheelforge.hooks.server import ForkServer
from wheelforge_isolation import adopt_environment

Make = Callable[..., HookRunner]

pytestmark = LINUX_ONLY


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place.make(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def server(shared_place: Place) -> Iterator[ForkServer]:
    with shared_place.serve() as server:
        yield server


@pytest.fixture
def place(shared_place: Place) -> Iterator[Place]:
    shared_place.endings.clear()
    yield shared_place
    (shared_place.project / "pids").unlink(missing_ok=True)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(place: Place, server: ForkServer, way: str) -> Iterator[Make]:
    with runners(place, server, way) as make:
        yield make


def children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text(encoding="ascii").split()]


def fail(place: Place, runner: HookRunner, code: str) -> HookFailedError:
    with pytest.raises(HookFailedError) as caught:
        place.ask(runner, code)
    return caught.value


def test_runner__returns_the_answer_of_a_hook(place: Place, make: Make, way: str) -> None:
    assert place.ask(make(), "answer = ['wheel']") == ["wheel"]
    assert [(ending.forked, ending.reason) for ending in place.endings] == [(way == "fork", "")]


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("raise ValueError('no steel')", 1, b"ValueError: no steel"),
        ("raise SystemExit(3)", 3, b""),
        ("raise SystemExit('stop it')", 1, b"stop it"),
        ("raise KeyboardInterrupt", -signal.SIGINT, b"KeyboardInterrupt"),
        ("import os; os._exit(3)", 3, b""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, b""),
        ("import os; os.abort()", -signal.SIGABRT, b""),
        ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV, b""),
        ("import atexit, os; atexit.register(os._exit, 7)", 7, b""),
        ("import sys; sys.stdout.close(); raise SystemExit(4)", 4, b""),
        ("import os; os.close(1); os.close(2); raise SystemExit(5)", 5, b""),
        ("print('said'); raise SystemExit(6)", 6, b"said"),
    ],
)
def test_runner__failure_has_status_and_last_output(
    place: Place, make: Make, code: str, status: int, words: bytes
) -> None:
    error = fail(place, make(), code)

    assert isinstance(error, subprocess.CalledProcessError)
    assert (error.status, error.returncode) == (status, status)
    assert words in error.output
    assert [ending.status for ending in place.endings] == [status]


def test_runner__traceback_is_the_same_from_each(place: Place, server: ForkServer) -> None:
    outputs: set[bytes] = set()
    for way in WAYS:
        with runners(place, server, way) as make:
            outputs.add(fail(place, make(), "import json; json.loads('{')").output)

    assert len(outputs) == 1, outputs
    assert outputs.pop().startswith(b"Traceback (most recent call last):\n  File")


def test_runner__error_can_be_pickled(place: Place, make: Make) -> None:
    error = fail(place, make(), "raise SystemExit(3)")

    copy = pickle.loads(pickle.dumps(error))  # ruff: ignore[suspicious-pickle-usage]

    assert (str(copy), vars(copy)) == (str(error), vars(error))


def test_runner__files_are_left_to_pyproject_hooks(place: Place, make: Make) -> None:
    place.add("lost", "import nothing_like_it")

    with pytest.raises(HookMissing):
        place.caller(make()).prepare_metadata_for_build_wheel(
            str(place.project), _allow_fallback=False
        )
    with pytest.raises(BackendUnavailable, match="nothing_like_it"):
        place.ask(make(), "", "lost")


POISON = """
import os, signal, sys, warnings, obedient, json
os.environ["LEAK"] = "yes"
del os.environ["LANG"]
sys.path.insert(0, "/leak")
sys.modules["leak"] = sys
sys.argv.append("leak")
obedient.leak = json.leak = True
os.chdir("/")
os.umask(0o077)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
warnings.simplefilter("error")
os.open("/dev/null", os.O_RDONLY)
sys.stdout = None
"""
WORLD = """
import os, signal, sys, warnings, obedient, json
import __main__
answer = {
    "variables": dict(os.environ),
    "path": sys.path,
    "modules": sorted(set(sys.modules) - {"_ctypes", "_socket", "gc", "select"}),
    "words": [sys.argv[:2], getattr(sys, "orig_argv", [])[:3], len(sys.argv)],
    "leaks": [hasattr(obedient, "leak"), hasattr(json, "leak")],
    "directory": os.getcwd(),
    "umask": os.umask(0),
    "signals": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "filters": [str(entry) for entry in warnings.filters],
    "descriptors": sorted(os.listdir("/proc/self/fd")),
    "leads": [os.getpid() == os.getpgid(0), os.getpid() == os.getsid(0)],
    "input": [sys.stdin.read(), os.path.realpath("/proc/self/fd/0")],
    "flags": str(sys.flags),
    "streams": [sys.stdout.encoding, sys.stdout.line_buffering, sys.stderr.errors],
    "main": sorted(vars(__main__)),
    "file": __main__.__file__,
    "prefix": [sys.executable, sys.prefix],
    "priority": os.getpriority(os.PRIO_PROCESS, 0),
}
"""


def test_runner__no_state_passes_between_hooks(place: Place, make: Make) -> None:
    before = place.ask(make(), WORLD)
    place.ask(make(), POISON)

    assert place.ask(make(), WORLD) == before


def test_fork__finds_the_world_of_a_fresh_process(place: Place, server: ForkServer) -> None:
    worlds: dict[str, Any] = {}
    for way in WAYS:
        with runners(place, server, way) as make:
            worlds[way] = place.ask(make(), WORLD)

    assert worlds["fork"] == worlds["spawn"]
    assert worlds["spawn"] == worlds["direct"]
    assert worlds["fork"]["directory"] == str(place.project)


def test_output__comes_by_lines_and_whole(place: Place, make: Make) -> None:
    lines: list[bytes] = []
    log = io.BytesIO()
    code = r"""
import os
os.write(1, b"one\ntw")
os.write(2, b"o\n\xff\xfe\n")
os.write(1, b"no end")
"""

    place.ask(make(on_output=lines.append, log=log), code)

    assert lines == [b"one\n", b"two\n", b"\xff\xfe\n", b"no end"]
    assert log.getvalue() == place.endings[0].output == b"one\ntwo\n\xff\xfe\nno end"


def test_output__megabyte_without_a_newline_is_passed_on(place: Place, make: Make) -> None:
    pieces: list[bytes] = []
    log = io.BytesIO()

    place.ask(make(on_output=pieces.append, log=log), "print('x' * 2**20, end='end')")

    assert b"".join(pieces) == log.getvalue() == b"x" * 2**20 + b"end"
    assert place.endings[0].output == log.getvalue()[-(1 << 16) :]


def test_timeout__ends_the_hook_and_all_that_it_has_started(place: Place, make: Make) -> None:
    runner = make(timeout_seconds=1, grace_seconds=0.2)

    with raises("hook-timed-out") as caught:
        place.ask(runner, STUBBORN)

    assert (caught.value.seconds, caught.value.output) == (1, b"ready\n")
    wait_until_ended(place.project / "pids")


def test_timeout__hook_may_clean_up(place: Place, make: Make) -> None:
    cleaner = "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit('cleaned'))\n"
    runner: HookRunner = make(grace_seconds=20, on_output=lambda _: runner.cancel())

    with raises("hook-cancelled"):
        # Short sleeps: a signal that comes just before a long one begins is heeded when that ends.
        place.ask(runner, f"{cleaner}print('ready', flush=True)\nwhile True: time.sleep(0.05)")

    assert place.endings[0].output == b"ready\ncleaned\n"


def test_cancel__works_from_another_thread(place: Place, make: Make) -> None:
    ready = threading.Event()
    runner = make(grace_seconds=0.1, on_output=lambda _: ready.set())

    def cancel() -> None:
        ready.wait()
        runner.cancel()

    with in_threads(cancel), raises("hook-cancelled"):
        place.ask(runner, STUBBORN)
    with raises("hook-cancelled"):
        place.ask(runner, "")

    wait_until_ended(place.project / "pids")


def test_listener__exception_ends_the_hook(place: Place, make: Make) -> None:
    def interrupt(_line: bytes) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.ask(make(on_output=interrupt, grace_seconds=0.1), STUBBORN)

    wait_until_ended(place.project / "pids")


def test_interrupt__ends_the_hook(place: Place, make: Make) -> None:
    def interrupt() -> None:
        wait_until((place.project / "pids").exists)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with in_threads(interrupt), pytest.raises(KeyboardInterrupt):
        place.ask(make(grace_seconds=0.1), STUBBORN)

    wait_until_ended(place.project / "pids")


def test_daemon__neither_delays_the_caller_nor_outlives_the_hook(
    place: Place, make: Make, way: str
) -> None:
    started = time.monotonic()

    place.ask(make(), DAEMON)

    (daemon,) = read_pids(place.project / "pids")
    assert time.monotonic() - started < 20
    # Without a keeper, what has left the hook's group is out of reach.
    assert is_running(daemon) == (way == "direct")
    assert place.endings[0].orphans == (way != "direct")
    kill(daemon)


def test_runner__missing_python_is_an_error(place: Place, make: Make) -> None:
    with raises("hook-not-started"):
        make()(["/nowhere/python", "script", "build_wheel"], str(place.project))


def test_runner__hooks_run_at_the_same_time(place: Place, make: Make, tmp_path: Path) -> None:
    count = 6
    runner = make(timeout_seconds=20)
    code = f"""
import os, time
open({str(tmp_path)!r} + f"/{{os.getpid()}}", "x").close()
while len(os.listdir({str(tmp_path)!r})) < {count}:
    time.sleep(0.005)
answer = os.getpid()
"""
    answers = run_at_once(*[lambda: int(place.ask(runner, code))] * count)

    assert len(set(answers)) == count


def test_log__error_ends_the_hook(place: Place, make: Make) -> None:
    with (
        Path("/dev/full").open("wb", buffering=0) as log,
        pytest.raises(OSError, match="No space left"),
    ):
        place.ask(make(log=log, grace_seconds=0.1), STUBBORN)

    wait_until_ended(place.project / "pids")


@pytest.mark.parametrize("way", ["fork", "spawn"], indirect=True)
def test_caller__sudden_death_ends_its_hooks(place: Place, way: str) -> None:
    code = """
import sys
from pathlib import Path
from tests.support.hooks import Place, runners
place = Place(path=Path(sys.argv[1]), project=Path(sys.argv[2]))
with place.serve() as server, runners(place, server, sys.argv[3]) as make:
    print(server.start().pid, flush=True)
    place.ask(make(grace_seconds=0.1), sys.argv[4])
"""
    words = [sys.executable, "-c", code, str(place.path), str(place.project), way, STUBBORN]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        server = int(process.stdout.readline())
        wait_until((place.project / "pids").exists)
        pids = read_pids(place.project / "pids")
        assert all(map(is_running, pids))
        process.kill()

    wait_until(lambda: not any(map(is_running, [*pids, server])))


def test_runner__serves_pypa_build(place: Place, make: Make, tmp_path: Path) -> None:
    environment = adopt_environment(place.path, this_python(tmp_path))
    builder = ProjectBuilder.from_isolated_env(environment, place.project, make())

    wheel = builder.build("wheel", tmp_path / "out")
    with pytest.raises(BuildBackendException, match="Backend subprocess exited") as caught:
        builder.build("wheel", tmp_path / "out", {"do": "raise SystemExit(3)"})

    assert wheel == str(tmp_path / "out" / "obedient-1.0-py3-none-any.whl")
    assert isinstance(caught.value.exception, HookFailedError)
    assert caught.value.exception.status == 3


def test_runner__reports_peak_memory(place: Place, make: Make, way: str) -> None:
    place.ask(make(), "memory = b'x' * 2**27")

    assert (place.endings[0].peak_bytes > 2**27) == (way != "direct")


def test_runner__leaves_no_descriptor_open(place: Place, server: ForkServer, way: str) -> None:
    def measure() -> list[int]:
        places = [Path(f"/proc/{pid}") for pid in ("self", server.pid)]
        return [len(list((place / "fd").iterdir())) for place in places]

    with contextlib.ExitStack() as stack:
        runner = stack.enter_context(runners(place, server, way))()
        place.ask(runner, "")
        before = measure()
        for _ in range(200 if way == "fork" else 10):
            place.ask(runner, "")

        assert measure() == before
        # A keeper goes a moment after it has said its last word.
        wait_until(lambda: not children(server.pid or 0))
