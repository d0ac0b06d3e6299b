"""Cuts of the power on real file systems: what a disk held at one moment is looked at afterwards.

The image of a disk is on a file system that copies a file in one step, so a copy is what the disk
had been given up to one moment, between two of its writes. Mounted, it recovers as after a cut.
What the file system had not yet sent to its disk is lost. That the disk itself would lose what it
was sent, and not told to keep, is left to the model.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.filesystems.mounts import RECIPES, Recipe, _run, _unmount, mounted
from tests.races.goods import LITTER, Goods, digest_tree, list_litter
from tests.races.storm import TOP, crew
from tests.support.stock import Reporter, chance_of
from tests.trust import Extent, Figures
from wheelforge_isolation import Cache, collect_garbage, open_cache
from wheelforge_isolation.cache import records
from wheelforge_isolation.cache.environments import _key

HOST = replace(RECIPES["xfs"], mebibytes=8192)
"""Copies a file in one step; its own image stays as small as what is in it."""
DISKS = {
    "ext4": Recipe(
        make="mkfs.ext4 -q -F {image}",
        mount="mount -t ext4 {device} {place}",
        mebibytes=200,
        package="e2fsprogs",
    ),
    "xfs": replace(RECIPES["xfs"], mount="mount -t xfs -o nouuid {device} {place}"),
    "btrfs": RECIPES["btrfs"],
}
DISKS["ext4 in any order"] = replace(
    DISKS["ext4"], mount="mount -t ext4 -o data=writeback,nodelalloc {device} {place}"
)
"""Names and sizes may be on the disk long before the bytes are, as on many a file system."""
BUILDERS = ("deliver steady", "deliver steady", "collect steady", "synchronise steady")
CARELESS = ("deliver steady careless", "synchronise steady")
_MEMORY = Path("/dev/shm")  # ruff: ignore[hardcoded-temp-file]
CUTS = 100
_AT_ONCE, _CONTROL_CUTS = 10, 5
_BETWEEN_SECONDS = 0.7
_AHEAD_SECONDS = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The disk as it was, and the lines of the log about what had been delivered by then."""

    image: Path
    delivered: list[str]


@dataclass(slots=True)
class Aftermath:
    """Findings after all cuts of one session."""

    wrong: list[str] = field(default_factory=list[str])
    """Entries given out with the wrong contents."""
    missing: list[str] = field(default_factory=list[str])
    """Delivered entries that were not there whole."""
    happened: Counter[str] = field(default_factory=Counter[str])

    def add(self, other: Aftermath) -> None:
        self.wrong += other.wrong
        self.missing += other.missing
        self.happened += other.happened


@contextlib.contextmanager
def host(directory: Path) -> Generator[Path]:
    """Yield a file system that can copy the images of disks in one step; or skip the test."""
    with mounted("host", directory, HOST) as place:
        yield place


class Session:
    """One disk on which some build while its power is cut, again and again."""

    def __init__(self, kind: str, host_place: Path, number: int = 0) -> None:
        self._recipe = DISKS[kind]
        self._image = host_place / "disk.img"
        self._place = host_place.with_name("disk")
        self._place.mkdir(exist_ok=True)
        name = f"{kind.replace(' ', '-')}-{number}-{time.monotonic_ns()}"
        self._goods = Goods(host_place.with_name(name), self._place / "cache")
        self._chance = chance_of(number)

    def cut(
        self, count: int, roles: tuple[str, ...] = BUILDERS, *, is_same_boot: bool = False
    ) -> Aftermath:
        """Cut the power so often; return what was found then."""
        self._image.unlink(missing_ok=True)
        with self._image.open("xb") as file:
            file.truncate(self._recipe.mebibytes << 20)
        _run(self._recipe.make.format(image=self._image), self._recipe.package)
        with self._mounted(self._image):
            self._goods.prepare()
            cuts = self._cut(count, roles)
        found = Aftermath()
        for cut in cuts:
            found.add(self._look(cut, is_same_boot=is_same_boot))
            cut.image.unlink()
        return found

    def _cut(self, count: int, roles: tuple[str, ...]) -> list[Cut]:
        cuts: list[Cut] = []
        seconds = _AHEAD_SECONDS + count * _BETWEEN_SECONDS
        with crew(self._goods, seconds, roles) as nurseries:
            while not any(self._goods.count()[word] for word in ("delivered", "failed")):
                time.sleep(0.05)
            for number in range(count):
                time.sleep(self._chance.random() * _BETWEEN_SECONDS)
                log = self._goods.log.read_text(encoding="utf-8").splitlines(keepends=True)
                delivered = [line.strip() for line in log if line.startswith("delivered")]
                image = self._image.with_name(f"cut-{number}.img")
                _run(f"cp --reflink=always {self._image} {image}", "coreutils")
                cuts.append(Cut(image=image, delivered=delivered))
            said = [nursery.communicate() for nursery in nurseries]
        assert [errors for _, errors in said if errors] == []
        assert self._goods.complaints() == []
        return cuts

    @contextlib.contextmanager
    def _mounted(self, image: Path) -> Generator[None]:
        if "btrfs" in self._recipe.mount:
            _run("btrfs device scan --forget", "btrfs-progs")  # it would know the other copies
        device = _run(f"losetup --find --show {image}").strip()
        try:
            _run(self._recipe.mount.format(device=device, place=self._place), self._recipe.package)
            try:
                yield
            finally:
                _unmount(self._place)
        finally:
            _run(f"losetup --detach {device}")

    def _look(self, cut: Cut, *, is_same_boot: bool) -> Aftermath:
        """Start the machine anew, from the disk of the cut, and look at what is there."""
        boot = self._goods.place / "boot"
        boot.write_text(
            records.boot_id() if is_same_boot else f"after {cut.image.name}", encoding="ascii"
        )
        with self._mounted(cut.image):
            facts = [str(self._goods.place), str(self._goods.cache), str(boot)]
            command = [sys.executable, "-m", "tests.filesystems.powercut", *facts]
            done = subprocess.run(command, cwd=TOP, text=True, capture_output=True, check=False)
            missing = [line for line in cut.delivered if not _is_whole(*line.split()[1:])]
        if done.returncode:
            return Aftermath([done.stderr], missing)
        found = json.loads(done.stdout)
        happened = Counter(found["happened"], cuts=1, deliveries=len(cut.delivered))
        return Aftermath(found["wrong"], missing, happened)


