"""A server on the network: what strangers and foreign pages are refused, each by a test."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.builds import Ground, names_in, write_sdist
from tests.support.service import PLAIN, Service, finish, serving, start_client
from wheelforge.service.access import ROLES, read_tokens
from wheelforge.service.connections import Connections
from wheelforge.service.problems import Problem
from wheelforge.service.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a server forks"),
    pytest.mark.xdist_group("service-network"),
]
JSON = "application/json"


class Network:
    """A server on loopback, as strangers see it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        url = json.loads((service.home / "server.json").read_bytes())["url"]
        self.host = url.removeprefix("http://")
        self.tokens = {role: token for token, role in read_tokens(service.home / "tokens").items()}

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | object = None,
        *,
        role: str = "admin",
        **headers: str,
    ) -> tuple[int, Any]:
        """Return the status and the document of an answer."""
        connection = http.client.HTTPConnection(self.host, timeout=60)
        given = {"Content-Type": JSON, "Authorization": f"Bearer {self.tokens.get(role, role)}"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        with contextlib.closing(connection):
            connection.request(method, target, content, {k: v for k, v in given.items() if v})
            answer = connection.getresponse()
            found = answer.read()
        kind = answer.headers.get_content_type()
        assert "Access-Control-Allow-Origin" not in answer.headers
        return answer.status, json.loads(found) if kind.endswith("json") else found


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    ground = Ground.make(tmp_path_factory.mktemp("service"))
    words = ["--listen", "127.0.0.1:0", "--host", "ci.example.org"]
    with serving(ground, *words, "--target", "this=3.11", umask=0) as service:
        yield Network(service)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Authorization": ""}, 401, "token-missing"),
        ({"Authorization": "Bearer wrong-wrong-wrong-wrong"}, 401, "token-missing"),
        ({"Authorization": "Basic !!!"}, 401, "token-missing"),
        ({"Authorization": "Digest x"}, 401, "token-missing"),
        ({"Host": "evil.example.org"}, 403, "host-refused"),
        ({"Host": "ci.example.org.evil.org"}, 403, "host-refused"),
        ({"Host": "127.0.0.1"}, 403, "host-refused"),
        ({"Origin": "http://evil.example.org"}, 403, "origin-refused"),
        ({"Origin": "null"}, 403, "origin-refused"),
    ],
)
def test_request__of_a_stranger_or_a_foreign_page_is_refused(
    network: Network, headers: dict[str, str], status: int, code: str
) -> None:
    found, problem = network.ask("GET", "/api/v1/queue", **headers)

    assert (found, problem["code"]) == (status, code)


@pytest.mark.parametrize("host", ["", "ci.example.org"])
def test_request__with_a_token_and_a_known_name_is_answered(network: Network, host: str) -> None:
    name = host or network.host
    basic = b":" + network.tokens["read"].encode()
    import base64

    given = f"Basic {base64.b64encode(basic).decode()}"
    for token in ("", given):
        more = {"Authorization": token} if token else {}
        origin = f"http://{name}"
        assert network.ask("GET", "/api/v1/queue", Host=name, Origin=origin, **more)[0] == 200
    assert network.ask("GET", "/healthz", role="none")[0] == 200


@pytest.mark.parametrize(
    ("role", "method", "target", "status"),
    [
        ("read", "GET", "/api/v1/server", 200),
        ("read", "POST", "/api/v1/builds", 403),
        ("read", "PUT", f"/api/v1/uploads/{'0' * 64}?name=a-1.tar.gz", 403),
        ("build", "POST", "/api/v1/server/stop", 403),
        ("build", "POST", "/api/v1/builds", 400),
    ],
)
def test_roles__may_do_so_much(
    network: Network, role: str, method: str, target: str, status: int
) -> None:
    body: object = None if method == "GET" else {}

    assert network.ask(method, target, body, role=role)[0] == status


def test_roles__a_build_of_the_server_s_own_user_is_not_for_strangers(
    network: Network, tmp_path: Path
) -> None:
    """Not to be made again, with its paths and variables, nor to be named by its key."""
    service, key = network.service, {"Idempotency_Key": "local-1"}
    document = {"source": str(write_sdist(tmp_path)), "detach": True}
    first = service.ask("POST", "/api/v1/builds", document, **key)[1]
    service.wait(first["id"])
    target, request = f"/api/v1/runs/{first['run']}/retry", {"source": "six", "detach": True}

    refused = [network.ask("POST", target, {}, role=role) for role in ("read", "build")]
    allowed = network.ask("POST", target, {}, role="admin")
    other = network.ask("POST", "/api/v1/builds", request, role="build", **key)

    assert [(status, problem["code"]) for status, problem in refused] == [
        (403, "role-insufficient"),
        (403, "role-insufficient"),
    ]
    assert allowed[0] == 202
    assert (other[0], other[1]["run"] == first["run"]) == (202, False)


