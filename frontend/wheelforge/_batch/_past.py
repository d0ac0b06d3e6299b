"""What builds have cost before: how long they took, how much memory they had."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge_isolation.values import Value, asdict

if TYPE_CHECKING:
    from wheelforge._batch._jobs import Job
    from wheelforge._records import Records


class Cost(Value):
    """Of one build."""

    seconds: float
    peak_bytes: int
    """0: not known."""


class Past(Value):
    """The costs of earlier builds."""

    records: Records

    def recall(self, job: Job) -> Cost | None:
        """Return what the same build has cost the last time that it went well."""
        found = self.records.read(*_describe(job))
        return None if found is None else Cost(**found)

    def remember(self, job: Job, cost: Cost) -> None:
        """Keep what a build has cost."""
        self.records.write(asdict(cost), *_describe(job))


def _describe(job: Job) -> tuple[str, ...]:
    """Return by what a build is known again: an sdist by its name, wherever it is."""
    source = job.request.source
    is_directory = isinstance(source, Path) and source.is_dir()
    kinds = ",".join(kind.value for kind in job.request.kinds)
    return (str(source) if is_directory else job.request.label, job.python or "", kinds)
