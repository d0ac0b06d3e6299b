"""Settings of a single build request, and handles on running builds."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.builds import Ground, ask, facts_of, names_in, write_project, write_sdist
from tests.support.codes import raises
from tests.support.hooks import wait_until, wait_until_ended
from tests.support.stock import PYENV
from wheelforge import BuildRequest, Forge, Kind, RunningBuild, Settings, open_forge
from wheelforge.errors import BuildCancelledError

WAITS = "import os, time; open('waiting', 'a').write(f'{os.getpid()}\\n'); time.sleep(600)"


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    """Return a project whose build does not end by itself."""
    return write_project(tmp_path / "waiting", build_wheel=WAITS)


def is_building(project: Path) -> Callable[[], bool]:
    return (project / "waiting").exists


# Settings of a request


def test_request__a_python_of_its_own_builds_it(tmp_path: Path, ground: Ground) -> None:
    python = next(PYENV.glob("3.12*/bin/python"), None)
    if python is None:
        pytest.skip("needs a Python 3.12 of pyenv")
    project = write_project(tmp_path / "project")

    with ground.forge() as forge:
        plain = forge.build(ask(project, tmp_path / "out"))
        other = forge.build(ask(project, tmp_path / "out", python=str(python)))

    here = ".".join(map(str, sys.version_info[:3]))
    assert (plain.python, other.python) == (here, python.parent.parent.name)


def test_request__a_python_that_is_not_there_is_the_error_of_the_build(
    tmp_path: Path, ground: Ground
) -> None:
    with ground.forge() as forge:
        request = ask(write_project(tmp_path / "project"), tmp_path / "out", python="3.99")
        outcome = forge.try_build(request)

    assert outcome.error is not None
    assert outcome.error.code == "interpreter-not-found"


def test_request__its_variables_replace_those_of_the_settings(
    tmp_path: Path, ground: Ground
) -> None:
    project = write_project(tmp_path / "project")
    variables = {"PATH": f"/somewhere{os.pathsep}/usr/bin", "DEMO": "1"}

    with ground.forge() as forge:
        plain = facts_of(forge.build(ask(project, tmp_path / "out")))["environ"]
        other = facts_of(forge.build(ask(project, tmp_path / "out", variables=variables)))

    assert "DEMO" not in plain
    assert other["environ"]["DEMO"] == "1"
    assert other["environ"]["PATH"].split(os.pathsep)[1:] == ["/somewhere", "/usr/bin"]
    assert "LANG" not in other["environ"]


def test_request__its_timeout_is_for_its_hooks(
    tmp_path: Path, ground: Ground, waiting: Path
) -> None:
    with ground.forge() as forge:
        with raises("hook-timed-out"):
            forge.build(ask(waiting, tmp_path / "out", timeout_seconds=0.5))

        forge.build(ask(write_project(tmp_path / "project"), tmp_path / "out"))


def test_request__its_constraints_are_for_its_requirements(tmp_path: Path, own: Ground) -> None:
    own.stock.add("helper", "1.0")
    own.stock.add("helper", "2.0")
    project = write_project(tmp_path / "project", requires=("helper",))
    older, none = tmp_path / "older", tmp_path / "none"
    older.write_text("helper<2", encoding="utf-8")
    none.write_text("helper<1", encoding="utf-8")

    with own.forge() as forge:
        request = ask(project, tmp_path / "out")
        versions = [
            {key.version for key in forge.build(each).wheels if key.name == "helper"}
            for each in (request, replace(request, constraints=(older,)))
        ]
        with raises("requirements-conflict"):
            forge.build(replace(request, constraints=(none,)))

    assert versions == [{"2.0"}, {"1.0"}]


def test_request__what_it_says_holds_for_sdists_that_are_built_for_it(
    tmp_path: Path, own: Ground
) -> None:
    code = "import os; assert os.environ['DEMO'] == '1'"
    sdist = write_sdist(tmp_path, name="helper", build_wheel=code)
    sdist.rename(own.links / sdist.name)
    project = write_project(tmp_path / "project", requires=("helper",))

    with own.forge() as forge:
        outcome = forge.build(ask(project, tmp_path / "out", variables={"DEMO": "1"}))

    assert "helper" in {key.name for key in outcome.wheels}


def test_request__hashes_are_those_of_the_sdist(tmp_path: Path, ground: Ground) -> None:
    sdist = write_sdist(tmp_path)
    project = write_project(tmp_path / "project")
    wrong = ("sha256:" + "0" * 64,)

    with ground.forge() as forge:
        found = forge.build(ask(sdist, tmp_path / "out"))
        right = forge.build(ask(sdist, tmp_path / "out", hashes=(f"sha256:{found.sha256}",)))
        refused = forge.try_build(ask(sdist, tmp_path / "out", hashes=wrong)).error
        with raises("source-invalid", match="a directory has no hash"):
            forge.build(ask(project, tmp_path / "out", hashes=wrong))

    assert len(right.artifacts) == 1
    assert refused is not None
    assert refused.code == "hash-refused"


def test_request__a_path_may_be_a_text(tmp_path: Path, ground: Ground) -> None:
    project = write_project(tmp_path / "project")

    request = ask(str(project), tmp_path / "out")

    assert request == ask(project, tmp_path / "out")
    with ground.forge() as forge:
        assert len(forge.build(request).artifacts) == 1


WRONG: dict[str, dict[str, Any]] = {
    "`source` must be a Path, or the text of a requirement or URL, not `3`": {"source": 3},
    "`output` must be a Path, not `'out'`": {"output": "out"},
    "`kinds` must be a tuple of Kind, not `'wheel'`": {"kinds": "wheel"},
    "`kinds` must be a tuple of Kind, not `('wheel',)`": {"kinds": ("wheel",)},
    "`kinds` must be a tuple of Kind, not `<Kind.WHEEL: 'wheel'>`": {"kinds": Kind.WHEEL},
    "`config_settings` must be a mapping with texts as keys, not `[]`": {"config_settings": []},
    "`hashes` must be a tuple of texts, not `'sha256:1'`": {"hashes": "sha256:1"},
    "`python` must be a text, not `3.12`": {"python": 3.12},
    "`timeout_seconds` must be a number, not `'60'`": {"timeout_seconds": "60"},
    "`variables` must be a mapping, not `['A=1']`": {"variables": ["A=1"]},
    "`constraints` must be a tuple of Path, not `('c.txt',)`": {"constraints": ("c.txt",)},
    "`project` must be an absolute path": {"source": Path("project")},
    "`dist` must be an absolute path": {"output": Path("dist")},
}


@pytest.mark.parametrize(("reason", "facts"), WRONG.items(), ids=WRONG)
def test_request__a_wrong_type_is_one_clear_error(reason: str, facts: dict[str, Any]) -> None:
    right: dict[str, Any] = {"source": Path("/project"), "output": Path("/out")}

    with raises("request-invalid") as caught:
        BuildRequest(**(right | facts))

    assert str(caught.value) == f"the build request is invalid: {reason}"


@pytest.mark.parametrize(
    ("reason", "facts"),
    {
        "`cache_dir` must be a Path, not `'cache'`": {"cache_dir": "cache"},
        "`constraints` must be a tuple of Path, not `('c.txt',)`": {"constraints": ("c.txt",)},
        "`find_links` must be a tuple of texts, not `'wheels'`": {"find_links": "wheels"},
    }.items(),
)
def test_settings__a_wrong_type_is_one_clear_error(reason: str, facts: dict[str, Any]) -> None:
    with raises("settings-invalid") as caught, open_forge(Settings(**facts)):
        pass

    assert str(caught.value) == f"the settings are invalid: {reason}"


def test_forge__what_is_no_request_is_refused(ground: Ground) -> None:
    request: Any = "/project"

    with ground.forge() as forge, raises("request-invalid", match="no `BuildRequest`"):
        forge.try_build(request)


# Builds that are started


def test_running_build__its_result_is_the_outcome(tmp_path: Path, ground: Ground) -> None:
    good = ask(write_project(tmp_path / "good"), tmp_path / "out")
    bad = ask(write_project(tmp_path / "bad", build_wheel="1 / 0"), tmp_path / "out")

    with ground.forge() as forge:
        builds = [forge.start(request) for request in (good, bad)]
        outcomes = [build.result() for build in builds]

    assert [build.request for build in builds] == [good, bad]
    errors = [outcome.error and outcome.error.code for outcome in outcomes]
    assert errors == [None, "backend-failed"]
    assert not builds[0].cancel()


def test_running_build__cancelling_one_leaves_others_alone(
    tmp_path: Path, ground: Ground, waiting: Path
) -> None:
    other = write_project(tmp_path / "other", build_wheel=WAITS)

    with ground.forge() as forge:
        builds = [forge.start(ask(path, tmp_path / "out")) for path in (waiting, other)]
        wait_until(lambda: is_building(waiting)() and is_building(other)())

        assert builds[0].cancel()

        error = builds[0].result().error
        assert isinstance(error, BuildCancelledError)
        assert (error.exit_code, builds[1].running()) == (130, True)
        wait_until_ended(waiting / "waiting")
        builds[1].cancel()
    assert names_in(tmp_path / "out") == []
    assert ground.stages == []


def test_running_build__a_build_that_waits_for_a_directory_can_be_cancelled(
    tmp_path: Path, ground: Ground, waiting: Path
) -> None:
    with ground.forge() as forge:
        first = forge.start(ask(waiting, tmp_path / "out"))
        wait_until(is_building(waiting))
        second = forge.start(ask(waiting, tmp_path / "other"))
        wait_until(second.running)

        second.cancel()

        assert isinstance(second.result().error, BuildCancelledError)
        assert first.running()
        first.cancel()


def test_running_build__asyncio_awaits_and_cancels_it(
    tmp_path: Path, ground: Ground, waiting: Path
) -> None:
    async def serve(forge: Forge) -> tuple[int, bool]:
        project = write_project(tmp_path / "project")
        outcome = await asyncio.wrap_future(forge.start(ask(project, tmp_path / "out")))
        build = forge.start(ask(waiting, tmp_path / "out"))
        task = asyncio.ensure_future(asyncio.wrap_future(build))
        await asyncio.to_thread(wait_until, is_building(waiting))
        task.cancel()
        await asyncio.wait([task])
        return len(outcome.artifacts), task.cancelled()

    with ground.forge() as forge:
        ended = asyncio.run(serve(forge))

    assert ended == (1, True)
    wait_until_ended(waiting / "waiting")


def test_forge__its_end_waits_for_builds_that_were_started(tmp_path: Path, ground: Ground) -> None:
    project = write_project(tmp_path / "project", build_wheel="import time; time.sleep(0.2)")

    with ground.forge() as forge:
        build = forge.start(ask(project, tmp_path / "out"))

    assert len(build.result(timeout=0).artifacts) == 1


def test_forge__an_exception_cancels_builds_that_were_started(
    tmp_path: Path, ground: Ground, waiting: Path
) -> None:
    builds = list[RunningBuild]()

    def start_and_fail() -> None:
        with ground.forge() as forge:
            builds.append(forge.start(ask(waiting, tmp_path / "out")))
            wait_until(is_building(waiting))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        start_and_fail()

    assert isinstance(builds[0].result(timeout=0).error, BuildCancelledError)
    wait_until_ended(waiting / "waiting")


def test_forge__once_closed_it_refuses(tmp_path: Path, ground: Ground) -> None:
    request = ask(write_project(tmp_path / "project"), tmp_path / "out")

    with ground.forge() as forge:
        pass

    for use in (forge.build, forge.try_build, forge.start):
        with raises("forge-closed"):
            use(request)
    with raises("forge-closed"):
        forge.prepare_environment([])
    assert names_in(tmp_path / "out") == []


# Environments without a build


def test_prepare_environment__it_has_the_requirements(own: Ground) -> None:
    own.stock.add("helper", "2.0")

    with own.forge() as forge:
        environment = forge.prepare_environment(["helper<3"])
        again = forge.prepare_environment(["helper<3"])
        words = [environment.python_executable, "-c", "import helper; print(helper.version)"]
        said = subprocess.check_output(words, text=True)

    assert said == "2.0\n"
    assert environment.python_executable == again.python_executable
    assert not environment.python_executable.startswith(sys.prefix)


def test_prepare_environment__one_text_is_not_several_requirements(own: Ground) -> None:
    with own.forge() as forge, raises("request-invalid", match="not `'helper'`"):
        forge.prepare_environment("helper")


def test_prepare_environment__what_is_wrong_with_a_requirement_is_said(own: Ground) -> None:
    with own.forge() as forge, pytest.raises(Exception, match="my tool") as caught:
        forge.prepare_environment(["no such thing"], label="my tool")

    assert getattr(caught.value, "code", "") == "requirement-invalid"
