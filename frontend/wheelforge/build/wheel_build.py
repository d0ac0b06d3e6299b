"""One build of a wheel: all that it depends on, and what an earlier one with the same has left."""

from __future__ import annotations

import contextlib
import itertools
import time
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge.build.environment_request import make_environment_request
from wheelforge.build.key_document import describe_closure, key_of
from wheelforge.build.prestart import Prestarter
from wheelforge.build.result import ReusedWheel, make_artifact
from wheelforge.models import Cause, Kind
from wheelforge_isolation import ForgeError, WheelKey

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from wheelforge.build.result import BuildResult
    from wheelforge.build.retry import Fallback
    from wheelforge.build.reuse import WheelReuse
    from wheelforge.build.shared_wheels import SharedWheels
    from wheelforge.build.source_content import SourceContent
    from wheelforge.build.sources import FetchedSource
    from wheelforge.models import Builder, BuildRequest, EnvironmentRequest
    from wheelforge.overrides.model import Override
    from wheelforge.remote.record import RemoteRecord

    Asked = list[list[str]]

_SDIST = "sdist "
"""Before the key of a wheel, that of the sdist which it was made from."""
_FROZEN = Cause(
    "frozen", "its build requirements are those of the last build: no index was asked (frozen)"
)
LONGEST_HISTORY = 8
_MOST_MANIFESTS = 4
"""How many sets of questions are remembered for the same build."""


class WheelInputs(NamedTuple):
    """The source of a wheel, and what is known of it."""

    fetched: FetchedSource
    content: SourceContent
    override: Override | None
    named: Sequence[str]
    """The inputs that it speaks of: variables of a CI run, and its history."""


