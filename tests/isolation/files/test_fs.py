"""The door to the file system: what it makes, what it removes, and how it says no."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.caches import refuse_with
from tests.support.processes import needs, run_unprivileged
from wheelforge_isolation.errors import (
    DestinationNotEmptyError,
    DiskFullError,
    FileAccessError,
    FileHeldError,
    LinksUnavailableError,
)
from wheelforge_isolation.files import fs

MTIME = 10**9


@dataclass(slots=True)
class Clock:
    """Time that passes only while somebody waits."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


class HeldError(PermissionError):
    """The answer of Windows while a scanner or an editor has the file open."""

    winerror = 5


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("wheelforge_isolation.files.fs.time", clock)
    return clock


@pytest.fixture
def umask() -> Iterator[None]:
    """Let the user's habits be the strangest."""
    before = os.umask(0o777)
    yield
    os.umask(before)


def hold(clock: Clock, seconds: float, function: Callable[..., None]) -> Callable[..., None]:
    """Return ``function`` as it is while another program has the file for some time."""
    until = clock.now + seconds

    def held(*arguments: str) -> None:
        if clock.now < until:
            raise HeldError(errno.EACCES, "Access is denied")
        function(*arguments)

    return held


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@needs(posix="modes")
@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(("executable", "mode"), [(False, 0o644), (True, 0o755)])
def test_created_file__has_content_mode_and_time_whatever_the_umask(
    tmp_path: Path, *, executable: bool, mode: int
) -> None:
    path = tmp_path / "file"

    fs.create_file(str(path), [b"one ", b"", b"two"], executable=executable, mtime=MTIME)

    assert path.stat().st_mode & 0o7777 == mode
    assert path.stat().st_mtime_ns == MTIME * 10**9
    assert path.read_bytes() == b"one two"


@needs(posix="modes")
@pytest.mark.usefixtures("umask")
def test_settled_directory__has_mode_and_time_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "directory"

    fs.create_directory(str(path))
    fs.settle_directory(str(path), MTIME)

    assert path.stat().st_mode & 0o7777 == 0o755
    assert path.stat().st_mtime_ns == MTIME * 10**9


@needs(posix="modes")
@pytest.mark.parametrize("mode", [0, 0o755, 0o777], ids=oct)
def test_private_directory__is_closed_to_others_whatever_it_was(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "directory"
    path.mkdir()
    path.chmod(mode)

    fs.ensure_private_directory(str(path))

    assert path.stat().st_mode & 0o7777 == 0o700


def test_created_file__is_whole_when_written_byte_by_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(
        "wheelforge_isolation.files.fs.os.write", lambda file, data: write(file, data[:1])
    )

    fs.create_file(str(tmp_path / "file"), [b"short", b"", b"writes"])

    assert (tmp_path / "file").read_bytes() == b"shortwrites"


@pytest.mark.parametrize(
    ("name", "target"), [("link", "precious"), ("link", "absent"), ("precious", "absent")]
)
def test_created_file__never_overwrites_another_nor_writes_through_a_link(
    tmp_path: Path, name: str, target: str
) -> None:
    (tmp_path / "precious").write_bytes(b"mine")
    (tmp_path / "link").symlink_to(target)

    with pytest.raises(FileAccessError, match=name):
        fs.create_file(str(tmp_path / name), [b"theirs"])

    assert (tmp_path / "precious").read_bytes() == b"mine"
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("call", ["open", "write", "mkdir", "replace", "symlink"])
def test_full_disk__is_an_error_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    path = str(tmp_path / "place")
    acts: dict[str, Callable[[], object]] = {
        "open": lambda: fs.create_file(path, [b"x"]),
        "write": lambda: fs.create_file(path, [b"x"]),
        "mkdir": lambda: fs.create_directory(path),
        "replace": lambda: fs.move(path, path),
        "symlink": lambda: fs.create_link(path, "target", to_directory=False),
    }
    refuse_with(number, monkeypatch, f"wheelforge_isolation.files.fs.os.{call}")

    with pytest.raises(DiskFullError) as caught:
        acts[call]()

    assert caught.value.path == path
    assert caught.value.exit_code == 5
    assert caught.value.hint


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL])
def test_created_link__without_links_is_an_error_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse_with(number, monkeypatch, "wheelforge_isolation.files.fs.os.symlink")

    with pytest.raises(LinksUnavailableError, match="no symbolic links") as caught:
        fs.create_link(str(tmp_path / "link"), "target", to_directory=False)

    assert "--links copy" in caught.value.hint


@needs(posix="modes")
@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS, errno.ENOTSUP])
def test_created_file__needs_no_modes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    for call in ("fchmod", "chmod"):
        refuse_with(number, monkeypatch, f"wheelforge_isolation.files.fs.os.{call}")

    fs.ensure_private_directory(str(tmp_path / "directory"))
    fs.create_file(str(tmp_path / "directory" / "file"), [b"x"], executable=True)
    fs.settle_directory(str(tmp_path / "directory"), MTIME)

    assert (tmp_path / "directory" / "file").read_bytes() == b"x"


@pytest.mark.parametrize("seconds", [0, 0.005, 0.5, 3, 9.9])
def test_moved_file__held_for_a_while_is_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, seconds: float
) -> None:
    source, destination = tmp_path / "source", tmp_path / "destination"
    source.write_bytes(b"x")
    replace = hold(clock, seconds, os.replace)
    monkeypatch.setattr("wheelforge_isolation.files.fs.os.replace", replace)

    fs.move(str(source), str(destination))

    assert destination.read_bytes() == b"x"
    assert seconds <= clock.now - 1000 <= seconds + 1


