"""The context of a build: everything that the builds of one forge share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from wheelforge.build.prestart import Prestarter
    from wheelforge.build.targets import Targets
    from wheelforge.events import Reporter
    from wheelforge.hooks.options import HookOptions
    from wheelforge.hooks.pool import RunnerPool
    from wheelforge.models import EnvironmentProvider, Runner, Staging
    from wheelforge.settings import Settings
    from wheelforge_isolation import JsonCache

    MakeRunner = Callable[[HookOptions], AbstractContextManager[Runner]]


class BuildContext(NamedTuple):
    """Used by any number of threads at once."""

    settings: Settings
    targets: Targets
    provider: EnvironmentProvider
    staging: Staging
    pool: RunnerPool
    logs: Path
    reporter: Reporter
    prestarter: Prestarter
    """Knows which server a source will want the next time."""
    unforked: JsonCache
    """Knows the backends whose hooks have failed in a fork only: by their Python, and by name."""
    make_runner: MakeRunner | None = None
    """Runs hooks instead of the pool."""
    tidy: Callable[[], None] | None = None
    """Called after each build that went well."""
