"""Wheels that were built before: found by their key documents without an environment or a hook.

What is known before anything runs leads to a manifest: the requirements that the backend had, and
those that its hooks asked for. They are resolved, or the answer is remembered, as for a build; with
these wheels the document is complete, and its digest is the key. A wheel that was built with
anything else has another key. Whatever is in doubt is built.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wheelforge.build.key_document import (
    REPOSITORY,
    SCHEMA,
    describe_environment,
    describe_interpreter,
    describe_overrides,
    describe_policy,
    describe_request,
    key_of,
)
from wheelforge.build.source_content import SdistContent, find_project
from wheelforge.build.toolchain import Toolchain, describe_platform
from wheelforge.build.wheel_build import LONGEST_HISTORY, WheelBuild, WheelInputs
from wheelforge.models import Era, Keep, Kind, Reuse
from wheelforge_isolation import JsonCache
from wheelforge_isolation.formats.sealed import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from wheelforge.build.environments import EnvironmentManager
    from wheelforge.build.shared_wheels import SharedWheels
    from wheelforge.build.source_content import SourceContent
    from wheelforge.build.sources import FetchedSource
    from wheelforge.hooks.sandbox.ladder import Sandbox
    from wheelforge.models import BuildRequest, Cause
    from wheelforge.overrides.model import Override
    from wheelforge_isolation import WheelKey

_ALL = ":all:"
_STARTS = {".tar.gz": b"\x1f\x8b", ".zip": b"PK"}
_ONLY_LIST = {"setuptools", "packaging", "poetry-core", "pdm-backend"}
"""Build requirements that speak of git, and have it tell no more than which files there are.

