"""Executors: where the builds of a batch are done.

A batch has its own order, journal and deliveries, whatever its executor is; an executor is handed
one job in each of several threads, and returns how that build has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from wheelforge.batch.jobs import Job
    from wheelforge.build.forge import Forge
    from wheelforge.build.sources import FetchedSource
    from wheelforge.models import Outcome


class Executor(Protocol):
    """Does builds; any number of threads may ask for one at once."""

    @property
    def at_once(self) -> int:
        """How many builds it takes at a time, as things are now."""
        ...

    @property
    def is_here(self) -> bool:
        """Whether its builds have the memory of this machine."""
        ...

    def check(self) -> None:
        """Raise the error that ends the batch, if there is one."""
        ...

    def build(self, job: Job, forge: Forge, place: Path, fetched: FetchedSource | None) -> Outcome:
        """Return how the build of ``job`` has ended; its artifacts are below ``place``."""
        ...

    def cancel(self) -> None:
        """End all builds as soon as possible; does not wait."""
        ...
