"""Commands that a server on the network does: archives go there, wheels come back."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import ssl
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.builds import Ground, names_in, write_project, write_sdist
from tests.support.far import Far, plain, serving_far
from tests.support.servers import make_certificate
from tests.support.service import finish, start_client, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a server forks"),
    pytest.mark.xdist_group("service-remote"),
]


class Wire:
    """A wire to the server that can be cut, and that can change what it carries."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.target = ""
        self.cuts: dict[bytes, int] = {}
        """After how many bytes of the answer to such a request it is cut, once."""
        self.changed = b""
        """The requests whose answers get another last byte."""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            line, _ = self._listener.accept()
            threading.Thread(target=self._carry, args=(line,), daemon=True).start()

    def _carry(self, line: socket.socket) -> None:
        host, _, port = self.target.partition(":")
        with (
            contextlib.suppress(OSError),
            line,
            socket.create_connection((host, int(port))) as end,
        ):
            request = line.recv(1 << 16)
            end.sendall(request)
            rest = next((self.cuts.pop(word) for word in [*self.cuts] if word in request), 1 << 30)
            threading.Thread(target=self._pass, args=(line, end), daemon=True).start()
            while rest > 0 and (piece := end.recv(min(1 << 16, rest))):
                rest -= len(piece)
                if self.changed and self.changed in request and piece[-4:] != b"\r\n\r\n":
                    piece = piece[:-1] + bytes([piece[-1] ^ 1])
                line.sendall(piece)
            line.shutdown(socket.SHUT_RDWR)

    def _pass(self, line: socket.socket, end: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := line.recv(1 << 16):
                end.sendall(piece)


@pytest.fixture(scope="module")
def wire() -> Wire:
    return Wire()


class Proxy:
    """A proxy that speaks TLS in front of the server."""

    def __init__(self, certificate: Path) -> None:
        self.certificate = certificate
        self.target = ""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"localhost:{self._listener.getsockname()[1]}"
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()

    async def _serve(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        server = await asyncio.start_server(self._carry, sock=self._listener, ssl=context)
        await server.serve_forever()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.target.partition(":")
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer))


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand everything on until one side is gone."""
    with contextlib.suppress(OSError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
    writer.close()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Proxy:
    return Proxy(make_certificate(tmp_path_factory.mktemp("tls")))


@pytest.fixture(scope="module")
def far(wire: Wire, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    place = tmp_path_factory.mktemp("remote")
    words = ["--host", wire.host, "--host", proxy.host, "--target", "this=3.11"]
    with serving_far(Ground.make(place), place, *words) as far:
        wire.target = proxy.target = far.url.removeprefix("http://")
        yield far


def test_remote_build__is_as_in_one_process(far: Far, tmp_path: Path) -> None:
    sdist = write_sdist(tmp_path)

    remote = far.run(sdist, "-o", tmp_path / "a", "-v", "--report", tmp_path / "a.json")
    local = far.near(sdist, "-o", tmp_path / "b", "-v", "--report", tmp_path / "b.json")

    assert remote.code == local.code == 0, remote.err
    assert plain(remote.out) == plain(local.out)
    assert remote.paths[0].parent == tmp_path / "a"
    ours, theirs = (json.loads((tmp_path / name).read_bytes()) for name in ("a.json", "b.json"))
    (build,), (same,) = ours["builds"], theirs["builds"]
    assert build.keys() == same.keys()
    for name in ("source", "label", "sha256", "python", "backend", "environment", "needs"):
        assert build[name] == same[name], name
    (made,), (wheel,) = build["artifacts"], names_in(tmp_path / "a")
    content = (tmp_path / "a" / wheel).read_bytes()
    assert (made["name"], made["hashes"]["sha256"]) == (wheel, hashlib.sha256(content).hexdigest())
    assert not (tmp_path / "own-cache").exists()


def test_remote_build__that_fails_ends_as_in_one_process(far: Far, tmp_path: Path) -> None:
    sdist = write_sdist(tmp_path, build_wheel="print('so it goes'); raise SystemExit('no wheel')")

    remote = far.run(sdist, "-o", tmp_path / "a")
    local = far.near(sdist, "-o", tmp_path / "b")

    assert (remote.code, remote.out, remote.error) == (local.code, "", local.error)
    assert remote.err.count("` on the server\n") == 1
    assert plain(remote.err.replace(" on the server", "")) == plain(local.err)


def test_remote_build__is_made_anew_on_request(far: Far, tmp_path: Path) -> None:
    sdist, verdicts = write_sdist(tmp_path, name="anew"), list[str]()
    for words in ([], [], ["--no-reuse"]):
        report = tmp_path / "report.json"
        done = far.run(sdist, "-o", tmp_path / "out", "--report", report, *words)
        assert done.code == 0, done.err
        verdicts += [build["outcome"] for build in json.loads(report.read_bytes())["builds"]]

    assert verdicts == ["built", "reused", "built"]


def test_remote_builds__of_several_are_a_batch(far: Far, tmp_path: Path) -> None:
    good = [write_sdist(tmp_path, name=f"good{number}") for number in range(3)]
    bad = write_sdist(tmp_path, name="bad", build_wheel="raise SystemExit('no')")

    done = far.run(*good, bad, "-o", tmp_path / "out", "--events", tmp_path / "events")

    assert done.code == 1
    assert names_in(tmp_path / "out") == [f"good{n}-1.0-py3-none-any.whl" for n in range(3)]
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    queued = [event["id"] for event in events if event["kind"] == "queued"]
    ends = {event["id"]: event["text"] for event in events if event["kind"] == "outcome"}
    assert queued == ["1", "2", "3", "4"]
    assert ends == {"1": "built", "2": "built", "3": "built", "4": "failed"}


def test_remote_metadata__is_printed(far: Far, tmp_path: Path) -> None:
    sdist = write_sdist(tmp_path)

    remote, local = far.run("metadata", sdist), far.near("metadata", sdist)

    assert (remote.code, remote.out, remote.err) == (0, local.out, local.err)


def test_remote_why__is_told_of_a_build_of_the_server(far: Far, tmp_path: Path) -> None:
    sdist = write_sdist(tmp_path, name="wondrous")
    wheel = far.run(sdist, "-o", tmp_path / "out").paths[0]

    done = [far.run("why", word) for word in (wheel, sdist, "wondrous==1.0")]
    unknown = far.run("why", "unheard-of")

    text = f"{wheel.name}: no earlier build of it is in this cache\n"
    assert [(each.code, each.out) for each in done] == [(0, text)] * 3
    assert (unknown.code, unknown.error) == (2, "option-invalid")


def test_remote_build__ctrl_c_cancels_it(far: Far, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = f"open({str(mark)!r}, 'w').close(); import time; time.sleep(60)"
    client = far.start(write_sdist(tmp_path, build_wheel=code), "-o", tmp_path / "out")
    until(mark.exists)

    client.send_signal(signal.SIGINT)
    done = finish(client)

    assert (done.code, done.err.splitlines()[-1]) == (130, "interrupted")
    assert names_in(tmp_path / "out") == []
    until(lambda: far.service.ask("GET", "/api/v1/queue")[1]["running"] == [], 5)


def test_remote_builds__end_at_once_if_ctrl_c_comes_twice(far: Far, tmp_path: Path) -> None:
    """As from `timeout`, which interrupts a process and its group."""
    marks = [tmp_path / f"mark{number}" for number in range(4)]
    code = "open({mark!r}, 'w').close(); import time; time.sleep(20)"
    sdists = [
        write_sdist(tmp_path, name=mark.name, build_wheel=code.format(mark=str(mark)))
        for mark in marks
    ]
    client = far.start(*sdists, "-o", tmp_path / "out")
    until(lambda: any(mark.exists() for mark in marks))

    for _ in range(2):
        client.send_signal(signal.SIGINT)
    done = finish(client)

    assert (done.code, done.err.splitlines()[-1]) == (130, "interrupted")
    assert names_in(tmp_path / "out") == []
    until(lambda: far.service.ask("GET", "/api/v1/queue")[1] == {"running": [], "queued": []}, 5)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["demo @ file:///x"], "`demo @ file:///x` is only on this machine"),
        (["{sdist}", "--find-links", "{tree}"], "`--find-links` is not sent over the network"),
        (["{sdist}", "--python", "/bin/sh"], "it has no target `/bin/sh`; there are: this"),
        (["{sdist}", "--build-constraint", "{sdist}"], "`--build-constraint` is not sent"),
        (["{sdist}", "--no-isolation"], "`--no-isolation` is not sent over the network"),
        (["{tree}", "--editable"], "an editable wheel is of use only on the machine where"),
        (["{sdist}", "--plan"], "`--plan` is not sent over the network"),
    ],
)
def test_remote_build__of_what_is_only_here_is_refused_in_one_sentence(
    far: Far, tmp_path: Path, words: list[str], reason: str
) -> None:
    facts = {"sdist": write_sdist(tmp_path), "tree": write_project(tmp_path / "tree")}

    done = far.run(*(word.format(**facts) for word in words))

    assert (done.code, done.error) == (5, "server-unusable")
    assert reason.format(**facts) in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("url", ["http://[::1", "https://host:port/", "http://"])
def test_remote_build__needs_an_address_that_is_one(far: Far, tmp_path: Path, url: str) -> None:
    done = replace(far, url=url).run(write_sdist(tmp_path))

    assert (done.code, done.error) == (2, "option-invalid")
    assert f"`{url}` is not a URL" in done.err


@pytest.mark.parametrize(("host", "code"), [("127.0.0.1:1", 5), ("127.0.0.1:port", 2)])
def test_remote_build__shows_no_password_of_an_address(
    far: Far, tmp_path: Path, host: str, code: int
) -> None:
    done = replace(far, url=f"http://ci:s3cret@{host}").run(write_sdist(tmp_path))

    assert done.code == code
    assert "s3cret" not in done.err


def test_remote_build__of_a_missing_file_ends_as_in_one_process(far: Far, tmp_path: Path) -> None:
    remote, local = (run(tmp_path / "missing-1.0.tar.gz") for run in (far.run, far.near))

    assert (remote.code, remote.err) == (local.code, local.err)
    assert remote.error == "source-invalid"


def test_remote_build__shows_the_token_for_builds_of_a_file_with_all(
    far: Far, tmp_path: Path
) -> None:
    tokens = far.service.home / "tokens"

    assert tokens.read_text(encoding="ascii").startswith("read ")
    assert far.run(write_sdist(tmp_path), "-o", tmp_path / "out", token=tokens).code == 0


@pytest.mark.parametrize(
    ("role", "reason"),
    [("read", "this takes the role `build`, not `read`"), ("none", "a token is needed")],
)
def test_remote_build__with_a_token_that_is_not_enough_fails(
    far: Far, tmp_path: Path, role: str, reason: str
) -> None:
    token = far.token.with_name("read-token")
    if role == "none":
        token = tmp_path / "token"
        token.write_text("x" * 30)
        token.chmod(0o600)

    done = far.run(write_sdist(tmp_path), "-o", tmp_path / "out", token=token)

    assert done.code == 5
    assert reason in done.err
    assert names_in(tmp_path / "out") == []


def test_remote_build__goes_on_where_the_connection_was_cut(
    far: Far, wire: Wire, tmp_path: Path
) -> None:
    code = "[print('line', n) for n in range(30)]"
    sdist = write_sdist(tmp_path, build_wheel=code)
    wire.cuts = {b"/events": 2000, b"POST": 10, b"GET /api/v1/server": 10}

    cut = replace(far, url=f"http://{wire.host}").run(sdist, "-v", "-o", tmp_path / "out")

    assert cut.code == 0, cut.err
    assert not wire.cuts
    lines = re.findall(r"line \d+", cut.err)
    assert lines == [f"line {number}" for number in range(30)]


def test_remote_build__goes_through_a_proxy_that_speaks_tls(
    far: Far, proxy: Proxy, tmp_path: Path
) -> None:
    sdist, secret = write_sdist(tmp_path, name="tls"), replace(far, url=f"https://{proxy.host}/")

    refused = secret.run(sdist, "-o", tmp_path / "out")
    done = secret.run(sdist, "-o", tmp_path / "out", SSL_CERT_FILE=str(proxy.certificate))

    assert (refused.code, refused.error) == (5, "server-unusable")
    assert "certificate verify failed" in refused.err
    assert done.code == 0, done.err
    assert names_in(tmp_path / "out") == ["tls-1.0-py3-none-any.whl"]


def test_remote_build__whose_wheel_was_changed_on_the_way_fails(
    far: Far, wire: Wire, tmp_path: Path
) -> None:
    wire.changed = b"/artifacts/"

    done = replace(far, url=f"http://{wire.host}").run(
        write_sdist(tmp_path), "-o", tmp_path / "out"
    )

    assert (done.code, done.error) == (5, "server-failed")
    assert "it has another SHA-256" in done.err
    assert names_in(tmp_path / "out") == []


def test_remote_build__without_its_server_is_made_here_with_a_note(tmp_path: Path) -> None:
    ground, url = Ground.make(tmp_path), "http://127.0.0.1:9"
    sdist = write_sdist(tmp_path)

    done = finish(start_client(ground, sdist, "-o", tmp_path / "out", "--server", url))

    assert done.code == 0, done.err
    assert f"the server `{url}` does not do this: `--" in done.err
    assert len(names_in(tmp_path / "out")) == 1
