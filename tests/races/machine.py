"""A machine that is made up: files that may be lost, parties that take turns, a mains that fails.

Whatever the cache does to a file system goes through a stand-in for ``os`` here, and each operation
is a moment at which the turn may pass to another party, a party may be killed, or the power cut.

Of what was written, only what was synchronised outlives a cut for certain. Each other change of a
name and of a file is kept or lost by itself, in any combination: no order is relied on, not even
that of a rename's two halves. A file that was not synchronised may be whole, as it was, empty, cut
short, or right in size and time with zeros for bytes.
"""

from __future__ import annotations

import errno
import os
import random
import stat
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NoReturn

START = 1_000_000_000.0
_TICK_SECONDS = 0.001
FIRST_DESCRIPTOR = 1 << 30
"""Far from any descriptor that a process really has."""
_ENDLESS = 40_000
"""No play is that long: its parties wait for each other."""


class Killed(BaseException):
    """The death of a party; nothing that it does afterwards has an effect."""


@dataclass(eq=False, slots=True)
class File:
    """The content behind a file's names."""

    number: int
    mode: int
    mtime_ns: int
    content: bytes = b""
    links: int = 0
    holder: int = 0
    """The descriptor that it is locked for."""
    safe: tuple[bytes, int] | None = None
    """Content and time at the last synchronisation."""


@dataclass(eq=False, slots=True)
class Directory:
    """Names, and for each that changed since the last synchronisation what it stood for before."""

    number: int
    mode: int
    mtime_ns: int
    entries: dict[str, File | Directory] = field(default_factory=dict[str, "File | Directory"])
    former: dict[str, list[File | Directory | None]] = field(
        default_factory=dict[str, "list[File | Directory | None]"]
    )


Node = File | Directory


@dataclass(slots=True)
class Open:
    node: Node
    party: int
    appends: bool
    position: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a file or directory, under the names that ``os`` has for it."""

    st_mode: int
    st_ino: int
    st_mtime_ns: int
    st_size: int
    st_nlink: int
    st_dev: int = 1

    @property
    def st_ctime_ns(self) -> int:
        return self.st_mtime_ns

    @property
    def st_mtime(self) -> float:
        return self.st_mtime_ns / 1e9


class Turns:
    """Parties that act one at a time, and change at moments that a tape of bytes decides."""

    def __init__(self, tape: bytes, kills: dict[int, int], cut: int) -> None:
        self._tape = iter(tape)
        self._kills = kills
        self._cut = cut
        self._gates: dict[int, threading.Lock] = {}
        self._moments = 0
        self._left = 0
        self.errors: list[BaseException] = []
        self.dead: set[int] = set()
        self.current = 0
        self.is_cut = False
        self.trace = 0
        """A digest of who did what, in order."""

    def perform(self, parties: list[Callable[[], None]], bury: Callable[[int], None]) -> None:
        """Let all of them act to the end; ``bury`` whoever dies on the way."""
        self._gates = {number: threading.Lock() for number in range(1, len(parties) + 1)}
        threads = [
            threading.Thread(target=self._act, args=(number, party, bury))
            for number, party in enumerate(parties, 1)
        ]
        for gate in self._gates.values():
            gate.acquire()
        for thread in threads:
            thread.start()
        if parties:
            self._pass_on(1)
        for thread in threads:
            thread.join()
        self.current = 0

    def _act(self, number: int, party: Callable[[], None], bury: Callable[[int], None]) -> None:
        self._gates[number].acquire()
        try:
            self.check()
            party()
        except Killed:
            bury(number)
        except BaseException as error:  # ruff: ignore[blind-except]
            self.errors.append(error)
            bury(number)
        del self._gates[number]
        if self._gates:
            self._pass_on(self._choose())

    def check(self) -> None:
        """Die, if that is what has happened to the party that acts."""
        if self.is_cut or self.current in self.dead:
            raise Killed

    def step(self, operation: str) -> None:
        """Come to the next moment."""
        if not self.current:
            return
        self.check()
        self._moments += 1
        self.trace = hash((self.trace, self.current, _digest(operation)))
        if self._moments == self._cut:
            self.is_cut = True
        if self._moments == self._kills.get(self.current):
            self.dead.add(self.current)
        self.check()
        if self._moments > _ENDLESS:
            raise AssertionError("they wait for each other")
        self._left -= 1
        if self._left <= 0:
            self._change(self._choose())

    def wait(self) -> None:
        """Let somebody else act first."""
        others = sorted(self._gates.keys() - {self.current})
        self.step("wait")
        if others:
            self._change(next((other for other in others if other > self.current), others[0]))

    def _choose(self) -> int:
        """Return who is next; whoever it is acts to the end once the tape is at its own."""
        numbers = sorted(self._gates)
        byte = next(self._tape, None)
        if byte is None:
            self._left = _ENDLESS
            return numbers[0]
        self._left = 1 + (byte & 31)
        return numbers[(byte >> 5) % len(numbers)]

    def _change(self, following: int) -> None:
        me = self.current
        if following != me and following in self._gates:
            self._pass_on(following)
            self._gates[me].acquire()
            self.check()

    def _pass_on(self, following: int) -> None:
        self.current = following
        self._gates[following].release()


@lru_cache(maxsize=64)
def _digest(word: str) -> int:
    # The same in every process, unlike a string's hash.
    return zlib.crc32(word.encode())


@lru_cache(maxsize=4096)
def _split(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in {"", "."})


def refuse(number: int, path: str) -> NoReturn:
    raise OSError(number, os.strerror(number), path)


@dataclass(frozen=True, slots=True)
class Loss:
    """Losses in a power cut: chance decides, and how much is kept of what could be lost."""

    chance: random.Random
    names_kept: float
    contents_kept: float


@dataclass(frozen=True, slots=True)
class Saved:
    """A machine as it once was."""

    root: Directory
    now: float
    numbers: int
    boots: int


class Machine:
    """Files and directories, open descriptors, a clock; started anew after each cut."""

    def __init__(self) -> None:
        self.reset()

    def reset(self, *, boots_are_known: bool = True) -> None:
        """Be a new machine, with nothing on it."""
        self._numbers = 1
        root = Directory(self._numbers, stat.S_IFDIR, 0)
        self.restore(Saved(root, START, self._numbers, 1 if boots_are_known else 0))

    def save(self) -> Saved:
        """Return what ``restore`` needs to come back to here."""
        return Saved(_copy_directory(self.root, {}), self.now, self._numbers, self.boots)

    def restore(self, saved: Saved) -> None:
        """Be as a machine once was, with nobody at work on it."""
        self.root = _copy_directory(saved.root, {})
        self.now = saved.now
        self._numbers = saved.numbers
        self.boots = saved.boots
        self.open: dict[int, Open] = {}
        self.turns = Turns(b"", {}, 0)
        self.delivered: set[str] = set()
        """The files that were reported to be in their place, for good."""
        self.pause_seconds = 0.0
        """The length of a waiting party's pause, if that is longer than it asked for."""

    @property
    def boot(self) -> str:
        """The name of this run of the machine, where it has one."""
        return f"boot {self.boots}" if self.boots else ""

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def time_ns(self) -> int:
        return int(self.now * 1e9)

    def step(self, operation: str) -> None:
        """Come to the moment before an operation."""
        self.now += _TICK_SECONDS
        self.turns.step(operation)

    def pause(self, seconds: float) -> None:
        """Let time pass, and others act."""
        self.now += max(seconds, self.pause_seconds)
        self.turns.wait()

    def find(self, path: str) -> Node:
        node: Node = self.root
        for part in _split(path):
            if not isinstance(node, Directory):
                refuse(errno.ENOTDIR, path)
            if part not in node.entries:
                refuse(errno.ENOENT, path)
            node = node.entries[part]
        return node

    def find_parent(self, path: str) -> tuple[Directory, str]:
        *parts, name = _split(path)
        parent = self.find("/".join(parts))
        if not isinstance(parent, Directory):
            refuse(errno.ENOTDIR, path)
        return parent, name

    def set_entry(self, parent: Directory, name: str, node: Node | None) -> None:
        """Have a name stand for something else, or for nothing."""
        old = parent.entries.pop(name, None)
        parent.former.setdefault(name, [old]).append(node)
        parent.mtime_ns = self.time_ns()
        if isinstance(old, File):
            old.links -= 1
        if isinstance(node, File):
            node.links += 1
        if node is not None:
            parent.entries[name] = node

    def close(self, descriptor: int) -> None:
        node = self.open.pop(descriptor).node
        if isinstance(node, File) and node.holder == descriptor:
            node.holder = 0

    def bury(self, party: int) -> None:
        """Free all that a dead party had open, and so its locks."""
        for descriptor in [key for key, opened in self.open.items() if opened.party == party]:
            self.close(descriptor)

    def lose_power(self, loss: Loss) -> None:
        """Start anew, with what is left."""
        self.open.clear()
        self.root = _survive_directory(self.root, {}, loss)
        self.boots += self.boots > 0
        self.now += 100


