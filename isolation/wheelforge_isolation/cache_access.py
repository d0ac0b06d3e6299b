"""One cache, opened: its stores, its stages, and this process's lease on them.

One of another user is not used: a temporary one takes its place. One that cannot be written to is
used all the same: what it has is taken from it, and what it does not have is made in a temporary
one above it. Nobody can see there what is in use, so whoever may
write to it had better not collect meanwhile; a build that loses its ground that way fails.
"""

from __future__ import annotations

import contextlib
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge_isolation.cache.built_wheels import BuiltStore
from wheelforge_isolation.cache.layout import Layout
from wheelforge_isolation.cache.ownership import claim_cache
from wheelforge_isolation.cache.trees import Event, TreeStore
from wheelforge_isolation.cache.wheels import WheelStore
from wheelforge_isolation.environments.environment import EnvironmentStore
from wheelforge_isolation.errors import CacheForeignError, IsolationError
from wheelforge_isolation.files import fs
from wheelforge_isolation.files.locks import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from wheelforge_isolation.cache.verify import Problem


class Cache:
    """What one process uses of one cache; any number of its threads at once."""

    def __init__(
        self,
        layout: Layout,
        wheels: WheelStore,
        built: BuiltStore,
        shelves: tuple[TreeStore, TreeStore],
        below: Cache | None,
    ) -> None:
        self.layout = layout
        self.wheels = wheels
        self.built = built
        self.shelves = shelves
        self.environments = EnvironmentStore(shelves[1], wheels)
        self._below = below

    def verify(self, *, repair: bool = False) -> Iterator[Problem]:
        """Hash everything, and yield what is wrong; with ``repair`` mend it as well."""
        from wheelforge_isolation.cache.verify import Verifier

        if self._below is not None:
            yield from self._below.verify()
        yield from Verifier(self.layout, self.wheels, self.built, self.shelves).run(repair=repair)

    @property
    def has_grown(self) -> bool:
        """Whether something was made since it was opened."""
        return any(shelf.has_grown for shelf in self.shelves)


@contextlib.contextmanager
def open_cache(
    layout: Layout, report: Callable[[Event], None], *, max_bytes: int | None = None
) -> Generator[Cache]:
    """Yield the cache at ``layout``; whatever was taken into use is given back at the end.

    If it has grown, it is then brought back to ``max_bytes``.
    """
    cache = None
    with contextlib.ExitStack() as stack:
        layout, is_writable = stack.enter_context(choose_layout(layout, report))
        if is_writable:
            cache = stack.enter_context(_use(layout, report))
            yield cache
        else:
            reason = "it cannot be written to; what it does not have is made for this one time"
            report(Event(kind="unwritable", subject=str(layout.root), reason=reason))
            below = stack.enter_context(_use(layout, report))
            above = stack.enter_context(_temporary_layout())
            yield stack.enter_context(_use(above, report, below))
    if cache is not None and max_bytes is not None and cache.has_grown:
        _shrink(layout, max_bytes)


@contextlib.contextmanager
def choose_layout(
    layout: Layout, report: Callable[[Event], None]
) -> Generator[tuple[Layout, bool]]:
    """Yield ``layout``, or a temporary one if it is another user's; and whether to write to it."""
    layout = Layout(root=Path(os.path.abspath(layout.root)))
    try:
        is_writable = claim_cache(layout, partial(_report_aside, report))
    except CacheForeignError as error:
        reason = f"it belongs to {error.owner}, not to {error.user}; a temporary cache is used"
        report(Event(kind="foreign", subject=error.path, reason=reason))
    else:
        yield layout, is_writable
        return
    with _temporary_layout() as temporary:
        yield temporary, True


def _report_aside(report: Callable[[Event], None], subject: str, reason: str) -> None:
    report(Event(kind="foreign", subject=subject, reason=reason))


@contextlib.contextmanager
def _temporary_layout() -> Generator[Layout]:
    with fs.temporary_directory() as place:
        layout = Layout(root=Path(place))
        layout.prepare()
        yield layout


def _shrink(layout: Layout, max_bytes: int) -> None:
    from wheelforge_isolation.cache.gc import Bounds, collect_garbage

    # Without locks nothing can be collected, and no build is the worse for it.
    with contextlib.suppress(IsolationError):
        collect_garbage(layout, Bounds(max_bytes=max_bytes))


@contextlib.contextmanager
def _use(
    layout: Layout, report: Callable[[Event], None], below: Cache | None = None
) -> Generator[Cache]:
    lease = Lease(layout.leases)
    under = (None, None) if below is None else below.shelves
    shelves = (
        TreeStore(layout, layout.wheels, lease, report, under[0]),
        TreeStore(layout, layout.environments, lease, report, under[1]),
    )
    wheels = WheelStore(layout, shelves[0], lease, None if below is None else below.wheels)
    built = BuiltStore(layout, lease, wheels, report, None if below is None else below.built)
    try:
        yield Cache(layout, wheels, built, shelves, below)
    finally:
        lease.close()
