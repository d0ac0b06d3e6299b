"""Every file system holds the cache: links where there are any, and nothing lost where not."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.filesystems.mounts import RECIPES, _run, _unmount, mounted, mounted_tmpfs
from tests.support.caches import NOTHING
from tests.support.stock import Reporter, Stock, this_python
from wheelforge_isolation import Environment, Event, Layout, WheelKey, collect_garbage, open_cache

pytestmark = pytest.mark.filesystems

FILES = {
    "demo/__init__.py": b"def main(): print('demo')\n",
    "demo/large.bin": bytes(range(256)) * 1000,
    "DATA/scripts/old": b"#!python\nimport demo\ndemo.main()\n",
    "INFO/entry_points.txt": b"[console_scripts]\ndemo = demo:main\n",
}
SHARING = {"ext4": "hard link", "tmpfs": "hard link", "xfs": "clone", "btrfs": "clone"}
SHARING |= {"ntfs": "hard link", "exfat": "copy", "overlay": "hard link"}


@pytest.fixture(scope="module", params=["ext4", "tmpfs", "overlay", *RECIPES])
def mount(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """A file system of each kind."""
    kind = str(request.param)
    top = tmp_path_factory.mktemp("mounts")
    if kind == "ext4":  # or whatever the tests run on
        yield kind, top
    elif kind == "tmpfs":
        with mounted_tmpfs(top / kind, kibibytes=200_000, inodes=50_000) as place:
            yield kind, place
    elif kind == "overlay":
        yield from mount_overlay(kind, top)
    else:
        with mounted(kind, top) as place:
            yield kind, place


def mount_overlay(kind: str, top: Path) -> Iterator[tuple[str, Path]]:
    """Mount an overlay, whose layers have to be on a file system that is none itself."""
    with mounted_tmpfs(top / "ground", kibibytes=200_000, inodes=50_000) as ground:
        lower, upper, work, place = (ground / name for name in ("lower", "upper", "work", "place"))
        for directory in (lower, upper, work, place):
            directory.mkdir()
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        _run(f"mount -t overlay overlay -o {options} {place}")
        try:
            yield kind, place
        finally:
            _unmount(place)


@pytest.fixture
def stock(tmp_path: Path) -> Stock:
    return Stock(path=tmp_path / "stock")


@pytest.fixture
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "interpreters"


def make(
    root: Path, stock: Stock, memory: Path, *keys: WheelKey
) -> tuple[Environment, list[Event]]:
    reporter = Reporter()
    with open_cache(Layout(root=root), reporter) as cache:
        made = cache.environments.get_or_create(this_python(memory), keys, stock.fetch)
    return made, reporter.events


def say(environment: Environment, program: str) -> str:
    path = Path(environment.scripts_directory, program)
    return subprocess.run([path], capture_output=True, text=True, check=True).stdout.strip()


def find(top: Path, name: str) -> Path:
    (path,) = top.rglob(name)
    return path


def shares_blocks(path: Path) -> bool:
    """Return whether `filefrag` says of every block of a file that another file has it, too."""
    listed = _run(f"filefrag -v {path}", "e2fsprogs").splitlines()
    extents = [line for line in listed if line.strip()[:1].isdigit()]
    return bool(extents) and all("shared" in line for line in extents)


def test_environment__works_and_is_found_again(
    mount: tuple[str, Path], stock: Stock, memory: Path
) -> None:
    kind, place = mount
    key = stock.add(files=FILES)

    made, _ = make(place / "cache", stock, memory, key)
    again, events = make(place / "cache", stock, memory, key)

    assert [say(made, program) for program in ("demo", "old")] == ["demo", "demo"]
    assert again.path == made.path
    assert events == []
    assert stock.fetched == [key.file_name]
    wheels = Layout(root=place / "cache").wheels
    first, second = (find(top, "large.bin") for top in (*wheels.list_trees(), made.path))
    assert first.samefile(second) is (SHARING[kind] == "hard link")
    if SHARING[kind] == "clone":
        assert shares_blocks(first)
        assert shares_blocks(second)
    collect_garbage(Layout(root=place / "cache"), NOTHING)
    assert wheels.list_trees() == []


def test_trees__damage_is_seen_and_healed(
    mount: tuple[str, Path], stock: Stock, memory: Path
) -> None:
    _, place = mount
    key = stock.add(files=FILES)
    made, _ = make(place / "damaged", stock, memory, key)
    with find(made.path, "large.bin").open("r+b") as file:
        file.write(b"damage")

    again, events = make(place / "damaged", stock, memory, key)

    assert "healed" in {event.kind for event in events}
    assert again.path != made.path
    assert find(again.path, "large.bin").read_bytes() == FILES["demo/large.bin"]


def test_environment__of_shared_blocks_cannot_harm_a_wheel(
    mount: tuple[str, Path], stock: Stock, memory: Path
) -> None:
    kind, place = mount
    if SHARING[kind] == "hard link":
        pytest.skip("harm is done here, and seen: that is another test")
    made, _ = make(place / "harm", stock, memory, stock.add(files=FILES))
    with find(made.path, "large.bin").open("r+b") as file:
        file.write(b"damage")

    (tree,) = Layout(root=place / "harm").wheels.list_trees()

    assert find(tree, "large.bin").read_bytes() == FILES["demo/large.bin"]


def test_cache__may_be_on_another_file_system_than_the_wheels(
    mount: tuple[str, Path], stock: Stock, memory: Path, tmp_path: Path
) -> None:
    _, place = mount
    elsewhere = Stock(path=place / "stock")
    key = elsewhere.add(files=FILES)

    made, _ = make(tmp_path / "cache", elsewhere, memory, key)
    with open_cache(Layout(root=place / "other"), Reporter()) as cache:
        (tmp_path / "private").mkdir()
        stock.add(files=FILES)
        private = cache.environments.get_or_create(
            this_python(memory), [key], stock.fetch, private=tmp_path / "private"
        )

    assert [say(environment, "demo") for environment in (made, private)] == ["demo", "demo"]


def test_cache__mounted_for_reading_is_used_and_never_written(
    stock: Stock, memory: Path, tmp_path: Path
) -> None:
    here, missing = stock.add(files=FILES), stock.add("missing")
    make(tmp_path / "cache", stock, memory, here)
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in tmp_path.rglob("cache/**/*"))
    (tmp_path / "cache").rename(tmp_path / "ground")
    (tmp_path / "cache").mkdir()
    _run(f"mount --bind {tmp_path / 'ground'} {tmp_path / 'cache'}")
    try:
        _run(f"mount -o remount,ro,bind {tmp_path / 'cache'}")
        reporter = Reporter()

        with open_cache(Layout(root=tmp_path / "cache"), reporter) as cache:
            get_or_create = cache.environments.get_or_create
            found = get_or_create(this_python(memory), [here], stock.fetch)
            made = get_or_create(this_python(memory), [here, missing], stock.fetch)
            said = [say(found, "demo"), say(made, "demo")]
            above = cache.layout.root

        assert found.path.is_relative_to(tmp_path / "cache")
        assert made.path.is_relative_to(above)
        assert said == ["demo", "demo"]
        assert reporter.kinds == ["unwritable"]
        assert stock.fetched == [here.file_name, missing.file_name]
        assert not above.exists()
        after = [(str(path), path.lstat().st_mtime_ns) for path in tmp_path.rglob("cache/**/*")]
        assert sorted(after) == before
    finally:
        _unmount(tmp_path / "cache")
