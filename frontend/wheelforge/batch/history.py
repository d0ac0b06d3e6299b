"""The past of a batch: what was delivered, and how long it took.

A delivery is recorded before its files are put in place: if the batch dies in between, they are
not there, or not the same, and are built again. Only an sdist has a content that can be known
again; a directory is always built.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge.models import Artifact, Kind
from wheelforge.provenance.options import STATEMENT
from wheelforge.resolve import read_constraints
from wheelforge_isolation import ForgeError, digest
from wheelforge_isolation.formats.sealed import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wheelforge.batch.jobs import Job
    from wheelforge.index import IndexSettings
    from wheelforge.models import BuildRequest
    from wheelforge.settings import Settings
    from wheelforge_isolation import Interpreter, JsonCache

_BUILD_VARIABLE = re.compile(
    r"CC|CXX|CPP|AR|LD|FC|(C|CXX|CPP|LD|AR|F|RUST)FLAGS|ARCHFLAGS|CMAKE_ARGS|SKBUILD_\w+"
    r"|SOURCE_DATE_EPOCH|MACOSX_DEPLOYMENT_TARGET|SETUPTOOLS_SCM_\w+|PBR_VERSION"
)
"""Variables that usually change the result of a build."""


class Deliveries:
    """The files delivered by batches with the same settings, whose digest is ``settings``."""

    def __init__(self, records: JsonCache, settings: str) -> None:
        self._records = records
        self._settings = settings

    def find(self, request: BuildRequest, sha256: str, python: Interpreter) -> tuple[Artifact, ...]:
        """Return the artifacts of that source, if all of them are still where they were put."""
        found = self._records.read(*self._describe(request, sha256, python))
        artifacts = tuple(map(_revive, found["artifacts"])) if found else ()
        return artifacts if all(map(_is_there, artifacts)) else ()

    def store(
        self,
        request: BuildRequest,
        sha256: str,
        python: Interpreter,
        artifacts: Iterable[Artifact],
    ) -> None:
        """Record the artifacts that are going to be delivered."""
        facts = [
            {**asdict(each), "kind": each.kind.value, "path": str(each.path)} for each in artifacts
        ]
        self._records.write({"artifacts": facts}, *self._describe(request, sha256, python))

    def _describe(self, request: BuildRequest, sha256: str, python: Interpreter) -> tuple[str, ...]:
        wanted: dict[str, object] = {
            "kinds": [kind.value for kind in request.kinds],
            "settings": dict(request.config_settings),
            "links": request.links and request.links.value,
            "cutoff": request.cutoff and request.cutoff.isoformat(),
        }
        if request.set_versions:
            wanted["set"] = sorted(request.set_versions.items())
        own = json.dumps(wanted, sort_keys=True)
        return (str(request.output), sha256, python.identity, self._settings, own)


def digest_settings(settings: Settings, index: IndexSettings) -> str:
    """Return a digest of the settings on which the result of a build depends."""
    said = index.build_constraints if settings.isolated else ()
    constraints = read_constraints((*settings.constraints, *said), settings.variables)
    variables = settings.variables.items()
    facts = (
        index.identity,
        constraints.texts,
        sorted(constraints.hashes.items()),
        (settings.require_hashes, settings.isolated),
        str(settings.exclude_newer),
        None if settings.lock is None else settings.lock.digest,
        (settings.policy.era.value, settings.policy.source_date_epoch),
        settings.provenance.identity,
        sorted(pair for pair in variables if _BUILD_VARIABLE.fullmatch(pair[0])),
    )
    overrides = settings.overrides
    return fingerprint(facts if overrides is None else (*facts, overrides.digest))


def _revive(facts: dict[str, Any]) -> Artifact:
    values: dict[str, Any] = {**facts, "kind": Kind(facts["kind"]), "path": Path(facts["path"])}
    return Artifact(**values)


def _is_there(artifact: Artifact) -> bool:
    try:
        suffix = STATEMENT if artifact.statement else ""
        told = artifact.path.with_name(f"{artifact.path.name}{suffix}")
        return told.is_file() and digest(artifact.path) == artifact.sha256
    except (OSError, ForgeError):
        return False


class BuildTiming(NamedTuple):
    """How long one build took, and how much memory it had."""

    seconds: float
    peak_bytes: int
    """0: not known."""


class Timings:
    """Remembers the timing of each build that went well."""

    def __init__(self, records: JsonCache) -> None:
        self._records = records

    def load(self, job: Job) -> BuildTiming | None:
        """Return the timing of the last build of ``job`` that went well."""
        found = self._records.read(*_identify(job))
        return None if found is None else BuildTiming(**found)

    def store(self, job: Job, timing: BuildTiming) -> None:
        """Remember the timing of ``job``."""
        self._records.write(timing._asdict(), *_identify(job))


def _identify(job: Job) -> tuple[str, ...]:
    """Return the key of a build: an sdist is known by its name, wherever it is."""
    source = job.request.source
    is_directory = isinstance(source, Path) and source.is_dir()
    kinds = ",".join(kind.value for kind in job.request.kinds)
    return (str(source) if is_directory else job.request.label, job.python or "", kinds)
