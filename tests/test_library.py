"""wheelforge as a library: the manual's examples work, and the host process stays as it is."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from build import ProjectBuilder
from pyproject_hooks import BuildBackendHookCaller

from tests.support import manual
from tests.support.hooks import Place, wait_until
from tests.support.processes import needs
from tests.support.source import ROOT
from tests.support.stock import Reporter, Stock, this_python
from wheelforge import (
    BuildEvent,
    BuildRequest,
    Components,
    Forge,
    HookOptions,
    Keep,
    Kind,
    Outcome,
    Policy,
    Runner,
    RunnerPool,
    Settings,
    compose_environment,
    open_forge,
)
from wheelforge.errors import HookError
from wheelforge.hooks.runner import HookResult
from wheelforge.hooks.server import can_fork
from wheelforge_isolation import Environment, Layout, adopt_environment, open_cache

MINIMAL = ROOT / "fixtures" / "projects" / "minimal"
BACKEND = ROOT / "fixtures" / "backends" / "obedient" / "obedient.py"
WAITS = """

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    import pathlib, time
    pathlib.Path("waiting").touch()
    while True:
        time.sleep(1)
"""


def copy_minimal(place: Path, *, requires: str = "", more: str = "") -> Path:
    """Copy the minimal project; let it require something, and its backend do more."""
    shutil.copytree(MINIMAL, place)
    project, backend = place / "pyproject.toml", place / "backend.py"
    text = project.read_text(encoding="utf-8").replace("requires = []", f"requires = [{requires}]")
    project.write_text(text, encoding="utf-8")
    backend.write_text(backend.read_text(encoding="utf-8") + more, encoding="utf-8")
    return place


def ask_for_wheel(source: Path, output: Path) -> BuildRequest:
    return BuildRequest(source=source, output=output, kinds=(Kind.WHEEL,))


@contextlib.contextmanager
def forge_in(
    tmp_path: Path,
    components: Components | None = None,
    **facts: Any,  # ruff: ignore[any-type]
) -> Generator[Forge]:
    """Yield a forge that has a cache of its own and no network."""
    settings = Settings(
        variables=dict(os.environ), cache_dir=tmp_path / "cache", no_index=True, **facts
    )
    with open_forge(settings, components=components) as forge:
        yield forge


def build_with(
    components: Components,
    tmp_path: Path,
    source: Path = MINIMAL,
    **facts: Any,  # ruff: ignore[any-type]
) -> Outcome:
    """Build a wheel with other components."""
    with forge_in(tmp_path, components, **facts) as forge:
        outcome = forge.build(ask_for_wheel(source, tmp_path / "out"))
    assert [artifact.path for artifact in outcome.artifacts] == list((tmp_path / "out").iterdir())
    return outcome


def test_readme__builds_one_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    built = manual.take("build_one")(copy_minimal(tmp_path / "demo"), tmp_path / "out")

    assert {path.name for path in built} == {"minimal-1.0.tar.gz", "minimal-1.0-py3-none-any.whl"}


def test_manual__builds_in_threads_and_reports_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    sources = [copy_minimal(tmp_path / name) for name in ("one", "two")]
    events: list[BuildEvent] = []

    outcomes = manual.take("build_wheels")(sources, tmp_path / "out", events.append)

    assert [outcome.error for outcome in outcomes] == [None, None]
    ended = {event.build for event in events if event.kind == "finished" and not event.phase}
    assert ended == {"one", "two"}


def test_manual__provider_gives_the_environment(tmp_path: Path) -> None:
    components = manual.take("replace_provider")(sys.executable)

    assert build_with(components, tmp_path).notes == ("for minimal",)


@pytest.mark.skipif(find_spec("pip") is None, reason="needs pip beside the tests")
def test_manual__installer_gets_the_chosen_wheels(tmp_path: Path) -> None:
    stock, home = Stock(path=tmp_path / "stock"), tmp_path / "home"
    key = stock.add()
    home.mkdir()
    source = copy_minimal(tmp_path / "src", requires="'demo'", more="\nimport demo\n")

    components = manual.take("replace_installer")(home)
    assert build_with(components, tmp_path, source, find_links=(str(stock.path),)).wheels == (key,)
    assert len(list(home.glob("*/**/demo.py"))) == 1


@needs(posix="a shell")
def test_manual__runner_runs_each_hook(tmp_path: Path) -> None:
    script = f'echo "$@" >> "{tmp_path}/log"; exec "$@"'

    build_with(manual.take("replace_runner")("sh", "-c", script, "sh"), tmp_path)

    ran = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert [line.split()[2] for line in ran] == ["get_requires_for_build_wheel", "build_wheel"]


def test_manual__staging_names_the_directory_of_a_build(tmp_path: Path) -> None:
    components = manual.take("replace_staging")(tmp_path / "home")

    build_with(components, tmp_path, policy=Policy(keep=Keep.ALWAYS))

    (stage,) = (tmp_path / "home").iterdir()
    assert stage.name.startswith("minimal-")


def test_manual__asyncio_times_out_a_build(tmp_path: Path) -> None:
    build_in_time = manual.take("build_in_time")
    slow = copy_minimal(tmp_path / "slow", more=WAITS)

    with forge_in(tmp_path) as forge:
        outcome = asyncio.run(build_in_time(forge, MINIMAL, tmp_path / "out", 60))
        with pytest.raises(TimeoutError):
            asyncio.run(build_in_time(forge, slow, tmp_path / "out", 0.5))

    assert len(outcome.artifacts) == 2


def test_manual__pypa_build_runs_in_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = Stock(path=tmp_path / "stock")
    stock.add("obedient", files={"obedient.py": BACKEND.read_bytes()})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(stock.path))
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["obedient"]\nbuild-backend = "obedient"\n', encoding="utf-8"
    )

    wheel = manual.take("build_by_hand")(tmp_path, tmp_path / "out")

    assert Path(wheel).name == "obedient-1.0-py3-none-any.whl"


def test_manual__metadata_is_read_with_the_isolation_package(tmp_path: Path) -> None:
    with forge_in(tmp_path) as forge:
        request = BuildRequest(source=MINIMAL, output=tmp_path, kinds=(Kind.SDIST,))
        (sdist,) = forge.build(request).artifacts

    assert "\nName: minimal\n" in manual.take("read_metadata")(sdist.path, tmp_path / "work")


@needs(posix="sessions")
def test_manual__pypa_build_uses_our_runner(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    environment = adopt_environment(place.path, this_python(tmp_path / "memory"))

    wheel = manual.take("build_wheel")(environment, place.project, "obedient", tmp_path / "out")

    assert wheel == str(tmp_path / "out" / "obedient-1.0-py3-none-any.whl")


@contextlib.contextmanager
def environment_with_backend(tmp_path: Path) -> Generator[Environment]:
    """Yield an environment from a cache with a wheel that is a backend."""
    stock = Stock(path=tmp_path / "stock")
    key = stock.add("obedient", files={"obedient.py": BACKEND.read_bytes()})
    with open_cache(Layout(root=tmp_path / "cache"), Reporter()) as cache:
        yield cache.environments.get_or_create(this_python(tmp_path / "memory"), [key], stock.fetch)


def run_in(
    environment: Environment,
    runner: Runner,
    cmd: Sequence[str],
    cwd: str | None = None,
    extra_environ: Mapping[str, str] | None = None,
) -> None:
    """Do for `pyproject_hooks` what `build` does by itself."""
    runner(cmd, cwd, {**environment.make_extra_environ(), **(extra_environ or {})})


@pytest.mark.skipif(not can_fork(), reason="needs a platform that can fork")
@pytest.mark.parametrize("caller", ["build", "pyproject_hooks"])
def test_pool__hooks_of_other_callers_are_forks(tmp_path: Path, caller: str) -> None:
    endings: list[HookResult] = []
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "obedient"\n', encoding="utf-8"
    )
    terms = HookOptions(base=dict(os.environ), on_ending=endings.append)
    with environment_with_backend(tmp_path) as environment, RunnerPool() as pool:
        python = environment.python_executable
        world = compose_environment(terms.base, environment.make_extra_environ())

        with pool.open(python=python, backend="obedient", environment=world, terms=terms) as run:
            if caller == "build":
                builder = ProjectBuilder.from_isolated_env(environment, project, runner=run)
                builder.build("wheel", tmp_path)
            else:
                own = partial(run_in, environment, run)
                hooks = BuildBackendHookCaller(
                    str(project), "obedient", runner=own, python_executable=python
                )
                hooks.build_wheel(str(tmp_path))

    assert (tmp_path / "obedient-1.0-py3-none-any.whl").exists()
    assert [(ending.hook, ending.reason) for ending in endings] == [("build_wheel", "")]
    assert all(ending.forked for ending in endings)


def test_components__exception_comes_out_unchanged(tmp_path: Path) -> None:
    components = manual.take("replace_runner")(sys.executable, "-c", "raise SystemExit(3)")

    with forge_in(tmp_path, components) as forge, pytest.raises(subprocess.CalledProcessError):
        forge.try_build(ask_for_wheel(MINIMAL, tmp_path / "out"))


def test_components__runner_can_tell_when_it_is_cancelled(tmp_path: Path) -> None:
    asked = threading.Event()

    @contextlib.contextmanager
    def open_runner(terms: HookOptions) -> Generator[Runner]:
        def run(cmd: Sequence[str], cwd: object = None, extra_environ: object = None) -> None:
            del cwd, extra_environ
            asked.set()
            wait_until(terms.is_cancelled)
            raise HookError("hook-cancelled", cmd[2])

        yield run

    with (
        forge_in(tmp_path, Components(make_runner=open_runner)) as forge,
        ThreadPoolExecutor(1) as threads,
    ):
        end = threads.submit(forge.try_build, ask_for_wheel(MINIMAL, tmp_path / "out"))
        assert asked.wait(timeout=60)

        forge.cancel()

        error = end.result().error
    assert error is not None
    assert error.exit_code == 130


def look_at_process() -> list[object]:
    """Return all that a host would be surprised to find changed."""
    mask = os.umask(0o077)
    os.umask(mask)
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    streams = [sys.stdin, sys.stdout, sys.stderr]
    state = [dict(os.environ), Path.cwd(), mask, handlers, list(sys.path), list(sys.path_hooks)]
    return [*state, streams, list(warnings.filters), sys.excepthook, signal.getitimer(0)]


def test_library__threads_leave_the_process_unchanged_and_print_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    sources = [
        copy_minimal(tmp_path / f"src{number}", more="\nprint('loud')\nimport warnings\n")
        for number in range(4)
    ]
    requests = [ask_for_wheel(path, tmp_path / f"out{path.name}") for path in sources]
    before = look_at_process()

    with forge_in(tmp_path) as forge, ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(forge.try_build, requests))

    assert look_at_process() == before
    assert [outcome.error for outcome in outcomes] == [None] * 4
    assert capfd.readouterr() == ("", "")
    assert recwarn.list == []


def test_forge__cancel_ends_no_other_forge(tmp_path: Path) -> None:
    sources = [copy_minimal(tmp_path / name, more=WAITS) for name in ("one", "two")]
    with forge_in(tmp_path) as other, forge_in(tmp_path) as forge, ThreadPoolExecutor(2) as threads:
        ends = [
            threads.submit(forge.try_build, ask_for_wheel(path, tmp_path / "out"))
            for path in sources
        ]
        wait_until(lambda: all((path / "waiting").exists() for path in sources))

        forge.cancel()

        codes = [end.result().error for end in ends]
        late = forge.try_build(ask_for_wheel(MINIMAL, tmp_path / "out"))
        unharmed = other.try_build(ask_for_wheel(MINIMAL, tmp_path / "out"))
    assert [error and error.code for error in (*codes, late.error)] == ["build-cancelled"] * 3
    assert unharmed.error is None
