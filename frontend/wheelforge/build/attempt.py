"""One attempt at a build: a pristine tree, an environment, the backend's hooks, checked results."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.build.builder import Backend
from wheelforge.build.prestart import Prestart
from wheelforge.build.project import read_project
from wheelforge.build.retry import write_retry_script
from wheelforge.errors import BuildError, HookFailedError, HookMissingError
from wheelforge.hooks.environ import compose_environment
from wheelforge.hooks.options import HookOptions
from wheelforge.models import Artifact, EnvironmentRequest, Keep, Kind
from wheelforge_isolation import (
    deliver_file,
    ensure_directory,
    move,
    remove_tree,
    unpack,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from collections.abc import Set as AbstractSet
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path
    from typing import BinaryIO

    from wheelforge.build.cancellation import BuildCancellation
    from wheelforge.build.context import BuildContext
    from wheelforge.build.project import Project
    from wheelforge.build.sources import FetchedSource
    from wheelforge.errors import BackendFailedError
    from wheelforge.events import EventLog
    from wheelforge.hooks.protocol import HookResult
    from wheelforge.models import (
        BuildEnvironment,
        Builder,
        BuildRequest,
        PreparedEnvironment,
        Runner,
    )
    from wheelforge_isolation import WheelKey

_EPOCH = "SOURCE_DATE_EPOCH"
_DRAFT = ".wheelforge-unpacking"


class NothingNew(Exception):  # ruff: ignore[error-suffix-on-exception-name]
    """An attempt would be made with just what has failed before."""


class SourceTree(NamedTuple):
    """A directory to build, and what is known of the sdist that it comes from."""

    root: Path
    fetched: FetchedSource
    newest: int | None = None
    """The time of its newest file, if that is known and makes sense."""
    metadata: bytes = b""
    """The metadata in the archive; a hook may write over the file."""


class BuildJob(NamedTuple):
    """The facts that all attempts at one build share."""

    context: BuildContext
    request: BuildRequest
    cancellation: BuildCancellation
    journal: EventLog
    build: Builder
    """Builds what a build needs and nobody has built."""

    @property
    def variables(self) -> Mapping[str, str]:
        """All variables of the build, of which hooks get the harmless ones."""
        own = self.request.variables
        return self.context.settings.variables if own is None else own


class BuildResult:
    """The results of an attempt so far."""

    def __init__(self) -> None:
        self.artifacts: list[Artifact] = []
        self.wheels: dict[WheelKey, None] = {}
        self.metadata = b""
        self.environments_found = 0
        self.environments_made = 0
        self.peak_bytes = 0
        self.cpu_seconds = 0.0
        self.backend: tuple[str, str] = ("", "")
        """The last one that was opened: the Python of its environment, and its name."""
        self.is_forked = False
        """Whether the last hook ran in a fork."""


class Attempt:
    """Builds ``tree`` in the private directory ``place``, with what there was at ``cutoff``."""

    def __init__(
        self,
        job: BuildJob,
        tree: SourceTree,
        place: Path,
        log: BinaryIO,
        cutoff: datetime | None = None,
    ) -> None:
        self.result = BuildResult()
        self.place = place
        self.log = log
        self.forks = True
        """Whether hooks may run in a fork."""
        self.tried: AbstractSet[WheelKey] | None = None
        """The wheels of an attempt that has failed: with the same ones it is not made again."""
        self._job = job
        self._tree = tree
        self._cutoff = cutoff
        self._request = job.request
        self._journal = job.journal
        self._policy = job.context.settings.policy

    def again(self, tree: SourceTree) -> Attempt:
        """Return the same attempt, at a fresh ``tree`` and in processes that are not forked."""
        other = Attempt(self._job, tree, self.place, self.log, self._cutoff)
        other.forks = False
        return other

    def run(self) -> None:
        """Build and deliver one kind after another."""
        source = self._tree
        for kind in self._request.kinds or self._default_kinds():
            if self._request.stops_early:
                with self._open_backend(read_project(source.root), kind, source.newest):
                    continue
            if kind is Kind.METADATA:
                self.result.metadata = self._make_metadata(source)
                continue
            delivered = self._deliver(self._make(source, kind))
            if kind is Kind.SDIST and not self._request.kinds:
                sdist = self._tree.fetched._replace(path=delivered)
                source = unpack_source(sdist, self.place, self._request, self._journal)

    def _default_kinds(self) -> tuple[Kind, ...]:
        is_archive = bool(self._tree.fetched.sha256)
        return (Kind.WHEEL,) if is_archive else (Kind.SDIST, Kind.WHEEL)

    def _make(self, source: SourceTree, kind: Kind) -> Artifact:
        """Have ``kind`` built into a directory of ours, and check it."""
        project, fetched = read_project(source.root), source.fetched
        directory = self.place / kind.value
        remove_tree(str(directory))
        ensure_directory(str(directory))
        opened = self._open_backend(project, kind, source.newest)
        with opened as backend:
            with self._journal.phase(f"build {kind.value}"):
                answer = backend.build(kind, directory)
            with self._journal.phase("check"):
                from wheelforge.build.results import check_result, read_release

                # What a project says of its version may be no more than the beginning of it.
                stated_name, stated_version = read_release(source.metadata)
                name = fetched.name or stated_name or project.name
                version = fetched.version or stated_version
                result = check_result(kind, answer, directory, name=name, version=version)
        self._journal.note(*project.notes, *result.notes)
        return result.artifact

    def _make_metadata(self, source: SourceTree) -> bytes:
        """Return the core metadata, of a wheel where the backend has no other way to say it."""
        try:
            return self._make(source, Kind.METADATA).path.read_bytes()
        except HookMissingError:
            from wheelforge.build.results import read_metadata

            return read_metadata(self._make(source, Kind.WHEEL).path)

    def _deliver(self, artifact: Artifact) -> Path:
        with self._journal.phase("deliver"):
            path = deliver_file(artifact.path, self._request.output)
        self.result.artifacts.append(replace(artifact, path=path))
        return path

    @contextlib.contextmanager
    def _open_backend(self, project: Project, kind: Kind, newest: int | None) -> Generator[Backend]:
        """Yield the backend, in an environment that has all that it says it needs for ``kind``."""
        required = frozenset(project.requires)
        with self._start(project, self._prepare(required), newest) as backend:
            with self._journal.phase("ask"):
                more = backend.ask_requirements(kind) - required
            if not more:
                yield backend
                return
        with self._start(project, self._prepare(required | more), newest) as backend:
            yield backend

    def _prepare(self, required: frozenset[str]) -> PreparedEnvironment:
        request = EnvironmentRequest(
            requirements=tuple(sorted(required)),
            label=self._request.label,
            sha256=self._tree.fetched.sha256,
            chain=self._request.chain,
            cutoff=self._cutoff,
            python=self._request.python,
            constraints=self._request.constraints,
            variables=self._job.variables,
        )
        with self._journal.phase("isolate"):
            self._job.cancellation.check(self._request.label)
            prepared = self._job.context.provider.provide(request, self._job.build)
        self.result.wheels |= dict.fromkeys(prepared.wheels)
        self.result.environments_made += prepared.is_new
        self.result.environments_found += not prepared.is_new
        self._journal.note(*prepared.notes)
        if self.result.wheels.keys() == self.tried:
            raise NothingNew
        self._journal.list_environment(prepared.wheels)
        return prepared

    @contextlib.contextmanager
    def _start(
        self, project: Project, prepared: PreparedEnvironment, newest: int | None
    ) -> Generator[Backend]:
        """Yield the backend of ``project`` where it is; a hook that fails is explained."""
        environment = prepared.environment
        world = compose_environment(self._job.variables, environment.make_extra_environ())
        terms = self._set_terms(newest)
        python = environment.python_executable
        self.result.backend = (python, project.backend)
        backend_name = project.backend if self._may_fork(project, prepared) else ""
        is_first = self.result.environments_made + self.result.environments_found == 1
        if is_first:
            self._foresee(python, backend_name, environment)
        opened = self._open_runner(python, backend_name, world, terms)
        with opened as runner, self._job.cancellation.reaching(runner):
            backend = Backend(
                project, environment, runner, self._journal.warn, self._request.config_settings
            )
            try:
                yield backend
            except BuildError as error:
                if self._policy.keep is not Keep.NEVER and backend.last_call is not None:
                    write_retry_script(self.place, backend.last_call, terms.base)
                if isinstance(error, HookFailedError):
                    raise self._diagnose(error) from error
                raise

    def _may_fork(self, project: Project, prepared: PreparedEnvironment) -> bool:
        """Return whether a server of the backend may serve this build and others."""
        # A backend of the project's own is not there yet when a server would import it.
        if not self.forks or not prepared.is_lasting or project.backend_path:
            return False
        return self._job.context.unforked.read(*self.result.backend) is None

    def _open_runner(
        self, python: str, backend: str, world: Mapping[str, str], terms: HookOptions
    ) -> AbstractContextManager[Runner]:
        if self._job.context.make_runner is not None:
            return self._job.context.make_runner(terms)
        return self._job.context.pool.open(
            python=python, backend=backend, environment=world, terms=terms
        )

    def _foresee(self, python: str, backend: str, environment: BuildEnvironment) -> None:
        """Let the next build of the same source start its first server at once, if it has one."""
        prestarter = self._job.context.prestarter
        if self._request.chain:
            return
        if not backend:
            prestarter.forget(self._request.source)
        else:
            additions = dict(environment.make_extra_environ() or {})
            guess = Prestart(python=python, backend=backend, additions=additions)
            prestarter.remember(self._request.source, guess)

    def _set_terms(self, newest: int | None) -> HookOptions:
        policy, variables = self._policy, dict(self._job.variables)
        epoch = policy.source_date_epoch or variables.get(_EPOCH) or newest
        if epoch is not None:
            variables[_EPOCH] = str(epoch)
        return HookOptions(
            base=variables,
            timeout_seconds=self._request.timeout_seconds or policy.timeout_seconds,
            log=self.log,
            on_output=self._journal.pass_on,
            on_start=_load_checks,
            on_ending=self._hear,
            is_cancelled=self._job.cancellation.is_cancelled,
        )

    def _hear(self, ending: HookResult) -> None:
        self.result.is_forked = ending.forked
        self.result.peak_bytes = max(self.result.peak_bytes, ending.peak_bytes)
        self.result.cpu_seconds += ending.cpu_seconds
        if ending.strays:
            self._journal.note(
                f"`{ending.hook}` left {ending.strays} processes behind; they were ended"
            )

    def _diagnose(self, error: HookFailedError) -> BackendFailedError:
        from wheelforge.diagnosis import Failure, diagnose

        failure = Failure(
            source=self._request.label,
            hook=error.hook,
            status=error.status,
            output=error.output,
            log=self.log.name,
        )
        return diagnose(failure)


def _load_checks(hook: str) -> None:
    # What looks at the result takes a while to import: the hook needs another core meanwhile.
    if hook.startswith("build_"):
        import_module("wheelforge.build.results")


def unpack_source(
    sdist: FetchedSource, place: Path, request: BuildRequest, journal: EventLog
) -> SourceTree:
    """Return what is in ``sdist``, unpacked where the request wants it, or else in ``place``."""
    draft = place / "src" if request.tree is None else request.tree / _DRAFT
    with journal.phase("unpack"):
        remove_tree(str(draft))
        unpacked = unpack(sdist.path, draft, links=request.links)
        root = unpacked.root if request.tree is None else _move_up(unpacked.root)
    journal.note(*(str(note) for note in unpacked.notes if note.is_warning))
    return SourceTree(root, sdist, unpacked.newest, _read_metadata(root))


def _read_metadata(root: Path) -> bytes:
    try:
        return (root / "PKG-INFO").read_bytes()
    except OSError:
        return b""


def _move_up(tree: Path) -> Path:
    """Move ``tree`` out of its directory, in the place of an older one of its name."""
    root = tree.parent.parent / tree.name
    remove_tree(str(root))
    move(str(tree), str(root))
    remove_tree(str(tree.parent))
    return root
