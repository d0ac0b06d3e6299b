"""The cache directory as others see it: backup programs, version control, backends."""

import os
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.caches import ignore
from tests.support.processes import needs
from wheelforge_isolation import Layout, default_layout, list_entries, open_cache
from wheelforge_isolation.errors import CacheForeignError, FileAccessError

SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(root=tmp_path / "home" / "cache")


def snapshot(directory: Path) -> dict[Path, tuple[int, bytes]]:
    """Return every path below ``directory``, with what changes when it is written to."""
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in directory.rglob("*")
    }


def test_layout__prepared_cache_is_tagged(layout: Layout) -> None:
    layout.prepare()

    assert (layout.root / "CACHEDIR.TAG").read_bytes().splitlines()[0] == SIGNATURE
    assert (layout.root / ".gitignore").read_bytes() == b"*\n"


def test_layout__stages_belong_to_no_repository(layout: Layout) -> None:
    layout.prepare()

    assert layout.stages.parent == layout.root
    assert (layout.stages / ".git").read_bytes() == b"gitdir: none\n"


@needs(posix="modes")
def test_layout__cache_is_closed_to_others(layout: Layout) -> None:
    layout.prepare()

    assert layout.root.stat().st_mode & 0o777 == 0o700


def test_layout__preparing_again_changes_nothing(layout: Layout) -> None:
    layout.prepare()
    before = snapshot(layout.root)

    layout.prepare()

    assert snapshot(layout.root) == before


@pytest.mark.parametrize("stop", ["CACHEDIR.TAG", ".gitignore", "stage-v1/.git", "stage-v1"])
def test_layout__preparing_completes_what_was_interrupted(layout: Layout, stop: str) -> None:
    layout.prepare()
    whole = {path: content for path, (_, content) in snapshot(layout.root).items()}
    (layout.stages / ".git").unlink()
    if stop == "stage-v1":
        layout.stages.rmdir()
    else:
        (layout.root / stop).unlink(missing_ok=True)

    layout.prepare()

    assert {path: content for path, (_, content) in snapshot(layout.root).items()} == whole


def test_layout__empty_tag_is_completed(layout: Layout) -> None:
    layout.root.mkdir(parents=True)
    (layout.root / "CACHEDIR.TAG").touch()

    layout.prepare()

    assert (layout.root / "CACHEDIR.TAG").read_bytes().startswith(SIGNATURE)


def test_layout__foreign_files_stay(layout: Layout) -> None:
    layout.root.mkdir(parents=True)
    (layout.root / ".gitignore").write_bytes(b"mine\n")

    layout.prepare()

    assert (layout.root / ".gitignore").read_bytes() == b"mine\n"


def test_layout__file_in_the_place_of_the_cache_is_a_clear_error(layout: Layout) -> None:
    layout.root.parent.mkdir()
    layout.root.touch()

    with pytest.raises(FileAccessError, match="cache"):
        layout.prepare()


def test_layout__default_is_the_users_own_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.name == "posix":
        monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")

    layout = default_layout()

    assert layout.root.is_absolute()
    assert layout.root.parts.count("wheelforge") == 1


def test_cache__is_brought_back_to_its_size_when_closed(layout: Layout, wheels: list[Path]) -> None:
    sizes = []
    for wheel in wheels:
        with open_cache(layout, ignore, max_bytes=6000) as cache:
            cache.wheels.add(wheel)
        sizes.append(sum(entry.size_bytes for entry in list_entries(layout)))

    assert 0 < max(sizes) <= 6000


def test_stages_elsewhere__are_collected_once_in_a_process(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "cache", tmp_path / "memory")
    left = [layout.stages / name for name in ("first", "second")]

    for path in left:
        (path / "tree").mkdir(parents=True)
        with open_cache(layout, ignore):
            pass

    assert [path.exists() for path in left] == [False, True]


def test_cache__standing_in_for_a_foreign_one_leaves_nothing(
    tmp_path: Path, layout: Layout, wheels: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise CacheForeignError(str(layout.root), "root", "nobody")

    (temporary := tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr("wheelforge_isolation.cache.open.claim_cache", refuse)

    with open_cache(layout, ignore, max_bytes=0) as cache:
        cache.wheels.add(wheels[0])

    assert list(temporary.iterdir()) == []
