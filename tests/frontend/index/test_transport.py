"""Answers over urllib3: connections kept and replaced, bodies whole or refused, never endless."""

import gzip
from collections.abc import Generator
from dataclasses import dataclass, field

import pytest

from tests.support.codes import raises
from tests.support.index import Cut, Other, Project, Request, Response, serve, wheel
from tests.support.indexes import asking, open_index
from wheelforge.index import IndexSettings, pages
from wheelforge.index.tls import is_safe, is_trusted
from wheelforge.index.transport import Connections, RequestFailedError

DEMO = wheel("demo", "1.0")
FILE = f"/files/{DEMO.name}"
MOST = 1 << 20


@dataclass
class Ends:
    """Remembers the other end of each request, and answers well."""

    is_hanging_up: bool = False
    seen: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    def play(self, request: Request, good: Response) -> None:
        self.seen.append(request.client_address)
        request.send(good)
        request.close_connection = self.is_hanging_up


@dataclass
class Packed:
    """Says that its body is packed."""

    content: bytes
    coding: str = "gzip"

    def play(self, request: Request, good: Response) -> None:
        request.send(Response(200, {**good.headers, "Content-Encoding": self.coding}, self.content))


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


class Silence:
    """Hangs up instead of answering."""

    def play(self, request: Request, good: Response) -> None:
        del good
        request.close_connection = True


@pytest.fixture
def connections() -> Generator[Connections]:
    opened = Connections(IndexSettings(timeout_seconds=5.0))
    yield opened
    opened.close()


def read(connections: Connections, url: str) -> bytes:
    answer = connections.send(url, {}, None)
    try:
        return answer.read(MOST)
    finally:
        answer.close()


def test_connection__serves_again_once_its_answer_is_read(connections: Connections) -> None:
    ends = Ends()
    with serve(Project("demo", faults=[ends] * 3)) as server:
        for _ in range(2):
            read(connections, f"{server.url}demo/")
        connections.send(f"{server.url}demo/", {}, None).close()

    assert len(ends.seen) == 3
    assert len(set(ends.seen)) == 1


def test_connection__whose_answer_was_not_read_is_not_used_again(connections: Connections) -> None:
    ends = Ends()
    with serve(Project("demo", faults=[ends, ends])) as server:
        for _ in range(2):
            connections.send(f"{server.url}demo/", {}, None).close()

    assert len(set(ends.seen)) == 2


def test_connections__of_two_requests_at_once_are_two(connections: Connections) -> None:
    ends = Ends()
    with serve(Project("demo", faults=[ends, ends])) as server:
        answers = [connections.send(f"{server.url}demo/", {}, None) for _ in range(2)]
        first, second = (answer.read(MOST) for answer in answers)
        for answer in answers:
            answer.close()

    assert first == second
    assert len(set(ends.seen)) == 2


def test_connection__that_the_server_ended_meanwhile_is_replaced() -> None:
    ends = Ends(is_hanging_up=True)
    projects = [Project(name, DEMO, faults=[ends]) for name in ("demo", "other")]
    with asking(*projects, retries=0) as (_, index):
        index.find("demo")
        index.find("other")

    assert len(set(ends.seen)) == 2


def test_connection__that_ends_as_it_is_used_again_is_replaced() -> None:
    with asking(Project("demo", DEMO), Project("other", DEMO, faults=[Silence()]), retries=0) as (
        server,
        index,
    ):
        index.find("demo")
        index.find("other")

        assert server.count("/simple/other/") == 2


@pytest.mark.parametrize("after", [0, 1, 100])
def test_body__that_is_cut_is_refused(connections: Connections, after: int) -> None:
    with (
        serve(Project("demo", DEMO, faults=[Cut(after=after)])) as server,
        pytest.raises(RequestFailedError) as caught,
    ):
        read(connections, f"{server.url}demo/")

    assert not caught.value.is_final


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        *((Chunked(b"3\r\nabc\r\n" + end), None) for end in (b"", b"5\r\nab", b"zz\r\n")),
        (Packed(b"x", "br"), "content encoding"),
    ],
    ids=["no end", "cut", "no number", "another kind of packing"],
)
def test_body__without_an_end_or_of_another_kind_is_refused(
    connections: Connections, fault: Chunked | Packed, reason: str | None
) -> None:
    with (
        serve(Project("demo", faults=[fault])) as server,
        pytest.raises(RequestFailedError, match=reason),
    ):
        read(connections, f"{server.url}demo/")


