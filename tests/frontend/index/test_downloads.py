"""Files and their metadata: what arrives is what was published, or nothing does."""

from __future__ import annotations

import contextlib
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.archives import ZipEnd, ZipMember, zipped
from tests.support.codes import raises
from tests.support.index import (
    Cut,
    Fault,
    File,
    Manners,
    Pauses,
    Project,
    Slow,
    Status,
    core_metadata,
    http_date,
    offering_metadata,
    sdist,
    serve,
    sha256,
    wheel,
)
from tests.support.indexes import TAGS, offering, open_index
from tests.support.wheels import Draft
from wheelforge.errors import DownloadMismatchError, MetadataInvalidError
from wheelforge.index import Index, IndexSettings, Metadata
from wheelforge.index.metadata import TAIL_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

LARGE = 3 << 20
PADDING = bytes(range(256)) * (LARGE >> 8)
DIST_INFO = "demo-1.0.dist-info"
METADATA = f"{DIST_INFO}/METADATA"
SMALL = wheel("demo", "1.0", "b", 'c; extra == "X_y"', more="Provides-Extra: X_y")
BIG = wheel("demo", "1.0", "b", padding=LARGE)
OTHER = wheel("demo", "1.0", "evil")


def fetched(one: File, place: Path, *, sleep: Pauses | None = None, **manners: object) -> bytes:
    """Serve one file, fetch it, and return what is on the disk."""
    served = Manners(**manners)  # type: ignore[arg-type]  # a wrong field fails at once
    with offering(one, manners=served, sleep=sleep) as (_, index, found):
        index.fetch(found, str(place / "file"))
    return (place / "file").read_bytes()


def refused(one: File, place: Path, code: str) -> str:
    """Fetch a file in vain; nothing of it may be left."""
    with offering(one) as (_, index, found), raises(code) as caught:
        index.fetch(found, str(place / "file"))
    assert list(place.iterdir()) == []
    return str(caught.value)


# Patience


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504, 408, 520])
def test_download__a_busy_server_is_asked_again(tmp_path: Path, code: int) -> None:
    pauses = Pauses()
    busy = replace(SMALL, faults=(Status(code=code), Status(code=code)))

    assert fetched(busy, tmp_path, sleep=pauses) == SMALL.content
    first, second = pauses.seconds
    assert first == 0
    assert 0.5 <= second <= 0.6


@pytest.mark.parametrize(
    ("wish", "least", "most"), [(str, 40, 40), (http_date, 20, 41)], ids=["seconds", "date"]
)
def test_download__a_server_is_left_alone_for_as_long_as_it_asks(
    tmp_path: Path, wish: Callable[[int], str], least: float, most: float
) -> None:
    pauses = Pauses()
    busy = replace(SMALL, faults=(Status(code=429, retry_after=wish(40)),))

    fetched(busy, tmp_path, sleep=pauses)

    assert least <= pauses.seconds[0] <= most


@pytest.mark.parametrize("wish", ["soon", http_date(-9)], ids=["words", "past"])
def test_download__a_wish_that_makes_no_sense_costs_little(tmp_path: Path, wish: str) -> None:
    pauses = Pauses()

    fetched(replace(SMALL, faults=(Status(code=503, retry_after=wish),)), tmp_path, sleep=pauses)

    assert pauses.seconds[0] <= 0.25


def test_download__a_server_that_asks_for_hours_is_not_waited_for(tmp_path: Path) -> None:
    busy = replace(SMALL, faults=(Status(code=429, retry_after="7200"),))

    assert "HTTP 429" in refused(busy, tmp_path, "index-unreachable")


def test_download__patience_ends(tmp_path: Path) -> None:
    busy = replace(SMALL, faults=(Status(code=503),) * 6)

    assert refused(busy, tmp_path, "index-unreachable").endswith("6 times: HTTP 503")


