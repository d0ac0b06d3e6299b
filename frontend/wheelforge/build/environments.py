"""From requirements to an environment: resolved or remembered, fetched or kept, made or shared."""

from __future__ import annotations

import contextlib
import itertools
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from wheelforge.build.sources import FetchedSource
from wheelforge.errors import MetadataInvalidError, OfflineError, RequirementsError, UsageError
from wheelforge.models import BuildRequest, Kind, PreparedEnvironment
from wheelforge.provenance.origins import WheelOrigins
from wheelforge.resolve import (
    ResolutionCache,
    ResolutionRequest,
    candidate_of,
    prepare_wheels,
    read_constraints,
    resolve,
)
from wheelforge_isolation import (
    WheelKey,
    digest,
    ensure_directory,
    read_wheel_key,
    remove_tree,
)
from wheelforge_isolation.formats.sealed import fingerprint
from wheelforge_isolation.formats.urls import local_path

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from wheelforge.build.attest import Attestor
    from wheelforge.build.reuse import WheelReuse
    from wheelforge.build.shared_wheels import SharedWheels
    from wheelforge.build.targets import Targets
    from wheelforge.index import Candidate
    from wheelforge.lockfile import Source
    from wheelforge.models import BuildEnvironment, Builder, EnvironmentRequest, Outcome
    from wheelforge.resolve import Constraints, FetchPlan, Pin, Resolution
    from wheelforge.settings import Settings
    from wheelforge_isolation import Cache, Environment, Interpreter

    Installer = Callable[[Interpreter, Sequence[tuple[WheelKey, Path]]], BuildEnvironment]

FileOrigin: TypeAlias = Literal["cache", "disk", "download", "build"]
"""How a wheel comes; ``disk``: from a directory of this machine."""


class PlannedFile(NamedTuple):
    """A file that an environment, or a set of wheels, will have."""

    name: str
    version: str
    file_name: str
    origin: FileOrigin


class PlannedEnvironment(NamedTuple):
    """An environment as far as it is known before it is needed."""

    files: tuple[PlannedFile, ...] = ()
    is_here: bool = False
    """Whether it is in the cache."""


def find_origin(pin: Pin) -> FileOrigin:
    """Return where a wheel comes from that is not in the cache."""
    return "download" if local_path(pin.url) is None else "disk"


class EnvironmentManager:
    """Prepares the environments of all builds of a forge, in one cache.

    ``workspace`` is private: it takes files whose hash is not known before they are fetched, and
    wheels that are built. With ``install`` an environment is what that makes of the wheels.
    """

    def __init__(
        self,
        settings: Settings,
        cache: Cache,
        targets: Targets,
        workspace: Path,
        install: Installer | None = None,
    ) -> None:
        self.settings = settings
        self.cache = cache
        self.targets = targets
        self.install = install
        self.resolutions = ResolutionCache(directory=cache.layout.resolutions)
        self.private = settings.environment_dir and settings.environment_dir.resolve()
        self.built: dict[str, Path] = {}
        """The wheels that were built here and now, by their keys."""
        self.origins = WheelOrigins(settings.provenance)
        self.attestor: Attestor | None = None
        if settings.provenance.is_wanted:
            from wheelforge.build.attest import Attestor

            self.attestor = Attestor(settings.provenance, self)
        self.reuse: WheelReuse | None = None
        """Finds wheels that were built before, of what builds require."""
        self.shared: SharedWheels | None = None
        """The wheels of remote caches."""
        self._workspace = workspace
        self._numbers = itertools.count()
        self._used: dict[tuple[Path, str], Environment] = {}
        own = targets.find().index.settings.build_constraints
        self._files = (*settings.constraints, *own)
        self._constraints = read_constraints(self._files, settings.variables)

    def prepare(self, request: EnvironmentRequest, build: Builder) -> PreparedEnvironment:
        """Return an environment with the requirements; it stays until the cache is closed."""
        preparation = _Preparation(self, request, build)
        with self._dropping(preparation):
            return preparation.run()

    def choose(self, request: EnvironmentRequest, build: Builder) -> tuple[WheelKey, ...]:
        """Return the wheels that such an environment would have now, and make none."""
        preparation = _Preparation(self, request, build)
        with self._dropping(preparation):
            return preparation.plan().keys

    def identify(self, request: EnvironmentRequest) -> str:
        """Return a digest of all that decides which wheels such an environment has."""
        return _Preparation(self, request, forbid_build).resolution_request.digest

    def preview(self, request: EnvironmentRequest) -> PlannedEnvironment:
        """Return what such an environment would be made of; nothing is built or installed."""
        preparation = _Preparation(self, request, forbid_build)
        with self._dropping(preparation):
            return preparation.preview()

    @contextlib.contextmanager
    def _dropping(self, preparation: _Preparation) -> Generator[None]:
        try:
            yield
        except MetadataInvalidError:
            # The index's metadata of a file was wrong, and has led to the answer.
            self.resolutions.drop(preparation.resolution_request)
            raise

    def discard_private(self) -> None:
        """Remove the private environment, if one was made."""
        for key in [key for key in self._used if key[0] == self.private]:
            del self._used[key]
            remove_tree(str(self.private))

    def read_constraints(self, files: tuple[Path, ...]) -> Constraints:
        """Return the constraints of the settings and those in ``files``."""
        return read_constraints((*self._files, *files)) if files else self._constraints

    def clear_private(self) -> Path | None:
        """Return the place for a private environment, empty: the last one was for fewer wheels."""
        if self.private is not None:
            self.discard_private()
            ensure_directory(str(self.private))
            if any(self.private.iterdir()):
                raise UsageError("option-invalid", "--env-dir", f"`{self.private}` is not empty")
        return self.private

    def hold(self, environment: Environment) -> Environment:
        """Keep ``environment`` in use, once: a fork server in it may be needed again."""
        key = environment.path, environment.search_path
        if self._used.setdefault(key, environment) is not environment:
            environment.give_back()
        return environment

    def make_directory(self) -> Path:
        """Return a new directory in the workspace."""
        directory = self._workspace / str(next(self._numbers))
        ensure_directory(str(directory))
        return directory


