"""The story of one build: stage, unpack, isolate, ask the backend, deliver."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from wheelforge._models import Artifact, BuildRequest, Kind
from wheelforge.errors import BackendFailedError, ProjectInvalidError
from wheelforge_isolation import deliver_file, open_stage, stage_name, unpack

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path


def build(request: BuildRequest) -> Iterator[Artifact]:
    """Build what ``request`` asks for, and deliver each artifact whole as soon as it is there."""
    request.layout.prepare()
    source = request.source
    name = stage_name(source.name, str(source))
    with open_stage(request.layout.stages, name) as stage:
        if not source.is_dir():
            source = unpack(source, stage.path / "src", links=request.links).root
        for kind in request.kinds or _default_kinds(request.source):
            built = _ask_backend(source, kind, stage.path / kind.value)
            if kind is Kind.SDIST and not request.kinds:
                source = unpack(built, stage.path / "src", links=request.links).root
            yield Artifact(kind=kind, path=deliver_file(built, request.output))


def _default_kinds(source: Path) -> tuple[Kind, ...]:
    return (Kind.SDIST, Kind.WHEEL) if source.is_dir() else (Kind.WHEEL,)


def _ask_backend(source: Path, kind: Kind, output: Path) -> Path:
    """Let the project's backend build ``kind`` into ``output``, in an environment of its own."""
    from build import ProjectBuilder
    from build.env import DefaultIsolatedEnv
    from pyproject_hooks import quiet_subprocess_runner

    with _translated(source), DefaultIsolatedEnv() as environment:
        builder = ProjectBuilder.from_isolated_env(environment, source, quiet_subprocess_runner)
        environment.install(builder.build_system_requires)
        environment.install(builder.get_requires_for_build(kind.value))
        return output / builder.build(kind.value, output)


@contextlib.contextmanager
def _translated(source: Path) -> Generator[None]:
    from subprocess import CalledProcessError

    from build import BuildBackendException, BuildException

    try:
        yield
    except BuildException as error:
        raise ProjectInvalidError(str(source), str(error)) from error
    except (BuildBackendException, CalledProcessError) as error:
        cause = error.exception if isinstance(error, BuildBackendException) else error
        output: bytes = getattr(cause, "output", None) or b""
        raise BackendFailedError(
            str(source), str(error), output.decode(errors="replace")
        ) from error