def test_chunks__are_joined(connections: Connections) -> None:
    chunks = Chunked(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    with serve(Project("demo", faults=[chunks])) as server:
        assert read(connections, f"{server.url}demo/") == b"abcde"


def test_packed_body__is_unpacked(connections: Connections) -> None:
    with serve(Project("demo", faults=[Packed(gzip.compress(b"page")), Packed(b"")])) as server:
        assert read(connections, f"{server.url}demo/") == b"page"
        assert read(connections, f"{server.url}demo/") == b""


@pytest.mark.parametrize(
    "content",
    [b"page", gzip.compress(b"page" * 99)[:-9], gzip.compress(b"page") + b"more"],
    ids=["not packed", "cut", "more"],
)
def test_packed_body__that_is_damaged_is_asked_for_again(content: bytes) -> None:
    with serve(Project("demo", DEMO, faults=[Packed(content)])) as server:
        with open_index(server) as index:
            assert len(index.find("demo").usable) == 1
        assert server.count("/simple/demo/") == 2


@pytest.mark.parametrize("proxied", [False, True], ids=["directly", "through a proxy"])
@pytest.mark.parametrize(
    "fault",
    [Other(content=bytes(2 << 20)), Packed(gzip.compress(bytes(2 << 20)))],
    ids=["as it is", "packed"],
)
def test_page__without_an_end_is_given_up(
    monkeypatch: pytest.MonkeyPatch, fault: Other | Packed, *, proxied: bool
) -> None:
    monkeypatch.setattr("wheelforge.index.backend.MOST_PAGE_BYTES", 1 << 20)
    assert pages.MOST_PAGE_BYTES == 64 << 20
    with serve(Project("demo", DEMO, faults=[fault])) as server:
        urls = ("http://localhost:1/simple/",) if proxied else (server.url,)
        proxy = server.origin if proxied else None
        with (
            open_index(index_urls=urls, proxy=proxy) as index,
            raises("index-unreachable", match="more than 1 MiB"),
        ):
            index.find("demo")


def test_url__is_asked_for_as_it_is_written(connections: Connections) -> None:
    with serve() as server:
        for path in ("/a b/ä", "/a%20b/%C3%A4?x=1&y=%2F#z", ""):
            read(connections, f"{server.origin}{path}")

        asked = [request.path for request in server.asked]
    assert asked == ["/a%20b/%C3%A4", "/a%20b/%C3%A4?x=1&y=%2F", "/"]


@pytest.mark.parametrize(
    "url", ["http://", "http:///x", "http://h:port/", "http://a b/", "x://y", f"http://{'a' * 99}/"]
)
def test_url__without_a_server_is_refused_at_once(connections: Connections, url: str) -> None:
    with pytest.raises(RequestFailedError) as caught:
        connections.send(url, {}, None)

    assert caught.value.is_final


def test_host__in_another_script_is_looked_up_in_ascii(connections: Connections) -> None:
    with pytest.raises(RequestFailedError) as caught:
        connections.send("http://bücher.invalid:1/", {}, None)

    assert "xn--bcher-kva.invalid" in str(caught.value)


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
def test_host__may_be_asked_without_tls(url: str, *, is_believed: bool) -> None:
    assert is_safe(url, ("Trusted.test", "by-port.test:8080")) == is_believed


def test_host__that_is_trusted_may_be_an_address() -> None:
    assert is_trusted("[fe80::1]:80", ("[fe80::1]",))
    assert not is_trusted("[fe80::2]:80", ("[fe80::1]",))


def test_answer__of_a_proxy_is_asked_for_again_as_well() -> None:
    project = Project("demo", DEMO, faults=[Cut(after=5), Packed(b"nonsense")])
    with serve(project) as proxy:
        with open_index(index_urls=("http://localhost:1/simple/",), proxy=proxy.origin) as index:
            assert len(index.find("demo").usable) == 1
        assert proxy.count("/simple/demo/") == 3
