"""One attempt at a build: a pristine tree, an environment, the backend's hooks, checked results."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from wheelforge.build.backend import Backend
from wheelforge.build.environment_request import make_environment_request
from wheelforge.build.hook_terms import HookTerms
from wheelforge.build.prestart import Prestarter
from wheelforge.build.project import check_python, read_project, unpack_source
from wheelforge.build.result import BuildResult
from wheelforge.build.retry import NothingNew
from wheelforge.errors import (
    BuildCancelledError,
    BuildError,
    HookError,
    HookFailedError,
    HookMissingError,
)
from wheelforge.hooks.environ import compose_environment
from wheelforge.models import Artifact, Keep, Kind
from wheelforge_isolation import (
    Environment,
    deliver_file,
    ensure_directory,
    remove_tree,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from collections.abc import Set as AbstractSet
    from datetime import datetime
    from pathlib import Path
    from typing import BinaryIO

    from wheelforge.build.attest import BuildRecord
    from wheelforge.build.compiler_cache import CompilerCache
    from wheelforge.build.project import Project, SourceTree
    from wheelforge.build.session import BuildSession
    from wheelforge.errors import BackendFailedError
    from wheelforge.hooks.runner import HookResult
    from wheelforge.models import BuildEnvironment, EnvironmentRequest, PreparedEnvironment
    from wheelforge_isolation import WheelKey

_EPOCH = "SOURCE_DATE_EPOCH"


class Attempt:
    """Builds ``tree`` in the private directory ``place``, with what there was at ``cutoff``."""

    def __init__(
        self,
        session: BuildSession,
        tree: SourceTree,
        place: Path,
        log: BinaryIO,
        cutoff: datetime | None = None,
    ) -> None:
        self.result = BuildResult()
        self.place = place
        self.log = log
        self.cutoff = cutoff
        self.reason = ""
        """Why it is made, if it is not the first one."""
        self.forks = True
        """Whether hooks may run in a fork."""
        self.tried: AbstractSet[WheelKey] | None = None
        """The wheels of an attempt that has failed: with the same ones it is not made again."""
        self.compiler_cache: CompilerCache | None = None
        if session.context.compiler_cache:
            from wheelforge.build.compiler_cache import CompilerCache

            self.compiler_cache = CompilerCache(session.context.compiler_cache, place)
        self._terms = HookTerms(session, place, self._add_ending)
        self.result.sandbox = self._terms.describe_sandbox()
        self._session = session
        self._started = time.time()
        self._first_environment = 0
        """Where those of the last artifact begin in the list of environments."""
        self.tree = tree
        self._request = session.request
        self._events = session.events
        self._epoch: str | None = None

    def run(self) -> None:
        """Build and deliver one kind after another."""
        if self._terms.sandbox is not None:
            self.log.write(f"-- sandbox: {self._terms.sandbox} --\n".encode())
        source, request = self.tree, self._request
        self._epoch = self._terms.read_epoch()
        for kind in self.list_kinds():
            if request.stops_early:
                with self._open_backend(self.read_project(source), kind, source.newest):
                    continue
            if kind is Kind.METADATA:
                self.result.metadata = self._make_metadata(source)
                continue
            artifact = self._make(source, kind)
            with self._events.phase("deliver"):
                path = self._deliver(artifact, source)
            if kind is Kind.SDIST and not request.kinds:
                sdist = source.fetched._replace(path=path)
                source = unpack_source(sdist, self.place, request, self._events)

    def _deliver(self, artifact: Artifact, source: SourceTree) -> Path:
        """Put an artifact into the output directory, with the files that come beside it."""
        result, attestor = self.result, self._session.context.attestor
        beside: dict[str, bytes] = {}
        if attestor is not None and artifact.kind is not Kind.EDITABLE:
            written = attestor.accompany(artifact, self._record(source))
            artifact, beside = replace(artifact, statement=written.sha256), written.beside
            result.companions[artifact.path.name] = written.kept
        path = deliver_file(artifact.path, self._request.output, beside)
        result.artifacts.append(replace(artifact, path=path))
        return path

    def _record(self, source: SourceTree) -> BuildRecord:
        from wheelforge.build.attest import BuildRecord

        session, result = self._session, self.result
        return BuildRecord(
            id=session.id,
            started=self._started,
            request=replace(self._request, variables=session.variables),
            fetched=source.fetched,
            override=session.override,
            environments=result.environments[self._first_environment :],
            epoch=str(self._epoch or source.newest or ""),
            backend=result.backend[1],
            sandbox=result.sandbox or None,
            wheel=session.wheel,
            surroundings=self._terms.surroundings,
            log=self.log,
        )

    def _make(self, source: SourceTree, kind: Kind) -> Artifact:
        project, fetched = self.read_project(source), source.fetched
        self._events.note(*project.notes)  # first: they may explain why it fails
        directory = self.place / kind.value
        remove_tree(str(directory))
        ensure_directory(str(directory))
        with self._open_backend(project, kind, source.newest) as backend:
            with self._events.phase(f"build {kind.value}"):
                answer = backend.build(kind, directory)
            with self._events.phase("check"):
                from wheelforge.build.results import change_result, check_result, read_release

                # The version in pyproject.toml may be no more than the beginning of it.
                stated_name, stated_version = read_release(source.metadata)
                name = fetched.name or stated_name or project.name
                version = fetched.version or stated_version
                result = check_result(kind, answer, directory, name=name, version=version)
                session = self._session
                if change_result(result.artifact, session.override, session.context.attestor):
                    result = check_result(kind, answer, directory, name=name, version=version)
        self.result.checked = [*project.notes, *result.notes]
        self.result.requires = result.requires
        self._events.note(*self.result.checked)
        return result.artifact

    def _make_metadata(self, source: SourceTree) -> bytes:
        """Return the core metadata, of a wheel where the backend has no other way to say it."""
        try:
            return self._make(source, Kind.METADATA).path.read_bytes()
        except HookMissingError:
            from wheelforge.build.results import read_metadata

            return read_metadata(self._make(source, Kind.WHEEL).path)

    def read_project(self, tree: SourceTree) -> Project:
        """Return what ``tree`` says."""
        is_here = not (tree.fetched.sha256 or tree.fetched.commit) or self._request.tree is not None
        return read_project(tree.root, "" if is_here else self._request.label)

    def list_kinds(self) -> tuple[Kind, ...]:
        """Return what is made of the source, in this order."""
        fetched = self.tree.fetched
        is_fetched = bool(fetched.sha256 or fetched.commit)
        usual = (Kind.WHEEL,) if is_fetched else (Kind.SDIST, Kind.WHEEL)
        return self._request.kinds or usual

    def list_required(self, project: Project) -> frozenset[str]:
        """Return what a project requires before any hook was asked, as overrides have it.

        A Python that the project does not admit is refused.
        """
        python = self._session.context.targets.find(self._request.python).python
        check_python(project, self.tree.metadata, self._request.label, python.version)
        override, stated = self._session.override, frozenset(project.requires)
        if override is None:
            return stated
        if self._session.context.settings.lock is None:
            override.check_matched(self._request.set_versions)
        return override.change(stated, "build-requires")

    def request_environment(self, required: frozenset[str]) -> EnvironmentRequest:
        """Return the request for an environment that has what is required."""
        session, fetched = self._session, self.tree.fetched
        request = replace(self._request, variables=session.variables, cutoff=self.cutoff)
        found = make_environment_request(request, required, session.override, fetched.sha256)
        return replace(found, commit=fetched.commit)

    @contextlib.contextmanager
    def _open_backend(self, project: Project, kind: Kind, newest: int | None) -> Generator[Backend]:
        """Yield the backend, in an environment that has all that it says it needs for ``kind``."""
        self._first_environment = len(self.result.environments)
        override, stated = self._session.override, frozenset(project.requires)
        required = self.list_required(project)
        prepared = self._prepare(required)
        with self._start(project, prepared, newest) as backend:
            with self._events.phase("ask"):
                more = asked = backend.ask_requirements(kind) - required
            if override is not None:
                more = override.change(asked, "build-requires", adds=False) - required
            if not more:
                self._check_used(kind, stated | asked, prepared)
                yield backend
                return
        prepared = self._prepare(required | more)
        self._check_used(kind, stated | asked, prepared)
        with self._start(project, prepared, newest) as backend:
            yield backend

    def _check_used(
        self, kind: Kind, required: frozenset[str], prepared: PreparedEnvironment
    ) -> None:
        """Refuse overrides of build requirements that nothing asks for."""
        override = self._session.override
        if override is None or kind is Kind.SDIST:
            return
        if override.texts("build-requires", "remove"):
            required |= frozenset(_list_required(prepared.environment))
        made_of = {wheel.name for wheel in self.result.wheels}
        override.check_used(required, made_of, "build-requires")

    def _prepare(self, required: frozenset[str]) -> PreparedEnvironment:
        session, result = self._session, self.result
        request = self.request_environment(required)
        with self._events.phase("isolate"):
            if session.cancellation.is_cancelled():
                raise BuildCancelledError(self._request.label)
            prepared = session.context.provider.prepare(request, session.build_requirement)
        result.wheels |= dict.fromkeys(prepared.wheels)
        result.environments.append((request.requirements, prepared.wheels))
        result.environments_made += prepared.is_new
        result.environments_found += not prepared.is_new
        self._events.note(*prepared.notes)
        if result.wheels.keys() == self.tried:
            raise NothingNew
        self._events.list_environment(prepared.wheels)
        return prepared

    @contextlib.contextmanager
    def _start(
        self, project: Project, prepared: PreparedEnvironment, newest: int | None
    ) -> Generator[Backend]:
        """Yield the backend of ``project`` where it is; a hook that fails is explained."""
        session, environment = self._session, prepared.environment
        python, variables = environment.python_executable, self._terms.variables
        complete = compose_environment(variables, environment.make_extra_environ())
        options = self._terms.make_options(self.log, self._epoch or newest, project.root)
        options = self._terms.confine(options, project.root, python, complete)
        name = self._name_forked(project, prepared)
        make_runner = session.context.components.make_runner
        if make_runner is not None:
            opened = make_runner(options)
        else:
            opened = session.context.pool.open(
                python=python, backend=name, environment=complete, terms=options
            )
        if self.compiler_cache is not None:
            environment = self.compiler_cache.cover(environment, variables, project.root)
        with opened as runner, session.cancelling(runner):
            settings = dict(self._request.config_settings)
            if session.override is not None:
                settings |= session.override.table("config-settings")
            backend = Backend(project, environment, runner, self._warn, settings)
            try:
                yield backend
            except BuildError as error:
                if session.context.settings.policy.keep is not Keep.NEVER:
                    backend.write_retry_script(self.place, options)
                if isinstance(error, HookFailedError):
                    raise self._diagnose(error) from error
                if isinstance(error, HookError) and error.code == "hook-timed-out":
                    place = (self._request.label, self.log.name)
                    raise HookError(*error.args[:-2], *place) from error
                raise

    def _warn(self, text: str) -> None:
        """Tell of a warning of the backend, which is in the log whether or not it is shown."""
        self.log.write(f"warning: {text}\n".encode(errors="replace"))
        self._events.warn(text)

    def _name_forked(self, project: Project, prepared: PreparedEnvironment) -> str:
        """Return the backend if hooks may be forks of a server that serves other builds too."""
        context, environment, result = self._session.context, prepared.environment, self.result
        result.backend = (environment.python_executable, project.backend)
        # A backend of the project's own is not there yet when a server would import it.
        may_fork = self.forks and prepared.is_lasting and not project.backend_path
        is_forked = may_fork and context.unforked.read(*result.backend) is None
        is_first = result.environments_made + result.environments_found == 1
        if is_first and not self._request.chain:
            additions = dict(environment.make_extra_environ() or {})
            prestarter = Prestarter(context.layout.root, context.settings.python)
            prestarter.store(
                self._request.source,
                environment.python_executable,
                project.backend if is_forked else "",
                additions,
            )
        return project.backend if is_forked else ""

    def _add_ending(self, ending: HookResult) -> None:
        self.result.is_forked = ending.forked
        self.result.peak_bytes = max(self.result.peak_bytes, ending.peak_bytes)
        self.result.cpu_seconds += ending.cpu_seconds
        if ending.orphans:
            self._events.note(
                f"`{ending.hook}` left {ending.orphans} processes behind; they were ended"
            )

    def count_compilations(self) -> tuple[int, int]:
        """Return how many compilations were in the compiler cache, and how many were not."""
        cache = self.compiler_cache
        hits, misses = (0, 0) if cache is None else cache.count()
        if cache is not None and hits + misses:
            text = f"{hits} of {hits + misses} compilations were in the cache of {cache.name}"
            self.log.write(f"\n-- {text} --\n".encode())
            self._events.note(text)
        return hits, misses

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


def _list_required(environment: BuildEnvironment) -> Iterator[str]:
    """Yield what the distributions in an environment require, if it was made for the build."""
    if isinstance(environment, Environment):
        from importlib.metadata import distributions

        place = environment.path / environment.interpreter.scheme.purelib
        for distribution in distributions(path=[str(place)]):
            yield from distribution.requires or ()
