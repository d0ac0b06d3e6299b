"""Straight connections: kept, replaced when they are stale, and never taken for whole when cut."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.index import Cut, Other, Project, Request, Response, serve, wheel
from tests.indexes import open_index
from wheelforge._index import _connections
from wheelforge._index._connections import (
    ConnectionBrokenError,
    RequestImpossibleError,
    StraightConnections,
    read_whole,
)
from wheelforge._index._origins import is_safe, is_trusted
from wheelforge.errors import IndexUnreachableError

if TYPE_CHECKING:
    from collections.abc import Generator

DEMO = wheel("demo", "1.0")
FILE = f"/files/{DEMO.name}"


@dataclass
class Ends:
    """Remembers from where each request came, and answers well."""

    is_hanging_up: bool = False
    seen: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    def play(self, request: Request, good: Response) -> None:
        self.seen.append(request.client_address)
        request.send(good)
        request.close_connection = self.is_hanging_up


@dataclass
class Packed:
    """Says that what it sends is packed."""

    content: bytes

    def play(self, request: Request, good: Response) -> None:
        headers = {**good.headers, "Content-Encoding": "gzip"}
        request.send(Response(200, headers, self.content))


@dataclass
class Chunked:
    """Sends its answer in chunks, and perhaps not to the end."""

    body: bytes

    def play(self, request: Request, good: Response) -> None:
        del good
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(self.body)
        request.close_connection = True


@pytest.fixture
def connections() -> Generator[StraightConnections]:
    straight = StraightConnections(pytest.fail, 5.0)
    yield straight
    straight.close()


def read(connections: StraightConnections, url: str) -> bytes:
    answer = connections.send(url, {})
    try:
        return read_whole(answer)
    finally:
        answer.close()


def test_a_connection_serves_again_once_all_is_read(connections: StraightConnections) -> None:
    ends = Ends()
    with serve(Project("demo", faults=[ends] * 3)) as server:
        for _ in range(2):
            read(connections, f"{server.url}demo/")
        connections.send(f"{server.url}demo/", {}).close()

    assert len(ends.seen) == 3
    assert len(set(ends.seen)) == 1


def test_what_was_not_read_to_its_end_is_not_used_again(connections: StraightConnections) -> None:
    ends = Ends()
    with serve(Project("demo", faults=[ends, ends])) as server:
        for _ in range(2):
            connections.send(f"{server.url}demo/", {}).close()

    assert len(set(ends.seen)) == 2


def test_two_requests_at_once_take_two_connections(connections: StraightConnections) -> None:
    ends = Ends()
    with serve(Project("demo", faults=[ends, ends])) as server:
        answers = [connections.send(f"{server.url}demo/", {}) for _ in range(2)]
        first, second = (read_whole(answer) for answer in answers)
        for answer in answers:
            answer.close()

    assert first == second
    assert len(set(ends.seen)) == 2


def test_a_connection_that_the_server_ended_meanwhile_is_replaced() -> None:
    ends = Ends(is_hanging_up=True)
    one = wheel("demo", "1.0")
    with (
        serve(Project("demo", one, faults=[ends]), Project("other", one, faults=[ends])) as server,
        open_index(server, retries=0) as index,
    ):
        index.find("demo")
        index.find("other")

    assert len(set(ends.seen)) == 2


def looks_alive(line: object) -> bool:
    del line
    return True


def test_a_connection_that_ends_as_it_is_used_again_is_replaced(
    connections: StraightConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wheelforge._index._connections._Line.is_alive", looks_alive)
    ends = Ends(is_hanging_up=True)
    with serve(Project("demo", faults=[ends, ends])) as server:
        for _ in range(2):
            read(connections, f"{server.url}demo/")

    assert len(set(ends.seen)) == 2


@pytest.mark.parametrize("after", [0, 1, 100])
def test_half_an_answer_is_none(connections: StraightConnections, after: int) -> None:
    with (
        serve(Project("demo", DEMO, faults=[Cut(after=after)])) as server,
        pytest.raises(ConnectionBrokenError),
    ):
        read(connections, f"{server.url}demo/")


@pytest.mark.parametrize("end", [b"", b"5\r\nab", b"zz\r\n"])
def test_chunks_without_an_end_are_no_answer(connections: StraightConnections, end: bytes) -> None:
    with (
        serve(Project("demo", faults=[Chunked(b"3\r\nabc\r\n" + end)])) as server,
        pytest.raises(ConnectionBrokenError),
    ):
        read(connections, f"{server.url}demo/")


def test_chunks_are_joined(connections: StraightConnections) -> None:
    chunks = Chunked(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    with serve(Project("demo", faults=[chunks])) as server:
        assert read(connections, f"{server.url}demo/") == b"abcde"


def test_what_was_packed_for_the_way_is_unpacked(connections: StraightConnections) -> None:
    with serve(Project("demo", faults=[Packed(gzip.compress(b"page")), Packed(b"")])) as server:
        assert read(connections, f"{server.url}demo/") == b"page"
        assert read(connections, f"{server.url}demo/") == b""


@pytest.mark.parametrize(
    "content", [b"page", gzip.compress(b"page" * 99)[:-9]], ids=["not packed", "cut"]
)
def test_what_cannot_be_unpacked_is_asked_for_again(content: bytes) -> None:
    with serve(Project("demo", DEMO, faults=[Packed(content)])) as server:
        with open_index(server) as index:
            assert len(index.find("demo")) == 1
        assert server.count("/simple/demo/") == 2


@pytest.mark.parametrize(
    "fault",
    [Other(content=bytes(2 << 20)), Packed(gzip.compress(bytes(2 << 20)))],
    ids=["as it is", "packed"],
)
def test_a_page_that_has_no_end_is_given_up(
    monkeypatch: pytest.MonkeyPatch, fault: Other | Packed
) -> None:
    monkeypatch.setattr(_connections, "_MOST_BYTES", 1 << 20)
    with (
        serve(Project("demo", DEMO, faults=[fault])) as server,
        open_index(server) as index,
        pytest.raises(IndexUnreachableError, match="more than 1 MiB"),
    ):
        index.find("demo")


def test_a_name_is_asked_for_as_it_is_written(connections: StraightConnections) -> None:
    with serve() as server:
        for path in ("/a b/ä", "/a%20b/%C3%A4?x=1&y=%2F#z", ""):
            read(connections, f"{server.origin}{path}")

        asked = [request.path for request in server.asked]
    assert asked == ["/a%20b/%C3%A4", "/a%20b/%C3%A4?x=1&y=%2F", "/"]


@pytest.mark.parametrize("url", ["http://", "http:///x", "http://h:port/", "http://a b/", "x://y"])
def test_what_nobody_can_be_asked_is_said_at_once(
    connections: StraightConnections, url: str
) -> None:
    with pytest.raises(RequestImpossibleError):
        connections.send(url, {})


@pytest.mark.parametrize(
    ("url", "is_believed"),
    [
        ("https://index.test/", True),
        ("http://index.test/", False),
        ("http://localhost:1/", True),
        ("http://127.9.9.9/", True),
        ("http://[::1]:1/", True),
        ("http://128.0.0.1/", False),
        ("http://localhost.index.test/", False),
        ("http://trusted.test/", True),
        ("http://TRUSTED.test:8080/", True),
        ("http://by-port.test:8080/", True),
        ("http://by-port.test/", False),
        ("http://me:pw@trusted.test/", True),
        ("http://trusted.test@index.test/", False),
    ],
)
def test_some_servers_are_believed_as_they_are(url: str, *, is_believed: bool) -> None:
    assert is_safe(url, ("Trusted.test", "by-port.test:8080")) == is_believed


def test_an_address_may_be_trusted() -> None:
    assert is_trusted("[fe80::1]:80", ("[fe80::1]",))
    assert not is_trusted("[fe80::2]:80", ("[fe80::1]",))


def test_a_page_without_an_end_is_given_up_through_a_proxy_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_connections, "_MOST_BYTES", 1 << 20)
    endless = Packed(gzip.compress(bytes(2 << 20)))
    with (
        serve(Project("demo", DEMO, faults=[endless])) as proxy,
        open_index(index_urls=("http://localhost:1/simple/",), proxy=proxy.origin) as index,
        pytest.raises(IndexUnreachableError, match="more than 1 MiB"),
    ):
        index.find("demo")


def test_what_comes_through_a_proxy_is_asked_for_again_as_well() -> None:
    project = Project("demo", DEMO, faults=[Cut(after=5), Packed(b"nonsense")])
    with serve(project) as proxy:
        urls = ("http://localhost:1/simple/",)
        with open_index(index_urls=urls, proxy=proxy.origin) as index:
            assert len(index.find("demo")) == 1
        assert proxy.count("/simple/demo/") == 3