def test_why__tells_strangers_of_no_variables(network: Network, tmp_path: Path) -> None:
    service, sdist = network.service, str(write_sdist(tmp_path, name="secretive"))
    number, links = "", {"no_index": True, "find_links": [str(service.ground.links)]}
    for value in ("one", "two"):
        variables = {**PLAIN, "CFLAGS": f"-DCONFIDING={value}"}
        number = service.build(Path(sdist), variables=variables, **links)
        assert service.wait(number)["verdict"] == "built"

    _, whole = service.ask("GET", f"/api/v1/builds/{number}/why")
    status, told = network.ask("GET", f"/api/v1/builds/{number}/why", role="read")
    build = json.dumps(network.ask("GET", f"/api/v1/builds/{number}", role="read")[1])

    assert (whole["place"], whole["now"]) == ("environment.CFLAGS", "-DCONFIDING=two")
    assert (status, told["place"], told["now"]) == (200, "environment", "")
    assert "CONFIDING" not in json.dumps(told)
    assert "CONFIDING" not in build


async def receive(uploads: Uploads, content: bytes, client: str) -> Path:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 10):
            await asyncio.sleep(0)
            yield content[start : start + 10]

    sha256 = hashlib.sha256(content).hexdigest()
    return await uploads.receive(sha256, "a-1.tar.gz", pieces(), client)


def test_uploads__of_one_client_have_a_limit_that_is_not_another_s(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, most_bytes=100)

    async def send() -> None:
        await receive(uploads, b"a" * 60, "one")
        with pytest.raises(Problem, match="100 bytes at most") as refusal:
            await receive(uploads, b"b" * 60, "one")
        assert (refusal.value.status, refusal.value.code) == (413, "uploads-exceeded")
        await receive(uploads, b"b" * 60, "two")
        await receive(Uploads(tmp_path, most_bytes=100), b"c" * 40, "one")
        with pytest.raises(Problem):
            await asyncio.gather(*(receive(uploads, each * 30, "two") for each in (b"d", b"e")))

    asyncio.run(send())

    kept = Uploads(tmp_path)
    assert (kept.measure("one"), kept.measure("two")) == (100, 90)
    assert not [name for name in names_in(tmp_path) if name.endswith(".draft")]


def test_uploads__of_one_client_are_so_many_at_most(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, most=2)

    async def send() -> None:
        for content in (b"a", b"b"):
            await receive(uploads, content, "one")
        with pytest.raises(Problem, match="2 uploads at most"):
            await receive(uploads, b"c", "one")
        await receive(uploads, b"a", "one")  # which is there
        await receive(uploads, b"c", "two")

    asyncio.run(send())

    assert (uploads.measure("one"), uploads.measure("two")) == (2, 1)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", ""])
def test_post__of_a_form_is_refused(network: Network, kind: str) -> None:
    status, problem = network.ask("POST", "/api/v1/builds", b"source=six", Content_Type=kind)

    assert (status, problem["code"]) == (415, "content-type")


@pytest.mark.parametrize(
    "fields",
    [
        {"source": "/etc"},
        {"source": "../etc"},
        {"source": "file:///etc/passwd"},
        {"source": "six @ file:///etc/passwd"},
        {"source": "six @ git+ssh://host/x"},
        {"source": "http://169.254.169.254/latest/x-1.0.tar.gz"},
        {"source": "https://files.pythonhosted.org/packages/../../x-1.0.tar.gz"},
        {"source": "six", "python": "/bin/sh"},
        {"source": "six", "variables": {"PATH": "/opt"}},
        {"source": "six", "output": "/etc"},
        {"source": "six", "constraints": ["/etc/passwd"]},
        {"source": "six", "locked": "/etc/passwd"},
        {"source": "six", "index_url": "http://evil.example.org/simple"},
        {"source": "six", "find_links": ["/etc"]},
    ],
)
def test_paths_programs_and_places__are_not_for_strangers(
    network: Network, fields: dict[str, object]
) -> None:
    status, problem = network.ask("POST", "/api/v1/builds", fields)

    assert (status, problem["code"]) == (403, "request-forbidden")


def test_body__that_is_too_large_is_refused(network: Network) -> None:
    body = json.dumps({"source": "x" * (2 << 20)}).encode()

    assert network.ask("POST", "/api/v1/builds", body)[0] == 413


def test_headers__that_are_too_large_are_refused(network: Network) -> None:
    assert network.ask("GET", "/api/v1/queue", X_Long="x" * 100_000)[0] == 400


