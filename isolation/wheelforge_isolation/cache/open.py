"""One cache, opened: its stores, its stages, and this process's lease on them.

A cache of another user is not used: a temporary one takes its place. One that cannot be written to
is used all the same: what it has is taken from it, and what it does not have is made in a temporary
one above it. Nobody can see there what is in use, so whoever may write to it had better not collect
meanwhile; a build whose files are collected that way fails.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge_isolation.cache.built_wheels import BuiltStore
from wheelforge_isolation.cache.environments import EnvironmentStore
from wheelforge_isolation.cache.layout import Layout
from wheelforge_isolation.cache.ownership import claim_cache, claim_stages
from wheelforge_isolation.cache.trees import Event, TreeStore
from wheelforge_isolation.cache.wheels import WheelStore
from wheelforge_isolation.errors import CacheForeignError, IsolationError
from wheelforge_isolation.files import fs
from wheelforge_isolation.files.locks import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from wheelforge_isolation.cache.verify import Problem


class Cache:
    """One process's use of one cache; any number of its threads at once."""

    def __init__(
        self, layout: Layout, report: Callable[[Event], None], below: Cache | None = None
    ) -> None:
        self.layout = layout
        self._below = below
        self._lease = lease = Lease(layout.leases)
        below_wheels, below_environments = below.trees if below else (None, None)
        self.trees: tuple[TreeStore, TreeStore] = (
            TreeStore(layout, layout.wheels, lease, report, below_wheels),
            TreeStore(layout, layout.environments, lease, report, below_environments),
        )
        self.wheels: WheelStore = WheelStore(
            layout, self.trees[0], lease, below.wheels if below else None
        )
        self.environments = EnvironmentStore(self.trees[1], self.wheels)
        self.built: BuiltStore = BuiltStore(
            layout, lease, self.wheels, report, below.built if below else None
        )

    def verify(self, *, repair: bool = False) -> Iterator[Problem]:
        """Hash everything, and yield what is wrong; with ``repair`` mend it as well."""
        from wheelforge_isolation.cache.verify import verify

        if self._below is not None:
            yield from self._below.verify()
        yield from verify(self.layout, self.built, self.trees, self.wheels, repair=repair)

    @property
    def has_grown(self) -> bool:
        """Whether something was made since it was opened."""
        return self.built.has_grown or any(store.has_grown for store in self.trees)

    def close(self) -> None:
        """Give back all that was taken into use."""
        self._lease.close()


@contextlib.contextmanager
def open_cache(
    layout: Layout, report: Callable[[Event], None], *, max_bytes: int | None = None
) -> Generator[Cache]:
    """Yield the cache at ``layout``; whatever was taken into use is given back at the end.

    If it has grown, it is then brought back to ``max_bytes``.
    """
    with choose_layout(layout, report) as (chosen, is_writable):
        with contextlib.ExitStack() as stack:
            above, below = chosen, None
            if not is_writable:
                reason = "it cannot be written to; what it does not have is made for this one time"
                report(Event(kind="unwritable", subject=str(chosen.root), reason=reason))
                below = stack.enter_context(contextlib.closing(Cache(chosen, report)))
                above = stack.enter_context(_temporary_layout(chosen.stage_root))
            cache = stack.enter_context(contextlib.closing(Cache(above, report, below)))
            yield cache
        if is_writable and max_bytes is not None and cache.has_grown:
            from wheelforge_isolation.cache.gc import Bounds, collect_garbage

            # Without locks nothing can be collected, and no build is the worse for it.
            with contextlib.suppress(IsolationError):
                collect_garbage(chosen, Bounds(max_bytes=max_bytes))


@contextlib.contextmanager
def choose_layout(
    layout: Layout, report: Callable[[Event], None]
) -> Generator[tuple[Layout, bool]]:
    """Yield ``layout``, or a temporary one if it is another user's; and whether to write to it."""
    layout = Layout(Path(os.path.abspath(layout.root)), layout.stage_root)
    claim_stages(layout)

    def report_aside(subject: str, reason: str) -> None:
        report(Event(kind="foreign", subject=subject, reason=reason))

    try:
        is_writable = claim_cache(layout, report_aside)
    except CacheForeignError as error:
        report_aside(
            error.path,
            f"it belongs to {error.owner}, not to {error.user}; a temporary cache is used",
        )
    else:
        yield layout, is_writable
        return
    with _temporary_layout(layout.stage_root) as temporary:
        yield temporary, True


@contextlib.contextmanager
def _temporary_layout(stage_root: Path | None) -> Generator[Layout]:
    with fs.temporary_directory() as place:
        layout = Layout(Path(place), stage_root)
        layout.prepare()
        yield layout
