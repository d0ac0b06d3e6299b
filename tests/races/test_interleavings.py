"""The protocol between users and a collector, run in every order that a few switches allow.

Each party is a thread, and only one of them runs at a time: before it touches the file system it
may have to leave the turn to the next one. So a schedule, a set of such moments, decides the order
of all operations, and all schedules with up to so many switches can be gone through.
"""

import functools
import itertools
import os
import random
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from tests.support.caches import NOTHING, ignore, write_wheels
from wheelforge_isolation import BuiltStore, Layout, WheelStore, collect_garbage
from wheelforge_isolation.cache.layout import CacheBucket
from wheelforge_isolation.cache.records import About
from wheelforge_isolation.cache.trees import LeasedTree, TreeStore
from wheelforge_isolation.files import locks
from wheelforge_isolation.files.locks import Lease

P = ParamSpec("P")
T = TypeVar("T")
KEY = "d" * 32
CONTENT = "all of it"
DOORS = (
    "cache.trees.read_record", "cache.trees.find_suspects", "cache.built_wheels.read_record",
    "cache.gc.read_record", "cache.gc.list_entries", "cache.gc.describe_built",
    "cache.gc.list_built", "cache.listing.read_record", "files.locks._list_leases",
    "files.locks._read_notes", "files.fs.create_file", "files.fs.digest",
    "files.fs.ensure_directory", "files.fs.move", "files.fs.remove_file", "files.fs.remove_tree",
    "files.fs._remove",
)  # fmt: skip
"""Where the turn may pass to another party."""


class Stage:
    """Parties that act one at a time, and change at the moments in ``schedule``."""

    def __init__(self, schedule: Collection[int]) -> None:
        self._schedule = schedule
        self._turns: dict[threading.Thread, threading.Semaphore] = {}
        self._errors: list[BaseException] = []
        self.moments = 0

    def perform(self, parties: list[Callable[[], None]]) -> None:
        """Let all of them act to the end, the first one first; raise what any of them raised."""
        threads = [threading.Thread(target=self._act, args=[party]) for party in parties]
        self._turns = {thread: threading.Semaphore(0) for thread in threads}
        for thread in threads:
            thread.start()
        self._turns[threads[0]].release()
        for thread in threads:
            thread.join()
        for error in self._errors:
            raise error

    def _act(self, party: Callable[[], None]) -> None:
        me = threading.current_thread()
        self._turns[me].acquire()
        try:
            party()
        except BaseException as error:  # ruff: ignore[blind-except]
            self._errors.append(error)
        following = self._following(me)
        del self._turns[me]
        if following is not me:
            self._turns[following].release()

    def _following(self, me: threading.Thread) -> threading.Thread:
        threads = list(self._turns)
        return threads[(threads.index(me) + 1) % len(threads)]

    def pause(self, *, always: bool = False) -> None:
        """Leave the turn to the next party, if now is the moment."""
        me = threading.current_thread()
        if me not in self._turns:
            return
        self.moments += 1
        if always or self.moments in self._schedule:
            following = self._following(me)
            if following is not me:
                turn = self._turns[me]
                self._turns[following].release()
                turn.acquire()


class Theatre:
    """Where plays are given, each in a cache of its own."""

    def __init__(self, place: Path) -> None:
        self._place = place
        (self.wheel,) = write_wheels(place / "wheels", 1)
        self._numbers = itertools.count()
        self.stage = Stage([])

    def play(self, name: str, schedule: Collection[int]) -> int:
        """Perform; return how many moments there were."""
        layout = Layout(root=self._place / str(next(self._numbers)))
        layout.prepare()
        before, *parties = PLAYS[name]
        before(Party(layout, self))
        self.stage = Stage(schedule)
        self.stage.perform([functools.partial(party, Party(layout, self)) for party in parties])
        return self.stage.moments


class Party:
    """One process, as far as others can tell."""

    def __init__(self, layout: Layout, theatre: Theatre) -> None:
        self._layout = layout
        self._theatre = theatre
        self._lease = Lease(layout.leases)
        self._shelf = TreeStore(layout, layout.wheels, self._lease, ignore)
        wheels = WheelStore(layout, self._shelf, self._lease)
        self._built = BuiltStore(layout, self._lease, wheels, ignore)

    def do_nothing(self) -> None:
        """Leave the cache empty."""

    def take(self) -> None:
        item = self._shelf.get(KEY)
        if item is not None:
            self._use(item)
        self._lease.close()

    def get_or_create(self) -> None:
        self._use(self._shelf.get_or_create(KEY, self._fill))
        self._lease.close()

    def obtain_twice(self) -> None:
        for _ in range(2):
            self._use(self._shelf.get_or_create(KEY, self._fill))
        self._lease.close()

    def leave_old_times(self) -> None:
        """Leave what has to be hashed and recorded anew."""
        self.get_or_create()
        (tree,) = self._layout.wheels.list_trees()
        os.utime(tree / "file", (1, 1))

    def remember(self) -> None:
        self._built.store(KEY, self._theatre.wheel)
        self._lease.close()

    def find(self) -> None:
        found = self._built.find(KEY)
        if found is not None:
            for _ in range(2):
                assert found.path.read_bytes() == self._theatre.wheel.read_bytes()
                self._theatre.stage.pause()
        self._lease.close()

    def collect(self) -> None:
        collect_garbage(self._layout, NOTHING)

    def _fill(self, tree: Path) -> About:
        (tree / "file").write_text(CONTENT[:4], encoding="utf-8")
        self._theatre.stage.pause()
        (tree / "file").write_text(CONTENT, encoding="utf-8")
        return {"name": "demo", "version": "1", "file_name": "demo.whl"}

    def _use(self, item: LeasedTree) -> None:
        for _ in range(2):
            assert (item.path / "file").read_text(encoding="utf-8") == CONTENT
            self._theatre.stage.pause()
        assert [path.name for path in item.path.iterdir()] == ["file"]
        item.give_back()


