"""An embedder in miniature: every public name as its types promise it, held by type checkers."""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, assert_type

from wheelforge import (
    Artifact,
    BuildEvent,
    BuildRequest,
    Era,
    Forge,
    ForgeError,
    Keep,
    Kind,
    Need,
    Outcome,
    Parts,
    Policy,
    Provider,
    Provision,
    Reporter,
    Runner,
    RunnerPool,
    Settings,
    Terms,
    compose_environment,
    open_forge,
)
from wheelforge_isolation import Environment, Links, adopt_environment, open_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from wheelforge_isolation import Interpreter, WheelKey


@dataclass(frozen=True)
class OurEnvironment:
    """Whatever has these two members is an environment."""

    python_executable: str

    def make_extra_environ(self) -> Mapping[str, str] | None:
        return {"PATH": str(Path(self.python_executable).parent)}


class OurProvider:
    """Builds what is there as an sdist only; has one environment for everything."""

    def __init__(self, python: str, sdists: Mapping[str, Path], wheels: Path) -> None:
        self._python = python
        self._sdists = sdists
        self._wheels = wheels

    def provide(self, need: Need, build: Callable[[BuildRequest], Outcome]) -> Provision:
        known = [self._sdists[text] for text in need.requirements if text in self._sdists]
        for sdist in known:
            build(BuildRequest(source=sdist, output=self._wheels, chain=(*need.chain, sdist.name)))
        environment = OurEnvironment(self._python)
        return Provision(environment=environment, wheels=(), notes=(need.label,), is_new=False)


def install(python: Interpreter, wheels: Sequence[tuple[WheelKey, Path]]) -> Environment:
    """Make an environment of wheels that were chosen and checked."""
    names = [f"{key.file_name} sha256:{key.sha256} {path}" for key, path in wheels]
    return adopt_environment(Path(*names), python)


@contextlib.contextmanager
def open_runner(terms: Terms) -> Generator[Runner]:
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


def collect_parts(home: Path, provider: Provider) -> tuple[Parts, Parts]:
    """Take the place of all that can be replaced."""
    staging = partial(open_stage, home)
    return (
        Parts(provider=provider, make_runner=open_runner, staging=staging),
        Parts(install=install),
    )


def set_up(variables: Mapping[str, str], cache: Path) -> Settings:
    """Say where things come from and under which rules."""
    policy = Policy(keep=Keep.FAILED, era=Era.FALLBACK, timeout_seconds=600)
    return Settings(variables=variables, python="3.12", cache_dir=cache, policy=policy)


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


def embed(settings: Settings, parts: Parts, sources: Sequence[Path], output: Path) -> None:
    """Do all of it."""
    reporter: Reporter = tell
    with open_forge(settings, reporter=reporter, parts=parts) as forge:
        assert_type(forge, Forge)
        build_all(forge, sources, output)


def run_hook(python: str, backend: str, variables: Mapping[str, str], words: list[str]) -> None:
    """Run a hook that somebody else calls."""
    terms = Terms(base=variables, timeout_seconds=60, on_output=print)
    world = compose_environment(variables, OurEnvironment(python).make_extra_environ())
    with (
        RunnerPool() as pool,
        pool.open(python=python, backend=backend, environment=world, terms=terms) as opened,
    ):
        runner: Runner = opened
        runner(words, None, world)
