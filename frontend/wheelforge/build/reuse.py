"""Wheels that were built before: found by their key documents without an environment or a hook.

What is known before anything runs leads to a manifest: the requirements that the backend had, and
those that its hooks asked for. They are resolved, or the answer is remembered, as for a build; with
these wheels the document is complete, and its digest is the key. A wheel that was built with
anything else has another key. Whatever is in doubt is built.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge.build.environment_request import make_environment_request
from wheelforge.build.key_document import (
    SCHEMA,
    describe_closure,
    describe_environment,
    describe_overrides,
    describe_policy,
    describe_request,
    find_named_variables,
    key_of,
)
from wheelforge.build.prestart import Prestarter
from wheelforge.build.toolchain import Toolchain, describe_platform
from wheelforge.models import Artifact, Era, Keep, Kind, Reuse
from wheelforge_isolation import ForgeError, JsonCache, digest
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import parse_sdist_name
from wheelforge_isolation.formats.sealed import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from wheelforge.build.environments import EnvironmentManager
    from wheelforge.build.result import BuildResult
    from wheelforge.build.sources import FetchedSource
    from wheelforge.models import Builder, BuildRequest, Cause
    from wheelforge.overrides.model import Override
    from wheelforge_isolation import WheelKey

    Asked = list[list[str]]

_ALL = ":all:"
_LONGEST_HISTORY = 8
_MOST_MANIFESTS = 4
"""How many sets of questions are remembered for the same build."""


class ReusedWheel(NamedTuple):
    """A wheel that need not be built."""

    artifact: Artifact
    wheels: tuple[WheelKey, ...]
    """The wheels that it was built with."""
    facts: Mapping[str, Any]


class WheelReuse:
    """The wheels that were built before, for all builds of one forge."""

    def __init__(self, manager: EnvironmentManager) -> None:
        self.manager = manager
        self.settings = manager.settings
        directory = manager.cache.layout.manifests
        self.manifests = JsonCache(directory, "asked")
        self._releases = JsonCache(directory, "release")
        self._named = JsonCache(directory, "named")
        self.history = JsonCache(directory, "history")
        """The keys of the last builds of each project."""
        self._toolchain = Toolchain(directory)

    def open(
        self,
        request: BuildRequest,
        fetched: FetchedSource,
        override: Override | None = None,
        root: Path | None = None,
    ) -> WheelBuild | None:
        """Return what is known of a build; nothing if its wheel is not to be used again.

        What the unpacked sdist below ``root`` tells, an earlier build has remembered for the time
        before it is unpacked: its release, by which an ``override`` is found, and the variables of
        a CI run that it names.
        """
        settings, policy = self.settings, self.settings.policy
        is_wheel = request.kinds in {(), (Kind.WHEEL,)} and bool(fetched.sha256)
        is_plain = request.tree is None and not request.stops_early and settings.recorder is None
        if policy.reuse is Reuse.OFF or not (is_wheel and is_plain):
            return None
        if settings.overrides is not None and override is None:
            release = self._releases.read(fetched.sha256)
            if release is None:
                return None
            python = self.manager.targets.find(request.python).python
            override = settings.overrides.find(release["name"], release["version"], python.markers)
        refusals = (("reuse", False), ("build", "never"))
        if override is not None and any(override.value(key) == value for key, value in refusals):
            return None
        era = Era((override and override.value("era")) or policy.era)
        if era is Era.ALWAYS and request.cutoff is None:
            return None  # nothing but the unpacked sdist may tell when it was published
        if request.variables is None:
            request = replace(request, variables=settings.variables)
        named = self._find_named(fetched, override, root)
        return None if named is None else WheelBuild(self, request, fetched, override, named)

    def _find_named(
        self,
        fetched: FetchedSource,
        override: Override | None,
        root: Path | None,
    ) -> list[str] | None:
        """Return the variables of a CI run that the sdist names; nothing if that is not known."""
        facts = (fetched.sha256, fingerprint(describe_overrides(override)))  # patches name some too
        found = self._named.read(*facts)
        if found is None and root is not None and _is_unchanged(fetched):
            found = {"names": find_named_variables(root)}
            self._named.write(found, *facts)
        return list(found["names"]) if found else None

    def describe(
        self,
        request: BuildRequest,
        fetched: FetchedSource,
        override: Override | None,
        named: Sequence[str],
    ) -> dict[str, Any]:
        """Return the document as far as it is known before anything runs.

        Variables of a CI run are in it if they are ``named``, or set by an override.
        """
        python = self.manager.targets.find(request.python).python
        variables = {**(request.variables or {}), **(override.variables if override else {})}
        own = override.table("environment") if override else {}
        salt = self.manager.cache.built.salt
        environment = describe_environment(variables, salt, {*named, *own})
        return {
            "schema": SCHEMA,
            "source": {"sha256": fetched.sha256},
            "request": describe_request(request, override, self.settings.policy.source_date_epoch),
            "policy": describe_policy(self.settings.policy),
            "overrides": describe_overrides(override),
            "interpreter": {
                "implementation": python.implementation,
                "version": python.version,
                "abi": python.soabi,
                "platform": python.platform,
                "executable": str(python.base_executable),
                "identity": python.identity,
            },
            "platform": describe_platform(python),
            "toolchain": self._toolchain.describe(variables, environment),
            "environment": environment,
        }

    def reads(self, fetched: FetchedSource) -> bool:
        """Return whether a wheel may be used again for this build, or is built in any case."""
        policy = self.settings.policy
        is_rebuilt = _ALL in policy.rebuild or _find_name(fetched) in policy.rebuild
        return not (is_rebuilt or self.settings.refresh or policy.keep is Keep.ALWAYS)

    def store_release(self, sha256: str, override: Override | None) -> None:
        """Keep which release a source is of: overrides are found by that the next time."""
        if override is not None:
            release = {"name": override.name, "version": override.version}
            if self._releases.read(sha256) != release:
                self._releases.write(release, sha256)


class WheelBuild:
    """One build of a wheel: what it depends on, and the wheel that an earlier one has left."""

    def __init__(
        self,
        reuse: WheelReuse,
        request: BuildRequest,
        fetched: FetchedSource,
        override: Override | None,
        named: Sequence[str],
    ) -> None:
        self._reuse = reuse
        self._request = request
        self._fetched = fetched
        self.override = override
        self._named = named
        self._known = self._describe()
        self._manifest = key_of(self._known)

    def _describe(self) -> dict[str, Any]:
        return self._reuse.describe(self._request, self._fetched, self.override, self._named)

    def find(self, build: Builder) -> ReusedWheel | None:
        """Return the wheel of an earlier build that was the same; ``build`` makes requirements."""
        if not self._reuse.reads(self._fetched):
            return None
        for asked in self._read_manifest():
            try:
                closures = [self._choose(requirements, build) for requirements in asked]
                found = self._find(asked, closures)
            except ForgeError:
                continue  # the build comes to the same error, and says it better
            if found is not None:
                self._expect()
                return found
        return None

    def _read_manifest(self) -> list[Asked]:
        found = self._reuse.manifests.read(self._manifest)
        return found["asked"] if found else []

    def _expect(self) -> None:
        """Have no server started for this source the next time."""
        request = self._request
        if not request.chain:
            root, python = self._reuse.manager.cache.layout.root, self._reuse.settings.python
            Prestarter(root, python).expect_reuse(request.source, request.variables or {})

    def _choose(self, requirements: Sequence[str], build: Builder) -> tuple[WheelKey, ...]:
        """Return the wheels that an environment with these requirements has today."""
        request = make_environment_request(
            self._request, requirements, self.override, self._fetched.sha256
        )
        return self._reuse.manager.choose(request, build)

    def _find(self, asked: Asked, closures: Sequence[tuple[WheelKey, ...]]) -> ReusedWheel | None:
        key = key_of(self._complete(asked, closures))
        found = self._reuse.manager.cache.built.find(key)
        if found is None or key_of(found.facts["document"]) != key:
            return None
        wheel, fetched = found.key, self._fetched
        # Some say in the version of a wheel what it was compiled for: that is for a build to judge.
        if fetched.name not in {"", wheel.name} or fetched.version not in {"", wheel.version}:
            return None
        artifact = Artifact(
            kind=Kind.WHEEL,
            path=found.path,
            name=wheel.name,
            version=wheel.version,
            size_bytes=found.path.stat().st_size,
            sha256=wheel.sha256,
        )
        used = tuple(dict.fromkeys(key for closure in closures for key in closure))
        return ReusedWheel(artifact, used, found.facts)

    def _complete(self, asked: Asked, closures: Sequence[tuple[WheelKey, ...]]) -> dict[str, Any]:
        constraints = self._reuse.manager.read_constraints(self._request.constraints).texts
        return {**self._known, "closure": describe_closure(asked, closures, constraints)}

    def store(self, result: BuildResult, place: Path) -> Cause | None:
        """Keep the wheel that was just built below ``place``, if that is possible.

        Return why it was built.
        """
        cause: Cause | None = None
        with contextlib.suppress(ForgeError, OSError):
            if not _is_unchanged(self._fetched):
                return None
            asked = [list(requirements) for requirements, _ in result.environments]
            if any("://" in text for texts in asked for text in texts):
                return None  # there may be a password in it
            if self._describe() != self._known:
                return None  # a file or a tool has changed meanwhile: which one was read is unknown
            document = self._complete(asked, [wheels for _, wheels in result.environments])
            cause = self._explain(document)
            facts = {
                "document": document,
                "cause": cause._asdict(),
                "label": self._request.label,
                "time": time.time(),
                "backend": result.backend[1],
                "notes": result.checked,
            }
            wheel = place / Kind.WHEEL.value / result.artifacts[-1].path.name
            self._reuse.manager.cache.built.store(key_of(document), wheel, facts)
            before = self._read_manifest()
            if asked not in before:
                kept = [asked, *before][:_MOST_MANIFESTS]
                self._reuse.manifests.write({"asked": kept}, self._manifest)
            self._expect()
            self._reuse.store_release(self._fetched.sha256, self.override)
        return cause

    def _explain(self, document: dict[str, Any]) -> Cause:
        """Return why the wheel with that document was built, and note its key as the last one."""
        from wheelforge.build import cause

        reuse, key, name = self._reuse, key_of(document), _find_name(self._fetched)
        built, project = reuse.manager.cache.built, name or self._fetched.path.name
        keys: list[str] = (reuse.history.read(project) or {}).get("keys", [])
        others = [each for each in keys if each != key]
        reuse.history.write({"keys": [key, *others][:_LONGEST_HISTORY]}, project)
        if not reuse.reads(self._fetched):
            return cause.ASKED if keys else cause.FIRST
        if key in keys:
            is_damaged = key in built.damaged or built.read(key) is not None
            return cause.DAMAGED if is_damaged else cause.COLLECTED
        earlier = [facts["document"] for each in others if (facts := built.read(each))]
        return cause.find_cause(document, earlier)


def _is_unchanged(fetched: FetchedSource) -> bool:
    """Return whether no other file has taken the place of the sdist since it was hashed."""
    try:
        return digest(fetched.path) == fetched.sha256
    except OSError:
        return False


def _find_name(fetched: FetchedSource) -> str:
    with contextlib.suppress(FormatError):
        return fetched.name or parse_sdist_name(fetched.path.name).name
    return ""