That of pdm asks for more if the settings of a project have it do so.
"""
_ENCODED = {"versioneer"}
"""Build requirements whose code speaks of git, and is encoded."""


class WheelReuse:
    """The wheels that were built before, for all builds of one forge."""

    def __init__(self, manager: EnvironmentManager, sandbox: Sandbox | None = None) -> None:
        self._sandbox = sandbox
        self.manager = manager
        self.settings = manager.settings
        directory = manager.cache.layout.manifests
        self.manifests = JsonCache(directory, "asked")
        self.closures = JsonCache(directory, "closure")
        """The wheels that environments of each build had."""
        self._releases = JsonCache(directory, "release")
        self._named = JsonCache(directory, "inputs")
        self._named_by_wheels = JsonCache(directory, "searched")
        self._of_wheels: dict[str, list[str]] = {}
        self.fallbacks = JsonCache(directory, "fallback")
        """How a source was built instead that fails with all that a key document names."""
        self.history = JsonCache(directory, "history")
        """The keys of the last builds of each project."""
        self._toolchain = Toolchain(directory)

    @property
    def shared(self) -> SharedWheels | None:
        """The built wheels of remote caches."""
        return self.manager.shared

    def open(
        self,
        request: BuildRequest,
        fetched: FetchedSource,
        override: Override | None = None,
        root: Path | None = None,
    ) -> WheelBuild | None:
        """Return what is known of a build; nothing if its wheel is not to be used again.

        What the unpacked sdist below ``root`` tells, an earlier build has remembered for the time
        before it is unpacked: its release, by which an ``override`` is found, and the inputs that
        it speaks of.
        """
        settings, policy = self.settings, self.settings.policy
        is_plain = request.tree is None and not request.stops_early and settings.recorder is None
        is_wheel = request.kinds in {(), (Kind.WHEEL,)}
        if not (is_plain and is_wheel and self._is_wanted(request, fetched)):
            return None
        if settings.overrides is not None and override is None:
            release = self._find_release(fetched)
            if release is None:
                return None
            python = self.manager.targets.find(request.python).python
            override = settings.overrides.find(*release, python.markers)
        if override is not None and override.refuses_reuse(request.set_versions):
            return None
        era = Era((override and override.value("era")) or policy.era)
        if era is Era.ALWAYS and request.cutoff is None:
            return None  # nothing but the unpacked sdist may tell when it was published
        if request.variables is None:
            request = replace(request, variables=settings.variables)
        content = self._read_content(request, fetched)  # first: what is named later counts as well
        named = self._find_named(fetched, content, override, root)
        if named is None:
            return None
        return WheelBuild(self, request, WheelInputs(fetched, content, override, named))

    def _read_content(self, request: BuildRequest, fetched: FetchedSource) -> SourceContent:
        if fetched.sha256:
            return SdistContent(fetched)
        from wheelforge.build.directory_content import read_directory

        return read_directory(request, fetched.path, self.manager.cache.layout.root)

    def _is_wanted(self, request: BuildRequest, fetched: FetchedSource) -> bool:
        """Return whether wheels of that source are used again if all is the same."""
        if fetched.sha256:
            # A build requirement is looked for before its sdist is fetched.
            has_name = bool(request.chain) or _has_right_name(fetched.path)
            return has_name and self.settings.policy.reuse is not Reuse.OFF
        return self.settings.policy.reuse is Reuse.ALL and not fetched.commit

    def _find_release(self, fetched: FetchedSource) -> tuple[str, str] | None:
        """Return name and version by which overrides are found; nothing if they are not known."""
        if not fetched.sha256:
            from wheelforge.overrides.apply import identify

            return identify(fetched.path, b"")
        release = self._releases.read(fetched.sha256)
        return (release["name"], release["version"]) if release else None

    def _find_named(
        self,
        fetched: FetchedSource,
        content: SourceContent,
        override: Override | None,
        root: Path | None,
    ) -> list[str] | None:
        """Return the inputs that the source speaks of; nothing if that is not known."""
        from wheelforge.build import code_search

        if not fetched.sha256:
            known = fingerprint(content.describe(with_history=False))
            found = self._named.read("project", known)
            if found is None:
                found = {"names": code_search.find_inputs_of_project(fetched.path, content.names)}
                self._named.write(found, "project", known)
            return list(found["names"])
        facts = (fetched.sha256, fingerprint(describe_overrides(override)))  # patches name some too
        found = self._named.read(*facts)
        if found is None and root is not None and content.is_unchanged():
            found = {"names": code_search.find_named_variables(root)}
            self._named.write(found, *facts)
        return list(found["names"]) if found else None

    def describe(self, request: BuildRequest, inputs: WheelInputs) -> dict[str, Any]:
        """Return the document as far as it is known before anything runs."""
        override, policy = inputs.override, self.settings.policy
        python = self.manager.targets.find(request.python).python
        environment = self.describe_environment(request, inputs)
        epoch, salt = policy.source_date_epoch, self.manager.cache.built.salt
        return {
            "schema": SCHEMA,
            "source": self.describe_source(inputs),
            "request": describe_request(request, override, epoch, salt),
            "policy": {
                **describe_policy(policy, self._sandbox, is_staged=bool(inputs.fetched.sha256)),
                **self.settings.provenance.key,
            },
            "overrides": describe_overrides(override),
            "interpreter": describe_interpreter(python),
            "platform": describe_platform(python),
            "toolchain": self._toolchain.describe(_find_variables(request, inputs), environment),
            "environment": environment,
        }

    def describe_source(self, inputs: WheelInputs, named: Iterable[str] = ()) -> dict[str, Any]:
        """Return the source, with its history if the source itself or ``named`` speaks of it."""
        return inputs.content.describe(with_history=REPOSITORY in {*inputs.named, *named})

    def describe_environment(
        self, request: BuildRequest, inputs: WheelInputs, named: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Return the variables of hooks, those of a CI run if something names them.

        That is the source, or an override that sets them, or else they are in ``named``.
        """
        own = inputs.override.table("environment") if inputs.override else {}
        salt, every = self.manager.cache.built.salt, {*inputs.named, *own, *named}
        is_shared = bool(self.settings.remote.urls)
        variables = _find_variables(request, inputs)
        return describe_environment(variables, salt, every, is_shared=is_shared)

    def find_named_by_wheels(
        self, wheels: Iterable[WheelKey], environment: Path | None = None
    ) -> set[str] | None:
        """Return the inputs that build requirements speak of, as their own code may read them.

        Each wheel is searched once, where it is unpacked or in the ``environment`` that has it.
        Return nothing if that is not possible.
        """
        found = set[str]()
        for wheel in wheels:
            if wheel.sha256 not in self._of_wheels:
                known = self._named_by_wheels.read(wheel.sha256)
                if known is None:
                    known = self._search(wheel, environment)
                    if known is None:
                        return None
                    self._named_by_wheels.write(known, wheel.sha256)
                self._of_wheels[wheel.sha256] = known["names"]
            found.update(self._of_wheels[wheel.sha256])
        return found

    def _search(self, wheel: WheelKey, environment: Path | None) -> dict[str, Any] | None:
        from wheelforge.build import code_search

        stored = self.manager.cache.wheels.find(wheel)
        place = environment if stored is None else stored.item.path
        try:
            if place is None:
                return None
            names = code_search.find_inputs_of_wheel(place)
        finally:
            if stored is not None:
                stored.item.give_back()
        left_out = {REPOSITORY} if wheel.name in {*_ONLY_LIST, *_ENCODED} else set[str]()
        more = [REPOSITORY] if wheel.name in _ENCODED else []
        return {"names": [*more, *(name for name in names if name not in left_out)]}

    def list_named(self, wheels: Iterable[WheelKey]) -> dict[str, list[str]]:
        """Return what is known of the variables that wheels name, by their hashes."""
        return {key.sha256: self._of_wheels[key.sha256] for key in wheels}

    def learn_named(self, named: Mapping[str, list[str]]) -> None:
        """Take over what another machine knows of the variables that wheels name."""
        for sha256, names in named.items():
            if sha256 not in self._of_wheels:
                self._named_by_wheels.write({"names": names}, sha256)

    def reads(self, fetched: FetchedSource) -> bool:
        """Return whether a wheel may be used again for this build, or is built in any case."""
        policy = self.settings.policy
        is_rebuilt = _ALL in policy.rebuild or find_project(fetched) in policy.rebuild
        return not (is_rebuilt or self.settings.refresh or policy.keep is Keep.ALWAYS)

    def explain(
        self,
        inputs: WheelInputs,
        document: dict[str, Any],
        dates: Mapping[str, str],
        requires: Iterable[str],
        *,
        is_abi: bool,
    ) -> Cause:
        """Return why the wheel with that document was built, and note its key as the last one.

        If it ``is_abi``, of what it was built with only that counts which it ``requires``.
        """
        from wheelforge.build import cause

        fetched = inputs.fetched
        key, built = key_of(document), self.manager.cache.built
        project = find_project(fetched) or fetched.path.name
        keys: list[str] = (self.history.read(project) or {}).get("keys", [])
        others = [each for each in keys if each != key]
        self.history.write({"keys": [key, *others][:LONGEST_HISTORY]}, project)
        if not self.reads(fetched):
            return cause.ASKED if keys else cause.FIRST
        if key in keys:
            is_damaged = key in built.damaged or built.read(key) is not None
            return cause.DAMAGED if is_damaged else cause.COLLECTED
        earlier = [facts["document"] for each in others if (facts := built.read(each))]
        if is_abi and earlier:
            from wheelforge.build import abi

            names = abi.list_counting({"requires": requires}, inputs.override)
            kept, *before = (abi.keep_counting(each, names) for each in (document, *earlier))
            found = cause.find_cause(kept, before, dates)
            if found.place:
                return found
        return cause.find_cause(document, earlier, dates)

    def store_release(self, sha256: str, override: Override | None) -> None:
        """Keep which release a source is of: overrides are found by that the next time."""
        if override is not None:
            release = {"name": override.name, "version": override.version}
            if self._releases.read(sha256) != release:
                self._releases.write(release, sha256)


def _find_variables(request: BuildRequest, inputs: WheelInputs) -> dict[str, str]:
    own = inputs.override.variables if inputs.override else {}
    return {**(request.variables or {}), **own}


def _has_right_name(archive: Path) -> bool:
    """Return whether a file is what its name says; a build refuses one that is not."""
    with contextlib.suppress(OSError), archive.open("rb") as file:
        start, name = file.read(2), archive.name.lower()
        return any(name.endswith(each) and start == _STARTS[each] for each in _STARTS)
    return False
