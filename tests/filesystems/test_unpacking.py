"""Every file system holds what it can, whole, or gets nothing and one clear reason."""

import io
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.filesystems.mounts import RECIPES, mounted, mounted_tmpfs
from tests.support.processes import holders, kill_holder
from wheelforge_isolation import Collection, Links, collect_stages, open_stage, unpack
from wheelforge_isolation.errors import ArchiveError, DiskFullError, LinksUnavailableError

pytestmark = pytest.mark.filesystems

STEM = "demo-1.0"
MTIME = 1_500_000_000
ORDINARY: Mapping[str, bytes] = {
    "PKG-INFO": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
    "pyproject.toml": b"[build-system]\n",
    "src/demo/__init__.py": b"",
    "src/demo/data/Größe.txt": "für jeden".encode(),
    "src/demo/data/large.bin": bytes(range(256)) * 4000,
    "a name with spaces": b"x" * 4097,
}
_KILLED = """
import os, signal, sys
from pathlib import Path
from wheelforge_isolation import unpack

sys.addaudithook(lambda name, _: name == "os.rename" and os.kill(os.getpid(), signal.SIGKILL))
unpack(*map(Path, sys.argv[1:]))
"""
"""Dies when all is written, and is yet to be moved to its place."""


@pytest.fixture(scope="module", params=RECIPES)
def mount(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A file system of each kind, unless a test names its own."""
    with mounted(str(request.param), tmp_path_factory.mktemp("mounts")) as place:
        yield place


@pytest.fixture
def ground(mount: Path) -> Path:
    """A directory of the test's own on the file system."""
    path = mount / f"{len(list(mount.iterdir()))}"
    path.mkdir()
    return path


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for 64 pages, in 40 files or directories."""
    with mounted_tmpfs(tmp_path / "full", kibibytes=256, inodes=40) as place:
        yield place


def on(*kinds: str) -> pytest.MarkDecorator:
    """Run a test on these file systems only."""
    return pytest.mark.parametrize("mount", kinds, indirect=True)


def write_sdist(
    directory: Path, files: Mapping[str, bytes], links: Mapping[str, str] | None = None
) -> Path:
    """Write an sdist that holds ``links`` first and ``files`` after them."""
    path = directory / f"{STEM}.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1, format=tarfile.GNU_FORMAT) as archive:
        for name, target in (links or {}).items():
            link = tarfile.TarInfo(f"{STEM}/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
        for name, content in {**files, "pyproject.toml": b"[build-system]\n"}.items():
            member = tarfile.TarInfo(f"{STEM}/{name}")
            member.size, member.mtime = len(content), MTIME
            archive.addfile(member, io.BytesIO(content))
    return path


def read_files(directory: Path, *names: str) -> dict[str, bytes]:
    """Return all files below ``directory``; ``names`` are right where a listing loses case."""
    known = {name.lower(): name for name in names}
    paths = [path for path in directory.rglob("*") if path.is_file()]
    found = [str(path.relative_to(directory)) for path in paths]
    found = [known.get(name.lower(), name) for name in found]
    return {name: (directory / name).read_bytes() for name in found}


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def usage(place: Path) -> tuple[int, int]:
    """Return how many blocks and inodes are free on the file system of ``place``."""
    status = os.statvfs(place)
    return status.f_bfree, status.f_ffree


def wheelforge(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wheelforge", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_unpack__ordinary_sdist_is_the_same_everywhere(ground: Path, tmp_path: Path) -> None:
    unpacked = unpack(write_sdist(tmp_path, ORDINARY), ground / "made" / "for-it")

    assert unpacked.root == ground / "made" / "for-it" / STEM
    assert names_in(unpacked.root.parent) == [STEM]
    assert read_files(unpacked.root, *ORDINARY) == ORDINARY
    assert abs((unpacked.root / "PKG-INFO").stat().st_mtime - MTIME) <= 2  # FAT's precision


def test_unpack__sdist_too_large_for_memory_is_the_same_everywhere(
    ground: Path, tmp_path: Path
) -> None:
    archive = write_sdist(tmp_path, {"large": bytes(34 << 20)})

    assert (unpack(archive, ground).root / "large").stat().st_size == 34 << 20
    assert names_in(ground) == [STEM]


def test_unpack__link_before_its_target_leads_to_it_everywhere(
    ground: Path, tmp_path: Path
) -> None:
    archive = write_sdist(tmp_path, {"README.md": b"read me"}, {"README": "README.md"})

    unpacked = unpack(archive, ground)

    assert (unpacked.root / "README").read_bytes() == b"read me"
    assert (unpacked.root / "README").is_symlink() is (ground.parent.name != "exfat")


def test_unpack__links_to_directories_are_whole_everywhere(ground: Path, tmp_path: Path) -> None:
    archive = write_sdist(tmp_path, {"a/b/file": b"x"}, {"short": "a/b", "a/up": "../short"})

    unpacked = unpack(archive, ground)

    for place in ("a/b", "short", "a/up"):
        assert read_files(unpacked.root / place) == {"file": b"x"}


@pytest.mark.parametrize("links", [Links.COPY, None])
@on("exfat")
def test_unpack__links_become_copies_where_there_are_none(
    ground: Path, tmp_path: Path, links: Links | None
) -> None:
    archive = write_sdist(tmp_path, {"file": b"x"}, {"link": "file", "dead": "nowhere"})

    unpacked = unpack(archive, ground, links=links)

    assert read_files(unpacked.root).keys() == {"file", "link", "pyproject.toml"}
    assert "`demo-1.0/dead`" in " ".join(note.text for note in unpacked.notes)


@on("exfat")
def test_unpack__links_that_cannot_be_kept_are_one_clear_error(
    ground: Path, tmp_path: Path
) -> None:
    archive = write_sdist(tmp_path, {"file": b"x"}, {"link": "file"})

    done = wheelforge("unpack", archive, ground / "out", "--links", "keep")

    error, hint = done.stderr.splitlines()
    assert done.returncode == LinksUnavailableError.exit_code == 5
    assert error.startswith("error[links-unavailable]: cannot link ")
    assert hint == "hint: ask for copies instead: `--links copy`"
    assert names_in(ground) == []


@pytest.mark.parametrize(
    ("names", "rule", "code"),
    [
        (["CON.txt"], "N11", "archive-member-name"),
        (["aux/file"], "N11", "archive-member-name"),
        (["a:b"], "N12", "archive-member-name"),
        (["what?"], "N12", "archive-member-name"),
        (["trailing."], "N12", "archive-member-name"),
        (["trailing /file"], "N12", "archive-member-name"),
        (["README", "readme"], "N13", "archive-members-clash"),
        (["A/file", "a/file"], "N13", "archive-members-clash"),
        (["raw-\udcff"], "N14", "archive-member-name"),
    ],
    ids=lambda value: value[0].encode("ascii", "replace").decode() if type(value) is list else "",
)
@on("ntfs", "exfat")
def test_unpack__names_windows_cannot_hold_are_refused_before_anything_is_written(
    ground: Path, tmp_path: Path, names: list[str], rule: str, code: str
) -> None:
    archive = write_sdist(tmp_path, dict.fromkeys(names, b"x"))

    with pytest.raises(ArchiveError) as caught:
        unpack(archive, ground / "out")

    assert (caught.value.rule, caught.value.code) == (rule, code)
    assert caught.value.exit_code == 3
    assert names_in(ground) == []


@on("xfs", "btrfs")
def test_unpack__names_only_others_cannot_hold_are_kept(ground: Path, tmp_path: Path) -> None:
    names = ["CON.txt", "a:b", "trailing.", "README", "readme", "raw-\udcff"]
    files = {name: name.encode("utf-8", "surrogateescape") for name in names}
    unpacked = unpack(write_sdist(tmp_path, files), ground)

    assert read_files(unpacked.root).items() >= files.items()
    assert {note.rule for note in unpacked.notes} >= {"N11", "N12", "N13", "N14"}


def test_stage__is_locked_left_and_collected_everywhere(ground: Path) -> None:
    with holders(ground, "demo", "demo", "demo") as (dead, living, leaving):
        dead.kill()
        leaving.leave()

        assert collect_stages(ground) == Collection(removed=[dead.path], in_use=[living.path])
        assert (living.path / "held").exists()
    assert names_in(ground) == []


def test_stage__slot_of_a_dead_process_is_empty_everywhere(ground: Path) -> None:
    dead = kill_holder(ground, "demo")

    with open_stage(ground, "demo") as stage:
        assert stage.path == dead
        assert names_in(stage.path) == [".lock"]

    assert names_in(ground) == []


def test_unpack__killed_one_is_done_again_everywhere(ground: Path, tmp_path: Path) -> None:
    archive = write_sdist(tmp_path, ORDINARY)
    subprocess.run([sys.executable, "-c", _KILLED, archive, ground], check=False)
    (left,) = ground.iterdir()

    unpacked = unpack(archive, ground)

    assert left.name != STEM
    assert names_in(ground) == [STEM]
    assert read_files(unpacked.root, *ORDINARY) == ORDINARY


@pytest.mark.parametrize("exists", [False, True])
def test_disk__too_small_is_told_with_the_numbers(
    full: Path, tmp_path: Path, *, exists: bool
) -> None:
    archive = write_sdist(tmp_path, {"large": bytes(1_000_000)})
    destination = full / "out"
    if exists:
        destination.mkdir()
    before = usage(full)

    done = wheelforge("unpack", archive, destination)

    error, hint = done.stderr.splitlines()
    assert done.returncode == DiskFullError.exit_code == 5
    assert re.match(r"error\[disk-full\]: .*: 1,050,0\d\d bytes needed, 2\d\d,\d{3} free$", error)
    assert hint.startswith("hint: free some space")
    assert names_in(full) == ["out"] * exists
    assert usage(full) == before


@pytest.mark.parametrize("exists", [False, True])
def test_disk__without_room_for_more_files_is_left_as_it_was(
    full: Path, tmp_path: Path, *, exists: bool
) -> None:
    archive = write_sdist(tmp_path, {f"{number}": b"" for number in range(50)})
    destination = full / "out"
    if exists:
        destination.mkdir()
    before = usage(full)

    with pytest.raises(DiskFullError, match=STEM):
        unpack(archive, destination)

    assert names_in(full) == ["out"] * exists
    assert usage(full) == before


def test_disk__that_fills_meanwhile_is_left_as_it_was(tmp_path: Path) -> None:
    archive = write_sdist(tmp_path, {f"{number}": b"x" for number in range(100)})
    with mounted_tmpfs(tmp_path / "full", kibibytes=256, inodes=1000) as full:
        before = usage(full)

        with pytest.raises(DiskFullError, match=STEM):
            unpack(archive, full / "out")

        assert names_in(full) == []
        assert usage(full) == before


def test_disk__too_small_for_the_archive_itself_is_named(full: Path, tmp_path: Path) -> None:
    archive = write_sdist(tmp_path, {"large": bytes(40 << 20)})

    with pytest.raises(DiskFullError, match=str(full)):
        unpack(archive, full / "out")

    assert names_in(full) == []


@pytest.mark.parametrize("free", range(12))
def test_disk__wherever_its_last_inode_goes_it_is_all_or_nothing(
    full: Path, tmp_path: Path, free: int
) -> None:
    archive = write_sdist(tmp_path, {"directory/file": b"x", "file": b"y"}, {"link": "file"})
    destination = full / "out"
    destination.mkdir()
    for number in range(usage(full)[1] - free):
        (full / f"{number}").touch()
    before = usage(full)

    try:
        unpack(archive, destination)
    except DiskFullError:
        assert free < 10
        assert names_in(destination) == []
        assert usage(full) == before
    else:
        assert free > 5
        assert names_in(destination) == [STEM]


def test_stage__without_room_is_a_clear_error(full: Path) -> None:
    parent = full / "stages"
    parent.mkdir()
    while usage(full)[1] > 1:
        (full / f"{usage(full)[1]}").touch()

    with pytest.raises(DiskFullError, match="stages"), open_stage(parent, "demo"):
        pass

    assert names_in(parent) == []
