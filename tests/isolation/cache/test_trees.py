"""Changes to a published directory, its record or a kept file are detected before use."""

import dataclasses
import os
import random
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.support.hooks import wait_until
from tests.support.processes import needs
from tests.support.stock import Reporter, Stock, chance_of, this_python
from wheelforge_isolation import Interpreter, Layout, StoredWheel, WheelKey, open_cache
from wheelforge_isolation.cache import records, trees
from wheelforge_isolation.files.fs import remove_tree

FILES = {
    "demo/__init__.py": b"from demo import data\n",
    "demo/data.py": b"table = {}\n" * 50,
    "demo/empty.py": b"",
    "demo/data/large.bin": bytes(range(256)) * 300,
    "INFO/entry_points.txt": b"[console_scripts]\ndemo = demo.data:main\n",
    "DATA/scripts/demo-script": b"#!python\nprint()\n",
    "DATA/data/share/demo.txt": b"shared\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A cache, what to ask it for, and what is right to get."""

    layout: Layout
    stock: Stock
    python: Interpreter
    keys: tuple[WheelKey, ...]

    def use(self) -> tuple[Reporter, dict[str, bytes]]:
        """Take everything into use; return what was heard and got."""
        reporter = Reporter()
        found: dict[str, bytes] = {}
        with open_cache(self.layout, reporter) as cache:
            environment = cache.environments.get_or_create(self.python, self.keys, self.stock.fetch)
            found |= read(environment.path, "environment")
            for key in self.keys:
                wheel = cache.wheels.get_or_create(key, partial(self.stock.fetch, key))
                found |= read(wheel.item.path, key.name)
        return reporter, found

    def trees(self) -> list[Path]:
        """Return the directories that are visible."""
        records = self.records()
        buckets = (self.layout.wheels, self.layout.environments)
        trees = [tree for bucket in buckets for tree in bucket.list_trees()]
        text = b"".join(record.read_bytes() for record in records)
        return [tree for tree in trees if tree.name.encode() in text]

    def records(self) -> list[Path]:
        return [*self.layout.wheels.list_records(), *self.layout.environments.list_records()]

    def kept(self) -> list[Path]:
        return [path for directory in self.layout.list_files() for path in directory.iterdir()]


def read(top: Path, name: str) -> dict[str, bytes]:
    """Return what is below ``top``, wherever that is."""
    found: dict[str, bytes] = {}
    for path in [top, *top.rglob("*")]:
        content = b""
        if path.is_symlink():
            content = os.fsencode(path.readlink())
        elif path.is_file():
            content = path.read_bytes().replace(os.fsencode(top), b"TOP")
        mode = f"{path.lstat().st_mode:o}"
        found[f"{name}/{path.relative_to(top)} {mode}"] = content
    return found


@pytest.fixture
def ground(fast_path: Path) -> Ground:
    stock = Stock(path=fast_path / "stock")
    layout = Layout(root=fast_path / "cache")
    return Ground(
        layout=layout,
        stock=stock,
        python=this_python(fast_path / "memory"),
        keys=(stock.add("demo", "1.0", FILES), stock.add("other", "2.0")),
    )


# Damages of a file, a link or a directory. Each really changes something.


def flip(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    place = chance.randrange(len(content))
    content[place] ^= 1 << chance.randrange(8)
    with path.open("rb+") as file:
        file.write(content)


def truncate(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(path.stat().st_size))


def empty(path: Path, _: random.Random) -> None:
    os.truncate(path, 0)


def append(path: Path, _: random.Random) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def delete(path: Path, _: random.Random) -> None:
    remove_tree(str(path))


def replace(path: Path, chance: random.Random) -> None:
    """Replace a file by one that differs in nothing but its content."""
    twin = path.with_name(f"{path.name}.twin")
    shutil.copy2(path, twin)
    times = path.stat()
    flip(twin, chance)
    os.utime(twin, ns=(times.st_atime_ns, times.st_mtime_ns))
    twin.replace(path)


def become_a_directory(path: Path, _: random.Random) -> None:
    path.unlink()
    path.mkdir()


def become_a_link(path: Path, _: random.Random) -> None:
    twin = path.with_name(f"{path.name}.twin")
    path.rename(twin)
    path.symlink_to(twin)


def change_mode(path: Path, chance: random.Random) -> None:
    path.chmod(path.stat().st_mode & 0o7777 ^ chance.choice((0o100, 0o020, 0o004, 0o1)))


def add_a_file(path: Path, _: random.Random) -> None:
    (path / "added.pth").write_bytes(b"import os\n")


def add_a_directory(path: Path, _: random.Random) -> None:
    (path / "added").mkdir()


def point_elsewhere(path: Path, _: random.Random) -> None:
    path.unlink()
    path.symlink_to("elsewhere")


Damage = tuple[Path, "Callable[[Path, random.Random], None]"]
FILE_DAMAGE = (append, delete, become_a_directory, become_a_link, change_mode)
CONTENT_DAMAGE = (flip, truncate, empty, replace)
DIRECTORY_DAMAGE = (add_a_file, add_a_directory, change_mode, delete)
RECORD_DAMAGE = (flip, truncate, empty, append, replace, become_a_directory)


def choose(ground: Ground, chance: random.Random) -> Damage:
    """Return a path and what is to happen to it."""
    if chance.random() < 0.2:
        return chance.choice(ground.records()), chance.choice(RECORD_DAMAGE)
    top = chance.choice(ground.trees())
    path = chance.choice([top, *sorted(top.rglob("*"))])
    if path.is_symlink():
        return path, chance.choice((delete, point_elsewhere))
    if path.is_dir():
        return path, chance.choice(DIRECTORY_DAMAGE)
    return path, chance.choice(FILE_DAMAGE + CONTENT_DAMAGE * (path.stat().st_size > 0))


@needs(posix="links and modes")
@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.stress)])
def test_trees__damage_is_seen_before_use_and_healed(ground: Ground, count: int) -> None:
    chance = chance_of(20260611)
    _, right = ground.use()
    unseen: list[str] = []

    for _ in range(count):
        path, do_damage = choose(ground, chance)
        if chance.random() < 0.1:
            flip(chance.choice(ground.kept()), chance)
        story = f"{do_damage.__name__} {path.relative_to(ground.layout.root)}"
        do_damage(path, chance)
        reporter, found = ground.use()
        if "healed" not in reporter.kinds or found != right:
            unseen.append(story)

    assert unseen == []
    assert ground.use()[0].kinds == []


