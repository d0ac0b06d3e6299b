"""The wheel cache as its users see it: what goes in comes out, and nothing else does."""

import errno
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.caches import refuse_with
from tests.support.codes import raises
from tests.support.processes import needs, run_unprivileged
from tests.support.source import ROOT
from tests.support.stock import Reporter, Stock
from tests.support.wheels import read_tree
from wheelforge_isolation import (
    Bounds,
    Cache,
    Layout,
    WheelKey,
    collect_garbage,
    open_cache,
    read_wheel_key,
)
from wheelforge_isolation.errors import FileAccessError, HashMismatchError, LocksUnavailableError


@pytest.fixture
def stock(tmp_path: Path) -> Stock:
    return Stock(path=tmp_path / "stock")


@pytest.fixture
def cache(layout: Layout) -> Iterator[Cache]:
    with open_cache(layout, Reporter()) as cache:
        yield cache


def get_or_create(cache: Cache, stock: Stock, key: WheelKey) -> dict[str, bytes]:
    """Return the files of a wheel that is stored from now on."""
    return read_tree(cache.wheels.get_or_create(key, partial(stock.fetch, key)).item.path)


def refuse(_: str) -> NoReturn:
    pytest.fail("it is there, and was asked for")


def is_empty(layout: Layout) -> bool:
    """Return whether nothing was cached, not even something half."""
    places = (layout.wheels, layout.environments)
    found = [path for place in places for path in (*place.list_records(), *place.list_trees())]
    return [*found, *layout.list_files(), *layout.drafts.glob("*")] == []


def test_stored_wheel__is_found_and_unpacked(cache: Cache, stock: Stock) -> None:
    key = stock.add(files={"demo.py": b"demo = 1\n", "DATA/scripts/demo": b"#!python\n"})

    stored = cache.wheels.add(stock.path / key.file_name)
    assert cache.wheels.find(key) == stored
    assert stored.key == key
    assert read_tree(stored.item.path).items() >= {
        ("demo.py", b"demo = 1\n"),
        ("demo-1.0.data/scripts/demo", b"#!python\n"),
    }


def test_stored_wheel__unknown_key_finds_nothing(cache: Cache, stock: Stock) -> None:
    assert cache.wheels.find(stock.add()) is None


def test_stored_wheel__is_fetched_once(cache: Cache, stock: Stock) -> None:
    key = stock.add()
    first = get_or_create(cache, stock, key)

    assert read_tree(cache.wheels.get_or_create(key, refuse).item.path) == first
    assert stock.fetched == [key.file_name]


def test_stored_wheel__is_found_by_another_process(layout: Layout, stock: Stock) -> None:
    key = stock.add()
    with open_cache(layout, Reporter()) as cache:
        files = get_or_create(cache, stock, key)

    with open_cache(layout, Reporter()) as cache:
        assert read_tree(cache.wheels.get_or_create(key, refuse).item.path) == files


def test_stored_wheel__versions_platforms_and_contents_never_meet(
    cache: Cache, stock: Stock
) -> None:
    files: dict[WheelKey, dict[str, bytes]] = {}
    for version, tag, content in [
        ("1.0", "py3-none-any", b"old"),
        ("2.0", "py3-none-any", b"new"),
        ("2.0", "cp311-cp311-win_amd64", b"for windows"),
        ("2.0", "cp311-cp311-linux_x86_64", b"for linux"),
        ("2.0", "py3-none-any", b"new, from another index"),
    ]:
        key = stock.add("demo", version, {"demo.py": content}, tag=tag)
        files[key] = get_or_create(cache, stock, key)
        assert files[key]["demo.py"] == content

    found = {key: cache.wheels.get_or_create(key, refuse) for key in files}

    assert {key: read_tree(stored.item.path) for key, stored in found.items()} == files
    assert len({stored.item.path for stored in found.values()}) == len(files) == 5


def test_wheel_key__tells_wheels_apart(stock: Stock) -> None:
    keys = {stock.add("demo", version) for version in ("1.0", "2.0")}
    keys |= {stock.add(name) for name in ("a_b", "a_c")}

    assert len({key.digest for key in keys}) == 4
    assert read_wheel_key(stock.path / "demo-1.0-py3-none-any.whl") in keys


def test_stored_wheel__wrong_hash_is_refused_and_not_cached(
    cache: Cache, layout: Layout, stock: Stock
) -> None:
    key = stock.add(files={"demo.py": b"wanted"})
    stock.add(files={"demo.py": b"forged"})

    with pytest.raises(HashMismatchError) as caught:
        get_or_create(cache, stock, key)

    assert caught.value.wanted == key.sha256
    assert is_empty(layout)


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"../outside.py": b""}, "archive-member-escapes"),
        ({"other-1.0.dist-info/METADATA": b""}, "wheel-invalid"),
        ({"INFO/entry_points.txt": b"[console_scripts]\n../demo = demo:main\n"}, "wheel-invalid"),
    ],
)
def test_stored_wheel__invalid_one_is_refused_and_not_cached(
    cache: Cache, layout: Layout, stock: Stock, files: dict[str, bytes], code: str
) -> None:
    key = stock.add(files=files)

    for _ in range(2):
        with raises(code):
            get_or_create(cache, stock, key)

    assert is_empty(layout)
    assert not (layout.root.parent / "outside.py").exists()


