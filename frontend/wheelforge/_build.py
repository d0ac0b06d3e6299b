"""The story of one build: stage, unpack, isolate, ask the backend, deliver."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelforge._models import Artifact, BuildRequest, Kind
from wheelforge.errors import BackendFailedError, ProjectInvalidError
from wheelforge_isolation import deliver_file, ensure_directory, open_stage, stage_name, unpack

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from wheelforge._hooks import HookRunner
    from wheelforge._index import Candidate
    from wheelforge._provision import Provisioner
    from wheelforge_isolation import Environment

_SDIST_SUFFIX = re.compile(r"\.(tar\.gz|zip)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    """Builds whatever is asked for, and whatever that needs to be built before."""

    provisioner: Provisioner
    runner: HookRunner

    def build(self, request: BuildRequest) -> Iterator[Artifact]:
        """Build what ``request`` asks for; deliver each artifact whole as soon as it is there."""
        source = request.source
        name = stage_name(_SDIST_SUFFIX.sub("", source.name), str(source))
        with open_stage(self.provisioner.cache.layout.stages, name) as stage:
            if not source.is_dir():
                source = unpack(source, stage.path / "src", links=request.links).root
            for kind in request.kinds or _default_kinds(request.source):
                built = self._ask_backend(source, kind, stage.path / kind.value, request.chain)
                if kind is Kind.SDIST and not request.kinds:
                    source = unpack(built, stage.path / "src", links=request.links).root
                yield Artifact(kind=kind, path=deliver_file(built, request.output))

    def _build_requirement(self, candidate: Candidate, chain: tuple[str, ...]) -> Path:
        """Build the wheel of an sdist that a build needs."""
        workspace = self.provisioner.workspace / candidate.file_name
        sdist = workspace / "sdist" / candidate.file_name
        ensure_directory(str(sdist.parent))
        self.provisioner.index.fetch(candidate, str(sdist))
        request = BuildRequest(source=sdist, output=workspace, kinds=(Kind.WHEEL,), chain=chain)
        return next(artifact.path for artifact in self.build(request))

    def _ask_backend(self, source: Path, kind: Kind, output: Path, chain: tuple[str, ...]) -> Path:
        """Let the project's backend build ``kind`` into ``output``, in an isolated environment."""
        from build import ProjectBuilder

        with _translated(source), contextlib.ExitStack() as in_use:
            required = frozenset[str]()
            asked = ProjectBuilder(source).build_system_requires
            while True:
                required |= asked
                environment = self._provide(required, source.name, chain)
                in_use.callback(environment.give_back)
                project = ProjectBuilder.from_isolated_env(environment, source, self.runner)
                asked = project.get_requires_for_build(kind.value)
                if asked <= required:
                    return output / project.build(kind.value, output)

    def _provide(
        self, required: frozenset[str], subject: str, chain: tuple[str, ...]
    ) -> Environment:
        requirements = tuple(sorted(required))
        return self.provisioner.provide(requirements, subject, chain, self._build_requirement)


def _default_kinds(source: Path) -> tuple[Kind, ...]:
    return (Kind.SDIST, Kind.WHEEL) if source.is_dir() else (Kind.WHEEL,)


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
        text = output.decode("utf-8", "replace")
        raise BackendFailedError(str(source), str(error), text) from error