def test_trees__damaged_file_is_fetched_again(ground: Ground) -> None:
    _, right = ground.use()
    for path in ground.kept():
        flip(path, chance_of(0))
    for tree in ground.trees():
        delete(tree, chance_of(0))

    reporter, found = ground.use()

    assert reporter.kinds == ["healed"] * 5
    assert sorted(ground.stock.fetched) == sorted(2 * [key.file_name for key in ground.keys])
    assert found == right


def test_trees__damaged_tree_is_made_again_without_fetching(ground: Ground) -> None:
    ground.use()
    fetched = ground.stock.fetched
    for tree in ground.trees():
        add_a_file(tree, chance_of(0))

    ground.use()

    assert ground.stock.fetched == fetched


def test_trees__damaged_record_is_set_aside_with_its_reason(ground: Ground) -> None:
    ground.use()
    (record,) = ground.layout.environments.list_records()
    truncate(record, chance_of(0))
    left = record.read_bytes()

    reporter, _ = ground.use()

    (event,) = reporter.events
    kept = {path.suffix: path.read_bytes() for path in list(ground.layout.quarantine.glob("*"))}
    assert (event.kind, event.reason) == ("healed", "the record is damaged")
    assert kept == {".why": b"the record is damaged", ".json": left}


def test_trees__record_of_another_key_is_not_believed(ground: Ground) -> None:
    ground.use()
    first, second = ground.layout.wheels.list_records()
    shutil.copyfile(first, second)
    for record in ground.layout.environments.list_records():
        record.unlink()

    reporter, _ = ground.use()

    assert reporter.kinds == ["healed"]


def change_times(top: Path) -> None:
    for path in [*top.rglob("*"), top]:
        os.utime(path, (1, 1), follow_symlinks=False)


def test_trees__changed_times_are_hashed_once(ground: Ground) -> None:
    _, right = ground.use()
    trees = ground.trees()
    for tree in trees:
        change_times(tree)

    first, found = ground.use()
    second, _ = ground.use()

    assert first.kinds == ["refreshed"] * 3
    assert second.kinds == []
    assert found == right
    assert ground.trees() == trees


def test_trees__change_among_changed_times_is_seen(ground: Ground) -> None:
    _, right = ground.use()
    (tree,) = ground.layout.environments.list_trees()
    flip(next(tree.rglob("data.py")), chance_of(0))
    change_times(tree)

    reporter, found = ground.use()

    assert "healed" in reporter.kinds
    assert found == right


