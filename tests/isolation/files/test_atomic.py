"""Files that are replaced and delivered: whole, and with nothing left behind by the dead."""

import errno
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.caches import refuse_with
from tests.support.processes import needs
from wheelforge_isolation import deliver_file, replace_file
from wheelforge_isolation.errors import DiskFullError, LocksUnavailableError
from wheelforge_isolation.files import locks
from wheelforge_isolation.files.atomic import sweep_drafts
from wheelforge_isolation.files.locks import try_lock

_DRAFT = f".{'a' * 32}.wheelforge"
_KILLED = """
import os, signal, sys
from pathlib import Path
from wheelforge_isolation import deliver_file
from wheelforge_isolation.files import fs

fs.move = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
deliver_file(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "demo.whl"
    path.write_bytes(b"wheel" * 1_000_000)
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output"


def test_delivered_file__is_alone_and_whole(wheel: Path, output: Path) -> None:
    delivered = deliver_file(wheel, output)

    assert list(output.iterdir()) == [delivered]
    assert delivered.read_bytes() == wheel.read_bytes()


@needs(posix="SIGKILL")
def test_delivered_file__next_delivery_sweeps_a_killed_one(wheel: Path, output: Path) -> None:
    subprocess.run([sys.executable, "-c", _KILLED, str(wheel), str(output)], check=False)
    (left,) = output.iterdir()
    assert left.name.endswith(".wheelforge")

    replace_file(str(output / "another"), b"content")

    assert [path.name for path in output.iterdir()] == ["another"]


def test_draft__in_use_is_left_alone(output: Path) -> None:
    output.mkdir()
    lock = try_lock(output / _DRAFT)
    assert lock is not None

    sweep_drafts(output)

    assert lock.path.exists()
    lock.release()


def test_replaced_file__failure_leaves_nothing(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output.mkdir()
    replace_file(str(output / "file"), b"old")
    refuse_with(errno.ENOSPC, monkeypatch, "os.write")

    with pytest.raises(DiskFullError):
        replace_file(str(output / "file"), b"new")

    assert [(path.name, path.read_bytes()) for path in output.iterdir()] == [("file", b"old")]


def test_replaced_file__needs_no_locks(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int, path: Path) -> bool:
        raise LocksUnavailableError(str(path))

    output.mkdir()
    monkeypatch.setattr(locks, "lock_descriptor", refuse)

    replace_file(str(output / "file"), b"new")

    assert [(path.name, path.read_bytes()) for path in output.iterdir()] == [("file", b"new")]


@needs(posix="modes")
def test_replaced_file__keeps_its_mode_and_a_link_in_its_place_is_not_followed(
    tmp_path: Path,
) -> None:
    private, target, link = tmp_path / "private", tmp_path / "target", tmp_path / "link"
    private.touch()
    private.chmod(0o600)
    target.write_bytes(b"mine")
    target.chmod(0o600)
    link.symlink_to(target)

    replace_file(str(private), b"report")
    replace_file(str(link), b"report")

    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert target.read_bytes() == b"mine"
    assert (link.is_symlink(), link.read_bytes()) == (False, b"report")