def test_moved_file__held_for_ten_seconds_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    source, destination = tmp_path / "source", tmp_path / "destination"
    source.write_bytes(b"x")
    monkeypatch.setattr("wheelforge_isolation.files.fs.os.replace", hold(clock, 1e9, os.replace))

    with pytest.raises(FileHeldError) as caught:
        fs.move(str(source), str(destination))

    assert caught.value.path == str(destination)
    assert "scanner" in caught.value.hint
    assert 10 <= clock.now - 1000 <= 11
    assert source.read_bytes() == b"x"


def test_moved_file__refused_for_good_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    refuse_with(errno.EACCES, monkeypatch, "wheelforge_isolation.files.fs.os.replace")

    with pytest.raises(FileAccessError):
        fs.move(str(tmp_path / "source"), str(tmp_path / "destination"))

    assert clock.now == 1000


def test_removed_file__held_for_a_while_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("wheelforge_isolation.files.fs.os.unlink", hold(clock, 3, os.unlink))

    fs.remove_file(str(tmp_path / "file"))

    assert not (tmp_path / "file").exists()


def test_moved_file__never_replaces_a_full_directory(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()

    with pytest.raises(DestinationNotEmptyError):
        fs.move(str(tmp_path / "ours"), str(tmp_path / "theirs"))

    assert names_in(tmp_path / "theirs") == ["theirs"]


def make_tree(path: Path) -> None:
    (path / "a" / "b").mkdir(parents=True)
    (path / "a" / "file").touch(0o444)
    (path / "a" / "b" / "link").symlink_to(path.parent / "precious")


MAKERS: dict[str, Callable[[Path], None]] = {
    "nothing": lambda _: None,
    "file": lambda path: path.touch(0o444),
    "link to a directory": lambda path: path.symlink_to(path.parent / "precious"),
    "dead link": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "tree": make_tree,
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_removed_tree__is_gone_and_nothing_outside_is(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    make(tmp_path / "target")

    fs.remove_tree(str(tmp_path / "target"))

    assert names_in(tmp_path) == ["precious"]
    assert names_in(tmp_path / "precious") == ["file"]


@needs(posix="paths longer than a system call takes")
def test_removed_tree__may_be_deeper_than_the_call_stack(tmp_path: Path) -> None:
    dig = "import os\nfor _ in range(1500): os.mkdir('deeper'); os.chdir('deeper')"
    subprocess.run([sys.executable, "-c", dig], cwd=tmp_path, check=True)

    try:
        fs.remove_tree(str(tmp_path / "deeper"))
        assert names_in(tmp_path) == []
    finally:  # pytest could not remove it either
        subprocess.run(["/bin/rm", "-rf", "deeper"], cwd=tmp_path, check=True)


@needs(posix="modes")
@pytest.mark.parametrize("mode", [0, 0o111, 0o444, 0o555], ids=oct)
def test_removed_tree__may_have_closed_directories(tmp_path: Path, mode: int) -> None:
    script = f"""
precious = Path("precious")
precious.touch(0o640)
inner = Path("target", "middle", "inner")
inner.mkdir(parents=True)
(inner / "file").touch(0)
(inner / "link").symlink_to(precious.absolute())
for directory in (inner, *inner.parents[:-1]):
    directory.chmod({mode})
remove_tree("target")
print(os.listdir(), oct(precious.stat().st_mode))
"""

    assert run_unprivileged(tmp_path, script) == "['precious'] 0o100640\n"


def test_removed_tree__may_be_removed_by_another_process_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    for directory in (target / "one", target / "two"):
        directory.mkdir(parents=True)
        (directory / "file").touch()
    unlink, others = os.unlink, iter(["somebody"])

    def lose_once(path: str, *, dir_fd: int | None = None) -> None:
        unlink(path, dir_fd=dir_fd)
        for _ in others:
            raise FileNotFoundError(errno.ENOENT, "somebody was faster")

    monkeypatch.setattr("wheelforge_isolation.files.fs.os.unlink", lose_once)

    fs.remove_tree(str(target))

    assert not target.exists()


def test_removed_tree__failure_names_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "target").mkdir()
    refuse_with(errno.EBUSY, monkeypatch, "wheelforge_isolation.files.fs.os.rmdir")

    with pytest.raises(FileAccessError, match="target"):
        fs.remove_tree(str(tmp_path / "target"))


@pytest.mark.parametrize(
    ("make", "is_gone"),
    [
        (MAKERS["nothing"], True),
        (Path.mkdir, True),
        (MAKERS["tree"], False),
        (MAKERS["file"], False),
    ],
)
def test_removed_directory__must_be_empty(
    tmp_path: Path, make: Callable[[Path], None], *, is_gone: bool
) -> None:
    make(tmp_path / "target")

    assert fs.remove_empty_directory(str(tmp_path / "target")) is is_gone

    assert (tmp_path / "target").exists() is not is_gone


def test_ensured_file__written_by_another_process_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"

    for content in (b"first", b"second"):
        fs.ensure_file(str(path), content)

    assert path.read_bytes() == b"first"


def test_spool__has_no_name_even_when_large(tmp_path: Path) -> None:
    with fs.spool(str(tmp_path)) as spool:
        spool.write(bytes(40 << 20))

        assert names_in(tmp_path) == []