@pytest.fixture
def restart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Yield what makes this seem to be another run of the machine."""
    name = tmp_path / "boot_id"
    name.write_text("another run of the machine\n", encoding="ascii")

    def start_anew() -> None:
        monkeypatch.setattr(records, "_BOOT_ID", name)
        records.boot_id.cache_clear()

    yield start_anew
    records.boot_id.cache_clear()


def test_trees__every_byte_is_hashed_once_after_a_restart(
    ground: Ground, restart: Callable[[], None]
) -> None:
    _, right = ground.use()
    restart()

    first, found = ground.use()
    second, _ = ground.use()

    assert (first.kinds, second.kinds) == (["refreshed"] * 3, [])
    assert found == right


def lose_what_was_not_yet_on_disk(tree: Path) -> None:
    """Leave of some file what a power cut leaves: its name, size and time."""
    path = next(tree.rglob("data.py"))
    times = path.stat()
    with path.open("rb+") as file:
        file.write(bytes(times.st_size))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_trees__loss_of_power_is_seen_after_the_restart(
    ground: Ground, restart: Callable[[], None]
) -> None:
    _, right = ground.use()
    for tree in ground.layout.environments.list_trees():
        lose_what_was_not_yet_on_disk(tree)
    restart()

    reporter, found = ground.use()

    assert "healed" in reporter.kinds
    assert found == right


def restore(ground: Ground, root: Path) -> Ground:
    """Pack the cache as CI does, and unpack it below ``root`` with other times."""
    packed = ground.layout.root.with_suffix(".tar")
    with tarfile.open(packed, "w") as archive:
        archive.add(ground.layout.root, ".")
    remove_tree(str(ground.layout.root))
    with tarfile.open(packed) as archive:
        archive.extractall(root, filter="fully_trusted")  # ruff: ignore[tarfile-unsafe-members]
    change_times(root)
    return dataclasses.replace(ground, layout=Layout(root=root))


def test_trees__restored_cache_is_hashed_and_not_made_again(ground: Ground) -> None:
    _, right = ground.use()
    fetched = ground.stock.fetched
    trees = ground.trees()

    reporter, found = restore(ground, ground.layout.root).use()

    assert reporter.kinds == ["refreshed"] * 3
    assert found == right
    assert ground.trees() == trees
    assert ground.stock.fetched == fetched


def test_trees__moved_cache_keeps_wheels_and_makes_environments(
    ground: Ground, fast_path: Path
) -> None:
    ground.use()
    fetched = ground.stock.fetched

    reporter, found = restore(ground, fast_path / "elsewhere").use()

    text = b"".join(found.values())
    assert reporter.kinds == ["refreshed"] * 2
    assert os.fsencode(ground.layout.root) not in text
    assert b"#!TOP/bin/python" in text
    assert ground.stock.fetched == fetched


def test_trees__cache_at_two_places_serves_both(ground: Ground, fast_path: Path) -> None:
    other = dataclasses.replace(ground, layout=Layout(root=fast_path / "link"))
    ground.use()
    other.layout.root.symlink_to(ground.layout.root)
    other.use()
    trees = ground.trees()

    for place in (ground, other, ground):
        assert place.use()[0].kinds == []
    assert ground.trees() == trees


def test_trees__files_are_flushed_before_their_record_where_restarts_do_not_show(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    monkeypatch.setattr("wheelforge_isolation.cache.trees.boot_id", lambda: "")
    monkeypatch.setattr("os.fsync", lambda file: flushed.append(os.fstat(file).st_ino))

    with open_cache(ground.layout, Reporter()) as cache:
        wheel = cache.wheels.get_or_create(
            ground.keys[0], partial(ground.stock.fetch, ground.keys[0])
        )
        files = [path for path in wheel.item.path.rglob("*") if path.is_file()]

    assert {path.stat().st_ino for path in files} <= set(flushed)


def test_trees__refreshed_while_it_is_taken_is_not_made_again(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where many link its files, which changes the times in its record each time."""
    ground.use()
    visible = ground.trees()
    read, refreshed = records.read_record, Counter[Path]()

    def read_before_a_refresh(path: Path) -> bytes | None:
        data = read(path)
        record = records.parse_record(data)
        if record is not None and refreshed[path] < 3:
            refreshed[path] += 1
            path.write_bytes(record._replace(boot=f"run {refreshed[path]}").to_bytes())
        return data

    monkeypatch.setattr(trees, "read_record", read_before_a_refresh)
    ground.use()

    assert [*refreshed.values()] == [3] * len(visible)
    assert ground.trees() == visible
    assert sorted([
        *ground.layout.wheels.list_trees(),
        *ground.layout.environments.list_trees(),
    ]) == (sorted(visible))


def test_tree__that_another_one_makes_is_told_by_its_kind(ground: Ground) -> None:
    key, reporter = ground.keys[0], Reporter()
    with open_cache(ground.layout, reporter) as cache, ThreadPoolExecutor(1) as threads:
        others: list[Future[StoredWheel]] = []

        def fetch(path: str) -> None:
            if not others:
                others.append(threads.submit(cache.wheels.get_or_create, key, fetch))
                wait_until(lambda: "waiting" in reporter.kinds)
            ground.stock.fetch(key, path)

        cache.wheels.get_or_create(key, fetch).item.give_back()
        others[0].result().item.give_back()

    (event,) = reporter.events
    assert event.subject == f"wheels/{key.digest[:12]}"
    assert event.reason == "another process is making it"