def test_download__a_file_that_is_gone_is_not_asked_for_again(tmp_path: Path) -> None:
    assert "HTTP 404" in refused(
        replace(SMALL, faults=(Status(code=404),)), tmp_path, "index-unreachable"
    )


def test_download__a_silent_server_is_asked_again(tmp_path: Path) -> None:
    silent = replace(SMALL, faults=(Slow(seconds=5, after=10),))

    with offering(silent, timeout_seconds=0.2) as (_, index, found):
        index.fetch(found, str(tmp_path / "file"))

    assert (tmp_path / "file").read_bytes() == SMALL.content


# Resuming


def test_download__a_cut_download_goes_on_where_it_ended(tmp_path: Path) -> None:
    cut = replace(BIG, faults=(Cut(after=1 << 20), Cut(after=1 << 20)))

    with offering(cut, manners=Manners(tags=True)) as (server, index, found):
        index.fetch(found, str(tmp_path / "file"))

    assert (tmp_path / "file").read_bytes() == BIG.content
    starts = [headers.get("range", "") for headers in server.headers_of("/files/")]
    assert not starts[0]
    assert all(start.startswith("bytes=") for start in starts[1:])
    assert starts[1] != starts[2]
    assert server.headers_of("/files/")[1]["if-range"] == f'"{sha256(BIG.content)}"'


@pytest.mark.parametrize("ranges", ["none", "refused"])
def test_download__a_cut_download_starts_again_where_a_server_has_no_ranges(
    tmp_path: Path, ranges: str
) -> None:
    assert fetched(replace(BIG, faults=(Cut(after=99),)), tmp_path, ranges=ranges) == BIG.content


def test_download__without_hash_and_tag_a_cut_download_starts_again(tmp_path: Path) -> None:
    cut = replace(BIG, hashes={}, faults=(Cut(after=1 << 20),))

    with offering(cut) as (server, index, found):
        index.fetch(found, str(tmp_path / "file"))

    assert (tmp_path / "file").read_bytes() == BIG.content
    assert all("range" not in headers for headers in server.headers_of("/files/"))


def test_download__a_file_that_changes_while_it_is_cut_starts_again(tmp_path: Path) -> None:
    other = bytes(len(BIG.content))

    class CutOther:
        """Sends the beginning of another file."""

        def play(self, request: object, good: object) -> None:  # ruff: ignore[unused-method-argument]
            from tests.support.index import Request, Response

            assert isinstance(request, Request)
            request.send(Response(200, {}, other), most=1 << 20)

    faults: tuple[Fault, ...] = (CutOther(),)

    assert fetched(replace(BIG, faults=faults), tmp_path) == BIG.content


# Refusals


def test_download__a_wrong_hash_is_refused_and_named(tmp_path: Path) -> None:
    lie = "0" * 64

    message = refused(replace(SMALL, hashes={"sha256": lie}), tmp_path, "download-mismatch")

    assert lie in message
    assert sha256(SMALL.content) in message


def test_download__every_hash_that_is_stated_must_be_right(tmp_path: Path) -> None:
    hashes = {"sha256": sha256(SMALL.content), "md5": "0" * 32}

    assert "md5" in refused(replace(SMALL, hashes=hashes), tmp_path, "download-mismatch")


def test_download__a_file_that_changes_between_metadata_and_download_is_refused(
    tmp_path: Path,
) -> None:
    with offering(BIG) as (server, index, found):
        index.read_metadata(found)
        server.put(Project("demo", wheel("demo", "1.0", "evil", padding=LARGE)))

        with pytest.raises(DownloadMismatchError):
            index.fetch(found, str(tmp_path / "file"))


@pytest.mark.parametrize("size", [1, 1 << 30])
def test_download__a_file_of_another_size_is_refused_even_without_hash(
    tmp_path: Path, size: int
) -> None:
    odd = replace(SMALL, hashes={}, size=size)

    with (
        offering(odd, manners=Manners(json=True)) as (_, index, found),
        pytest.raises(DownloadMismatchError, match="size"),
    ):
        index.fetch(found, str(tmp_path / "file"))

    assert list(tmp_path.iterdir()) == []


