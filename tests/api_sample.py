"""An embedder in miniature: every public name as its types promise it, held by type checkers."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, assert_type

from build import ProjectBuilder

from wheelforge import (
    Artifact,
    BuildEnvironment,
    BuildEvent,
    BuildRequest,
    Components,
    EnvironmentProvider,
    EnvironmentRequest,
    Era,
    Forge,
    ForgeError,
    HookOptions,
    Keep,
    Kind,
    Outcome,
    Policy,
    PreparedEnvironment,
    Provenance,
    RemoteSettings,
    Reporter,
    Reuse,
    Runner,
    RunnerPool,
    RunningBuild,
    SandboxSettings,
    Sbom,
    Settings,
    Signer,
    compose_environment,
    open_forge,
    read_signer,
)
from wheelforge_isolation import Environment, Links, adopt_environment, open_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from wheelforge_isolation import Interpreter, WheelKey


@dataclass(frozen=True)
class OurEnvironment:
    """A user's own environment: any class with these two members is one."""

    python_executable: str

    def make_extra_environ(self) -> Mapping[str, str] | None:
        return {"PATH": str(Path(self.python_executable).parent)}


class OurProvider:
    """Builds what is there as an sdist only; has one environment for everything."""

    def __init__(self, python: str, sdists: Mapping[str, Path], wheels: Path) -> None:
        self._python = python
        self._sdists = sdists
        self._wheels = wheels

    def prepare(
        self, request: EnvironmentRequest, build: Callable[[BuildRequest], Outcome]
    ) -> PreparedEnvironment:
        known = [self._sdists[text] for text in request.requirements if text in self._sdists]
        for sdist in known:
            build(
                BuildRequest(source=sdist, output=self._wheels, chain=(*request.chain, sdist.name))
            )
        environment = OurEnvironment(self._python)
        return PreparedEnvironment(
            environment=environment, wheels=(), notes=(request.label,), is_new=False
        )


def install(python: Interpreter, wheels: Sequence[tuple[WheelKey, Path]]) -> Environment:
    """Make an environment of wheels that were chosen and checked."""
    names = [f"{key.file_name} sha256:{key.sha256} {path}" for key, path in wheels]
    return adopt_environment(Path(*names), python)


@contextlib.contextmanager
def open_runner(terms: HookOptions) -> Generator[Runner]:
    """Run hooks without more ado."""

    def run(
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        world = assert_type(compose_environment(terms.base, extra_environ), dict[str, str])
        subprocess.run(cmd, cwd=cwd, env=world, timeout=terms.timeout_seconds, check=True)

    yield run


def tell(event: BuildEvent) -> None:
    """Hear of events."""
    assert_type(event.seconds, float)
    assert_type((event.build, event.phase, event.text), tuple[str, str, str])


def collect_components(home: Path, provider: EnvironmentProvider) -> tuple[Components, Components]:
    """Take the place of all that can be replaced."""
    staging = partial(open_stage, home)
    return (
        Components(provider=provider, make_runner=open_runner, staging=staging),
        Components(install=install),
    )


def set_up(variables: Mapping[str, str], cache: Path) -> Settings:
    """Say where things come from and under which rules."""
    policy = Policy(keep=Keep.FAILED, era=Era.FALLBACK, reuse=Reuse.SDISTS, timeout_seconds=600)
    sandbox = SandboxSettings(wanted="auto", required="files", most_memory=4 << 30)
    remote = RemoteSettings(urls=("https://cache.example.org",), trusted=(cache / "team.pub",))
    return Settings(
        variables=variables,
        python="3.12",
        cache_dir=cache,
        policy=policy,
        sandbox=sandbox,
        remote=remote,
    )


def sign_with(key: Path) -> Provenance:
    """Say which files come beside artifacts."""
    signer: Signer = read_signer(key)
    return Provenance(statements=True, sbom=Sbom.SIDECAR, signer=signer)


def build_all(forge: Forge, sources: Sequence[Path | str], output: Path) -> dict[str, str]:
    """Return the hash of each artifact, or why there is none."""
    results: dict[str, str] = {}
    for source in sources:
        request = BuildRequest(
            source=source,
            output=output,
            kinds=(Kind.SDIST, Kind.WHEEL),
            config_settings={"--global-option": ["--quiet"]},
            links=Links.COPY,
        )
        outcome = forge.try_build(request)
        assert_type(outcome.error, ForgeError | None)
        assert_type(outcome.artifacts, tuple[Artifact, ...])
        if outcome.error is not None:
            results[request.label] = f"{outcome.error.code}: {outcome.error.hint}"
        results |= {artifact.path.name: artifact.sha256 for artifact in outcome.artifacts}
    return results


def build_one(forge: Forge, request: BuildRequest) -> Path:
    """Return the first artifact; cancel everything if there is none."""
    try:
        return forge.build(request).artifacts[0].path
    except ForgeError as error:
        assert_type(error.exit_code, int)
        forge.cancel()
        raise


async def build_in_time(forge: Forge, request: BuildRequest) -> Outcome | None:
    """Return the outcome, or nothing if that takes too long."""
    build = assert_type(forge.start(request), RunningBuild)
    try:
        return await asyncio.wait_for(asyncio.wrap_future(build), 60)
    except TimeoutError:
        assert_type(build.cancel(), bool)
        return assert_type(build.result(), Outcome)


def prepare(forge: Forge, project: Path) -> ProjectBuilder:
    """Return a builder of pypa/build, in an environment of ours."""
    environment: BuildEnvironment = forge.prepare_environment(["hatchling"], python="3.12")
    return ProjectBuilder.from_isolated_env(environment, project)


def embed(
    settings: Settings, components: Components, sources: Sequence[Path], output: Path
) -> None:
    """Do all of it."""
    reporter: Reporter = tell
    with open_forge(settings, reporter=reporter, components=components) as forge:
        assert_type(forge, Forge)
        build_all(forge, sources, output)


def run_hook(python: str, backend: str, variables: Mapping[str, str], words: list[str]) -> None:
    """Run a hook that somebody else calls."""
    terms = HookOptions(base=variables, timeout_seconds=60, on_output=print)
    world = compose_environment(variables, OurEnvironment(python).make_extra_environ())
    with (
        RunnerPool() as pool,
        pool.open(python=python, backend=backend, environment=world, terms=terms) as opened,
    ):
        runner: Runner = opened
        runner(words, None, world)