def _is_whole(digest: str, path: str) -> bool:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest() == digest
    except FileNotFoundError:
        return False


def look_at_all(goods: Goods, boot: Path) -> dict[str, object]:
    """Take all that is there, build what is not, and return what was not as it should be."""
    records._BOOT_ID = boot
    wrong: list[str] = []
    reporter = Reporter()
    with open_cache(goods.layout, reporter) as cache:
        wrong += _take_all(goods, cache)
        wanted = goods.wanted[-1]
        made = cache.environments.get_or_create(goods.python, wanted.keys, goods.stock.read)
        wrong += [f"made: {made.path}"] * (digest_tree(made.path) != wanted.digests)
        list(cache.verify(repair=True))  # of kept files, which are looked at when they are used
        wrong += [f"{found.path}: {found.reason}" for found in cache.verify()]
        made.give_back()
    collect_garbage(goods.layout, LITTER)
    wrong += list_litter(goods.layout)
    return {"wrong": wrong, "happened": Counter(reporter.kinds)}


def _take_all(goods: Goods, cache: Cache) -> list[str]:
    wrong: list[str] = []
    for wanted in goods.wanted:
        item = cache.trees[1].get(_key(goods.python, wanted.keys))
        if item is not None and digest_tree(item.path) != wanted.digests:
            wrong.append(f"taken: {item.path}")
    for wanted in goods.wheels:
        stored = cache.wheels.find(wanted.keys[0])
        if stored is not None and digest_tree(stored.item.path) != wanted.digests:
            wrong.append(f"found: {stored.item.path}")
    return wrong


def run(extent: Extent) -> Figures:
    """Return the figures of many cuts on each file system, and of what then has to go wrong."""
    figures: Figures = {"runs": 0, "violations": 0}
    controls: list[bool] = []
    with tempfile.TemporaryDirectory(dir=_MEMORY) as top, host(Path(top)) as place:
        for kind in DISKS:
            total = Aftermath()
            for number in range(round(extent.share * CUTS / _AT_ONCE)):
                total.add(Session(kind, place, number).cut(_AT_ONCE))
            figures |= _name(kind, total)
            figures["runs"] = int(figures["runs"]) + total.happened["cuts"]
            figures["violations"] = int(figures["violations"]) + len(total.wrong + total.missing)
            careless = Session(kind, place).cut(_CONTROL_CUTS, CARELESS)
            figures |= _name(f"{kind}, deliveries not flushed", careless)
            controls.append(bool(careless.missing))
        kind = "ext4 in any order"
        blind = Session(kind, place).cut(_CONTROL_CUTS, is_same_boot=True)
        figures |= _name(f"{kind}, restart not seen", blind)
        controls.append(bool(blind.wrong))
    return {**figures, "controls": len(controls), "controls_found": sum(controls)}


def _name(kind: str, found: Aftermath) -> dict[str, int]:
    return {f"{kind}: {word}": number for word, number in summary(found).items()}


def summary(found: Aftermath) -> dict[str, int]:
    """Return the figures of what was found."""
    return {**found.happened, "wrong": len(found.wrong), "missing": len(found.missing)}


if __name__ == "__main__":
    place, cache, boot = map(Path, sys.argv[1:])
    sys.stdout.write(json.dumps(look_at_all(Goods(place, cache), boot)))
