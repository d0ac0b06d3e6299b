"""The cache on a machine that is made up: what its users do there, and what they may rely on.

One play: what was there before, parties that act at once, perhaps a cut of the power, and whoever
comes next. Then everything is built that can be built, and collected twice: what is litter first.
"""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from hypothesis import strategies as st

from tests.races.machine import Directory, File, Loss, Saved, Turns
from tests.races.system import MACHINE, SYSTEM, SimulatedPath, write_file
from tests.support.caches import NOTHING, ignore
from tests.support.stock import chance_of
from wheelforge_isolation import Bounds, Layout, WheelKey, WheelStore, collect_garbage, deliver_file
from wheelforge_isolation.cache.records import About, parse_record, read_record
from wheelforge_isolation.cache.trees import LeasedTree, TreeStore
from wheelforge_isolation.errors import FileMissingError
from wheelforge_isolation.files import fs
from wheelforge_isolation.files.capabilities import FileCloner
from wheelforge_isolation.files.locks import Lease
from wheelforge_isolation.files.staging import open_stage

LAYOUT = Layout(root=SimulatedPath("/cache"))
LITTER = Bounds(kept_days=0)
OUT = "/out"
ENVIRONMENT = "e" * 32
"""The key of what is made of all wheels."""


def _content(name: str) -> dict[str, bytes]:
    """Return the files that the wheel ``name`` is unpacked to."""
    return {f"{name}.py": f"all of {name}".encode(), f"{name}/part.py": f"more of {name}".encode()}


def _key(name: str) -> WheelKey:
    sha256 = hashlib.sha256(_packed(name)).hexdigest()
    return WheelKey(name=name, version="1", file_name=f"{name}-1-py3-none-any.whl", sha256=sha256)


def _packed(name: str) -> bytes:
    return f"the wheel {name}".encode()


WHEELS = {name: _key(name) for name in ("ant", "bee")}
RIGHT = {key.digest: _content(name) for name, key in WHEELS.items()}
RIGHT[ENVIRONMENT] = {path: text for name in WHEELS for path, text in _content(name).items()}
_FOUND_KEYS = {LAYOUT.environments.locate(ENVIRONMENT): ENVIRONMENT}


@contextlib.contextmanager
def open_wheel(path: Path, *, workspace: Path) -> Generator[SimpleNamespace]:
    """Stand in for what reads wheels: their format is proved elsewhere."""
    del workspace
    try:
        content = path.read_bytes().decode()
    except FileNotFoundError as error:
        raise FileMissingError("read", str(path), "it is gone") from error
    files = _content(content.removeprefix("the wheel "))
    archive = SimpleNamespace(write=partial(_write_files, files))
    yield SimpleNamespace(files={}, entry_points=(), archive=archive)


def _write_files(files: dict[str, bytes], top: str) -> None:
    for path, content in files.items():
        fs.ensure_directory(f"{top}/{path}".rpartition("/")[0])
        fs.create_file(f"{top}/{path}", [content[:4], content[4:]])


class Party:
    """One process that uses the cache."""

    def __init__(self) -> None:
        LAYOUT.prepare()
        self._lease = Lease(LAYOUT.leases)
        self.buckets = (LAYOUT.wheels, LAYOUT.environments)
        self.trees = [TreeStore(LAYOUT, bucket, self._lease, ignore) for bucket in self.buckets]
        self._store = WheelStore(LAYOUT, self.trees[0], self._lease)

    def leave(self) -> None:
        self._lease.close()

    def take(self) -> None:
        for key in WHEELS.values():
            stored = self._store.find(key)
            if stored is not None:
                _use(stored.item)
        self.leave()

    def get_or_create(self) -> None:
        for name, key in WHEELS.items():
            _use(self._store.get_or_create(key, partial(_fetch, name)).item)
        self.leave()

    def build(self) -> None:
        _use(self.trees[1].get_or_create(ENVIRONMENT, self._fill))
        self.leave()

    def build_twice(self) -> None:
        for _ in range(2):
            _use(self.trees[1].get_or_create(ENVIRONMENT, self._fill))
        self.leave()

    def _fill(self, tree: Path) -> About:
        link = FileCloner()
        for name, key in WHEELS.items():
            item = self._store.get_or_create(key, partial(_fetch, name)).item
            for path in _content(name):
                fs.ensure_directory(f"{tree}/{path}".rpartition("/")[0])
                link(f"{item.path}/{path}", f"{tree}/{path}")
            item.give_back()
        return {"python": "python", "version": "3", "wheels": list(WHEELS)}

    def stage(self) -> None:
        with open_stage(LAYOUT.stages, "demo") as stage:
            write_file(f"{stage.path}/source", b"what is built")
            assert SimulatedPath(f"{stage.path}/source").read_bytes() == b"what is built"
            assert sorted(SYSTEM.listdir(str(stage.path))) == [".lock", "source"]

    def deliver(self) -> None:
        fs.ensure_directory("/built")
        for number in range(2):
            source = SimulatedPath(f"/built/{MACHINE.turns.current}.{number}.whl")
            write_file(str(source), b"what was built")
            place = deliver_file(source, SimulatedPath(f"{OUT}/{number}"))
            MACHINE.delivered.add(str(place))

    def collect(self) -> None:
        collect_garbage(LAYOUT, NOTHING)

    def collect_litter(self) -> None:
        collect_garbage(LAYOUT, LITTER)

    def lose_records(self) -> None:
        """Do what a stranger may do who tidies up: remove what makes directories visible."""
        for _ in range(3):
            for bucket in self.buckets:
                for path in bucket.list_records():
                    with contextlib.suppress(FileNotFoundError):
                        SYSTEM.unlink(str(path))