def _copy(node: Node, copies: dict[int, Node]) -> Node:
    if node.number not in copies:
        if isinstance(node, Directory):
            return _copy_directory(node, copies)
        copies[node.number] = replace(node)
    return copies[node.number]


def _copy_directory(directory: Directory, copies: dict[int, Node]) -> Directory:
    copy = Directory(directory.number, directory.mode, directory.mtime_ns)
    copies[directory.number] = copy
    for name, node in directory.entries.items():
        copy.entries[name] = _copy(node, copies)
    for name, values in directory.former.items():
        copy.former[name] = [value and _copy(value, copies) for value in values]
    return copy


def _survive(node: Node, survivors: dict[int, Node], loss: Loss) -> Node:
    if node.number not in survivors:
        if isinstance(node, Directory):
            return _survive_directory(node, survivors, loss)
        survivors[node.number] = _survive_file(node, loss)
    return survivors[node.number]


def _survive_directory(directory: Directory, survivors: dict[int, Node], loss: Loss) -> Directory:
    found = Directory(directory.number, directory.mode, directory.mtime_ns)
    survivors[directory.number] = found
    for name in {**directory.entries, **directory.former}:
        values = directory.former.get(name) or [directory.entries[name]]
        is_kept = loss.chance.random() < loss.names_kept
        value = values[-1] if is_kept else loss.chance.choice(values)
        if value is not None:
            found.entries[name] = kept = _survive(value, survivors, loss)
            if isinstance(kept, File):
                kept.links += 1
    return found


def _survive_file(file: File, loss: Loss) -> File:
    content, mtime_ns = file.content, file.mtime_ns
    if file.safe != (content, mtime_ns) and loss.chance.random() >= loss.contents_kept:
        old, old_mtime_ns = file.safe or (b"", mtime_ns)
        half = content[: len(content) // 2]
        rest = len(content) - len(half)
        choices = [old, b"", half, half + bytes(rest), bytes(len(content)), content]
        # A synchronised content is on the disk, whatever becomes of the time.
        content = content if old == content else loss.chance.choice(choices)
        mtime_ns = loss.chance.choice([mtime_ns, old_mtime_ns])
    return File(file.number, file.mode, mtime_ns, content, safe=(content, mtime_ns))