def test_stored_wheel__failed_fetch_leaves_nothing(
    cache: Cache, layout: Layout, stock: Stock
) -> None:
    key = stock.add()

    def break_off(path: str) -> None:
        Path(path).write_bytes(b"half")
        raise ConnectionError

    with pytest.raises(ConnectionError):
        cache.wheels.get_or_create(key, break_off)
    assert is_empty(layout)

    assert "demo.py" in get_or_create(cache, stock, key)


def test_stored_wheel__fetch_that_writes_nothing_is_a_clear_error(
    cache: Cache, layout: Layout, stock: Stock
) -> None:
    key = stock.add()

    with pytest.raises(FileAccessError, match=f"cannot fetch `{key.file_name}`"):
        cache.wheels.get_or_create(key, lambda _: None)

    assert is_empty(layout)


def test_stored_wheel__threads_fetch_once(cache: Cache, stock: Stock) -> None:
    from concurrent.futures import ThreadPoolExecutor

    keys = [stock.add("demo", version) for version in ("1.0", "2.0")] * 8

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(partial(get_or_create, cache, stock), keys))

    assert sorted(stock.fetched) == sorted({key.file_name for key in keys})
    assert found == found[:2] * 8


# Caches that do not allow everything.


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_with(errno.ENOLCK, monkeypatch, "filelock.lock_descriptor")


@pytest.mark.usefixtures("without_locks")
def test_stored_wheel__needs_no_locks(layout: Layout, stock: Stock) -> None:
    from concurrent.futures import ThreadPoolExecutor

    keys = [stock.add("demo", version) for version in ("1.0", "2.0")] * 8

    with open_cache(layout, Reporter()) as cache, ThreadPoolExecutor(16) as pool:
        found = list(pool.map(partial(get_or_create, cache, stock), keys))

    assert found == found[:2] * 8
    assert len(layout.wheels.list_records()) == 2
    with pytest.raises(LocksUnavailableError):
        collect_garbage(layout, Bounds())


def snapshot(directory: Path) -> dict[str, tuple[int, int, int]]:
    """Return all below ``directory``, with what changes when it is written to."""
    found = {path: path.lstat() for path in [directory, *directory.rglob("*")]}
    return {
        str(path): (status.st_mode, status.st_mtime_ns, status.st_ino)
        for path, status in found.items()
    }


_LOAD = f"""
import sys, tempfile
sys.path.insert(0, {str(ROOT)!r})
from functools import partial
from pathlib import Path
from tests.support.stock import Reporter, Stock
from wheelforge_isolation import Layout, open_cache, read_wheel_key

with tempfile.TemporaryDirectory() as place:
    key = Stock(path=Path(place)).add()
    with open_cache(Layout(root=Path(place, "cache")), print) as cache:
        cache.wheels.add(Path(place, key.file_name))
"""
"""Uses a cache, so that all that takes is loaded."""

_READER = """
stock, reporter = Stock(path=Path("stock")), Reporter()
temporary = set()
with open_cache(Layout(root=Path("cache")), reporter) as cache:
    for name in ("here-1.0", "missing-1.0", "damaged-1.0", "missing-1.0"):
        key = read_wheel_key(stock.path / f"{name}-py3-none-any.whl")
        found = cache.wheels.get_or_create(key, partial(stock.fetch, key)).item.path
        assert sorted(path.name for path in found.glob("*.py")) == [f"{key.name}.py"]
        print(name, "below" if found.is_relative_to(Path("cache").absolute()) else "above")
        temporary.add(cache.layout.root)
print(*[event.kind for event in reporter.events])
print(*stock.fetched)
print(temporary.pop().exists())
"""


@needs(posix="users")
def test_cache__read_only_is_used_and_never_written(fast_path: Path) -> None:
    layout, stock = Layout(root=fast_path / "cache"), Stock(path=fast_path / "stock")
    kept = [stock.add(name) for name in ("here", "damaged")]
    with open_cache(layout, Reporter()) as cache:
        stored = [cache.wheels.add(stock.path / key.file_name) for key in kept]
        (stored[1].item.path / "added.py").touch()
    stock.add("missing")
    (stock.path / "fetched").touch()
    (stock.path / "fetched").chmod(0o666)
    layout.root.chmod(0o755)
    before = snapshot(layout.root)

    said = run_unprivileged(fast_path, _READER, before=_LOAD).splitlines()

    assert said == [
        *["here-1.0 below", "missing-1.0 above", "damaged-1.0 above", "missing-1.0 above"],
        "unwritable healed",
        "missing-1.0-py3-none-any.whl",
        "False",
    ]
    assert snapshot(layout.root) == before


@needs(posix="users")
def test_cache__unreadable_is_as_good_as_none(fast_path: Path) -> None:
    layout, stock = Layout(root=fast_path / "cache"), Stock(path=fast_path / "stock")
    layout.root.mkdir(mode=0o700)
    for name in ("here", "missing", "damaged"):
        stock.add(name)
    (stock.path / "fetched").touch()
    (stock.path / "fetched").chmod(0o666)

    said = run_unprivileged(fast_path, _READER, before=_LOAD).splitlines()

    assert said[4:] == [
        "unwritable",
        "here-1.0-py3-none-any.whl missing-1.0-py3-none-any.whl damaged-1.0-py3-none-any.whl",
        "False",
    ]
    assert list(layout.root.iterdir()) == []
