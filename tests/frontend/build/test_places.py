"""Building without isolation, in an environment at a place that is given, with others' parts."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import contextlib
import subprocess
import sys
import venv
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.builds import WILLING, Ground, ask, facts_of, names_in, write_project
from wheelforge.build.forge import Components
from wheelforge.build.host_environment import HostProvider
from wheelforge.build.targets import Targets, find_layout
from wheelforge.cli import main
from wheelforge.errors import RequirementInvalidError, RequirementsError
from wheelforge.hooks.runner import HookOptions, HookRunner
from wheelforge.models import EnvironmentRequest, PreparedEnvironment
from wheelforge_isolation import Interpreter, Stage, WheelKey, open_stage

if TYPE_CHECKING:
    from wheelforge.models import Builder


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Python where somebody has installed something."""
    place = tmp_path_factory.mktemp("host") / "venv"
    venv.create(place, symlinks=True, with_pip=False)
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "willing.py").write_text(WILLING, encoding="utf-8")
    install(packages, "willing", "1.0", "Requires-Dist: middle[more]>=1")
    install(
        packages,
        "middle",
        "1.5",
        'Requires-Dist: lost; extra == "more"',
        'Requires-Dist: never; python_version < "3"',
        'Requires-Dist: other; extra == "less"',
        "Requires-Dist: ???",
    )
    install(packages, "good", "2.0")
    (packages / "broken-1.0.dist-info").mkdir()
    return place / "bin" / "python"


