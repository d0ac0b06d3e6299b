"""The index of a server: pages that are remembered beside its peers', and pages that wait.

Peers mirror the same index on loopback. All have answered once before they are measured.
"""

import contextlib
import json
import selectors
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.benchmarks.figures import Result, Row, Samples
from tests.benchmarks.world import Bench, SkipError
from tests.support.index import JSON

OURS, STATIC, PEER = "wheelforge", "static", "simple-repository-server"
FILES, CROWD = 2000, 500
_FIRST, _HEALTH, _IDLE = "first byte of a page", "all of /healthz", "idle"
_REQUESTS = 200
_PATIENCE_SECONDS = 60
_PAUSE_SECONDS = 2.0
"""In which a server notices that a crowd has left."""
_CLIENTS = {"pip": "pip/26.3 {}", "uv": "uv/0.13.9 {}"}
_STATIC = """
import sys
from aiohttp import web
body = open(sys.argv[1], "rb").read()
headers = {"Content-Type": "application/vnd.pypi.simple.v1+json", "ETag": '"static"'}
async def answer(_): return web.Response(body=body, headers=headers)
application = web.Application()
application.router.add_get("/{rest:.*}", answer)
web.run_app(application, host="127.0.0.1", port=int(sys.argv[2]), access_log=None, print=None)
"""


def run(bench: Bench) -> Result:
    """Compare pages a second, the first bytes of many pages at once, and memory."""
    if not sys.platform.startswith("linux"):
        raise SkipError("the memory of a server is read from /proc")
    crowd = CROWD // 10 if bench.is_quick else CROWD
    files = FILES // 10 if bench.is_quick else FILES
    pages = {"large": _list_files(files)}
    pages |= {f"p{number}": _list_sdist(f"p{number}") for number in range(2 * crowd)}
    with _serve_pages(pages) as upstream:
        rows = [_measure_pages(bench, upstream, files)]
        rows += _measure_waiting(bench, upstream, crowd)
    return Result(name="index", title="the pages of an index", rows=rows)


# -- pages that are remembered --------------------------------------------------------------------


def _measure_pages(bench: Bench, upstream: str, files: int) -> Row:
    variables = bench.compose(bench.place)
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(_serving(bench, variables, upstream, "pages"))
        urls = {OURS: f"{ours.url}/this/simple/large/"}
        peer = (bench.tools.python_of_mirrors, "-m", "simple_repository_server")
        port = _find_port()
        stack.enter_context(_running((*peer, upstream, "--port", str(port)), variables))
        urls[PEER] = f"http://127.0.0.1:{port}/simple/large/"
        body = bench.place / "page.json"
        body.write_bytes(_fetch(urls[OURS])[1])
        port = _find_port()
        words = (bench.tools.python_of_ours, "-c", _STATIC, str(body), str(port))
        stack.enter_context(_running(words, variables))
        urls[STATIC] = f"http://127.0.0.1:{port}/"
        samples = {name: Samples() for name in urls}
        for url in urls.values():
            _wait_for(url)
        for _ in range(bench.rounds):
            for name, url in urls.items():
                samples[name].values.append(_count_a_second(url))
    title = f"page of {files} files, remembered, over one connection"
    return Row(title=title, samples=samples, base=STATIC, unit="pages/s")


def _count_a_second(url: str) -> float:
    """Return how many answers come in a second, one after another."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port)) as line:
        reader, request = line.makefile("rb"), _spell(url, "uv")
        start = time.perf_counter()
        for _ in range(_REQUESTS):
            line.sendall(request)
            status, headers = _read_head(reader.readline)
            assert status == 200, status
            reader.read(int(headers["content-length"]))
        return _REQUESTS / (time.perf_counter() - start)


# -- pages that wait ------------------------------------------------------------------------------


def _measure_waiting(bench: Bench, upstream: str, crowd: int) -> list[Row]:
    """Measure a crowd that asks for pages which nobody knew, and for such as are known to wait."""
    rows, memory = list[Row](), {_IDLE: Samples(), f"{crowd} pages wait": Samples()}
    variables, rounds = bench.compose(bench.place), max(1, bench.rounds // 2)
    found = {
        f"{client}, {kind}": {_HEALTH: Samples(), _FIRST: Samples()}
        for client in _CLIENTS
        for kind in ("new pages", "known pages", "one page")
    }
    for number in range(rounds):
        for client in _CLIENTS:
            with _serving(bench, variables, upstream, f"wait-{client}-{number}") as server:
                names = [f"p{each}" for each in range(crowd)]
                asked = {"new pages": names, "known pages": names, "one page": [names[0]] * crowd}
                memory[_IDLE].values.append(server.read_mebibytes())
                for kind, projects in asked.items():
                    health = [f"{server.url}/healthz"] * crowd
                    urls = [f"{server.url}/this/simple/{name}/" for name in projects]
                    samples = found[f"{client}, {kind}"]
                    samples[_HEALTH].values.append(_measure_first_bytes(health, client))
                    samples[_FIRST].values.append(_measure_first_bytes(urls, client))
                    time.sleep(_PAUSE_SECONDS)
                    if kind == "new pages":
                        memory[f"{crowd} pages wait"].values.append(server.read_mebibytes())
    title = "median first byte of {} answers at once: {}"
    for kind, samples in found.items():
        rows.append(Row(title=title.format(crowd, kind), samples=samples, base=_HEALTH))
    rows.append(Row(title="memory of the server", samples=memory, base=_IDLE, unit="MiB"))
    return rows


def _measure_first_bytes(urls: Sequence[str], client: str) -> float:
    """Return the median time from a request to the first byte of its answer, all asked at once."""
    selector, times = selectors.DefaultSelector(), list[float]()
    with contextlib.ExitStack() as stack:
        stack.callback(selector.close)
        for url in urls:
            parts = urlsplit(url)
            line = stack.enter_context(socket.socket())
            line.setblocking(False)  # ruff: ignore[boolean-positional-value-in-call]
            line.connect_ex((parts.hostname, parts.port))
            selector.register(line, selectors.EVENT_WRITE, (url, 0.0))
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while selector.get_map() and time.monotonic() < deadline:
            for key, _ in selector.select(1):
                client_line, (url, begun) = key.fileobj, key.data
                assert isinstance(client_line, socket.socket)
                if not begun:
                    client_line.sendall(_spell(url, client))
                    selector.modify(client_line, selectors.EVENT_READ, (url, time.perf_counter()))
                    continue
                times.append(time.perf_counter() - begun)
                assert client_line.recv(64).startswith((b"HTTP/1.1 200", b"HTTP/1.1 307"))
                selector.unregister(client_line)
        assert len(times) == len(urls), f"{len(urls) - len(times)} of {len(urls)} had no answer"
    return statistics.median(times)


# -- servers --------------------------------------------------------------------------------------


class _Server(NamedTuple):
    url: str
    pid: int

    def read_mebibytes(self) -> float:
        """Return the most memory that was resident so far."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@contextlib.contextmanager
