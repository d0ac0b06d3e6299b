"""Findings of the sweeps, each once more by itself: it was wrong, and is not any more."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.archives import sdist
from tests.support.caches import fill_cache, ignore, write_wheels
from tests.support.processes import needs
from tests.support.stock import Stock, this_python
from wheelforge_isolation import Layout, open_cache, open_stage, unpack
from wheelforge_isolation.errors import DestinationNotEmptyError, FileAccessError
from wheelforge_isolation.files.capabilities import FilesystemCapabilities

_KILLED = """
import os, signal, sys
from pathlib import Path
from wheelforge_isolation.archive import unpack

def move_and_die(source, destination, move=unpack.fs.move):
    move(source, destination)
    os.kill(os.getpid(), signal.SIGKILL)

unpack.fs.move = move_and_die
unpack.unpack(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def refusing(call: Callable[..., object], word: str) -> Callable[..., object]:
    """Return ``call``, refused where a path with ``word`` is among its arguments."""

    def refuse(*arguments: object, **more: object) -> object:
        if arguments and word in str(arguments[0]):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(arguments[0]))
        return call(*arguments, **more)

    return refuse


@needs(posix="SIGKILL")
def test_unpack__leftover_stage_beside_its_tree_goes_with_the_next_attempt(tmp_path: Path) -> None:
    archive, destination = tmp_path / "p-1.tar.gz", tmp_path / "destination"
    archive.write_bytes(sdist())
    subprocess.run([sys.executable, "-c", _KILLED, str(archive), str(destination)], check=False)
    assert len(list(destination.iterdir())) == 2

    with pytest.raises(DestinationNotEmptyError):
        unpack(archive, destination)

    assert [path.name for path in destination.iterdir()] == ["p-1"]


def test_unpack__unreadable_destination_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, destination = tmp_path / "p-1.tar.gz", tmp_path / "destination"
    archive.write_bytes(sdist())
    destination.mkdir()
    monkeypatch.setattr(os, "stat", refusing(os.stat, "destination"))

    with pytest.raises(FileAccessError, match="destination"):
        unpack(archive, destination)


def test_stage__that_cannot_be_emptied_fails_no_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_stage(tmp_path, "demo") as stage:
        (stage.path / "file").touch()
        monkeypatch.setattr(os, "listdir", refusing(os.listdir, "demo"))

    assert stage.path.exists()


@pytest.mark.parametrize("word", ["files-v1", "records", f"records{os.sep}"])
def test_cache__unlistable_is_no_reason_for_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    layout = Layout(root=tmp_path / "cache")
    fill_cache(layout, write_wheels(tmp_path / "wheels", 1))
    monkeypatch.setattr(os, "listdir", refusing(os.listdir, word))

    with open_cache(layout, ignore) as cache, pytest.raises(FileAccessError, match="list"):
        list(cache.verify())


def test_trees__unreadable_one_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(root=tmp_path / "cache")
    (wheel,) = write_wheels(tmp_path / "wheels", 1)
    monkeypatch.setattr(os, "lstat", refusing(os.lstat, "demo.py"))

    with open_cache(layout, ignore) as cache, pytest.raises(FileAccessError, match="write"):
        cache.wheels.add(wheel)

    assert layout.wheels.list_records() == layout.wheels.list_trees() == []


def test_install__file_that_cannot_be_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = Stock(path=tmp_path / "stock")
    keys = [stock.add()]
    layout = Layout(root=tmp_path / "cache")
    python = this_python(layout.interpreters)
    with open_cache(layout, ignore) as cache:
        cache.wheels.get_or_create(keys[0], lambda path: stock.fetch(keys[0], path))
        monkeypatch.setattr(os, "link", refusing(os.link, "demo.py"))
        monkeypatch.setattr(os, "stat", refusing(os.stat, f"{os.sep}demo.py"))

        with pytest.raises(FileAccessError, match="install"):
            cache.environments.get_or_create(
                python, keys, stock.fetch, private=_create(tmp_path / "new")
            )


def test_environment__has_no_probe_that_could_not_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = Stock(path=tmp_path / "stock")
    keys = [stock.add()]
    layout = Layout(root=tmp_path / "cache")
    python = this_python(layout.interpreters)
    monkeypatch.setattr(os, "unlink", refusing(os.unlink, "probe-case"))

    with open_cache(layout, ignore) as cache, pytest.raises(FileAccessError):
        cache.environments.get_or_create(python, keys, stock.fetch)

    assert layout.environments.list_records() == []


def test_environment__has_no_probe_that_could_not_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = FilesystemCapabilities(str(tmp_path))
    for look in ("stat", "lstat"):
        monkeypatch.setattr(os, look, refusing(getattr(os, look), "probe-case"))

    assert not ground.folds_names
    assert list(tmp_path.iterdir()) == []


def _create(directory: Path) -> Path:
    directory.mkdir()
    return directory