def _fetch(name: str, path: str) -> None:
    content = _packed(name)
    fs.create_file(path, [content[:5], content[5:]])


def _use(item: LeasedTree) -> None:
    """Hold a directory in use against what it should be, and once more before it is given back."""
    right = RIGHT[_FOUND_KEYS.get(item.record.key, item.record.key)]
    for _ in range(2):
        assert read_tree(str(item.path)) == right, "wrong bytes under a published name"
    item.give_back()


def read_tree(top: str) -> dict[str, bytes]:
    """Return all files below ``top``."""
    return {
        f"{directory}/{name}".removeprefix(f"{top}/"): SimulatedPath(directory, name).read_bytes()
        for directory, _, names in SYSTEM.walk(top)
        for name in names
    }


ROLES: tuple[Callable[[Party], None], ...] = (
    Party.build,
    Party.collect,
    Party.take,
    Party.get_or_create,
    Party.collect_litter,
    Party.build_twice,
    Party.deliver,
    Party.stage,
    Party.lose_records,
)


def leave_nothing() -> None:
    """Leave a cache that nobody has used."""


def leave_all() -> None:
    """Leave everything made, used and on the disk."""
    Party().build()
    _synchronise()


def leave_a_copy() -> None:
    """Leave what was copied here just now: with other times, and nothing of it on the disk."""
    Party().build()
    for node in _list_nodes():
        if isinstance(node, File):
            node.safe, node.mtime_ns = None, MACHINE.time_ns()


def leave_damage() -> None:
    """Leave a file in each directory with a byte changed, and on the disk as well."""
    Party().build()
    for bucket in (LAYOUT.wheels, LAYOUT.environments):
        for tree in bucket.list_trees():
            write_file(f"{tree}/{min(read_tree(str(tree)))}", b"X")
    _synchronise()


def _list_nodes() -> list[File | Directory]:
    nodes: list[File | Directory] = []
    pending: list[File | Directory] = [MACHINE.root]
    while pending:
        nodes.append(pending.pop())
        if isinstance(nodes[-1], Directory):
            pending += nodes[-1].entries.values()
    return nodes


def _synchronise() -> None:
    for node in _list_nodes():
        if isinstance(node, File):
            node.safe = (node.content, node.mtime_ns)
        else:
            node.former.clear()


BEFORE: tuple[Callable[[], None], ...] = (leave_nothing, leave_all, leave_a_copy, leave_damage)


_KEPT = (1.0, 0.95, 0.5, 0.0)
_FACTS, _AFTER, _DRAWN = 32, 24, 96
"""How many bytes are drawn for a play, and for which part of it."""
_PREPARED: dict[tuple[int, bool], Saved] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """The acts of each party, when the turn passes, which dies, and whether the power is cut."""

    before: int
    roles: tuple[int, ...]
    tape: bytes
    kills: dict[int, int] = field(default_factory=dict[int, int])
    cut: int = 0
    """The moment of the cut; none at all when the parties are through before."""
    loss: int = 0
    """Decides what the cut takes."""
    kept: tuple[float, float] = (1.0, 1.0)
    """How much is kept of the names and of the contents that could be lost."""
    roles_after: tuple[int, ...] = ()
    tape_after: bytes = b""
    boots_are_known: bool = True
    is_patient: bool = True