def _serving(
    bench: Bench, variables: Mapping[str, str], upstream: str, name: str
) -> Generator[_Server]:
    """Yield a server of ours with a cache of its own, which builds no more than one at a time."""
    cache, port = bench.place / name, _find_port()
    words = ["serve", "--no-config", "--target", f"this={bench.tools.python_of_ours}", "-j", "1"]
    words += ["--listen", f"127.0.0.1:{port}", "--open-index", "--index-url", upstream]
    given = {**variables, "WHEELFORGE_CACHE_DIR": str(cache)}
    with _running((*bench.tools.wheelforge, *words), given) as process:
        _wait_for(f"http://127.0.0.1:{port}/healthz")
        yield _Server(f"http://127.0.0.1:{port}", process.pid)


@contextlib.contextmanager
def _running(
    words: Sequence[str], variables: Mapping[str, str]
) -> Generator[subprocess.Popen[bytes]]:
    nothing = subprocess.DEVNULL
    with subprocess.Popen(words, env=variables, stdout=nothing, stderr=nothing) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(_PATIENCE_SECONDS)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        with contextlib.suppress(OSError):
            if _fetch(url)[0] == 200:
                return
        assert time.monotonic() < deadline, f"there is no answer at {url}"
        time.sleep(0.05)


def _fetch(url: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=_PATIENCE_SECONDS) as line:
        line.sendall(_spell(url, "uv"))
        reader = line.makefile("rb")
        status, headers = _read_head(reader.readline)
        return status, reader.read(int(headers.get("content-length", "0")))


def _read_head(read_line: Callable[[], bytes]) -> tuple[int, dict[str, str]]:
    status = int(read_line().split()[1])
    headers = dict[str, str]()
    while (line := read_line().strip()) != b"":
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return status, headers


def _spell(url: str, client: str) -> bytes:
    parts = urlsplit(url)
    lines = [f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}", f"Accept: {JSON}"]
    return "\r\n".join([*lines, f"User-Agent: {_CLIENTS[client]}", "", ""]).encode()


def _find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as line:
        return int(line.getsockname()[1])


# -- the index upstream ---------------------------------------------------------------------------


@contextlib.contextmanager
def _serve_pages(pages: Mapping[str, bytes]) -> Generator[str]:
    """Yield the URL of an index with these pages, which may be taken as they are for a while."""

    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if "/files/" in self.path:
                over.wait()  # so that no build comes to an end
            page = pages.get(self.path.strip("/").rpartition("/")[2])
            self.send_response(404 if page is None else 200)
            self.send_header("Content-Type", JSON)
            self.send_header("Cache-Control", "max-age=600")
            self.send_header("Content-Length", str(len(page or b"")))
            self.end_headers()
            self.wfile.write(page or b"")

        def log_message(self, format: str, *args: object) -> None:  # ruff: ignore[builtin-argument-shadowing]
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/simple/"
        finally:
            over.set()
            server.shutdown()
            thread.join()


def _list_files(count: int) -> bytes:
    """Return the page of a project of wheels, which leave nothing to build."""
    names = [f"large-1.{number}-py3-none-any.whl" for number in range(count)]
    return _spell_page("large", names)


def _list_sdist(name: str) -> bytes:
    """Return the page of a project whose only sdist is not to be had."""
    return _spell_page(name, [f"{name}-1.0.tar.gz"])


def _spell_page(project: str, names: Sequence[str]) -> bytes:
    files = [
        {
            "filename": name,
            "url": f"../../files/{name}",
            "hashes": {"sha256": sha256(name.encode()).hexdigest()},
            "requires-python": ">=3.8",
            "size": 12345,
            "upload-time": "2024-01-01T00:00:00.000000Z",
            "yanked": False,
            "core-metadata": {"sha256": sha256(name.encode()).hexdigest()},
        }
        for name in names
    ]
    versions = sorted({name.split("-")[1].removesuffix(".tar.gz") for name in names})
    meta = {"api-version": "1.1"}
    return json.dumps({
        "meta": meta,
        "name": project,
        "versions": versions,
        "files": files,
    }).encode()
