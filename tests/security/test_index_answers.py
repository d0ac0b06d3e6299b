"""Answers of a hostile index: bounded in bytes and seconds, and never worse than a missing file."""

import gzip
import json
import tracemalloc
from functools import partial
from pathlib import Path

import pytest

from tests.support.codes import raises
from tests.support.index import (
    JSON,
    Fault,
    File,
    Manners,
    Other,
    Project,
    Raw,
    Redirect,
    serve,
    sha256,
    wheel,
)
from tests.support.indexes import asking, open_index
from wheelforge.errors import BuildError, MetadataInvalidError, PackageIndexError
from wheelforge.index import downloads, pages

GOOD = wheel("demo", "1.0")
MANY_DIGITS = "1" * 5000
BOTH = pytest.mark.parametrize("manners", [Manners(), Manners(json=True)], ids=["html", "json"])
OK = b"HTTP/1.1 200 OK\r\n"


def find(page: bytes, kind: str) -> tuple[list[str], tuple[str, ...]]:
    """Return the file names that are found on a page, and the notes."""
    with asking(Project("demo", faults=[Other(content=page, kind=kind)])) as (_, index):
        names = [candidate.file_name for candidate in index.find("demo").usable]
    return names, index.notes


# Pages

ODD_ITEMS = {
    "size of many digits": f'"size": {MANY_DIGITS}',
    "negative size": '"size": -1',
    "size that is a text": '"size": "1"',
    "no size": '"size": []',
    "short hash": '"hashes": {"sha256": "00"}',
    "no hash": f'"hashes": {{"sha256": "{"z" * 64}"}}',
    "hash that is a number": '"hashes": {"sha256": 5}',
    "hashes that are a number": '"hashes": 5',
    "unknown hashes": '"hashes": {"blake3": "00"}',
    "one of two hashes": f'"hashes": {{"md5": "00", "sha256": "{"0" * 64}"}}',
    "half a character": '"url": "\\ud800/demo-2.0.tar.gz"',
    "no URL": '"url": 5',
    "damaged URL": '"url": "http://[/demo-2.0.tar.gz"',
    "port that is none": '"url": "http://x:y/demo-2.0.tar.gz"',
    "port of many digits": f'"url": "http://x:{MANY_DIGITS}/demo-2.0.tar.gz"',
    "long URL": f'"url": "https://x/{"a" * 10_000}/demo-2.0.tar.gz"',
    "long range of Pythons": f'"requires-python": ">=1{MANY_DIGITS}"',
}


@pytest.mark.parametrize("odd", ODD_ITEMS.values(), ids=ODD_ITEMS)
def test_json_page__loses_the_file_with_an_odd_field_and_no_other(odd: str) -> None:
    good = json.dumps({"filename": GOOD.name, "url": f"https://x/{GOOD.name}"})
    odd_item = f'{{"filename": "demo-2.0.tar.gz", "url": "https://x/demo-2.0.tar.gz", {odd}}}'
    page = f'{{"meta": {{"api-version": "1.0"}}, "files": [{odd_item}, {good}]}}'

    assert find(page.encode(), JSON)[0] == [GOOD.name]


ODD_ANCHORS = {
    "short hash": "href='demo-2.0.tar.gz#sha256=00'",
    "no hash": f"href='demo-2.0.tar.gz#sha256={'z' * 64}'",
    "one of two hashes": f"href='demo-2.0.tar.gz#sha256={'0' * 64}&md5=0'",
    "damaged URL": "href='http://[/demo-2.0.tar.gz'",
    "port that is none": "href='http://x:y/demo-2.0.tar.gz'",
    "long range of Pythons": f"href='demo-2.0.tar.gz' data-requires-python='>=1{MANY_DIGITS}'",
}


@pytest.mark.parametrize("odd", ODD_ANCHORS.values(), ids=ODD_ANCHORS)
def test_html_page__loses_the_file_with_an_odd_attribute_and_no_other(odd: str) -> None:
    page = f"<a {odd}>x</a><a href='{GOOD.name}'>x</a>"

    assert find(page.encode(), "text/html")[0] == [GOOD.name]


def test_page__says_how_many_files_are_malformed() -> None:
    page = f"<a href='demo-2.0.zip#sha256=0'>x</a><a href='{GOOD.name}'>x</a>"

    _, notes = find(page.encode(), "text/html")

    assert len(notes) == 1
    assert notes[0].startswith("1 files at ")
    assert notes[0].endswith(pages.BAD_HASH)


@BOTH
@pytest.mark.parametrize(
    "uploaded", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", f"{MANY_DIGITS}-01-01", "x"]
)
def test_upload_time__that_is_odd_is_unknown(manners: Manners, uploaded: str) -> None:
    one = File(name=GOOD.name, content=GOOD.content, uploaded=uploaded)

    with serve(Project("demo", one), manners=manners) as server, open_index(server) as index:
        assert [found.uploaded for found in index.find("demo").usable] == [None]


