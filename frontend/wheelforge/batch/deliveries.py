"""What was delivered, so that a batch can be taken up again without building it once more.

A record is written before the files it names are put in place: if the batch dies in between, they
are not there, or not the same, and are built again. Only an sdist has a content that can be known
again; a directory is always built.
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelforge.models import Artifact, Kind
from wheelforge.resolve import read_constraints
from wheelforge_isolation import ForgeError, digest
from wheelforge_isolation.formats.sealed import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wheelforge.batch.jobs import Job
    from wheelforge.index import IndexSettings
    from wheelforge.settings import Settings
    from wheelforge_isolation import Interpreter, JsonCache

_BUILD_VARIABLE = re.compile(
    r"CC|CXX|CPP|AR|LD|FC|(C|CXX|CPP|LD|AR|F|RUST)FLAGS|ARCHFLAGS|CMAKE_ARGS|SKBUILD_\w+"
    r"|SOURCE_DATE_EPOCH|MACOSX_DEPLOYMENT_TARGET|SETUPTOOLS_SCM_\w+|PBR_VERSION"
)
"""What usually changes what comes out of a build."""


class Deliveries:
    """The files delivered by batches with the same settings, whose digest is ``settings``."""

    def __init__(self, records: JsonCache, settings: str) -> None:
        self._records = records
        self._settings = settings

    def find(self, job: Job, sha256: str, python: Interpreter) -> tuple[Artifact, ...]:
        """Return what was made of that source, if all of it is still where it was put."""
        found = self._records.read(*self._describe(job, sha256, python))
        artifacts = tuple(map(_revive, found["artifacts"])) if found else ()
        return artifacts if all(map(_is_there, artifacts)) else ()

    def remember(
        self, job: Job, sha256: str, python: Interpreter, artifacts: Iterable[Artifact]
    ) -> None:
        """Keep what is going to be delivered."""
        facts = [_flatten(artifact) for artifact in artifacts]
        self._records.write({"artifacts": facts}, *self._describe(job, sha256, python))

    def _describe(self, job: Job, sha256: str, python: Interpreter) -> tuple[str, ...]:
        request = job.request
        wanted = {
            "kinds": [kind.value for kind in request.kinds],
            "settings": dict(request.config_settings),
            "links": request.links and request.links.value,
            "cutoff": request.cutoff and request.cutoff.isoformat(),
        }
        own = json.dumps(wanted, sort_keys=True)
        return (str(request.output), sha256, python.identity, self._settings, own)


def digest_settings(settings: Settings, index: IndexSettings) -> str:
    """Return what tells builds under these settings from others."""
    said = index.build_constraints if settings.isolated else ()
    constraints = read_constraints((*settings.constraints, *said))
    variables = settings.variables.items()
    facts = (
        index.identity,
        constraints.texts,
        sorted(constraints.hashes.items()),
        (settings.require_hashes, settings.isolated),
        str(settings.exclude_newer),
        None if settings.lock is None else settings.lock.digest,
        (settings.policy.era.value, settings.policy.source_date_epoch),
        sorted(pair for pair in variables if _BUILD_VARIABLE.fullmatch(pair[0])),
    )
    return fingerprint(facts)


def _flatten(artifact: Artifact) -> dict[str, object]:
    return {**dataclasses.asdict(artifact), "kind": artifact.kind.value, "path": str(artifact.path)}


def _revive(facts: dict[str, Any]) -> Artifact:
    values: dict[str, Any] = {**facts, "kind": Kind(facts["kind"]), "path": Path(facts["path"])}
    return Artifact(**values)


def _is_there(artifact: Artifact) -> bool:
    try:
        return digest(artifact.path) == artifact.sha256
    except (OSError, ForgeError):
        return False
