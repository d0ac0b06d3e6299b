"""Findings of the generated archives, once each and by name."""

import struct
from pathlib import Path

import pytest

from tests.property.arena import Arena
from tests.property.formats import Entry, Form, Kind, pack_tar, pack_zip
from tests.property.strategies import TOP
from wheelforge_isolation import ForgeError, Links, unpack, unpack_archive
from wheelforge_isolation.errors import ArchiveDamagedError, ArchiveError

NAME = f"{TOP}.tar.gz"
SETUP = Entry(kind=Kind.FILE, name=f"{TOP}/setup.py", content=b"")


@pytest.fixture
def arena(tmp_path: Path) -> Arena:
    return Arena(root=tmp_path)


def file(name: str, content: bytes = b"") -> Entry:
    return Entry(kind=Kind.FILE, name=name, content=content)


def symlink(name: str, target: str) -> Entry:
    return Entry(kind=Kind.SYMLINK, name=name, target=target)


def hardlink(name: str, target: str) -> Entry:
    return Entry(kind=Kind.HARDLINK, name=name, target=target)


@pytest.mark.parametrize("stem", ["..", ".", "C:x", "a\\b", "a\nb"])
def test_archive__own_name_is_no_way_out(tmp_path: Path, stem: str) -> None:
    archive, room, neighbour = tmp_path / f"{stem}.tar.gz", tmp_path / "room", tmp_path / "other"
    archive.write_bytes(pack_tar([file("setup.py")]))
    neighbour.write_bytes(b"precious")
    room.mkdir()

    with pytest.raises(ArchiveError):
        unpack_archive(archive, room)

    assert neighbour.read_bytes() == b"precious"
    assert list(room.iterdir()) == []


@pytest.mark.parametrize("form", [Form.UNIX_ZIP, Form.WIDE_ZIP])
def test_archive__zip_without_members_is_refused(arena: Arena, form: Form) -> None:
    outcome = arena.unpack(f"{TOP}.zip", pack_zip([], form), Links.KEEP)

    assert isinstance(outcome.error, ArchiveError)


def test_archive__empty_file_does_not_make_its_double_pass(arena: Arena) -> None:
    content = pack_zip([SETUP, file(SETUP.name, b"another")])

    outcome = arena.unpack(f"{TOP}.zip", content, Links.KEEP)

    assert isinstance(outcome.error, ArchiveError)
    assert outcome.error.rule == "D1"


@pytest.mark.parametrize("position", [1 << 62, (1 << 64) - 1])
def test_archive__locator_beyond_the_file_is_damage(arena: Arena, position: int) -> None:
    content = bytearray(pack_zip([SETUP], Form.WIDE_ZIP))
    struct.pack_into("<Q", content, content.rindex(b"PK\6\7") + 8, position)

    outcome = arena.unpack(f"{TOP}.zip", bytes(content), Links.KEEP)

    assert isinstance(outcome.error, ArchiveDamagedError)


@pytest.mark.parametrize("size", [4, 19])
def test_archive__locator_without_room_is_damage(arena: Arena, size: int) -> None:
    content = b"PK\6\7".ljust(size, b"\0") + b"PK\5\6" + bytes(18)

    assert isinstance(arena.unpack(f"{TOP}.zip", content, Links.KEEP).error, ArchiveDamagedError)


def test_archive__hard_link_into_litter_that_is_left_out_is_refused(arena: Arena) -> None:
    members = [SETUP, symlink("__MACOSX/s", "t"), hardlink(f"{TOP}/h", "__MACOSX/s")]

    outcome = arena.unpack(NAME, pack_tar(members), Links.KEEP)

    assert isinstance(outcome.error, ArchiveError)
    assert outcome.error.rule == "L15"


def test_archive__hard_link_to_a_hard_link_is_settled_whatever_it_replaces(arena: Arena) -> None:
    members = [
        file(f"{TOP}/b", b"old"),
        file(f"{TOP}/x", b"x"),
        symlink(f"{TOP}/s", "x"),
        hardlink(f"{TOP}/a", f"{TOP}/s"),
        hardlink(f"{TOP}/b", f"{TOP}/a"),
    ]

    assert arena.unpack(NAME, pack_tar(members), Links.KEEP).tree[f"{TOP}/b"].content == b"x"


def test_archive__hard_link_in_the_place_of_what_it_leads_to_finds_the_file_that_comes_last(
    arena: Arena,
) -> None:
    members = [
        symlink(f"{TOP}/a", "."),
        hardlink(f"{TOP}/b", f"{TOP}/a"),
        hardlink(f"{TOP}/a", f"{TOP}/b"),
        file(f"{TOP}/b", b"last"),
    ]

    assert arena.unpack(NAME, pack_tar(members), Links.KEEP).tree[f"{TOP}/a"].content == b"last"


