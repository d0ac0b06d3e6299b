"""Plays by the hundred thousand, and rules broken on purpose to see that they are found out."""

import contextlib
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.races.model import Count, Play, open_wheel, perform, plays
from tests.races.system import MACHINE, SYSTEM, simulated
from tests.trust import Extent, Figures
from wheelforge_isolation.cache import gc, records, trees
from wheelforge_isolation.files import locks

PLAYS = 107_500
"""Of which more than a hundred thousand differ."""
_CHUNK = 2_500
_SEARCH = 20_000
"""After so many plays that were all right, a broken rule counts as not found."""


def explore(
    examples: int, number: int, break_rule: Callable[[pytest.MonkeyPatch], None] | None = None
) -> Count:
    """Perform plays that chance comes upon; raise what went wrong, in the simplest of them."""
    count = Count()
    phases = [Phase.generate] if break_rule else [Phase.generate, Phase.shrink]

    @seed(number)
    @settings(
        max_examples=examples,
        phases=phases,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(play=plays())
    def play_all(play: Play) -> None:
        perform(play, count)

    with playing() as patch:
        if break_rule is not None:
            break_rule(patch)
        play_all()
    return count


@contextlib.contextmanager
def playing() -> Generator[pytest.MonkeyPatch]:
    """Have the cache, and what reads wheels, work on the machine that is made up."""
    with simulated() as patch:
        patch.setattr("wheelforge_isolation.wheels.open_wheel", open_wheel)
        yield patch


def _believe_every_boot(patch: pytest.MonkeyPatch) -> None:
    for room in ("cache.records", "cache.trees"):
        patch.setattr(f"wheelforge_isolation.{room}.boot_id", lambda: "the first and only")


def _flush_no_tree(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("wheelforge_isolation.files.fs.flush_tree", lambda _: None)


def _pin_nothing(patch: pytest.MonkeyPatch) -> None:
    for name in ("pin", "unpin"):
        patch.setattr(locks.Lease, name, lambda *_: None)


def _collect_without_pins(patch: pytest.MonkeyPatch) -> None:
    def read(directory: Path) -> dict[str, set[str]]:
        return {name: set() for name in locks.read_leases(directory)}

    patch.setattr(gc, "read_leases", read)


def _read_leases_too_early(patch: pytest.MonkeyPatch) -> None:
    found: dict[int, dict[str, set[str]]] = {}
    unpublish = gc._Collector._unpublish

    def read_and_unpublish(self: gc._Collector) -> set[str]:
        found[MACHINE.turns.current] = locks.read_leases(self._layout.leases)
        return unpublish(self)

    patch.setattr(gc._Collector, "_unpublish", read_and_unpublish)
    patch.setattr(gc, "read_leases", lambda _: found[MACHINE.turns.current])


def _take_without_a_second_look(patch: pytest.MonkeyPatch) -> None:
    seen: dict[int, bytes | None] = {}
    take, read = trees.TreeStore._take, records.read_record

    def forget_and_take(self: trees.TreeStore, key: str) -> trees.LeasedTree | None:
        seen[MACHINE.turns.current] = read(self._bucket.record(key))
        try:
            return take(self, key)
        finally:
            del seen[MACHINE.turns.current]

    def read_once(path: Path) -> bytes | None:
        return seen[MACHINE.turns.current] if MACHINE.turns.current in seen else read(path)

    patch.setattr(trees.TreeStore, "_take", forget_and_take)
    patch.setattr(trees, "read_record", read_once)


def _look_at_no_file(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(trees, "find_suspects", lambda *_: [])


def _lock_what_has_no_name(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(locks, "_is_still_there", lambda *_: True)


def _deliver_without_synchronising(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SYSTEM, "fsync", lambda _: None)


def _deliver_without_the_names(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("wheelforge_isolation.files.fs.flush_names", lambda _: None)


BROKEN: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "nothing is hashed after a restart": _believe_every_boot,
    "nothing is flushed where restarts do not show": _flush_no_tree,
    "users do not say what they use": _pin_nothing,
    "collectors do not ask what is used": _collect_without_pins,
    "collectors read the leases before they remove records": _read_leases_too_early,
    "users do not read a record again": _take_without_a_second_look,
    "users do not look at the files": _look_at_no_file,
    "a lock may have lost its name": _lock_what_has_no_name,
    "deliveries are not flushed": _deliver_without_synchronising,
    "the names of deliveries are not flushed": _deliver_without_the_names,
}
"""Rules of the cache, each with what breaks it."""
RARE = {
    "nothing is flushed where restarts do not show",
    "users do not read a record again",
    "users do not look at the files",
    "a lock may have lost its name",
}
"""Rules that it takes thousands of plays to miss."""


def find_out(name: str) -> bool:
    """Break a rule; return whether something goes wrong then."""
    try:
        explore(_SEARCH, 0, BROKEN[name])
    except Exception:  # ruff: ignore[blind-except]
        return True
    return False


def run(extent: Extent) -> Figures:
    """Return the figures of a long exploration, and of all rules broken one by one."""
    total, violations = Count(), 0
    with ProcessPoolExecutor(extent.jobs, mp_context=get_context("spawn")) as pool:
        chunks = range(1, 1 + round(extent.share * PLAYS / _CHUNK))
        for count in pool.map(_explore_chunk, chunks):
            violations += count is None
            total.traces |= count.traces if count else set()
            total.happened += count.happened if count else Counter()
        found = list(pool.map(find_out, BROKEN))
    return {
        "runs": len(total.traces),
        "violations": violations,
        **total.happened,
        "controls": len(found),
        "controls_found": sum(found),
    }


def _explore_chunk(number: int) -> Count | None:
    """Return what was explored, or nothing after a violation, which is told."""
    try:
        return explore(_CHUNK, number)
    except Exception:  # ruff: ignore[blind-except]
        sys.stderr.write(traceback.format_exc())
        return None