def test_upload__is_built_and_its_result_fetched(network: Network, tmp_path: Path) -> None:
    ground = network.service.ground
    sdist = write_sdist(tmp_path, own=True)
    content = sdist.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    target = f"/api/v1/uploads/{sha256}?name={sdist.name}"

    unknown = network.ask("POST", "/api/v1/builds", {"source": f"sha256:{sha256}"})
    wrong = network.ask("PUT", target, content + b"x", role="build")
    sent = network.ask("PUT", target, content, role="build")
    again = network.ask("PUT", target, b"", role="build")
    document = {"source": sent[1]["source"], "target": "this", "detach": True}
    number = network.ask("POST", "/api/v1/builds", document, role="build")[1]["id"]
    build = network.service.wait(number)

    assert (unknown[0], wrong[0], sent[0], again[0]) == (400, 422, 201, 201)
    assert build["verdict"] == "built", build["error"]
    status, wheel = network.ask("GET", build["artifacts"][0]["url"], role="read")
    assert (status, hashlib.sha256(wheel).hexdigest()) == (200, build["artifacts"][0]["sha256"])
    assert sha256 in names_in(network.service.home / "uploads")
    assert not [*(network.service.home / "uploads").glob("*.draft")]
    assert ground.cache.exists()


@pytest.mark.parametrize("name", ["../x-1.0.tar.gz", "x.exe", "", "-x-1.0.tar.gz", "a%2Fb-1.0.zip"])
def test_upload__needs_the_name_of_an_archive(network: Network, name: str) -> None:
    status, _ = network.ask("PUT", f"/api/v1/uploads/{'0' * 64}?name={name}", b"x")

    assert status == 400


@pytest.mark.stress
def test_client__that_sends_no_request_is_hung_up_on(network: Network) -> None:
    host, _, port = network.host.partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        begun = time.monotonic()
        assert line.recv(100) in {b"", b"HTTP/1.1 408"}
        assert time.monotonic() - begun < 45


class Greeter(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.WriteTransport", transport).write(b"hello")


async def read_greetings(listener: socket.socket) -> list[bytes]:
    """Return what each of four clients reads where three are taken in, then one after they left."""
    task = asyncio.create_task(Connections(Greeter, most=3).accept(listener))
    lines = [await asyncio.open_connection(*listener.getsockname()) for _ in range(4)]
    found = [await reader.read(5) for reader, _ in lines]
    for _, writer in lines:
        writer.close()
    last = b""
    while not last:  # the server may hear of a new client before it hears that others have left
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        last = await reader.read(5)
        writer.close()
    task.cancel()
    return [*found, last]


def test_connections__beyond_the_limit_are_hung_up_on_until_others_leave() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = asyncio.run(asyncio.wait_for(read_greetings(listener), 30))

    assert found == [b"hello"] * 3 + [b"", b"hello"]


def test_token_file__is_made_private_whatever_the_umask(network: Network) -> None:
    path = network.service.home / "tokens"

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert network.tokens.keys() == set(ROLES)


@pytest.mark.parametrize(
    ("content", "mode"),
    [("admin " + "x" * 32, 0o644), ("admin short", 0o600), ("", 0o600), ("god " + "x" * 32, 0o600)],
)
def test_token_file__that_is_open_or_empty_is_refused(
    tmp_path: Path, content: str, mode: int
) -> None:
    ground = Ground.make(tmp_path)
    path = tmp_path / "tokens"
    path.write_text(content)
    path.chmod(mode)

    done = finish(start_client(ground, "serve", "--listen", "127.0.0.1:0", "--token-file", path))

    assert (done.code, done.error) == (2, "token-file-invalid")


@pytest.mark.parametrize("listen", [("--listen", "127.0.0.1:0"), ()])
def test_server__tells_readers_where_their_password_is(
    tmp_path: Path, listen: tuple[str, ...]
) -> None:
    ground = Ground.make(tmp_path)
    tokens = ground.cache / "service-v1/tokens"

    with start_client(ground, "serve", *listen) as process:
        assert process.stderr is not None
        lines = takewhile(lambda line: "listening on" not in line, process.stderr)
        assert all(line.startswith("warning: ") for line in lines)
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()

    note = f"a browser asks for a password: a token of `{tokens}`"
    assert (note in rest) == tokens.exists() == bool(listen)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs a second user")
def test_socket__of_another_user_is_refused_on_both_sides(network: Network) -> None:
    """Not even a directory that anybody may enter lets a second user in."""
    code = (
        "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX)\n"
        "try: s.connect(sys.argv[1])\n"
        "except PermissionError: print('refused'); sys.exit()\n"
        "s.sendall(b'GET /api/v1/queue HTTP/1.0\\r\\n\\r\\n'); print(s.recv(1 << 16).decode())\n"
    )
    path = network.service.socket
    closed = subprocess.check_output([sys.executable, "-c", code, str(path)], text=True)
    places = [path, *path.parents[:3]]
    modes = [place.stat().st_mode for place in places]
    try:
        for place in places:
            place.chmod(0o777)
        opened = subprocess.check_output([sys.executable, "-c", code, str(path)], text=True)
    finally:
        for place, mode in zip(places, modes, strict=True):
            place.chmod(mode)

    assert closed == "refused\n"
    assert "403" in opened or opened == "refused\n"
