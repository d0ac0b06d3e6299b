"""Everything that the builds of one forge share."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from wheelforge_isolation import JsonCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wheelforge.build.attest import Attestor
    from wheelforge.build.forge import Components
    from wheelforge.build.reuse import WheelReuse
    from wheelforge.build.targets import Targets
    from wheelforge.events import Reporter
    from wheelforge.hooks.pool import RunnerPool
    from wheelforge.hooks.sandbox.ladder import Sandbox
    from wheelforge.models import EnvironmentProvider
    from wheelforge.settings import Settings
    from wheelforge_isolation import Cache, Layout


class BuildContext(NamedTuple):
    """Everything that the builds of one forge share; used by any number of threads at once."""

    settings: Settings
    components: Components
    cache: Cache
    layout: Layout
    targets: Targets
    provider: EnvironmentProvider
    pool: RunnerPool
    reporter: Reporter
    reuse: WheelReuse | None = None
    """Finds the wheels of earlier builds."""
    tidy: Callable[[], None] | None = None
    """Called after each build that went well."""
    compiler_cache: str = ""
    """The program that is put in front of compilers, if there is one."""
    sandbox: Sandbox | None = None
    """The rung that hooks stand on, if they are not run as this process is."""
    numbers: Iterator[int] = itertools.count(1)
    """The ids of builds that are given none."""

    @property
    def attestor(self) -> Attestor | None:
        """The writer of what comes beside artifacts, if that is asked for."""
        return getattr(self.provider, "attestor", None)

    @property
    def unforked(self) -> JsonCache:
        """The backends whose hooks have failed in a fork only: by their Python, and by name."""
        return JsonCache(self.layout.guesses, "unforked")