def test_download__a_file_listed_with_two_hashes_is_neither_of_them() -> None:
    twice = Project("demo", SMALL, replace(SMALL, hashes={"sha256": "0" * 64}), sdist("demo", "0"))

    with serve(twice) as server, open_index(server) as index:
        assert [found.file_name for found in index.find("demo").usable] == ["demo-0.tar.gz"]
        assert index.notes == (
            f"`{SMALL.name}` at `{server.url}` is listed with two hashes; left out",
        )


def test_download__a_file_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    with (
        offering(SMALL) as (_, index, found),
        raises("download-unwritable", match="No such file or directory"),
    ):
        index.fetch(found, str(tmp_path / "absent" / "file"))


def test_download__a_file_on_disk_is_copied_and_checked(tmp_path: Path) -> None:
    source, page, place = tmp_path / SMALL.name, tmp_path / "page.html", tmp_path / "place"
    source.write_bytes(SMALL.content)
    place.mkdir()
    page.write_text(f"<a href='{SMALL.name}#sha256={sha256(SMALL.content)}'>x</a>")

    with open_index(find_links=(str(page),), no_index=True) as index:
        (found,) = index.find("demo").usable
        assert index.read_metadata(found).extras == {"x-y"}
        index.fetch(found, str(place / "file"))
        source.write_bytes(OTHER.content)
        with pytest.raises(DownloadMismatchError):
            index.fetch(found, str(place / "other"))
        source.unlink()
        with raises("index-unreachable"):
            index.fetch(found, str(place / "other"))

    assert [path.name for path in place.iterdir()] == ["file"]


# Redirects and credentials


@contextlib.contextmanager
def keyring_of(service: str, user: str, password: str) -> Generator[None]:
    """Have the real keyring of this process know a login."""
    keyring = pytest.importorskip("keyring")
    base: Any = pytest.importorskip("keyring.backend").KeyringBackend

    class Known(base):  # type: ignore[misc]  # optional, so of any type
        priority = 1

        def get_password(self, asked: str, username: str) -> str | None:
            return password if (asked, username) == (service, user) else None

        def get_credential(self, asked: str, username: str | None) -> object:
            is_known = asked == service and username in {None, user}
            return keyring.credentials.SimpleCredential(user, password) if is_known else None

        def set_password(self, service: str, username: str, password: str) -> None:
            raise NotImplementedError

    before = keyring.get_keyring()
    keyring.set_keyring(Known())
    try:
        yield
    finally:
        keyring.set_keyring(before)


@pytest.mark.parametrize("is_named", [False, True], ids=["without user", "with user"])
def test_credentials__come_from_the_keyring_after_a_refusal(
    tmp_path: Path, *, is_named: bool
) -> None:
    with serve(Project("demo", SMALL), manners=Manners(login=("me", "s@cret"))) as server:
        url = server.url.replace("://", "://me@") if is_named else server.url
        with keyring_of(server.url, "me", "s@cret"), open_index(index_urls=(url,)) as index:
            (found,) = index.find("demo").usable
            index.fetch(found, str(tmp_path / "file"))

        logins = [headers.get("authorization") for headers in server.headers_of("/")]
    assert "cret" not in f"{found} {index.settings!r} {index.notes}"
    assert len(set(logins)) == 2
    assert logins.count(logins[0]) == 1


@pytest.mark.parametrize("way", ["url", "netrc"])
def test_credentials__come_from_url_or_netrc(tmp_path: Path, way: str) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password s@cret\n" if way == "netrc" else "")

    with serve(Project("demo", SMALL), manners=Manners(login=("me", "s@cret"))) as server:
        url = server.url_as("me", "s%40cret") if way == "url" else server.url
        with open_index(index_urls=(url,), netrc=str(netrc)) as index:
            (found,) = index.find("demo").usable
            index.fetch(found, str(tmp_path / "file"))

    assert "cret" not in f"{found} {index.settings!r} {index.notes}"
    assert (tmp_path / "file").read_bytes() == SMALL.content