class WheelBuild:
    """One build of a wheel: what it depends on, and the wheel that an earlier one has left."""

    def __init__(self, reuse: WheelReuse, request: BuildRequest, inputs: WheelInputs) -> None:
        self._reuse = reuse
        self._request = request
        self._inputs = inputs
        self._fetched = inputs.fetched
        self.override = inputs.override
        self._kept: ReusedWheel | None = None
        """The wheel of an earlier build, if it is to be compared."""
        self._verified: Cause | None = None
        self._missed = set[str]()
        """The keys that remote caches were asked for."""
        self._frozen: Cause | None = None
        self._known = self._describe()
        self._manifest = key_of(self._known)

    @property
    def _has_sdist(self) -> bool:
        """Whether the wheel is made through an sdist, which is delivered as well."""
        return not (self._request.kinds or self._fetched.sha256)

    def _describe(self) -> dict[str, Any]:
        return self._reuse.describe(self._request, self._inputs)

    def find(self, build: Builder) -> ReusedWheel | None:
        """Return what `look_for` finds, unless it is to be built again and compared."""
        found, rate = self.look_for(build), self._reuse.settings.policy.verify_reuse
        if found is not None:
            self._expect()
        if found is not None and rate and not self._request.chain:
            from wheelforge.build.verify_reuse import is_chosen

            if is_chosen(rate):
                self._kept = found
                return None
        return found

    def look_for(self, build: Builder) -> ReusedWheel | None:
        """Return the wheel of an earlier build that was the same; ``build`` makes requirements."""
        if not self._reuse.reads(self._fetched):
            return None
        return self._find_among(self._read_manifest()[0], build) or self._find_elsewhere(build)

    @property
    def _shared(self) -> SharedWheels | None:
        """The wheels of remote caches, if they have such builds: those of sdists."""
        return self._reuse.shared if self._fetched.sha256 else None

    def _find_elsewhere(self, build: Builder) -> ReusedWheel | None:
        """Return the wheel of a build that another machine knows, and this one does not."""
        found = self._shared and self._shared.find_manifest(self._known, self._manifest)
        if not found:
            return None
        try:
            asked: list[Asked] = found["asked"]
            wheels = [[WheelKey(**each) for each in one] for one in found["closures"]]
            self._reuse.learn_named(found["named"])
            self._remember(asked[0], wheels)
        except (LookupError, TypeError, ValueError):
            return None
        return self._find_among(asked, build)

    def _find_among(self, manifest: Sequence[Asked], build: Builder) -> ReusedWheel | None:
        for asked in manifest:
            try:
                closures = [self._choose(requirements, build) for requirements in asked]
                document = self.complete(asked, closures)
                found = (
                    self._find(document, closures)
                    or self._find_compatible(asked, closures)
                    or self._find_fallback(document, build)
                )
            except ForgeError:
                continue  # the build comes to the same error, and says it better
            if found is not None:
                return found
        return None

    def _read_manifest(self) -> tuple[list[Asked], list[str]]:
        """Return what was asked for in earlier builds like this, and the keys of their wheels."""
        found = self._reuse.manifests.read(self._manifest) or {}
        return found.get("asked", []), found.get("keys", [])

    @property
    def _policy(self) -> str:
        """The policy that is in force: with a lock nothing but the lock decides."""
        settings = self._reuse.settings
        return settings.policy.reuse_policy if settings.lock is None else "exact"

    def _expect(self) -> None:
        """Have no server started for this source the next time."""
        request = self._request
        if not request.chain:
            root, python = self._reuse.manager.cache.layout.root, self._reuse.settings.python
            Prestarter(root, python).expect_reuse(request.source, request.variables or {})

    def _choose(self, requirements: Sequence[str], build: Builder) -> tuple[WheelKey, ...]:
        """Return the wheels that an environment with these requirements has today.

        Under the policy `frozen` they are those of the last build, unless a lock says otherwise.
        """
        reuse, request = self._reuse, self._ask(requirements)
        if self._policy == _FROZEN.code:
            kept = reuse.closures.read(self._manifest, reuse.manager.identify(request))
            if kept is not None:
                self._frozen = _FROZEN
                return tuple(WheelKey(**each) for each in kept["wheels"])
        return reuse.manager.choose(request, build)

    def _ask(self, requirements: Sequence[str]) -> EnvironmentRequest:
        return make_environment_request(
            self._request, requirements, self.override, self._fetched.sha256
        )

    def _remember(
        self, asked: Asked, closures: Sequence[Sequence[WheelKey]], key: str = ""
    ) -> None:
        """Keep what the backend has asked for, last, and before that what it was given."""
        reuse, (known, keys) = self._reuse, self._read_manifest()
        for requirements, wheels in zip(asked, closures, strict=True):
            own = reuse.manager.identify(self._ask(requirements))
            reuse.closures.write({"wheels": list(map(asdict, wheels))}, self._manifest, own)
        if self._fetched.sha256:
            reuse.store_release(self._fetched.sha256, self.override)
        if asked not in known or key not in {"", *keys}:
            manifest: dict[str, object] = {
                "asked": [asked, *(each for each in known if each != asked)][:_MOST_MANIFESTS],
                "keys": [each for each in dict.fromkeys((key, *keys)) if each][:LONGEST_HISTORY],
            }
            reuse.manifests.write(manifest, self._manifest)
        self._expect()

    def _find(
        self, document: dict[str, Any] | None, closures: Sequence[tuple[WheelKey, ...]]
    ) -> ReusedWheel | None:
        if document is None:
            return None
        wheels = dict.fromkeys(itertools.chain(*closures))
        return self._take(key_of(document), wheels, self._frozen, document)

    def _find_compatible(
        self, asked: Asked, closures: Sequence[tuple[WheelKey, ...]]
    ) -> ReusedWheel | None:
        """Return a wheel that was built with other wheels, if the policy is not about these."""
        if self._policy != "abi":
            return None
        from wheelforge.build import abi

        for key in self._read_manifest()[1]:
            facts = self._reuse.manager.cache.built.read(key)
            if facts is None:
                continue
            used = dict.fromkeys(abi.list_wheels(facts["document"]))
            document = self.complete(asked, closures, searched=used)
            names = abi.list_counting(facts, self.override)
            if document is None:
                continue
            passed = abi.find_passed(facts["document"], document, names)
            found = self._take(key, used, passed) if passed else None
            if found is not None:
                return found
        return None

    def _find_fallback(self, document: dict[str, Any] | None, build: Builder) -> ReusedWheel | None:
        """Return the wheel that was built as of another time, if with that document it fails."""
        known = self._reuse.fallbacks.read(key_of(document)) if document else None
        if not known:
            return None
        era, manager = datetime.fromisoformat(known["era"]), self._reuse.manager
        then = [replace(self._ask(requirements), cutoff=era) for requirements in known["asked"]]
        closures = [manager.choose(request, build) for request in then]
        document = self.complete(known["asked"], closures, era=era)
        wheels = dict.fromkeys(itertools.chain(*closures))
        found = self._take(key_of(document), wheels, None) if document else None
        return found and found._replace(era=era)

    def _take(
        self,
        key: str,
        wheels: Iterable[WheelKey],
        cause: Cause | None,
        document: dict[str, Any] | None = None,
    ) -> ReusedWheel | None:
        """Return the wheel of that key, which was built with those ``wheels``, if there is one.

        With the ``document`` it may come from a remote cache.
        """
        found = self._reuse.manager.cache.built.find(key)
        if found is None and document and self._shared and key not in self._missed:
            self._missed.add(key)
            found = self._shared.find(key, document, self._request.label)
        if found is None or key_of(found.facts["document"]) != key:
            return None
        wheel, fetched = found.key, self._fetched
        # Some say in the version of a wheel what it was compiled for: that is for a build to judge.
        if fetched.name not in {"", wheel.name} or fetched.version not in {"", wheel.version}:
            return None
        made = [found]
        if self._has_sdist:
            sdist = self._reuse.manager.cache.built.find(_SDIST + key)
            if sdist is None:
                return None
            made.insert(0, sdist)
        notes = [*found.facts["notes"], *([cause.sentence] if cause else [])]
        facts = {**found.facts, "notes": notes}
        artifacts = tuple(map(make_artifact, made))
        reused = ReusedWheel(artifacts, tuple(wheels), facts, cause=cause)
        attestor = self._reuse.manager.attestor
        return reused if attestor is None else attestor.complete(reused)

    def complete(
        self,
        asked: Sequence[Sequence[str]],
        closures: Sequence[tuple[WheelKey, ...]],
        environment: Path | None = None,
        searched: Collection[WheelKey] = (),
        era: datetime | None = None,
    ) -> dict[str, Any] | None:
        """Return the key document of the wheel, once it is known what it is built with.

        Return nothing if it cannot be told what its build requirements read, or those that are to
        be ``searched`` instead; they are in the ``environment`` if they are no longer kept.
        """
        wheels = searched or dict.fromkeys(itertools.chain(*closures))
        named = self._reuse.find_named_by_wheels(wheels, environment)
        if named is None:
            return None
        constraints = self._reuse.manager.read_constraints(self._request.constraints).texts
        more = {}
        if named:
            more["source"] = self._reuse.describe_source(self._inputs, named)
            more["environment"] = self._reuse.describe_environment(
                self._request, self._inputs, named
            )
        if era is not None:
            more["policy"] = {**self._known["policy"], "era": era.isoformat()}
        return {
            **self._known,
            **more,
            "closure": describe_closure(asked, closures, constraints),
        }

    def store(self, result: BuildResult, place: Path, fallback: Fallback | None = None) -> None:
        """Keep the wheel that was just built below ``place``, and why, if that is possible.

        Raises `ReuseDifferenceError` if it was built to be compared, and is another one.
        """
        fresh, self._verified = result.artifacts[-1], None
        if self._kept is not None:
            from wheelforge.build.verify_reuse import verify

            path = place / Kind.WHEEL.value / fresh.path.name
            self._verified = verify(self._kept, fresh, path)
        result.cause = self._store(result, place, fallback) or self._verified
        if self._verified is not None and self._verified.follows:
            from wheelforge.errors import ReuseDifferenceError

            raise ReuseDifferenceError(fresh.path.name, self._verified.follows)

    def _store(self, result: BuildResult, place: Path, fallback: Fallback | None) -> Cause | None:
        cause: Cause | None = None
        with contextlib.suppress(ForgeError, OSError):
            if not self._inputs.content.is_unchanged():
                reason = self._known["source"].get("unknown")
                sentence = f"what is in the directory cannot be told: {reason}"
                return Cause("unknown", sentence) if reason else None
            document = self._identify(result, fallback and fallback.cutoff)
            if document is None:
                return None
            dates = self._find_dates(document)
            found = self._reuse.explain(
                self._inputs, document, dates, result.requires, is_abi=self._policy == "abi"
            )
            cause = self._verified or found
            facts = {
                "document": document,
                "cause": cause._asdict(),
                "published": dates,
                "label": self._request.label,
                "time": time.time(),
                "backend": result.backend[1],
                "notes": [*result.checked, *(fallback.notes if fallback else ())],
                "requires": result.requires,
                "policy": self._policy,
                "companions": result.companions,
            }
            key, built = key_of(document), self._reuse.manager.cache.built
            for artifact in result.artifacts[:-1]:
                built.store(_SDIST + key, place / Kind.SDIST.value / artifact.path.name, facts)
            path = place / Kind.WHEEL.value / result.artifacts[-1].path.name
            kept = built.store(key, path, facts)
            asked, closures = result.list_environments()
            if fallback is not None:
                self._remember_fallback(fallback, asked, key)
                return cause
            self._remember(asked, closures, key)
            if self._shared is not None:
                manifest = self._describe_manifest(asked, closures)
                self._shared.share(key, kept, manifest, result.sandbox)
        return cause

    def _identify(self, result: BuildResult, era: datetime | None) -> dict[str, Any] | None:
        """Return the document of what was just built, if nothing of it is in doubt."""
        asked, closures = result.list_environments()
        if any("://" in text for texts in asked for text in texts):
            return None  # there may be a password in it
        if self._describe() != self._known:
            return None  # a file or a tool has changed meanwhile: which one was read is unknown
        return self.complete(asked, closures, result.environment, era=era)

    def _remember_fallback(self, fallback: Fallback, asked: Asked, key: str) -> None:
        """Keep how the source was built instead of what has failed today."""
        failed, closures = fallback.failed.list_environments()
        if not failed:
            return  # it had no environment, so there is nothing to know the failure by
        document = self.complete(failed, closures, fallback.failed.environment)
        if document is not None:
            known = {"asked": asked, "era": fallback.cutoff.isoformat()}
            self._reuse.fallbacks.write(known, key_of(document))
            self._remember(failed, closures, key)

    def _describe_manifest(
        self, asked: Asked, closures: Sequence[Sequence[WheelKey]]
    ) -> RemoteRecord:
        """Return what another machine has to know to find the wheel that was built."""
        from wheelforge.remote.record import MANIFEST, RemoteRecord

        others = [each for each in self._read_manifest()[0] if each != asked]
        facts = {
            "asked": [asked, *others],
            "closures": [list(map(asdict, wheels)) for wheels in closures],
            "named": self._reuse.list_named(key for wheels in closures for key in wheels),
        }
        return RemoteRecord(MANIFEST, self._manifest, facts)

    def _find_dates(self, document: dict[str, Any]) -> dict[str, str]:
        """Return when build requirements were published, by the hashes of their wheels."""
        wheels = (wheel["sha256"] for wheel in document["closure"]["wheels"].values())
        found = {sha256: self._reuse.manager.origins.find(sha256) for sha256 in wheels}
        return {sha256: each.uploaded for sha256, each in found.items() if each and each.uploaded}
