"""The cache that clients of a server share: what it takes, gives and removes."""

# ruff: file-ignore[unused-async]  # streams, as the server has them

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import json
import os
import time
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.builds import Ground
from tests.support.remotes import write_key
from tests.support.service import Service, serving
from wheelforge.index.settings import IndexSettings
from wheelforge.remote.action_result import OutputFile, encode_action
from wheelforge.remote.cache import RemoteCaches
from wheelforge.remote.record import WHEEL, KeptFile, RemoteRecord
from wheelforge.service.access import read_tokens
from wheelforge.service.problems import Problem
from wheelforge.service.shared import SharedBlobs
from wheelforge.settings import RemoteSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a server forks"),
    pytest.mark.xdist_group("service-shared"),
]
CONTENT = b"wheel" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
EMPTY = hashlib.sha256(b"").hexdigest()


class Client:
    """A server on loopback, and its tokens."""

    def __init__(self, service: Service) -> None:
        url = json.loads((service.home / "server.json").read_bytes())["url"]
        self.host = url.removeprefix("http://")
        self.tokens = {role: token for token, role in read_tokens(service.home / "tokens").items()}

    def url(self, role: str) -> str:
        return f"http://ci:{self.tokens[role]}@{self.host}"

    def ask(
        self, method: str, target: str, body: bytes | None = None, role: str = "build"
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.host, timeout=60)
        headers = {"Authorization": f"Bearer {self.tokens.get(role, role)}"}
        with contextlib.closing(connection):
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    ground = Ground.make(tmp_path_factory.mktemp("shared"))
    with serving(ground, "--listen", "127.0.0.1:0", "--shared-cache", "1MB") as service:
        yield Client(service)


def test_shared_cache__gives_what_it_was_given(client: Client, tmp_path: Path) -> None:
    signer, _ = write_key(tmp_path, "team")
    notes, output = list[str](), BytesIO()
    record = RemoteRecord(WHEEL, "key", {"a": 1}, KeptFile("demo.whl", SHA256, len(CONTENT)))
    writer = RemoteSettings(urls=(client.url("build"),), signer=signer)
    reader = RemoteSettings(urls=(client.url("read"),), signer=signer)

    with RemoteCaches(writer, IndexSettings(), notes.append) as caches:
        caches.publish(record, {SHA256: CONTENT})
    with RemoteCaches(reader, IndexSettings(), notes.append) as caches:
        found = caches.find(WHEEL, "key")
        caches.fetch(SHA256, output)

    assert found is not None
    assert (found.record, output.getvalue(), notes) == (record, CONTENT, [])
    assert not any(token in found.place for token in client.tokens.values())


def test_shared_cache__reader_that_writes_is_told(client: Client, tmp_path: Path) -> None:
    signer, _ = write_key(tmp_path, "team")
    notes = list[str]()
    settings = RemoteSettings(urls=(client.url("read"),), signer=signer)

    with RemoteCaches(settings, IndexSettings(), notes.append) as caches:
        caches.publish_file(EMPTY.replace("e", "0"), tmp_path / "team.pem")

    assert ["HTTP 403" in note for note in notes] == [True]


@pytest.mark.parametrize(
    ("request_line", "body", "role", "status"),
    [
        (f"GET /cas/{'0' * 64}", None, "read", 404),
        (f"GET /ac/{'0' * 64}", None, "read", 404),
        (f"HEAD /cas/{'0' * 64}", None, "read", 404),
        (f"GET /cas/{EMPTY}", None, "read", 200),
        ("GET /cas/short", None, "read", 400),
        (f"GET /cas/{'0' * 64}", None, "nobody" * 5, 401),
        (f"PUT /cas/{'0' * 64}", b"other", "build", 422),
        (f"PUT /cas/{'0' * 64}", b"x", "read", 403),
        (f"PUT /ac/{'0' * 64}", b"no action", "build", 400),
        (f"PUT /cas/{'0' * 64}", b"x" * 1_000_001, "build", 413),
    ],
)
def test_shared_cache__refuses(
    client: Client, request_line: str, body: bytes | None, role: str, status: int
) -> None:
    method, target = request_line.split()

    assert client.ask(method, target, body, role)[0] == status


def test_shared_cache__action_is_there_while_its_files_are(client: Client) -> None:
    content = os.urandom(100)
    sha256 = hashlib.sha256(content).hexdigest()
    action = encode_action({"wheel": OutputFile(sha256, 100), "x": OutputFile(EMPTY, 0)})
    target = f"/ac/{'1' * 64}"

    found = [client.ask("PUT", target, action)[0], client.ask("GET", target)[0]]
    client.ask("PUT", f"/cas/{sha256}", content)

    assert [*found, client.ask("GET", target)] == [200, 404, (200, action)]


def test_shared_cache__is_off_unless_wanted(tmp_path: Path) -> None:
    with serving(Ground.make(tmp_path)) as service:
        status, answer = service.ask("GET", f"/cas/{'0' * 64}")

    assert (status, answer["code"]) == (404, "shared-cache-off")


def give(blobs: SharedBlobs, content: bytes) -> str:
    async def pieces() -> AsyncIterator[bytes]:
        yield content

    sha256 = hashlib.sha256(content).hexdigest()
    asyncio.run(blobs.receive("cas", sha256, len(content), aiter(pieces())))
    return sha256


def test_shared_blobs__least_used_go_first_and_the_limit_holds(tmp_path: Path) -> None:
    blobs = SharedBlobs(tmp_path, 1000)
    first, second, third = (give(blobs, bytes([number]) * 300) for number in range(3))
    assert blobs.find("cas", first)

    fourth = give(blobs, b"4" * 300)

    there = [name for name in (first, second, third, fourth) if blobs.find("cas", name)]
    assert (there, blobs.size_bytes) == ([first, third, fourth], 900)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) == 900


def test_shared_blobs__are_found_again_and_drafts_are_removed(tmp_path: Path) -> None:
    first = give(SharedBlobs(tmp_path, 1000), b"1" * 300)
    path = next(tmp_path.rglob(first))
    os.utime(path, (time.time() - 9999, time.time() - 9999))
    second = give(SharedBlobs(tmp_path, 1000), b"2" * 300)
    draft = path.with_name(f"{'0' * 64}.1.draft")
    draft.write_bytes(b"x")

    blobs = SharedBlobs(tmp_path, 400)

    assert [bool(blobs.find("cas", each)) for each in (first, second)] == [False, True]
    assert not draft.exists()


def test_shared_blobs__body_that_was_cut_leaves_nothing(tmp_path: Path) -> None:
    blobs = SharedBlobs(tmp_path, 1000)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"half"

    name = hashlib.sha256(b"half").hexdigest()
    with pytest.raises(Problem):
        asyncio.run(blobs.receive("cas", name, 8, aiter(pieces())))

    assert (blobs.size_bytes, [path for path in tmp_path.rglob("*") if path.is_file()]) == (0, [])