def install(packages: Path, name: str, version: str, *more: str) -> None:
    info = packages / f"{name}-{version}.dist-info"
    info.mkdir()
    lines = ("Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *more)
    (info / "METADATA").write_text("\n".join(lines), encoding="utf-8")


def find_missing(ground: Ground, host: Path, *requirements: str) -> tuple[str, ...]:
    settings = ground.settings(python=str(host))
    targets = Targets(settings, find_layout(settings.cache_dir))
    request = EnvironmentRequest(requirements=requirements, label="demo")
    try:
        HostProvider(targets, checks=True).prepare(
            request, build=lambda _: pytest.fail("nothing is built")
        )
    except RequirementsError as error:
        return error.missing
    return ()


@pytest.mark.parametrize(
    ("requirement", "missing"),
    [
        ("good", ()),
        ("good>=1,<3", ()),
        ("GOOD[unknown]", ()),
        ("good>=3", ("good>=3",)),
        ("absent", ("absent",)),
        ("broken", ("broken",)),
        ('absent; python_version < "3"', ()),
        ("middle", ()),
        ("middle[more]", ("middle[more] -> lost",)),
        ("willing", ("willing -> middle[more]>=1 -> lost",)),
    ],
)
def test_no_isolation__missing_requirement_is_shown_with_its_path(
    ground: Ground, host: Path, requirement: str, missing: tuple[str, ...]
) -> None:
    assert find_missing(ground, host, requirement) == missing


def test_no_isolation__python_that_prints_at_its_start_is_understood(
    tmp_path: Path, ground: Ground
) -> None:
    venv.create(tmp_path / "noisy", symlinks=True, with_pip=False)
    (packages,) = tmp_path.glob("noisy/lib/python*/site-packages")
    (packages / "sitecustomize.py").write_text("print('[1] hello')", encoding="utf-8")
    install(packages, "good", "2.0")
    python = tmp_path / "noisy" / "bin" / "python"

    assert find_missing(ground, python, "good", "absent") == ("absent",)


def test_no_isolation__python_that_does_not_start_with_these_variables_is_told(
    tmp_path: Path, ground: Ground
) -> None:
    venv.create(tmp_path / "moody", symlinks=True, with_pip=False)
    (packages,) = tmp_path.glob("moody/lib/python*/site-packages")
    code = "import os; os.environ.get('MOOD') and os._exit(7)"
    (packages / "sitecustomize.py").write_text(code, encoding="utf-8")
    project = write_project(tmp_path / "project", requires=("good",))
    python = str(tmp_path / "moody" / "bin" / "python")
    variables = {**ground.settings().variables, "MOOD": "bad"}

    with ground.forge(python=python, isolated=False, variables=variables) as forge:
        error = forge.try_build(ask(project, tmp_path / "out")).error

    reason = "is not a usable Python interpreter: it exited with code 7"
    assert str(error) == f"`{python}` {reason}"


def test_no_isolation__invalid_requirement_is_refused(ground: Ground, host: Path) -> None:
    with pytest.raises(RequirementInvalidError, match=r"\?\?\?"):
        find_missing(ground, host, "???")


def test_no_isolation__working_directory_does_not_count(
    tmp_path: Path, ground: Ground, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "absent", "1.0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    assert find_missing(ground, host, "absent") == ("absent",)


def test_no_isolation__unchecked_python_may_lack_requirements(
    tmp_path: Path, ground: Ground, host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = write_project(tmp_path / "project")
    words = ["-w", "-o", str(tmp_path / "out"), "--python", str(host), "--no-isolation"]

    refused = main(ground.words(project, *words))
    message = capsys.readouterr().err
    assert (refused, main(ground.words(project, *words, "--skip-dependency-check"))) == (3, 0)
    assert message.startswith("error[requirements-unmet]: what project needs is not installed:")
    assert "\n  willing -> middle[more]>=1 -> lost\n" in message


def test_no_isolation__hook_runs_in_the_python_as_it_is(
    tmp_path: Path, ground: Ground, host: Path
) -> None:
    project = write_project(tmp_path / "project", own=True, requires=("good",))

    with ground.forge(python=str(host), isolated=False) as forge:
        outcome = forge.build(ask(project, tmp_path / "out"))

    facts = facts_of(outcome)
    assert any(path.startswith(str(host.parent.parent)) for path in facts["path"])
    assert facts["environ"]["PATH"].startswith(str(host.parent))
    assert outcome.wheels == ()


# At a place of the user's


def test_environment_dir__stays_only_after_a_failure(tmp_path: Path, ground: Ground) -> None:
    place = tmp_path / "environment"
    good = write_project(tmp_path / "good")
    bad = write_project(tmp_path / "bad", build_wheel="raise SystemExit(1)")

    with ground.forge(environment_dir=place) as forge:
        facts = facts_of(forge.build(ask(good, tmp_path / "out")))
        was_there = place.exists()
        outcome = forge.try_build(ask(bad, tmp_path / "out"))

    assert facts["environ"]["VIRTUAL_ENV"] == str(place)
    assert outcome.error is not None
    assert not was_there
    assert subprocess.call([place / "bin" / "python", "-c", "import willing"]) == 0


def test_environment_dir__has_the_requirements_of_a_hook(tmp_path: Path, ground: Ground) -> None:
    ground.stock.add("extra")
    project = write_project(
        tmp_path / "project",
        get_requires_for_build_wheel="answer = ['extra']",
        build_wheel="import extra",
    )

    with ground.forge(environment_dir=tmp_path / "a" / ".." / "environment") as forge:
        outcome = forge.build(ask(project, tmp_path / "out"))

    assert facts_of(outcome)["environ"]["VIRTUAL_ENV"] == str(tmp_path / "environment")
    assert not (tmp_path / "environment").exists()


@pytest.mark.parametrize("facts", [{}, {"isolated": False, "checked": False}])
def test_environment_dir__filled_one_is_refused_and_untouched(
    tmp_path: Path, ground: Ground, facts: dict[str, Any]
) -> None:
    place = tmp_path / "mine"
    place.mkdir()
    (place / "file").touch()
    project = write_project(tmp_path / "project", own=True)

    with ground.forge(environment_dir=place, **facts) as forge:
        outcome = forge.try_build(ask(project, tmp_path / "out"))

    assert names_in(place) == ["file"]
    assert (outcome.error and outcome.error.code) == (None if facts else "option-invalid")


# With parts of others


class Host:
    """The environment of an embedder."""

    def __init__(self, python: str) -> None:
        self.python_executable = python

    def make_extra_environ(self) -> dict[str, str]:
        return {"MADE_BY": "embedder"}


def test_components__provider_is_asked_for_the_requirements(
    tmp_path: Path, ground: Ground, host: Path
) -> None:
    requests: list[EnvironmentRequest] = []

    class Theirs:
        def prepare(self, request: EnvironmentRequest, build: Builder) -> PreparedEnvironment:
            del build
            requests.append(request)
            return PreparedEnvironment(environment=Host(str(host)), notes=("theirs",))

    code = "answer = ['more']"
    project = write_project(tmp_path / "project", get_requires_for_build_wheel=code)

    with ground.forge(components=Components(provider=Theirs())) as forge:
        outcome = forge.build(ask(project, tmp_path / "out"))

    assert [request.requirements for request in requests] == [("willing",), ("more", "willing")]
    assert facts_of(outcome)["environ"]["MADE_BY"] == "embedder"
    assert outcome.notes == ("theirs",)


def test_components__installer_gets_the_chosen_wheels(
    tmp_path: Path, ground: Ground, host: Path
) -> None:
    got: list[str] = []

    def install_them(_: Interpreter, wheels: Sequence[tuple[WheelKey, Path]]) -> Host:
        got.extend(f"{key.name} {path.read_bytes()[:2]!r}" for key, path in wheels)
        return Host(str(host))

    project = write_project(tmp_path / "project")

    with ground.forge(components=Components(install=install_them)) as forge:
        outcome = forge.build(ask(project, tmp_path / "out"))

    assert got == ["willing b'PK'"]
    assert facts_of(outcome)["environ"]["MADE_BY"] == "embedder"


def test_components__runners_and_stages_are_used(tmp_path: Path, ground: Ground) -> None:
    hooks: list[str] = []
    places: list[Path] = []

    @contextlib.contextmanager
    def make_runner(terms: HookOptions) -> Generator[Any]:
        with HookRunner(terms) as runner:

            def run(cmd: Sequence[str], *words: Any, **facts: Any) -> None:
                hooks.append(cmd[2])
                runner(cmd, *words, **facts)

            yield run

    @contextlib.contextmanager
    def stage(name: str) -> Generator[Stage]:
        with open_stage(tmp_path / "theirs", name) as found:
            places.append(found.path)
            yield found

    project = write_project(tmp_path / "project")

    with ground.forge(components=Components(make_runner=make_runner, staging=stage)) as forge:
        forge.build(ask(project, tmp_path / "out"))

    assert hooks == ["get_requires_for_build_wheel", "build_wheel"]
    assert [place.parent for place in places] == [tmp_path / "theirs"]
    assert names_in(tmp_path / "theirs") == []


def test_settings__nothing_of_this_process_is_used_beside_them(
    tmp_path: Path, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAKED", "1")
    monkeypatch.setattr(sys, "stdout", None)
    project = write_project(tmp_path / "project")

    assert "LEAKED" not in facts_of(ground.build(project, tmp_path / "out"))["environ"]