def test_archive__drive_is_a_drive_behind_a_dot_too(arena: Arena) -> None:
    outcome = arena.unpack(NAME, pack_tar([SETUP, file("./C:/x")]), Links.KEEP)

    assert isinstance(outcome.error, ArchiveError)
    assert outcome.error.rule == "N4"


def test_archive__empty_name_is_refused_for_directories_too(arena: Arena) -> None:
    nameless = Entry(kind=Kind.DIRECTORY, name="")

    outcome = arena.unpack(NAME, pack_tar([SETUP, nameless]), Links.KEEP)

    assert isinstance(outcome.error, ArchiveError)
    assert outcome.error.rule == "N8"


@pytest.mark.parametrize("links", Links)
def test_archive__project_file_may_be_a_link_to_one(arena: Arena, links: Links) -> None:
    members = [
        file(f"{TOP}/PKG-INFO"),
        file(f"{TOP}/build.toml"),
        symlink(f"{TOP}/pyproject.toml", "build.toml"),
    ]

    assert arena.unpack(NAME, pack_tar(members), links).error is None


@pytest.mark.parametrize("links", Links)
def test_archive__linked_metadata_is_judged_like_any(arena: Arena, links: Links) -> None:
    metadata = file(f"{TOP}/info", b"Metadata-Version: 2.2\nName: other\nVersion: 1.0\n")
    members = [SETUP, metadata, symlink(f"{TOP}/PKG-INFO", "info")]

    outcome = arena.unpack(NAME, pack_tar(members), links)

    assert isinstance(outcome.error, ArchiveError)
    assert outcome.error.rule == "Y4"


@pytest.mark.parametrize(
    "metadata",
    [
        b"Metadata-Version: " + b"9" * 5_000,
        b"Name: p\nVersion: " + b"9" * 5_000,
        b"Name: p" + b" " * 200_000 + b"x",
    ],
    ids=["long metadata version", "long version", "many blanks"],
)
def test_archive__metadata_that_is_hard_to_read_does_no_harm(arena: Arena, metadata: bytes) -> None:
    members = [SETUP, file(f"{TOP}/PKG-INFO", metadata)]

    assert arena.unpack(NAME, pack_tar(members), Links.KEEP).is_outside_unchanged


@pytest.mark.parametrize("top", [".lock", ".kept", "probe-link"])
def test_archive__top_level_name_never_collides(arena: Arena, top: str) -> None:
    outcome = arena.unpack(NAME, pack_tar([file(f"{top}/setup.py")]), Links.KEEP)

    assert outcome.error is None
    assert sorted(outcome.tree) == [top, f"{top}/setup.py"]


def test_archive__whose_top_is_called_like_our_stage_is_not_blamed_on_the_user(
    arena: Arena,
) -> None:
    outcome = arena.unpack(NAME, pack_tar([file(".wheelforge-unpacking/setup.py")]), Links.KEEP)

    assert outcome.error is None or isinstance(outcome.error, ArchiveError)


@pytest.mark.parametrize("name", [".wheelforge-unpacking.1", ".wheelforge-unpacking-notes"])
def test_archive__directory_like_ours_is_left_alone(tmp_path: Path, name: str) -> None:
    archive, destination = tmp_path / NAME, tmp_path / "destination"
    archive.write_bytes(pack_tar([SETUP]))
    precious = destination / name / "mine" / "precious"
    precious.parent.mkdir(parents=True)
    precious.write_bytes(b"precious")

    with pytest.raises(ForgeError):
        unpack(archive, destination)

    assert precious.read_bytes() == b"precious"


def test_archive__what_a_killed_process_left_of_a_probe_is_removed(tmp_path: Path) -> None:
    archive, destination = tmp_path / NAME, tmp_path / "destination"
    archive.write_bytes(pack_tar([SETUP]))
    stage = destination / f".wheelforge-unpacking-{0:032x}"
    (stage / "tree").mkdir(parents=True)
    for path in (stage / ".lock", stage / "probe-case", stage / "tree" / "probe-case"):
        path.write_bytes(b"")

    unpack(archive, destination)

    assert [path.name for path in destination.iterdir()] == [TOP]


def test_archive__name_of_bytes_is_cut_in_a_message(arena: Arena) -> None:
    content = bytearray(pack_zip([file(f"{TOP}/{'x' * 200}", bytes(9_000)), SETUP]))
    struct.pack_into("<H", content, 26, 3_000)

    outcome = arena.unpack(f"{TOP}.zip", bytes(content) + bytes(3_000), Links.KEEP)

    assert isinstance(outcome.error, ArchiveError)
    assert len(str(outcome.error)) < 1000


def test_archive__bytes_that_are_no_text_are_escaped_in_a_message(arena: Arena) -> None:
    members = [SETUP, hardlink(f"{TOP}/h", f"{TOP}/\udcff")]

    assert str(arena.unpack(NAME, pack_tar(members), Links.KEEP).error).isprintable()