PLAYS: dict[str, list[Callable[[Party], None]]] = {
    "a taker and a collector": [Party.get_or_create, Party.take, Party.collect],
    "a collector and a taker": [Party.get_or_create, Party.collect, Party.take],
    "a maker and a collector": [Party.do_nothing, Party.get_or_create, Party.collect],
    "a collector and a maker": [Party.get_or_create, Party.collect, Party.get_or_create],
    "one who renews and a collector": [Party.leave_old_times, Party.take, Party.collect],
    "a collector and one who renews": [Party.leave_old_times, Party.collect, Party.get_or_create],
    "two collectors and a maker": [
        Party.get_or_create,
        Party.collect,
        Party.obtain_twice,
        Party.collect,
    ],
    "two makers and a collector": [
        Party.do_nothing,
        Party.get_or_create,
        Party.get_or_create,
        Party.collect,
    ],
    "two takers and a collector": [
        Party.get_or_create,
        Party.take,
        Party.obtain_twice,
        Party.collect,
    ],
    "a finder and a collector": [Party.remember, Party.find, Party.collect],
    "a collector and a finder": [Party.remember, Party.collect, Party.find],
    "two finders and a collector": [Party.remember, Party.find, Party.find, Party.collect],
    "one who builds it again": [Party.remember, Party.remember, Party.find, Party.collect],
}


class _Clock:
    """Lets whoever waits leave the turn, and no time pass."""

    def __init__(self, theatre: Theatre) -> None:
        self._theatre = theatre

    def monotonic(self) -> float:
        return 0

    def sleep(self, _: float) -> None:
        self._theatre.stage.pause(always=True)


@pytest.fixture
def theatre(fast_path: Path, monkeypatch: pytest.MonkeyPatch) -> Theatre:
    theatre = Theatre(fast_path)

    def pausing(function: Callable[P, T]) -> Callable[P, T]:
        def pause_first(*args: P.args, **kwargs: P.kwargs) -> T:
            theatre.stage.pause()
            return function(*args, **kwargs)

        return pause_first

    for door in DOORS:
        room, _, name = door.rpartition(".")
        module = __import__(f"wheelforge_isolation.{room}", fromlist=[name])
        monkeypatch.setattr(module, name, pausing(getattr(module, name)))
    monkeypatch.setattr(CacheBucket, "list_trees", pausing(CacheBucket.list_trees))
    monkeypatch.setattr(Lease, "_write", pausing(Lease._write))
    monkeypatch.setattr(locks, "time", _Clock(theatre))
    return theatre


def schedules(moments: int, most: int) -> Iterator[tuple[int, ...]]:
    for count in range(most + 1):
        yield from itertools.combinations(range(1, moments + 1), count)


@pytest.mark.parametrize("most", [1, pytest.param(3, marks=pytest.mark.stress)])
@pytest.mark.parametrize("name", PLAYS)
def test_interleavings__no_party_holds_what_is_gone(theatre: Theatre, name: str, most: int) -> None:
    moments = theatre.play(name, [])

    for schedule in schedules(moments, most):
        theatre.play(name, schedule)


@pytest.mark.parametrize("examples", [100, pytest.param(3000, marks=pytest.mark.stress)])
@pytest.mark.parametrize("name", PLAYS)
def test_interleavings__random_ones_lose_nothing_in_use(
    theatre: Theatre, name: str, examples: int
) -> None:
    chance = random.Random(examples)  # ruff: ignore[suspicious-non-cryptographic-random-usage]

    for _ in range(examples):
        share = chance.random()
        theatre.play(name, {moment for moment in range(1, 200) if chance.random() < share})


@pytest.mark.parametrize("name", PLAYS)
def test_interleavings__without_pins_lose_what_is_in_use(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(Lease, "pin", lambda *_: None)
    monkeypatch.setattr(Lease, "unpin", lambda *_: None)
    plays = (
        functools.partial(theatre.play, name, schedule)
        for schedule in schedules(theatre.play(name, []), 2)
    )

    assert any(fails(play) for play in plays)


def fails(play: Callable[[], object]) -> bool:
    try:
        play()
    except (AssertionError, OSError):
        return True
    return False
