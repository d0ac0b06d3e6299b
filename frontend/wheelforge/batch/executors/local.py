"""Builds in this process, each in the thread that asks for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wheelforge.build.session import BuildSession

if TYPE_CHECKING:
    from pathlib import Path

    from wheelforge.batch.jobs import Job
    from wheelforge.batch.machine import TokenPool
    from wheelforge.build.forge import Forge
    from wheelforge.build.sources import FetchedSource
    from wheelforge.models import Outcome


class LocalExecutor:
    """Builds here; hooks of all builds share the tokens of ``pool``."""

    is_here = True

    def __init__(self, pool: TokenPool, at_once: int) -> None:
        self.at_once = at_once
        self._pool = pool

    def check(self) -> None:
        """Nothing ends all builds at once but a cancellation."""

    def build(self, job: Job, forge: Forge, place: Path, fetched: FetchedSource | None) -> Outcome:
        """Build ``job`` below ``place``."""
        tokens = self._pool.tokens
        waited = tokens.waited()
        request = replace(job.request, output=place)
        outcome = BuildSession(forge.context, request, fetched, id=job.id).run()
        waited = tokens.waited() - waited
        return replace(outcome, request=job.request, waits={"token": waited} if waited else {})

    def cancel(self) -> None:
        """End all hooks, and let no other one start."""
        self._pool.cancel()