def plays() -> st.SearchStrategy[Play]:
    """Return all plays."""
    # Of one draw, not of many: hypothesis would repeat itself, and take longer than the plays.
    return st.binary(min_size=_DRAWN, max_size=_DRAWN).map(read_play)


def read_play(drawn: bytes) -> Play:
    """Return the play that some bytes stand for, all zeros for the simplest one."""
    facts, tape, tape_after = drawn[:_FACTS], drawn[_FACTS:-_AFTER], drawn[-_AFTER:]
    numbers = iter(facts)
    return Play(
        before=next(numbers) % len(BEFORE),
        roles=_read_roles(numbers, 2),
        roles_after=_read_roles(numbers, 1),
        kills={1 + next(numbers) % 4: _read_moment(numbers) for _ in range(next(numbers) % 3)},
        cut=_read_moment(numbers) if next(numbers) % 4 else 0,
        loss=next(numbers),
        kept=(_KEPT[next(numbers) % len(_KEPT)], _KEPT[next(numbers) % len(_KEPT)]),
        boots_are_known=next(numbers) % 2 == 0,
        is_patient=next(numbers) % 2 == 0,
        tape=tape,
        tape_after=tape_after,
    )


def _read_roles(numbers: Iterator[int], least: int) -> tuple[int, ...]:
    return tuple(next(numbers) % len(ROLES) for _ in range(least + next(numbers) % 3))


def _read_moment(numbers: Iterator[int]) -> int:
    return 1 + next(numbers)


@dataclass(slots=True)
class Count:
    """The acts that were played so far."""

    traces: set[int] = field(default_factory=set[int])
    """One number for each order of operations that was really gone through."""
    happened: Counter[str] = field(default_factory=Counter[str])


def perform(play: Play, count: Count) -> None:
    """Play; raise if anybody got what is wrong, failed, or left something behind."""
    _prepare(play.before, boots_are_known=play.boots_are_known)
    MACHINE.pause_seconds = 0 if play.is_patient else 400
    turns = _act(play.roles, Turns(play.tape, play.kills, play.cut))
    trace = turns.trace
    if turns.is_cut:
        MACHINE.lose_power(Loss(chance_of(play.loss), *play.kept))
        for place in sorted(MACHINE.delivered):
            content = SimulatedPath(place).read_bytes()
            assert content == b"what was built", "what was delivered is not whole"
        after = _act(play.roles_after, Turns(play.tape_after, {}, 0))
        trace = hash((trace, after.trace, play.loss))
    count.traces.add(hash((trace, play.before)))
    count.happened["plays"] += 1
    count.happened["cuts"] += turns.is_cut
    count.happened["kills"] += len(turns.dead)
    _clean_up()


def _prepare(before: int, *, boots_are_known: bool) -> None:
    """Have the machine as it was left; every time from the same copy, which is faster."""
    found = _PREPARED.get((before, boots_are_known))
    if found is None:
        MACHINE.reset(boots_are_known=boots_are_known)
        BEFORE[before]()
        found = _PREPARED[before, boots_are_known] = MACHINE.save()
    MACHINE.restore(found)


def _act(roles: tuple[int, ...], turns: Turns) -> Turns:
    """Let all roles be played at once; raise what went wrong in any of them."""
    MACHINE.turns = turns
    turns.perform([partial(_enter, ROLES[role]) for role in roles], MACHINE.bury)
    MACHINE.turns = Turns(b"", {}, 0)
    for error in turns.errors:
        raise error
    return turns


def _enter(role: Callable[[Party], None]) -> None:
    role(Party())


def _clean_up() -> None:
    """Build all there is, and see that a collector finds all that nobody needs."""
    Party().build()
    Party().get_or_create()
    collect_garbage(LAYOUT, LITTER)
    party = Party()
    for bucket, shelf in zip(party.buckets, party.trees, strict=True):
        records = bucket.list_records()
        assert [shelf.examine(path) for path in records] == [""] * len(records)
        found = [parse_record(read_record(path)) for path in records]
        assert {tree.name for tree in bucket.list_trees()} == {one.tree for one in found if one}
    party.leave()
    assert all(SYSTEM.listdir(str(place)) for place in LAYOUT.list_files())
    collect_garbage(LAYOUT, NOTHING)
    assert list_litter() == []


def list_litter() -> list[str]:
    """Return what is in the cache that holds nothing any more, but for its usual files."""
    usual = {"CACHEDIR.TAG", ".gitignore", ".git"}
    return [
        f"{directory}/{name}"
        for directory, _, names in SYSTEM.walk(str(LAYOUT.root))
        for name in names
        if name not in usual
    ]
