"""The context of a build: everything that the builds of one forge share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from wheelforge._events import Reporter
    from wheelforge._foresight import Foresight
    from wheelforge._models import EnvironmentProvider, Runner, Staging
    from wheelforge._records import Records
    from wheelforge._runners import RunnerPool, Terms
    from wheelforge._settings import Settings
    from wheelforge._targets import Targets

    MakeRunner = Callable[[Terms], AbstractContextManager[Runner]]


class BuildContext(NamedTuple):
    """Used by any number of threads at once."""

    settings: Settings
    targets: Targets
    provider: EnvironmentProvider
    staging: Staging
    pool: RunnerPool
    logs: Path
    reporter: Reporter
    foresight: Foresight
    """Knows which server a source will want the next time."""
    unforked: Records
    """Knows the backends whose hooks have failed in a fork only: by their Python, and by name."""
    make_runner: MakeRunner | None = None
    """Runs hooks instead of the pool."""
    tidy: Callable[[], None] | None = None
    """Called after each build that went well."""