def test_download__a_refusal_says_nothing_secret() -> None:
    with serve(Project("demo", SMALL), manners=Manners(login=("me", "right"))) as server:
        urls = (server.url_as("me", "wrong"),)
        with (
            open_index(index_urls=urls, ask_keyring=False) as index,
            raises("index-refused") as caught,
        ):
            index.find("demo")

    assert "wrong" not in str(caught.value)
    assert caught.value.status == 401


def test_download__a_netrc_file_that_cannot_be_read_is_a_note(tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("nonsense")

    with offering(SMALL, netrc=str(netrc)) as (_, index, _):
        pass

    assert index.notes[0].startswith("the netrc file is not used: ")


def test_download__a_proxy_is_asked_instead() -> None:
    with serve(Project("demo", SMALL)) as server:
        settings = IndexSettings(index_urls=("http://localhost:1/simple/",), proxy=server.origin)
        with Index(settings, TAGS) as index:
            (found,) = index.find("demo").usable

    assert found.url.startswith("http://localhost:1/files/")
    assert server.asked[0].path == "http://localhost:1/simple/demo/"


# Metadata


def test_download__what_a_wheel_asks_for_is_read_from_the_file_beside_it() -> None:
    content = core_metadata("demo", "1.0", "a", more="Requires-Python: >=3.8\n\nName: prose")

    with offering(offering_metadata(BIG, content)) as (server, index, found):
        metadata = [index.read_metadata(found) for _ in range(2)]

    expected = Metadata(requires=("a",), requires_python=">=3.8", extras=frozenset())
    assert metadata == [expected, expected]
    assert [asked.path for asked in server.asked[1:]] == [f"/files/{BIG.name}.metadata"]


def test_download__a_metadata_file_that_is_promised_and_not_there_is_done_without() -> None:
    odd = replace(SMALL, metadata=b"", metadata_faults=(Status(code=404),))

    with offering(odd) as (_, index, found):
        assert index.read_metadata(found).requires[0] == "b"


@pytest.mark.parametrize("ranges", ["all", "from", "none", "refused"])
@pytest.mark.parametrize("one", [SMALL, BIG], ids=["small", "big"])
def test_download__a_wheel_is_read_as_far_as_needed(tmp_path: Path, one: File, ranges: str) -> None:
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
def test_download__requirements_behind_a_folded_licence_text_are_kept(*, is_beside: bool) -> None:
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


def test_download__a_cut_answer_to_a_range_is_asked_for_again() -> None:
    cut = replace(BIG, faults=(Cut(after=10), Status(code=503)))

    with offering(cut) as (_, index, found):
        assert index.read_metadata(found).requires == ("b",)


def test_download__a_small_wheel_of_another_hash_is_refused_with_its_metadata() -> None:
    odd = replace(SMALL, hashes={"sha256": "0" * 64})

    with offering(odd) as (_, index, found), pytest.raises(DownloadMismatchError):
        index.read_metadata(found)


def test_download__a_wheel_with_a_wide_directory_is_read() -> None:
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
def test_download__a_wheel_that_does_not_say_what_it_asks_for_is_refused(content: bytes) -> None:
    with (
        offering(replace(SMALL, content=content)) as (_, index, found),
        pytest.raises(MetadataInvalidError),
    ):
        index.read_metadata(found)


def test_download__metadata_of_several_wheels_are_read_at_once() -> None:
    files = [wheel("demo", str(number)) for number in range(9)]

    with serve(Project("demo", *files)) as server, open_index(server) as index:
        found = index.find("demo").usable
        index.prefetch_metadata(found)
        index.prefetch_metadata(found)
        requires = [index.read_metadata(each).requires for each in found]

    assert requires == [()] * 9
    assert server.count("/files/") == 9
