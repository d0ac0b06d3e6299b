"""Metadata of wheels: read beside them, from a part of them, or from all of them."""

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.archives import ZipEnd, ZipMember, zipped
from tests.support.index import (
    Cut,
    File,
    Manners,
    Project,
    Status,
    core_metadata,
    offering_metadata,
    serve,
    wheel,
)
from tests.support.indexes import offering, open_index
from tests.support.wheels import Draft
from wheelforge.errors import DownloadMismatchError, MetadataInvalidError
from wheelforge.index import Metadata
from wheelforge.index.metadata import TAIL_BYTES

LARGE = 3 << 20
PADDING = bytes(range(256)) * (LARGE >> 8)
DIST_INFO = "demo-1.0.dist-info"
METADATA = f"{DIST_INFO}/METADATA"
SMALL = wheel("demo", "1.0", "b", 'c; extra == "X_y"', more="Provides-Extra: X_y")
BIG = wheel("demo", "1.0", "b", padding=LARGE)


def test_metadata__what_a_wheel_asks_for_is_read_from_the_file_beside_it() -> None:
    content = core_metadata("demo", "1.0", "a", more="Requires-Python: >=3.8\n\nName: prose")

    with offering(offering_metadata(BIG, content)) as (server, index, found):
        metadata = [index.read_metadata(found) for _ in range(2)]

    expected = Metadata(requires=("a",), requires_python=">=3.8", extras=frozenset())
    assert metadata == [expected, expected]
    assert [asked.path for asked in server.asked[1:]] == [f"/files/{BIG.name}.metadata"]


def test_metadata__a_metadata_file_that_is_promised_and_not_there_is_done_without() -> None:
    odd = replace(SMALL, metadata=b"", metadata_faults=(Status(code=404),))

    with offering(odd) as (_, index, found):
        assert index.read_metadata(found).requires[0] == "b"


@pytest.mark.parametrize("ranges", ["all", "from", "none", "refused"])
@pytest.mark.parametrize("one", [SMALL, BIG], ids=["small", "big"])
def test_metadata__a_wheel_is_read_as_far_as_needed(tmp_path: Path, one: File, ranges: str) -> None:
    with offering(one, manners=Manners(ranges=ranges)) as (server, index, found):
        metadata = index.read_metadata(found)
        asked = server.count("/files/")
        index.fetch(found, str(tmp_path / "file"))

    assert metadata.requires[0] == "b"
    assert (tmp_path / "file").read_bytes() == one.content
    is_part = one is BIG and ranges in {"all", "from"}
    assert asked == (2 if ranges == "refused" or (is_part and ranges == "from") else 1)
    assert server.count("/files/") == asked + is_part


@pytest.mark.parametrize("is_beside", [True, False])
def test_metadata__requirements_behind_a_folded_licence_text_are_kept(*, is_beside: bool) -> None:
    licence = b"License: of paragraphs\n  \n        \n  \x0cRequires-Dist: c\n"
    metadata = core_metadata("demo", "1.0", "b").replace(b"Requires", licence + b"Requires")
    content = Draft(dist_info=DIST_INFO, files={METADATA: metadata}).pack()
    odd = replace(SMALL, content=content, metadata=metadata if is_beside else None)

    with offering(odd) as (_, index, found):
        assert index.read_metadata(found).requires == ("b",)


@pytest.mark.parametrize(
    ("members", "requests"),
    [
        ((zipped("last", b"x" * LARGE),), 2),
        (tuple(zipped(f"{number:05}{'n' * 60}") for number in range(TAIL_BYTES // 100)), 3),
    ],
    ids=["metadata far from the end", "directory longer than the tail"],
)
def test_metadata__outside_the_tail_take_one_more_request_each(
    members: tuple[ZipMember, ...], requests: int
) -> None:
    files = {METADATA: core_metadata("demo", "1.0", "b"), "padding.bin": PADDING}
    draft = Draft(dist_info=DIST_INFO, files=files, members=members)

    with offering(replace(SMALL, content=draft.pack())) as (server, index, found):
        metadata = index.read_metadata(found)

    assert metadata.requires == ("b",)
    assert server.count("/files/") == requests


def test_metadata__a_cut_answer_to_a_range_is_asked_for_again() -> None:
    cut = replace(BIG, faults=(Cut(after=10), Status(code=503)))

    with offering(cut) as (_, index, found):
        assert index.read_metadata(found).requires == ("b",)


def test_metadata__a_small_wheel_of_another_hash_is_refused_with_its_metadata() -> None:
    odd = replace(SMALL, hashes={"sha256": "0" * 64})

    with offering(odd) as (_, index, found), pytest.raises(DownloadMismatchError):
        index.read_metadata(found)


def test_metadata__a_wheel_with_a_wide_directory_is_read() -> None:
    draft = Draft(end=ZipEnd(wide={}, comment=b"PK"))

    with offering(replace(SMALL, content=draft.pack())) as (_, index, found):
        assert index.read_metadata(found).requires == ()


def with_metadata(content: bytes, **more: Any) -> bytes:  # ruff: ignore[any-type]
    """Return a wheel whose METADATA is a zip member of its own."""
    member = zipped(METADATA, content, **more)
    return Draft(without=frozenset({METADATA}), members=(member,)).pack()


DAMAGED = {
    "empty": b"",
    "no zip": b"x" * 1000,
    "cut": SMALL.content[:-30],
    "without": Draft(without=frozenset({METADATA})).pack(),
    "two": Draft(files={"Demo-1.0.0.dist-info/METADATA": b""}).pack(),
    "other name": Draft(files={METADATA: core_metadata("x", "1.0")}).pack(),
    "other version": Draft(files={METADATA: core_metadata("demo", "2")}).pack(),
    "no version": Draft(files={METADATA: core_metadata("demo", "?")}).pack(),
    "directory": SMALL.content.replace(b"PK\1\2", b"PK\1\3"),
    "header": SMALL.content.replace(b"PK\3\4", b"PK\3\5"),
    "offset": SMALL.content[:-8] + struct.pack("<LH", 5, 0) + b"\0\0",
    "end": b"PK\5\6" + b"\xff" * 18,
    "method": with_metadata(b"x", method=99),
    "checksum": with_metadata(b"x", crc=1),
    "another name in its local header": with_metadata(
        core_metadata("demo", "1.0"), local={"name": f"{DIST_INFO}/METADATB".encode()}
    ),
    "bytes before": b"bytes" + SMALL.content,
    "two ends": Draft(end=ZipEnd(comment=SMALL.content)).pack(),
    "large": with_metadata(b"x", size=1 << 30),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_metadata__a_wheel_that_does_not_say_what_it_asks_for_is_refused(content: bytes) -> None:
    with (
        offering(replace(SMALL, content=content)) as (_, index, found),
        pytest.raises(MetadataInvalidError),
    ):
        index.read_metadata(found)


def test_metadata__metadata_of_several_wheels_are_read_at_once() -> None:
    files = [wheel("demo", str(number)) for number in range(9)]

    with serve(Project("demo", *files)) as server, open_index(server) as index:
        found = index.find("demo").usable
        index.prefetch_metadata(found)
        index.prefetch_metadata(found)
        requires = [index.read_metadata(each).requires for each in found]

    assert requires == [()] * 9
    assert server.count("/files/") == 9
