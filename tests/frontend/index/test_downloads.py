"""Files: what arrives is what was published, or nothing does."""

import contextlib
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

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
    http_date,
    sdist,
    serve,
    sha256,
    wheel,
)
from tests.support.indexes import TAGS, offering, open_index
from wheelforge.errors import DownloadMismatchError
from wheelforge.index import Index, IndexSettings

LARGE = 3 << 20
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
    ("wish", "least", "most"),
    [
        (lambda: "40", 40, 40),
        (lambda: http_date(40), 20, 41),
        (lambda: "soon", 0, 0.25),
        (lambda: http_date(-9), 0, 0.25),
    ],
    ids=["seconds", "date", "words", "past"],
)
@pytest.mark.parametrize("code", [429, 503])
def test_download__a_server_is_left_alone_for_as_long_as_it_asks_if_that_makes_sense(
    tmp_path: Path, code: int, wish: Callable[[], str], least: float, most: float
) -> None:
    pauses = Pauses()
    busy = replace(SMALL, faults=(Status(code=code, retry_after=wish()),))

    fetched(busy, tmp_path, sleep=pauses)

    assert least <= pauses.seconds[0] <= most


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ([Status(code=429, retry_after="7200")], "HTTP 429"),
        ([Status(code=503)] * 6, "6 times: HTTP 503"),
        ([Status(code=404)], "HTTP 404"),
    ],
    ids=["asks for hours", "never answers", "has it no more"],
)
def test_download__is_given_up_where_the_server(
    tmp_path: Path, faults: list[Status], said: str
) -> None:
    busy = replace(SMALL, faults=tuple(faults))

    assert refused(busy, tmp_path, "index-unreachable").endswith(said)


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


@pytest.mark.parametrize(
    ("hashes", "named"),
    [
        ({"sha256": "0" * 64}, ["0" * 64, sha256(SMALL.content)]),
        ({"sha256": sha256(SMALL.content), "md5": "0" * 32}, ["md5"]),
    ],
    ids=["the only one", "one of two"],
)
def test_download__a_wrong_hash_is_refused_and_named(
    tmp_path: Path, hashes: dict[str, str], named: list[str]
) -> None:
    message = refused(replace(SMALL, hashes=hashes), tmp_path, "download-mismatch")

    assert [name for name in named if name not in message] == []


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
