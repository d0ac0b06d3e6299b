"""Directories whose entries are listed in another order."""

# ruff: file-ignore[os-listdir]

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from wheelforge_isolation import reorder_entries, temporary_directory
from wheelforge_isolation.errors import FileAccessError

NAMES = ("c", "a", "d", "b")
PLACES = [None, *(["/dev/shm"] if Path("/dev/shm").is_dir() else [])]  # ruff: ignore[hardcoded-temp-file]


@pytest.fixture(params=PLACES)
def parent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    if request.param is None:
        yield tmp_path
        return
    with temporary_directory(request.param) as place:
        yield Path(place)


def write_tree(place: Path) -> Path:
    for directory in (place, place / "sub"):
        directory.mkdir(parents=True)
        for name in NAMES:
            (directory / name).write_text(name, encoding="utf-8")
        (directory / "link").symlink_to("a")
    for directory in (place / "sub", place):
        os.utime(directory, (1_600_000_000, 1_600_000_000))
    return place


def test_reorder__entries_are_the_same_in_another_order(parent: Path) -> None:
    place = write_tree(parent / "tree")
    before = {path: os.listdir(path) for path in (place, place / "sub")}

    is_other = reorder_entries(str(place))

    after = {path: os.listdir(path) for path in before}
    for path, names in before.items():
        assert sorted(after[path]) == sorted(names)
        assert (after[path] != names) == is_other
        assert path.stat().st_mtime == 1_600_000_000
        assert [(path / name).read_text(encoding="utf-8") for name in NAMES] == list(NAMES)
        assert (path / "link").readlink() == Path("a")
    if str(parent).startswith("/dev/shm"):  # ruff: ignore[hardcoded-temp-file]
        assert is_other


def test_reorder__directory_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    assert not reorder_entries(str(tmp_path / "absent"))
    assert not (tmp_path / "absent").exists()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_reorder__directory_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    place = write_tree(tmp_path / "tree")
    place.chmod(0o555)

    with pytest.raises(FileAccessError):
        reorder_entries(str(place))