@pytest.mark.parametrize("charset", ["undefined", "idna", "punycode", "unicode_escape", "x" * 999])
def test_page__in_a_charset_of_no_page_is_read_as_utf_8(charset: str) -> None:
    page = f"<a href='{GOOD.name}'>x</a>"

    assert find(page.encode(), f"text/html; charset={charset}")[0] == [GOOD.name]


@pytest.mark.parametrize(
    "page",
    [
        '{"files": 5}',
        '{"files": null}',
        '{"files": {}}',
        '{"files": [], "meta": null}',
        f'{{"files": [], "meta": {{"api-version": {MANY_DIGITS}}}}}',
        "[" * 100_000,
        '{"files": [' + "0," * 2_000_000 + "0]}",
        '{"files": [' + "{}," * 200_000 + "{}]}",
    ],
    ids=["number", "null", "object", "meta", "version", "deep", "commas", "files"],
)
def test_json_page__without_a_list_of_files_is_refused(page: str) -> None:
    with raises("index-page-invalid"):
        find(page.encode(), JSON)


@pytest.mark.parametrize(
    "page",
    [
        "<![x[]]>",
        "<a href=x>" * 200_000,
        "<b>" * 600_000,
        "<a " * 300_000,
        "<!--" * 100_000,
        "<a href='" * 100_000,
    ],
    ids=["declaration", "anchors", "tags", "open tags", "comments", "quotes"],
)
def test_html_page__that_would_take_for_ever_is_refused(page: str) -> None:
    with raises("index-page-invalid"):
        find(page.encode(), "text/html")


def test_packed_page__is_no_bomb() -> None:
    bomb = gzip.compress(bytes(300 << 20))
    head = b"Content-Encoding: gzip\r\nContent-Type: text/html\r\n\r\n"
    tracemalloc.start()
    try:
        with raises("index-unreachable", match="more than"):
            find_raw(Raw(content=OK + head + bomb))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 160 << 20


# Heads


def find_raw(fault: Fault, **more: object) -> list[str]:
    """Return the file names of a page that is answered in this way."""
    with asking(Project("demo", GOOD, faults=[fault]), retries=0, **more) as (_, index):  # type: ignore[arg-type]
        return [candidate.file_name for candidate in index.find("demo").usable]


PAGE = f"<a href='{GOOD.name}'>x</a>".encode()
LENGTHS = [b"abc", b"-5", b"\xb2", b"", MANY_DIGITS.encode(), b"1, 1"]


@pytest.mark.parametrize("length", LENGTHS)
def test_page__with_an_odd_length_is_read_or_refused(length: bytes) -> None:
    head = OK + b"Content-Type: text/html\r\nContent-Length: " + length + b"\r\n\r\n"
    try:
        found = find_raw(Raw(content=head + PAGE))
    except PackageIndexError:
        found = [GOOD.name]
    assert found == [GOOD.name]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("status", [b"302 Found", b"404 Not Found", b"206 Partial Content"])
def test_other_answers__with_an_odd_length_are_understood(status: bytes, length: bytes) -> None:
    head = b"HTTP/1.1 " + status + b"\r\nLocation: /simple/other/\r\nContent-Range: bytes 0-"
    head += MANY_DIGITS.encode() + b"/" + MANY_DIGITS.encode()
    odd = Raw(content=head + b"\r\nContent-Length: " + length + b"\r\n\r\n")
    one = File(name=GOOD.name, content=GOOD.content, faults=(odd, odd))

    with asking(Project("demo", one, faults=[odd]), Project("other", one), retries=0) as (_, index):
        problem = ""
        try:
            index.read_metadata(index.find("demo").usable[0])
        except BuildError as error:
            problem = str(error)
    assert "int()" not in problem


@pytest.mark.parametrize("times", [1, 3])
def test_interim_answers__are_skipped(times: int) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n" * times
    head = OK + b"Content-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(PAGE)

    assert find_raw(Raw(content=interim + head + PAGE)) == [GOOD.name]


