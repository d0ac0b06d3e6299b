"""A server in a sandbox starts early, in the stage that is opened for its build."""

import contextlib
import shutil
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.builds import WHEEL_ONLY, Ground, ask, facts_of, write_project, write_sdist
from wheelforge.build.early_stage import EarlyStage
from wheelforge.build.forge import Components
from wheelforge.build.prestart import Prestarter
from wheelforge.build.targets import find_layout
from wheelforge.errors import SandboxError
from wheelforge.hooks.pool import RunnerPool
from wheelforge.hooks.sandbox.settings import SandboxSettings
from wheelforge.models import Outcome, Policy, Reuse

RUNGS = ["tcp-off", "strict"]
pytestmark = [
    pytest.mark.skipif(
        sys.platform != "linux" or shutil.which("bwrap") is None, reason="needs bubblewrap"
    ),
    pytest.mark.xdist_group("users"),
]


class Early:
    """A process that builds once more what was built in a sandbox before."""

    def __init__(self, ground: Ground, source: Path, wanted: str, output: Path) -> None:
        self.ground = ground
        self.source = source
        self.sandbox = SandboxSettings(wanted=wanted)
        self.request = ask(source, output, kinds=WHEEL_ONLY)
        self.settings = ground.settings()
        self.layout = find_layout(self.settings.cache_dir)

    def build(self, components: Components | None = None, wanted: str = "") -> Outcome:
        sandbox = SandboxSettings(wanted=wanted) if wanted else self.sandbox
        policy = Policy(reuse=Reuse.OFF)
        with self.ground.forge(components=components, sandbox=sandbox, policy=policy) as forge:
            return forge.try_build(self.request)

    @contextlib.contextmanager
    def begun(self) -> Generator[tuple[RunnerPool, EarlyStage]]:
        """Yield what the last build has left behind, started early."""
        settings = self.settings
        last = Prestarter(settings.cache_dir, settings.python).find(self.source, settings.variables)
        assert last is not None
        with RunnerPool() as pool, EarlyStage(self.layout, pool) as early:
            early.start(self.source, last, settings.variables, self.sandbox)
            yield pool, early


@pytest.fixture(params=RUNGS)
def again(request: pytest.FixtureRequest, tmp_path: Path, ground: Ground) -> Early:
    early = Early(ground, write_sdist(tmp_path), request.param, tmp_path / "out")
    assert early.build().error is None
    return early


def test_early_stage__its_server_builds(again: Early) -> None:
    with again.begun() as (pool, early):
        assert pool._early is not None
        server = pool._early[1]
        first = server.start().pid
        outcome = again.build(Components(pool=pool, staging=early.open))

    assert outcome.error is None, outcome.error
    assert first is not None
    if again.sandbox.wanted == "tcp-off":  # only there has it the same number inside
        assert facts_of(outcome)["imported"] == first
    assert server.pid is None  # it was this build's alone, and has ended with it
    assert again.ground.stages == []


def test_early_stage__hooks_see_what_they_would_see_otherwise(again: Early) -> None:
    late = facts_of(again.build())
    with again.begun() as (pool, early):
        soon = facts_of(again.build(Components(pool=pool, staging=early.open)))

    differing = {name for name in late if late[name] != soon[name]}
    assert differing <= {"imported", "running"}  # the numbers of processes


def test_early_stage__directory_is_built_with_it(tmp_path: Path, ground: Ground) -> None:
    again = Early(ground, write_project(tmp_path / "project"), "strict", tmp_path / "out")
    assert again.build().error is None

    with again.begun() as (pool, early):
        assert pool._early is not None
        server = pool._early[1]
        process = server.start()._process
        outcome = again.build(Components(pool=pool, staging=early.open))

    assert outcome.error is None, outcome.error
    assert process is not None
    assert process.report is not None  # it was asked for what its import has seen


def test_early_stage__sandbox_that_turns_out_another_one_ends_the_server(again: Early) -> None:
    other = "strict" if again.sandbox.wanted == "tcp-off" else "tcp-off"
    with again.begun() as (pool, early):
        assert pool._early is not None
        server = pool._early[1]
        outcome = again.build(Components(pool=pool, staging=early.open), wanted=other)

    assert outcome.error is None, outcome.error
    assert server.pid is None
    assert outcome.sandbox["level"] == other
    assert again.ground.stages == []


def test_early_stage__stage_of_another_source_is_opened_beside_it(again: Early) -> None:
    with again.begun() as (pool, early), early.open("other") as stage:
        assert stage.path.name == "other"
        assert pool._early is not None  # it still waits for the build that it was started for
        assert len(again.ground.stages) == 2

    assert again.ground.stages == []


def test_early_stage__build_that_never_came_leaves_nothing(again: Early) -> None:
    with again.begun() as (pool, _):
        assert pool._early is not None
        server = pool._early[1]
        assert again.ground.stages != []

    assert server.pid is None
    assert again.ground.stages == []


def test_early_stage__where_no_sandbox_is_to_be_had_the_build_says_so(
    again: Early, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> object:
        raise SandboxError("sandbox-unavailable", "strict", "namespaces are forbidden here")

    monkeypatch.setattr("wheelforge.build.early_stage.find_sandbox", refuse)
    with again.begun() as (pool, _):
        assert pool._early is None
        assert again.ground.stages == []