class _Preparation:
    def __init__(
        self, manager: EnvironmentManager, request: EnvironmentRequest, build: Builder
    ) -> None:
        self._manager = manager
        self._settings = manager.settings
        self._cache = manager.cache
        self._request = request
        self._build = build
        target = manager.targets.find(request.python)
        self._python, self._index = target.python, target.index
        self.resolution_request = self._make_resolution_request(
            manager.read_constraints(request.constraints)
        )

    def run(self) -> PreparedEnvironment:
        """Resolve, deliver the wheels, and make the environment or find it in the cache."""
        return self._make(self.plan())

    def plan(self) -> FetchPlan:
        """Resolve, and build what there is no wheel of."""
        request, settings = self._request, self._settings
        answer, directory = self._answer(), self._manager.make_directory()
        plan = prepare_wheels(
            answer, self._index, self._build_wheel, workspace=directory, chain=request.chain
        )
        self._manager.origins.note(plan)
        if plan.resolution != answer and settings.lock is None:
            self._manager.resolutions.store(self.resolution_request, plan.resolution)
        if settings.recorder is not None:
            settings.recorder.record(
                self._identify(),
                self._python,
                request.requirements,
                plan.resolution,
                is_wanted=not request.chain,
            )
            settings.recorder.name_overrides(self._identify(), self._python, request.overrides)
        return plan

    def preview(self) -> PlannedEnvironment:
        """Resolve, and look what of the answer is in the cache."""
        found = [(pin, *self._look_for(pin)) for pin in self._answer().pins]
        keys = [key for _, key, _ in found if key is not None]
        is_whole = len(keys) == len(found) and not (self._manager.private or self._manager.install)
        return PlannedEnvironment(
            files=tuple(
                PlannedFile(pin.name, pin.version, pin.file_name, origin)
                for pin, _, origin in found
            ),
            is_here=is_whole and self._cache.environments.is_likely_here(self._python, keys),
        )

    def _look_for(self, pin: Pin) -> tuple[WheelKey | None, FileOrigin]:
        """Return the key of the wheel of ``pin``, if it is known, and how the wheel comes."""
        if not pin.is_wheel:
            try:
                return read_wheel_key(self._build_wheel(candidate_of(pin))), "cache"
            except RequirementsError as error:
                if error.code != "needs-build":
                    raise
                return None, "build"
        if not pin.sha256:
            return None, find_origin(pin)
        key = WheelKey(
            name=pin.name, version=pin.version, file_name=pin.file_name, sha256=pin.sha256
        )
        return key, "cache" if self._cache.wheels.is_likely_here(key) else find_origin(pin)

    def _make_resolution_request(self, constraints: Constraints) -> ResolutionRequest:
        request, settings, index = self._request, self._settings, self._index
        cutoffs = [moment for moment in (request.cutoff, settings.exclude_newer) if moment]
        return ResolutionRequest(
            requirements=request.requirements,
            python=self._python,
            index_identity=index.settings.identity,
            constraints=constraints.texts,
            hashes=constraints.hashes,
            require_hashes=settings.require_hashes,
            exclude_newer=min(cutoffs, default=None),
            oldest=request.cutoff is not None,
            prefers_wheels=index.settings.prefers_wheels,
            subject=request.label,
            chain=request.chain,
            places=index.places,
            replacements=request.replacements,
            excluded=request.excluded,
            overrides=settings.overrides.digest if settings.overrides else "",
            refuses_wheel=settings.find_refusal(self._python.markers),
            is_local=index.is_local,
        )

    def _answer(self) -> Resolution:
        """Return the locked answer, the remembered one, or a new one."""
        settings = self._settings
        if settings.lock is not None:
            requirements = self._request.requirements
            return settings.lock.answer(self._identify(), requirements, self._python)
        return self._manager.resolutions.get_or_resolve(
            self.resolution_request,
            lambda request: resolve(request, self._index, self._build_wheel),
            offline=settings.offline,
            refresh=settings.refresh,
        )

    def _make(self, plan: FetchPlan) -> PreparedEnvironment:
        plan.is_here = self._cache.wheels.is_likely_here
        fetch = partial(raise_offline, self._request.label) if self._is_cut_off else plan.fetch
        shared, keys, notes = self._manager.shared, plan.keys, plan.resolution.notes
        if shared is not None:
            fetch = partial(shared.fetch, plan, fetch)
        if self._manager.install is not None:
            keep = self._cache.wheels.keep_file
            files = [(key, keep(key.file_name, key.sha256, partial(fetch, key))) for key in keys]
            environment = self._manager.install(self._python, files)
            return PreparedEnvironment(environment=environment, wheels=keys, notes=notes)
        made = self._cache.environments.get_or_create(
            self._python,
            keys,
            fetch,
            private=self._manager.clear_private(),
            search_path=os.pathsep.join(os.get_exec_path(dict(self._request.variables))),
        )
        if shared is not None:
            shared.offer(keys)
        return PreparedEnvironment(
            environment=self._manager.hold(made),
            wheels=keys,
            notes=(*notes, *made.notes),
            is_new=made.is_new,
            is_lasting=self._manager.private is None,
        )

    def _build_wheel(self, candidate: Candidate) -> Path:
        """Return the wheel of an sdist that is needed, built unless it was."""
        sha256, sdist = candidate.hashes.get("sha256", ""), None
        if not sha256:
            sdist = self._fetch_sdist(candidate)
            sha256 = digest(sdist)
        self._manager.origins.note_sdist(candidate.url, sha256)
        known = self._identify_build(sha256)
        if known in self._manager.built:
            return self._manager.built[known]
        request = BuildRequest(
            source=sdist or self._cache.layout.file(sha256, candidate.file_name),
            output=self._manager.make_directory(),
            kinds=(Kind.WHEEL,),
            python=self._request.python,
            variables=self._request.variables,
            constraints=self._request.constraints,
            set_versions=self._request.set_versions,
            chain=(*self._request.chain, candidate.name),
            cutoff=self._request.cutoff,
        )
        wheel = self._find_wheel(request, candidate, sha256)
        if wheel is None:
            request = replace(request, source=sdist or self._fetch_sdist(candidate))
            wheel = self._manager.origins.note_build(self._build(request).artifacts[0])
        self._manager.built[known] = wheel
        return wheel

    def _find_wheel(self, request: BuildRequest, candidate: Candidate, sha256: str) -> Path | None:
        """Return the wheel of an earlier build, for which the sdist need not be here."""
        if self._manager.reuse is None:
            return None
        version = str(candidate.version)
        source = FetchedSource(Path(request.source), sha256, name=candidate.name, version=version)
        found = self._manager.reuse.open(request, source)
        wheel = found and found.find(self._build)
        return wheel.artifacts[-1].path if wheel else None

    def _identify_build(self, sha256: str) -> str:
        """Return all that the wheel of a requirement depends on while this process lives."""
        request = self.resolution_request
        return fingerprint((
            sha256,
            self._python.identity,
            request.index_identity,
            request.constraints,
            str(request.exclude_newer),
            sorted(self._request.variables.items()),
            sorted(self._request.set_versions.items()),
        ))

    def _fetch_sdist(self, candidate: Candidate) -> Path:
        fetch = partial(self._index.fetch, candidate)
        if self._is_cut_off:
            fetch = partial(raise_offline, self._request.label, candidate.file_name)
        if sha256 := candidate.hashes.get("sha256"):
            return self._cache.wheels.keep_file(candidate.file_name, sha256, fetch)
        path = self._manager.make_directory() / candidate.file_name
        fetch(str(path))
        return path

    def _identify(self) -> Source:
        from wheelforge.lockfile import Source

        return Source(self._request.label, self._request.sha256, self._request.commit)

    @property
    def _is_cut_off(self) -> bool:
        return self._settings.offline and not self._index.is_local


def forbid_build(request: BuildRequest) -> Outcome:
    """Build nothing, where a plan is made."""
    raise RequirementsError("needs-build", request.label, str(request.source))


def raise_offline(label: str, file: WheelKey | str, _: str) -> None:
    """Fetch nothing, where there is no network to be used."""
    raise OfflineError("offline", file if isinstance(file, str) else file.file_name, label)
