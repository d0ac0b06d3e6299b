"""Fork servers seen through whole builds: when they serve, when they end, and what they hide."""

import contextlib
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from tests.support.builds import (
    WILLING,
    Ground,
    ask,
    facts_of,
    names_in,
    write_project,
    write_sdist,
)
from tests.support.hooks import LINUX_ONLY, is_running, read_pids, wait_until
from tests.support.processes import in_threads
from wheelforge.build.forge import Forge
from wheelforge.errors import BuildCancelledError
from wheelforge.hooks.pool import RunnerPool
from wheelforge.hooks.runner import HookOptions

pytestmark = LINUX_ONLY

NOTED = """
import os, time
with open("pids.new", "w") as file:
    file.write(str(os.getpid()))
os.rename("pids.new", "pids")
"""
UNTIDY = """
import os, signal, sys, types
os.environ["LEFT"] = "x"
sys.path.insert(0, "/left")
sys.modules["left"] = types.ModuleType("left")
state.append("left")
os.chdir("/")
os.umask(0o073)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
"""
TIDY = """
import os, signal, sys
assert "LEFT" not in os.environ, "variables"
assert "/left" not in sys.path, "sys.path"
assert "left" not in sys.modules, "modules"
assert state == [], "globals"
assert os.path.exists("pyproject.toml"), "directory"
mask = os.umask(0)
os.umask(mask)
assert mask != 0o073, "umask"
assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, "signals"
"""


def test_server__is_shared_by_all_builds(tmp_path: Path, ground: Ground) -> None:
    sdists = [write_sdist(tmp_path, name=name) for name in ("one", "two")]

    with ground.forge() as forge:
        first, second = (facts_of(forge.build(ask(path, tmp_path / "out"))) for path in sdists)

        assert is_running(first["imported"])

    assert first["imported"] == second["imported"]
    assert first["running"] != first["imported"] != second["running"]
    assert not is_running(first["imported"])


def test_server__backend_in_the_tree_gets_none(tmp_path: Path, ground: Ground) -> None:
    facts = facts_of(ground.build(write_project(tmp_path / "project", own=True), tmp_path / "out"))

    assert facts["imported"] == facts["running"]


def test_environment_dir__is_made_anew_for_each_build(tmp_path: Path, ground: Ground) -> None:
    own = ground.apart(tmp_path / "own")
    newer = f"{WILLING}\nSTATE.append('newer')\n"
    own.stock.add("willing", "2.0", files={"willing.py": newer.encode()})
    projects = [
        write_project(tmp_path / version, requires=(f"willing=={version}",))
        for version in ("1.0", "2.0")
    ]

    with own.forge(environment_dir=tmp_path / "environment") as forge:
        first, second = (facts_of(forge.build(ask(path, tmp_path / "out"))) for path in projects)

    assert (first["state"], second["state"]) == ([], ["newer"])
    assert first["environ"]["VIRTUAL_ENV"] == second["environ"]["VIRTUAL_ENV"]


def test_fork__leaves_no_state_for_another_hook(tmp_path: Path, ground: Ground) -> None:
    untidy = write_project(
        tmp_path / "untidy", get_requires_for_build_wheel=UNTIDY, build_wheel=TIDY + UNTIDY
    )
    tidy = write_project(tmp_path / "tidy", get_requires_for_build_wheel=TIDY, build_wheel=TIDY)

    with ground.forge() as forge:
        outcomes = [
            forge.try_build(ask(project, tmp_path / "out"))
            for project in (untidy, tidy, untidy, tidy)
        ]

    assert [outcome.error for outcome in outcomes if outcome.error] == []
    assert len({facts_of(outcome)["imported"] for outcome in outcomes}) == 1


def test_forge__cancel_ends_running_and_waiting_builds(tmp_path: Path, ground: Ground) -> None:
    slow = NOTED + "time.sleep(600)"
    projects = [
        write_project(tmp_path / name, own=own, build_wheel=slow)
        for name, own in (("forked", False), ("spawned", True))
    ]
    requests = [ask(project, tmp_path / "out") for project in projects]

    with ground.forge() as forge:
        # The third one waits for the directory of the first.
        builds = (partial(forge.try_build, each) for each in (*requests, requests[0]))
        with in_threads(*builds) as outcomes:
            for project in projects:
                wait_until((project / "pids").exists)
            forge.cancel()
        outcomes.append(forge.try_build(requests[1]))

    errors = [outcome.error for outcome in outcomes]
    assert [error and error.exit_code for error in errors] == [130] * 4
    # A waiting build may still get the lock that the first one releases, but runs no hook.
    assert {error.code for error in errors if error} == {"build-cancelled"}
    assert not any(is_running(read_pids(project / "pids")[0]) for project in projects)
    assert ground.stages == []
    assert names_in(tmp_path / "out") == []


def test_forge__cancelled_build_raises_the_error(tmp_path: Path, ground: Ground) -> None:
    with ground.forge() as forge:
        forge.cancel()
        with pytest.raises(BuildCancelledError):
            forge.build(ask(write_sdist(tmp_path), tmp_path / "out"))


# The pool by itself


def serve(pool: RunnerPool, number: int) -> AbstractContextManager[object]:
    environment = {"PATH": "/usr/bin:/bin", "NUMBER": str(number)}
    return pool.open(
        python=sys.executable, backend="json", environment=environment, terms=HookOptions()
    )


def children() -> set[int]:
    """Return the processes that this one has started and that still run."""
    found: set[int] = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state, parent = stat.read_text(encoding="utf-8").rpartition(")")[2].split()[:2]
            if int(parent) == os.getpid() and state != "Z":
                found.add(int(stat.parent.name))
    return found


@pytest.fixture
def servers() -> Callable[[], set[int]]:
    """Return what finds the processes that were started since."""
    others = children()
    return lambda: children() - others


def test_pool__ends_the_longest_unused_server_and_none_in_use(
    servers: Callable[[], set[int]],
) -> None:
    with RunnerPool(idle_servers=2) as pool:
        with serve(pool, 0):
            (used,) = servers()
            for number in (1, 2):
                with serve(pool, number):
                    pass
            known = servers()
            assert len(known) == 3
            with serve(pool, 1):
                pass
            assert servers() == known
            with serve(pool, 3):
                pass

            assert used in servers()
            (ended,) = known - servers()
            assert not is_running(ended)
        assert len(servers()) == 2

    assert servers() == set()


def test_pool__without_idle_servers_ends_each_after_its_last_use(
    servers: Callable[[], set[int]],
) -> None:
    with RunnerPool(idle_servers=0) as pool:
        with serve(pool, 0), serve(pool, 0):
            (used,) = servers()
            assert is_running(used)

        assert not is_running(used)


def test_pool__without_forks_builds_are_the_same(tmp_path: Path, ground: Ground) -> None:
    sdist = write_sdist(tmp_path)
    with ground.forge() as forge, RunnerPool(forks=False) as pool:
        spawning = Forge(forge.context._replace(pool=pool))
        facts = facts_of(spawning.build(ask(sdist, tmp_path / "out")))

    assert facts["imported"] == facts["running"]
