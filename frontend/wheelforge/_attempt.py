"""One attempt at a build: a pristine tree, an environment, the backend's hooks, checked results."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from wheelforge._foresight import Guess
from wheelforge._hooks import Backend
from wheelforge._models import Artifact, Keep, Kind, Need
from wheelforge._project import read_project
from wheelforge._results import check_result, read_metadata, read_release
from wheelforge._retry import write_retry_script
from wheelforge._runners import Terms, compose_environment
from wheelforge.errors import BuildError, Failure, HookFailedError, HookMissingError
from wheelforge_isolation import (
    deliver_file,
    ensure_directory,
    move,
    remove_tree,
    unpack,
)
from wheelforge_isolation.values import State, Value, field, replace

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from collections.abc import Set as AbstractSet
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path
    from typing import BinaryIO

    from wheelforge._events import Journal
    from wheelforge._means import Means
    from wheelforge._models import BuildEnvironment, Builder, BuildRequest, Provision, Runner
    from wheelforge._project import Project
    from wheelforge._runners import Ending
    from wheelforge._sources import FetchedSource
    from wheelforge.errors import BackendFailedError
    from wheelforge_isolation import WheelKey

_EPOCH = "SOURCE_DATE_EPOCH"
_DRAFT = ".wheelforge-unpacking"


class NothingNew(Exception):  # ruff: ignore[error-suffix-on-exception-name]
    """An attempt would be made with just what has failed before."""


class Tree(Value):
    """What is built."""

    root: Path
    newest: int | None = None
    """The time of its newest file, if that is known and makes sense."""
    metadata: bytes = b""
    """What the archive says of itself; a hook may write over the file."""


class Ledger(State):
    """What a build has come to so far."""

    artifacts: list[Artifact] = field(default_factory=list[Artifact])
    wheels: dict[WheelKey, None] = field(default_factory=dict["WheelKey", None])
    metadata: bytes = b""
    environments_found: int = 0
    environments_made: int = 0
    peak_bytes: int = 0
    cpu_seconds: float = 0.0
    backend: tuple[str, str] = ("", "")
    """The last one that was opened: the Python of its environment, and its name."""
    is_forked: bool = False
    """Whether its last hook was."""


class Attempt(Value):
    """Makes what ``request`` asks for, with what there was at ``cutoff``."""

    means: Means
    build: Builder
    """Makes what a build needs and nobody has built."""
    request: BuildRequest
    journal: Journal
    ledger: Ledger
    source: Tree
    fetched: FetchedSource
    place: Path
    """Private."""
    log: BinaryIO
    cutoff: datetime | None = None
    tried: AbstractSet[WheelKey] | None = None
    """What it has failed with before."""
    forks: bool = True
    """Whether hooks may be forked."""

    def run(self) -> None:
        """Build and deliver one kind after another."""
        source = self.source
        for kind in self.request.kinds or self._default_kinds():
            if self.request.stops_early:
                with self._open_backend(read_project(source.root), kind, source.newest):
                    continue
            if kind is Kind.METADATA:
                self.ledger.metadata = self._make_metadata(source)
                continue
            delivered = self._deliver(self._make(source, kind))
            if kind is Kind.SDIST and not self.request.kinds:
                source = unpack_source(delivered, self.place, self.request, self.journal)

    def _default_kinds(self) -> tuple[Kind, ...]:
        is_archive = bool(self.fetched.sha256)
        return (Kind.WHEEL,) if is_archive else (Kind.SDIST, Kind.WHEEL)

    def _make(self, source: Tree, kind: Kind) -> Artifact:
        """Have ``kind`` built into a directory of ours, and check it."""
        project, fetched = read_project(source.root), self.fetched
        directory = self.place / kind.value
        remove_tree(str(directory))
        ensure_directory(str(directory))
        opened = self._open_backend(project, kind, source.newest)
        with opened as backend:
            # There is nothing to do but to wait for the hook, on a core of its own.
            threading.Thread(target=_load_readers, daemon=True).start()
            with self.journal.phase(f"build {kind.value}"):
                answer = backend.build(kind, directory)
            with self.journal.phase("check"):
                # What a project says of its version may be no more than the beginning of it.
                stated_name, stated_version = read_release(source.metadata)
                name = fetched.name or stated_name or project.name
                version = fetched.version or stated_version
                result = check_result(kind, answer, directory, name=name, version=version)
        self.journal.note(*project.notes, *result.notes)
        return result.artifact

    def _make_metadata(self, source: Tree) -> bytes:
        """Return the core metadata, of a wheel where the backend has no other way to say it."""
        try:
            return self._make(source, Kind.METADATA).path.read_bytes()
        except HookMissingError:
            return read_metadata(self._make(source, Kind.WHEEL).path)

    def _deliver(self, artifact: Artifact) -> Path:
        with self.journal.phase("deliver"):
            path = deliver_file(artifact.path, self.request.output)
        self.ledger.artifacts.append(replace(artifact, path=path))
        return path

    @contextlib.contextmanager
    def _open_backend(self, project: Project, kind: Kind, newest: int | None) -> Generator[Backend]:
        """Yield the backend, in an environment that has all that it says it needs for ``kind``."""
        required = frozenset(project.requires)
        with self._start(project, self._provide(required), newest) as backend:
            with self.journal.phase("ask"):
                more = backend.ask_requirements(kind) - required
            if not more:
                yield backend
                return
        with self._start(project, self._provide(required | more), newest) as backend:
            yield backend

    def _provide(self, required: frozenset[str]) -> Provision:
        need = Need(
            requirements=tuple(sorted(required)),
            label=self.request.label,
            sha256=self.fetched.sha256,
            chain=self.request.chain,
            cutoff=self.cutoff,
        )
        with self.journal.phase("isolate"):
            provision = self.means.provider.provide(need, self.build)
        self.ledger.wheels |= dict.fromkeys(provision.wheels)
        self.ledger.environments_made += provision.is_new
        self.ledger.environments_found += not provision.is_new
        self.journal.note(*provision.notes)
        if self.ledger.wheels.keys() == self.tried:
            raise NothingNew
        self.journal.list_environment(provision.wheels)
        return provision

    @contextlib.contextmanager
    def _start(
        self, project: Project, provision: Provision, newest: int | None
    ) -> Generator[Backend]:
        """Yield the backend of ``project`` where it is; a hook that fails is explained."""
        environment = provision.environment
        world = compose_environment(self.means.variables, environment.make_extra_environ())
        terms = self._set_terms(newest)
        python = environment.python_executable
        self.ledger.backend = (python, project.backend)
        backend_name = project.backend if self._may_fork(project, provision) else ""
        is_first = self.ledger.environments_made + self.ledger.environments_found == 1
        if is_first:
            self._foresee(python, backend_name, environment)
        with self._open_runner(python, backend_name, world, terms) as runner:
            backend = Backend(
                project, environment, runner, self.journal.warn, self.request.config_settings
            )
            try:
                yield backend
            except BuildError as error:
                if self.means.policy.keep is not Keep.NEVER and backend.last_call is not None:
                    write_retry_script(self.place, backend.last_call, terms.base)
                if isinstance(error, HookFailedError):
                    raise self._diagnose(error) from error
                raise

    def _may_fork(self, project: Project, provision: Provision) -> bool:
        """Return whether a server of the backend may serve this build and others."""
        # A backend of the project's own is not there yet when a server would import it.
        if not self.forks or not provision.is_lasting or project.backend_path:
            return False
        unforked = self.means.unforked
        return unforked is None or unforked.read(*self.ledger.backend) is None

    def _open_runner(
        self, python: str, backend: str, world: Mapping[str, str], terms: Terms
    ) -> AbstractContextManager[Runner]:
        if self.means.make_runner is not None:
            return self.means.make_runner(terms)
        return self.means.pool.open(python=python, backend=backend, environment=world, terms=terms)

    def _foresee(self, python: str, backend: str, environment: BuildEnvironment) -> None:
        """Let the next build of the same source start its first server at once, if it has one."""
        if self.means.foresight is None or self.request.chain:
            return
        if not backend:
            self.means.foresight.forget(self.request.source)
        else:
            additions = dict(environment.make_extra_environ() or {})
            guess = Guess(python=python, backend=backend, additions=additions)
            self.means.foresight.remember(self.request.source, guess)

    def _set_terms(self, newest: int | None) -> Terms:
        policy, variables = self.means.policy, dict(self.means.variables)
        epoch = policy.source_date_epoch or variables.get(_EPOCH) or newest
        if epoch is not None:
            variables[_EPOCH] = str(epoch)
        return Terms(
            base=variables,
            timeout_seconds=policy.timeout_seconds,
            log=self.log,
            on_output=self.journal.pass_on,
            on_ending=self._hear,
            is_cancelled=self.means.pool.is_cancelled,
        )

    def _hear(self, ending: Ending) -> None:
        self.ledger.is_forked = ending.forked
        self.ledger.peak_bytes = max(self.ledger.peak_bytes, ending.peak_bytes)
        self.ledger.cpu_seconds += ending.cpu_seconds
        if ending.strays:
            self.journal.note(
                f"`{ending.hook}` left {ending.strays} processes behind; they were ended"
            )

    def _diagnose(self, error: HookFailedError) -> BackendFailedError:
        from wheelforge._diagnosis import diagnose

        failure = Failure(
            source=self.request.label,
            hook=error.hook,
            status=error.status,
            output=error.output,
            log=self.log.name,
        )
        return diagnose(failure)


def _load_readers() -> None:
    from wheelforge_isolation import load_readers

    load_readers()


def unpack_source(archive: Path, place: Path, request: BuildRequest, journal: Journal) -> Tree:
    """Return what is in ``archive``, unpacked where the request wants it, or else in ``place``."""
    draft = place / "src" if request.tree is None else request.tree / _DRAFT
    with journal.phase("unpack"):
        remove_tree(str(draft))
        unpacked = unpack(archive, draft, links=request.links)
        root = unpacked.root if request.tree is None else _move_up(unpacked.root)
    journal.note(*(str(note) for note in unpacked.notes if note.is_warning))
    return Tree(root=root, newest=unpacked.newest, metadata=_read_metadata(root))


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