ENDLESS = {
    "interim answers": Raw(content=b"", endless=b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000),
    "continue": Raw(content=b"", endless=b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "status line": Raw(content=b"HTTP/1.1 200 ", endless=b"x" * 10_000),
    "headers": Raw(content=OK, endless=(b"X: " + b"y" * 60_000 + b"\r\n")),
    "trailers": Raw(
        content=OK + b"Content-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        endless=b"X: y\r\n" * 10_000,
    ),
    "chunk of -1 bytes": Raw(
        content=OK + b"Content-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        endless=b"x" * 100_000,
    ),
    "small chunks": Raw(
        content=OK + b"Content-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n",
        endless=b"1;" + b"y" * 60_000 + b"\r\nx\r\n",
    ),
    "body": Raw(content=OK + b"Content-Type: text/html\r\n\r\n", endless=b"x" * 100_000),
    "redirect": Raw(
        content=b"HTTP/1.1 302 Found\r\nLocation: /simple/demo/\r\n\r\n", endless=b"x" * 100_000
    ),
}


@pytest.mark.parametrize("fault", ENDLESS.values(), ids=ENDLESS)
def test_answer__without_an_end_is_given_up(fault: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wheelforge.index.backend.MOST_PAGE_BYTES", 4 << 20)
    tracemalloc.start()
    try:
        if fault is ENDLESS["redirect"]:
            assert find_raw(fault) == [GOOD.name]
        else:
            with raises("index-unreachable"):
                find_raw(fault)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20


@pytest.mark.parametrize(
    "content",
    [b"", OK, OK + b"Content-Type: text/html\r\n\r\n"],
    ids=["status line", "headers", "body"],
)
def test_answer__that_comes_byte_by_byte_is_given_up(content: bytes) -> None:
    slow = Raw(content=content, endless=b"x", pause=0.02)

    with raises("index-unreachable", match="too slow") as caught:
        find_raw(slow, timeout_seconds=0.1)

    assert caught.value.attempts == 1


# Files


@pytest.mark.parametrize("is_read", [True, False], ids=["metadata", "download"])
def test_file__without_an_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_read: bool
) -> None:
    monkeypatch.setattr(downloads, "_MOST_FILE_BYTES", 2 << 20)
    endless = Raw(content=OK + b"\r\n", endless=b"x" * 100_000)
    one = File(name=GOOD.name, content=b"", hashes={}, faults=(endless,) * 9)

    with serve(Project("demo", one)) as server, open_index(server) as index:
        (found,) = index.find("demo").usable
        ask = index.read_metadata if is_read else partial(index.fetch, path=f"{tmp_path}/file")
        with raises("index-unreachable", match="more than 2 MiB"):
            ask(found)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("span", ["0-99/100", "900-999/1000"])
def test_part_of_a_file__has_no_more_than_it_says(span: str) -> None:
    head = f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {span}\r\n\r\n".encode()
    one = File(
        name=GOOD.name, content=b"", hashes={}, faults=(Raw(content=head, endless=b"x" * 999),) * 9
    )

    with (
        asking(Project("demo", one)) as (_, index),
        pytest.raises((PackageIndexError, MetadataInvalidError)),
    ):
        index.read_metadata(index.find("demo").usable[0])


def test_large_file__is_not_read_into_memory() -> None:
    large = wheel("demo", "1.0", padding=64 << 20)
    with asking(Project("demo", large), manners=Manners(ranges="none")) as (_, index):
        (found,) = index.find("demo").usable
        tracemalloc.start()
        try:
            assert index.read_metadata(found).requires == ()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 48 << 20


# Without TLS


@BOTH
@pytest.mark.parametrize(
    ("hashes", "more", "is_found"),
    [
        ({}, {}, False),
        ({"md5": "0" * 32}, {}, False),
        ({"sha256": "0" * 64}, {}, True),
        ({}, {"trusted_hosts": ("files.invalid",)}, True),
    ],
    ids=["no hash", "md5", "sha256", "trusted"],
)
def test_file__of_another_machine_needs_tls_or_a_hash(
    manners: Manners, hashes: dict[str, str], more: dict[str, object], *, is_found: bool
) -> None:
    away = File(
        name="demo-2.0.tar.gz",
        content=b"",
        hashes=hashes,
        url="http://files.invalid/demo-2.0.tar.gz",
    )

    with asking(Project("demo", away, GOOD), manners=manners, **more) as (_, index):  # type: ignore[arg-type]
        found = {candidate.file_name for candidate in index.find("demo").usable}

    assert found == {GOOD.name, *([away.name] if is_found else [])}
    assert any("without TLS" in note for note in index.notes) != is_found


def test_file__without_a_hash_is_not_redirected_to_a_place_without_tls(tmp_path: Path) -> None:
    moved = (Redirect(to="http://files.invalid{here}"),) * 2
    unsafe = File(name=GOOD.name, content=b"", hashes={}, faults=moved)

    with (
        asking(Project("demo", unsafe), retries=0) as (_, index),
        raises("index-unreachable", match="is not safe"),
    ):
        index.fetch(index.find("demo").usable[0], str(tmp_path / "file"))


def test_page__is_not_redirected_to_a_place_without_tls() -> None:
    with raises("index-unreachable", match="is not safe"):
        find_raw(Redirect(to="http://pages.invalid{here}"))


def test_wheel__whose_metadata_by_ranges_were_others_is_refused(tmp_path: Path) -> None:
    honest = wheel("demo", "1.0", "evil", padding=3 << 20)
    lying = wheel("demo", "1.0", padding=3 << 20)
    one = File(name=honest.name, content=honest.content, faults=(Other(content=lying.content),))

    with serve(Project("demo", one)) as server, open_index(server) as index:
        (found,) = index.find("demo").usable
        assert found.hashes == {"sha256": sha256(honest.content)}
        assert index.read_metadata(found).requires == ()
        with pytest.raises(MetadataInvalidError, match="not those"):
            index.fetch(found, str(tmp_path / "file"))

    assert list(tmp_path.iterdir()) == []
