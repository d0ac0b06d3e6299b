"""Timings of earlier builds: how long each took and how much memory it had."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from wheelforge.batch.jobs import Job
    from wheelforge_isolation import JsonCache


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
