"""The files that are delivered beside an artifact: the statement of where it comes from."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge.build.key_document import (
    SCHEMA,
    describe_closure,
    describe_environment,
    describe_interpreter,
    describe_overrides,
    describe_policy,
    describe_request,
)
from wheelforge.build.toolchain import Toolchain, describe_platform
from wheelforge.models import Artifact, Kind
from wheelforge.provenance import sbom
from wheelforge.provenance.options import SBOM, STATEMENT, Sbom
from wheelforge.provenance.statement import (
    Run,
    Subject,
    encode,
    make_purl,
    make_statement,
)
from wheelforge_isolation import change_wheel, digest
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import parse_sdist_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO

    from wheelforge.build.environments import EnvironmentManager
    from wheelforge.build.result import ReusedWheel
    from wheelforge.build.sources import FetchedSource
    from wheelforge.build.wheel_build import WheelBuild
    from wheelforge.models import BuildRequest
    from wheelforge.overrides.model import Override
    from wheelforge.provenance.options import Provenance
    from wheelforge_isolation import WheelKey

    Facts = dict[str, Any]

KEPT = "companions"
"""The key under which earlier builds have kept such facts, by the names of their artifacts."""
_STATEMENT = "statement"


class BuildRecord(NamedTuple):
    """One build that has made an artifact, as far as a statement tells it."""

    id: str
    started: float
    """Seconds since 1970."""
    request: BuildRequest
    """With all its variables."""
    fetched: FetchedSource
    override: Override | None
    environments: Sequence[tuple[tuple[str, ...], tuple[WheelKey, ...]]]
    epoch: str
    backend: str
    sandbox: object
    log: BinaryIO
    surroundings: Facts | None = None
    """The machine as the last hook has found it, if it was looked at meanwhile."""
    wheel: WheelBuild | None = None
    """The build as earlier and later ones know it, if the wheel may be used again."""


class Companions(NamedTuple):
    """The files beside an artifact."""

    beside: dict[str, bytes]
    """Their contents by their names."""
    kept: dict[str, str]
    """Facts for the time when the artifact is used again."""
    sha256: str = ""
    """Of the statement, as it is signed."""


class Attestor:
    """Writes what comes beside artifacts, for all builds of one forge."""

    def __init__(self, options: Provenance, manager: EnvironmentManager) -> None:
        self.options = options
        self._manager = manager
        self._toolchain = Toolchain(manager.cache.layout.manifests)

    def accompany(self, artifact: Artifact, build: BuildRecord) -> Companions:
        """Return the files for an artifact that was just built."""
        kept: dict[str, str] = {}
        if self.options.statements:
            kept[_STATEMENT] = self._make_statement(artifact, build).decode()
        return self._write(artifact, kept)

    def embed(self, artifact: Artifact) -> bool:
        """Put the list of what is in a wheel into it; return whether that is asked for."""
        if self.options.sbom is not Sbom.EMBED or artifact.kind is not Kind.WHEEL:
            return False
        with sbom.open_content(artifact.path) as content:
            name, listed = sbom.find_place(content), sbom.make_sbom(content)
        change_wheel(artifact.path, {name: sbom.encode(listed)})
        return True

    def complete(self, found: ReusedWheel) -> ReusedWheel | None:
        """Return the wheel of an earlier build with the files beside it, if they are known.

        A statement is made when something is built, and never afterwards.
        """
        artifacts, beside = list[Artifact](), dict[str, dict[str, bytes]]()
        for artifact in found.artifacts:
            kept = found.facts.get(KEPT, {}).get(artifact.path.name, {})
            if self.options.statements and _STATEMENT not in kept:
                return None
            written = self._write(artifact, kept)
            artifacts.append(replace(artifact, statement=written.sha256))
            beside[artifact.path.name] = written.beside
            self._manager.origins.note_build(artifacts[-1])
        return found._replace(artifacts=tuple(artifacts), beside=beside)

    def _write(self, artifact: Artifact, kept: dict[str, str]) -> Companions:
        beside: dict[str, bytes] = {}
        if self.options.sbom is Sbom.SIDECAR and artifact.kind is Kind.WHEEL:
            with sbom.open_content(artifact.path) as content:
                listed = sbom.make_sbom(content, artifact.sha256)
            beside[artifact.path.name + SBOM] = sbom.encode(listed)
        if not self.options.statements:
            return Companions(beside, kept)
        statement = kept[_STATEMENT].encode()
        beside[artifact.path.name + STATEMENT] = self.options.sign(statement)
        return Companions(beside, kept, hashlib.sha256(statement).hexdigest())

    def _make_statement(self, artifact: Artifact, build: BuildRecord) -> bytes:
        subject = Subject(
            file_name=artifact.path.name,
            sha256=artifact.sha256,
            source=_describe_source(build.fetched),
            epoch=build.epoch,
            backend=build.backend,
            sandbox=build.sandbox,
        )
        document, origins = self._describe(artifact.kind, build), self._manager.origins
        return encode(make_statement(document, subject, origins, _describe_run(build)))

    def describe_surroundings(self, request: BuildRequest, override: Override | None) -> Facts:
        """Return the machine and the variables as hooks find them; the request has all of these."""
        variables = {**(request.variables or {}), **(override.variables if override else {})}
        own = override.table("environment") if override else {}
        environment = describe_environment(variables, self._manager.cache.built.salt, own)
        return {
            "platform": describe_platform(self._manager.targets.find(request.python).python),
            "toolchain": self._toolchain.describe(variables, environment),
            "environment": environment,
        }

    def _describe(self, kind: Kind, build: BuildRecord) -> Facts:
        asked = [requirements for requirements, _ in build.environments]
        closures = [wheels for _, wheels in build.environments]
        if build.wheel is not None and build.fetched.sha256:
            document = build.wheel.complete(asked, closures)
            if document is not None:
                return document
        settings, request, override = self._manager.settings, build.request, build.override
        python = self._manager.targets.find(request.python).python
        salt = self._manager.cache.built.salt
        constraints = self._manager.read_constraints(request.constraints).texts
        wanted = describe_request(request, override, settings.policy.source_date_epoch, salt)
        return {
            "schema": SCHEMA,
            "source": {"sha256": build.fetched.sha256},
            "request": {**wanted, "kind": kind.value},
            "policy": {
                **describe_policy(settings.policy, is_staged=_is_staged(build)),
                **self.options.key,
            },
            "overrides": describe_overrides(override),
            "interpreter": describe_interpreter(python),
            **(build.surroundings or self.describe_surroundings(request, override)),
            "closure": describe_closure(asked, closures, constraints),
        }


def _is_staged(build: BuildRecord) -> bool:
    """Return whether it was built in a directory of ours: an unpacked sdist, or a commit."""
    is_ours = bool(build.fetched.commit) or not build.fetched.path.is_dir()
    return is_ours and build.request.tree is None


def _describe_source(fetched: FetchedSource) -> Mapping[str, str]:
    path = fetched.path
    found = {"name": path.name, "uri": path.as_uri(), "url": fetched.url}
    if fetched.commit:
        uri = f"git+{fetched.url}@{fetched.commit}"
        return {**found, "uri": uri, "gitCommit": fetched.commit}
    if path.is_dir():
        return found
    try:
        release = parse_sdist_name(path.name)
        found["uri"] = make_purl(release.name, str(release.version), path.name)
    except FormatError:
        found["uri"] = f"pkg:generic/{path.name}"
    return {**found, "sha256": fetched.sha256 or digest(path)}


def _describe_run(build: BuildRecord) -> Run:
    build.log.flush()
    path = Path(build.log.name)
    with path.open("rb") as log:
        log_sha256, log_bytes = hashlib.file_digest(log, "sha256").hexdigest(), log.tell()
    return Run(
        id=f"{build.id}-{build.started:.6f}",
        started=_format(build.started),
        finished=_format(time.time()),
        log=path.name,
        log_bytes=log_bytes,
        log_sha256=log_sha256,
    )


def _format(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
