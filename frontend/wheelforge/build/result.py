"""The results of one attempt at a build, as far as it has come."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge.models import Artifact, Kind
from wheelforge_isolation import deliver_file
from wheelforge_isolation.formats.file_names import WHEEL_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from wheelforge.events import EventLog
    from wheelforge.models import BuildRequest, Cause
    from wheelforge_isolation import BuiltWheel, WheelKey


class ReusedWheel(NamedTuple):
    """A wheel that need not be built."""

    artifacts: tuple[Artifact, ...]
    """The wheel, behind the sdist of the directory that it comes from."""
    wheels: tuple[WheelKey, ...]
    """The wheels that it was built with."""
    facts: Mapping[str, Any]
    beside: Mapping[str, Mapping[str, bytes]] = {}
    """For each artifact the files that are delivered beside it, all by their names."""
    cause: Cause | None = None
    """Why it may be used, if that is not because nothing has changed."""
    era: datetime | None = None
    """As of when its requirements were resolved, if not as of its build."""


def make_artifact(built: BuiltWheel) -> Artifact:
    """Return a file of the cache as an artifact that is to be delivered."""
    key = built.key
    return Artifact(
        kind=Kind.WHEEL if key.file_name.endswith(WHEEL_SUFFIX) else Kind.SDIST,
        path=built.path,
        name=key.name,
        version=key.version,
        size_bytes=built.path.stat().st_size,
        sha256=key.sha256,
    )


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
        self.environments: list[tuple[tuple[str, ...], tuple[WheelKey, ...]]] = []
        """The requirements and wheels of each environment."""
        self.companions: dict[str, Mapping[str, str]] = {}
        """Facts for the files beside each artifact, by its name, for the time when it is reused."""
        self.sandbox: dict[str, object] = {}
        """That of the hooks, as a report has it."""
        self.is_reused = False
        self.cause: Cause | None = None
        self.checked: list[str] = []
        """The notes about the last artifact."""
        self.requires: tuple[str, ...] = ()
        """The names of what the last wheel requires at run time."""

    @property
    def environment(self) -> Path:
        """The last environment."""
        return Path(self.backend[0]).parent.parent

    def list_environments(self) -> tuple[list[list[str]], list[tuple[WheelKey, ...]]]:
        """Return the requirements and the wheels of each environment, each once."""
        environments = list(dict.fromkeys(reversed(self.environments)))[::-1]
        asked = [list(requirements) for requirements, _ in environments]
        return asked, [wheels for _, wheels in environments]

    def reuse(self, found: ReusedWheel | None, events: EventLog, request: BuildRequest) -> None:
        """Deliver what an earlier build has made, if there is something."""
        if found is None:
            return
        events.artifacts = self.artifacts
        events.note(*found.facts["notes"])
        events.list_environment(found.wheels)
        self.wheels |= dict.fromkeys(found.wheels)
        self.backend = ("", found.facts["backend"])
        for artifact in found.artifacts:
            beside = found.beside.get(artifact.path.name)
            with events.phase("deliver"):
                path = deliver_file(artifact.path, request.output, beside)
            self.artifacts.append(replace(artifact, path=path))
        self.is_reused, self.cause = True, found.cause
