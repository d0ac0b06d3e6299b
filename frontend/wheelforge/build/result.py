"""The results of one attempt at a build, as far as it has come."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge_isolation import deliver_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wheelforge.events import EventLog
    from wheelforge.models import Artifact, BuildRequest, Cause
    from wheelforge_isolation import WheelKey


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
