"""Wheels, what environments may be made of them, and what every file in those has to be."""

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from tests.support.stock import Stock, this_python
from wheelforge_isolation import (
    Bounds,
    Cache,
    Event,
    Interpreter,
    Layout,
    WheelKey,
    collect_garbage,
    open_cache,
)

LITTER = Bounds(kept_days=0)
_SAME = {"shared/__init__.py": b"", "shared/same.py": b"same = 1\n"}
_FILES = {
    "base": {"base.py": b"base = 1\n", **_SAME},
    "tool": {"tool.py": b"tool = 1\n" * 2000, **_SAME, "INFO/LICENSE": b"free\n" * 4000},
    "more": {
        "more/__init__.py": b"more = 1\n",
        "more/large.bin": bytes(range(256)) * 1000,
        "INFO/entry_points.txt": b"[console_scripts]\nmore = more:main\n",
    },
}
_SETS = (("base",), ("base", "tool"), ("base", "more"), ("tool", "more"), ("base", "tool", "more"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An environment, and the digest of each file that it is to have."""

    keys: tuple[WheelKey, ...]
    digests: dict[str, str]


@dataclass(frozen=True)
class Goods:
    """All of it below one place; the cache may be elsewhere."""

    place: Path
    cache: Path

    @property
    def layout(self) -> Layout:
        return Layout(root=self.cache)

    @property
    def stock(self) -> Stock:
        return Stock(path=self.place / "stock")

    @cached_property
    def python(self) -> Interpreter:
        return this_python(self.place / "memory")

    @property
    def gates(self) -> Path:
        return self.place / "gates"

    @property
    def log(self) -> Path:
        return self.place / "log"

    def prepare(self) -> None:
        """Make everything once, undisturbed, note what it is, and leave the cache empty."""
        self.gates.mkdir(parents=True)
        keys = {name: self.stock.add(name, "1.0", files) for name, files in _FILES.items()}
        with open_cache(self.layout, _refuse) as cache:
            facts = [self._describe(cache, [keys[name] for name in names]) for names in _SETS]
            facts += [self._describe_wheel(cache, key) for key in keys.values()]
        (self.place / "wanted.json").write_text(json.dumps(facts), encoding="utf-8")
        collect_garbage(self.layout, Bounds(max_bytes=0, max_age_days=0, kept_days=0))

    def _describe(self, cache: Cache, keys: list[WheelKey]) -> list[object]:
        made = cache.environments.get_or_create(self.python, keys, self.stock.read)
        digests = digest_tree(made.path)
        made.give_back()
        return [[asdict(key) for key in keys], digests]

    def _describe_wheel(self, cache: Cache, key: WheelKey) -> list[object]:
        stored = cache.wheels.add(self.stock.path / key.file_name)
        digests = digest_tree(stored.item.path)
        stored.item.give_back()
        return [[asdict(key)], digests]

    @cached_property
    def _facts(self) -> list[Wanted]:
        facts = json.loads((self.place / "wanted.json").read_text(encoding="utf-8"))
        return [
            Wanted(keys=tuple(WheelKey(**key) for key in keys), digests=digests)
            for keys, digests in facts
        ]

    @property
    def wanted(self) -> list[Wanted]:
        """The environments."""
        return self._facts[: len(_SETS)]

    @property
    def wheels(self) -> list[Wanted]:
        """The wheels, each with the digests of what it is unpacked to."""
        return self._facts[len(_SETS) :]

    def count(self) -> Counter[str]:
        """Return how often each word begins a line of the log."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return Counter(line.partition(" ")[0] for line in lines if line)

    def complaints(self) -> list[str]:
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if line.startswith(("failed", "wrong"))]


def digest_tree(top: Path) -> dict[str, str]:
    """Return the digest of each file below ``top``, wherever that is; of links, where they lead."""
    place = str(top).encode()
    found: dict[str, str] = {}
    for path in sorted(top.rglob("*")):
        name = str(path.relative_to(top))
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes().replace(place, b"TOP")).hexdigest()
    return found


def list_litter(layout: Layout) -> list[str]:
    """Return what a collector should not have left: all that no record names, or a living one."""
    shelves = (layout.wheels, layout.environments)
    records = b"".join(path.read_bytes() for shelf in shelves for path in shelf.list_records())
    trees = [tree for shelf in shelves for tree in shelf.list_trees()]
    litter = [tree for tree in trees if tree.name.encode() not in records]
    litter += [path for path in layout.list_files() if not any(path.iterdir())]
    litter += [*layout.drafts.glob("*"), *layout.quarantine.glob("*")]
    for directory in (layout.leases, layout.root / "locks", layout.stages):
        litter += [path for path in directory.glob("*") if path.name not in {".git", "gc.lock"}]
    return [str(path.relative_to(layout.root)) for path in litter]


def _refuse(event: Event) -> None:
    raise AssertionError(event)
