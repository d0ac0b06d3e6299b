"""``python -m tests.races.nursery ROLE PLACE CACHE SECONDS SEED [WORD ...]``: brings up users.

The nursery has loaded everything; its children are forked, so that there may be many of them. One
child lives at a time, for a moment that chance decides, and is killed; with the word ``steady`` it
lives to the end. What it did stands in the log, a line for each thing that began or ended.
"""

import contextlib
import fcntl
import hashlib
import os
import random
import signal
import subprocess  # ruff: ignore[unused-import]
import sys
import time
from collections.abc import Callable
from pathlib import Path

import installer.scripts  # ruff: ignore[unused-import]
import pytest

from tests.races.goods import LITTER, Goods, Wanted, digest_tree
from tests.support.stock import chance_of
from wheelforge_isolation import (
    Bounds,
    Cache,
    Event,
    collect_garbage,
    deliver_file,
    open_cache,
    open_stage,
)
from wheelforge_isolation.cache import gc, trees
from wheelforge_isolation.files import fs, locks

_PATCH = pytest.MonkeyPatch()


class Child:
    """One process that works on the cache until it is told, or made, to stop."""

    def __init__(self, goods: Goods, chance: random.Random, end: float) -> None:
        self.goods = goods
        self.chance = chance
        self._end = end
        self._log = os.open(goods.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(self, *words: object) -> None:
        os.write(self._log, (" ".join(map(str, words)) + "\n").encode())

    def on_event(self, event: Event) -> None:
        self.say(event.kind, event.subject, event.reason)

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self._end

    def build(self) -> None:
        """Obtain environments, look at every file of them, twice, and give them back."""
        while self.goes_on:
            with open_cache(self.goods.layout, self.on_event) as cache:
                for _ in range(self.chance.randrange(1, 12)):
                    self.say("begun")
                    try:
                        self._build_one(cache, self.chance.choice(self.goods.wanted))
                    except Exception as error:  # ruff: ignore[blind-except]
                        self.say("failed", type(error).__name__, error)
                    else:
                        self.say("done")

    def _build_one(self, cache: Cache, wanted: Wanted) -> None:
        made = cache.environments.get_or_create(
            self.goods.python, wanted.keys, self.goods.stock.read
        )
        with open_stage(self.goods.layout.stages, "demo") as stage:
            for _ in range(2):
                found = digest_tree(made.path)
                if found != wanted.digests:
                    names = found.items() ^ wanted.digests.items()
                    self.say("wrong", made.path, sorted({name for name, _ in names}))
                (stage.path / "work").write_bytes(b"")
                time.sleep(self.chance.random() / 50)
        made.give_back()

    def deliver(self) -> None:
        """Build, and put something new into new directories, all the time."""
        top, number = self.goods.cache.parent, 0
        while self.goes_on:
            with open_cache(self.goods.layout, self.on_event) as cache:
                self._build_one(cache, self.chance.choice(self.goods.wanted))
            number += 1
            source = top / f"{os.getpid()}-{number}.whl"
            content = self.chance.randbytes(self.chance.randrange(1, 50_000))
            source.write_bytes(content)
            place = deliver_file(source, top / "out" / f"{os.getpid()}-{number // 5}" / "dist")
            self.say("delivered", hashlib.sha256(content).hexdigest(), place)
            source.unlink()

    def collect(self) -> None:
        """Collect all the time: all that is not in use, or what is litter only."""
        everything = Bounds(max_bytes=0, max_age_days=0, kept_days=0)
        while self.goes_on:
            bounds = self.chance.choice([everything, LITTER, Bounds(max_bytes=400_000)])
            collect_garbage(self.goods.layout, bounds)
            self.say("collected")
            time.sleep(self.chance.random() / 3)

    def synchronise(self) -> None:
        """Have the disk keep all records, and so all names; what they vouch for may be lost."""
        layout = self.goods.layout
        while self.goes_on:
            for path in (*layout.wheels.list_records(), *layout.environments.list_records()):
                with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                    os.fsync(file.fileno())
            time.sleep(0.02)

    def destroy(self) -> None:
        """Damage and remove what nobody uses just now."""
        layout = self.goods.layout
        while self.goes_on:
            time.sleep(self.chance.random() / 20)
            buckets = (layout.wheels, layout.environments)
            records = [(path, "") for bucket in buckets for path in bucket.list_records()]
            trees = [
                (tree, bucket.pin(tree.name)) for bucket in buckets for tree in bucket.list_trees()
            ]
            files = [(path, layout.pin_file(path.name)) for path in layout.list_files()]
            places = self.chance.choice([records, trees, trees, files])
            if places:
                self._damage_unless_pinned(*self.chance.choice(places))

    def _damage_unless_pinned(self, path: Path, pin: str) -> None:
        """Do some damage while nobody can pin that name, unless somebody has."""
        descriptor = _open_gate(self.goods.gates, pin)
        try:
            if pin:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.say(self._damage(path))
        except BlockingIOError:
            self.say("spared")
        except (FileNotFoundError, NotADirectoryError):
            self.say("gone")
        finally:
            os.close(descriptor)

    def _damage(self, path: Path) -> str:
        below = [place for place in path.rglob("*") if not place.is_symlink()] or [path]
        victim = self.chance.choice(below)
        if victim.is_dir() or self.chance.random() < 0.4:
            fs.remove_tree(str(victim))
            return "removed"
        content = bytearray(victim.read_bytes())
        if not content:
            return "empty"
        content[self.chance.randrange(len(content))] ^= 1 << self.chance.randrange(8)
        if victim.stat().st_nlink > 1:
            victim.unlink()  # the other names are somebody else's, who may use them just now
        victim.write_bytes(content)
        return "flipped"


def _open_gate(gates: Path, pin: str) -> int:
    name = hashlib.sha256(pin.encode()).hexdigest()[:24]
    return os.open(gates / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)


def stand_at_the_gates(gates: Path) -> None:
    """Have whatever is pinned locked as well, so that it can be known for certain what is not."""
    pin, unpin, close = locks.Lease.pin, locks.Lease.unpin, locks.Lease.close
    held: dict[str, list[int]] = {}

    def lock_and_pin(self: locks.Lease, name: str) -> None:
        descriptor = _open_gate(gates, name)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        held.setdefault(name, []).append(descriptor)
        pin(self, name)

    def unpin_and_unlock(self: locks.Lease, name: str) -> None:
        unpin(self, name)
        os.close(held[name].pop())

    def close_and_unlock(self: locks.Lease) -> None:
        close(self)
        for descriptors in held.values():
            while descriptors:
                os.close(descriptors.pop())

    _PATCH.setattr(locks.Lease, "pin", lock_and_pin)
    _PATCH.setattr(locks.Lease, "unpin", unpin_and_unlock)
    _PATCH.setattr(locks.Lease, "close", close_and_unlock)


def _ask_nobody() -> None:
    def read(directory: Path) -> dict[str, set[str]]:
        return {name: set() for name in locks.read_leases(directory)}

    _PATCH.setattr(gc, "read_leases", read)


def _trust_every_file() -> None:
    _PATCH.setattr(trees, "find_suspects", lambda *_: [])


def _flush_nothing() -> None:
    _PATCH.setattr(os, "fsync", lambda _: None)


BREAK: dict[str, Callable[[], None]] = {
    "blind": _ask_nobody,
    "trusting": _trust_every_file,
    "careless": _flush_nothing,
}
"""Words that break a rule."""


def main() -> None:
    role, place, cache, seconds, seed, *words = sys.argv[1:]
    goods = Goods(Path(place), Path(cache))
    chance = chance_of(int(seed))
    end = time.monotonic() + float(seconds)
    for word in BREAK.keys() & set(words):
        BREAK[word]()
    stand_at_the_gates(goods.gates)
    # Known before the first child is forked, and not anew in each.
    assert goods.python.version
    assert goods.wanted
    kills = 0
    while time.monotonic() < end:
        latest = end + 60 if "steady" in words else time.monotonic() + chance.random() ** 2 * 2.5
        kills += _raise_one(role, Child(goods, chance_of(chance.randrange(1 << 30)), end), latest)
    sys.stdout.write(f"{kills}\n")


def _raise_one(role: str, child: Child, latest: float) -> bool:
    """Let a child work; return whether it had to be killed."""
    process = os.fork()
    if not process:
        os.setpgid(0, 0)
        try:
            getattr(child, role)()
        except BaseException as error:  # ruff: ignore[blind-except]
            child.say("failed", role, type(error).__name__, error)
        os._exit(0)
    while time.monotonic() < latest:
        if os.waitpid(process, os.WNOHANG)[0]:
            return False
        time.sleep(0.005)
    # A process that it has started may outlive it, and goes on writing.
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    return os.WIFSIGNALED(status)


if __name__ == "__main__":
    main()
