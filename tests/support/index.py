"""A package index on loopback: a real HTTP server, good unless it is told to be bad.

    with serve(Project("demo", wheel("demo", "1.0"))) as index:
        index.url                   # for the settings of whoever is tested
        index.count("/simple/")     # what it was really asked

Pages are HTML, or JSON if ``json=True``. What a server can do wrong is said per file or project, as
a sequence of faults: the first request to it meets the first of them, and those after the last
one go well. Other talents and habits are fields of ``Manners``.
"""

from __future__ import annotations

import contextlib
import hashlib
import html
import json
import random
import re
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from tests.support.archives import file, gz, tar
from tests.support.wheels import Draft

JSON = "application/vnd.pypi.simple.v1+json"
PAGES, FILES = "/simple/", "/files/"
_SPAN = re.compile(r"bytes=(\d*)-(\d*)")


# Files


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file, and what its index says of it."""

    name: str
    content: bytes
    hashes: Mapping[str, str] | None = None
    """Unless given, the right SHA-256."""
    uploaded: str = ""
    requires_python: str = ""
    yanked: str | None = None
    metadata: bytes | None = None
    """Of the file beside it; there is none unless given."""
    metadata_hash: str | None = None
    """Unless given, the right one; a mere "yes" if it is empty."""
    old_attribute: bool = False
    """Whether the metadata file goes by its first, mistaken name."""
    size: int | None = None
    url: str = ""
    """Where it really is, if not here."""
    faults: tuple[Fault, ...] = ()
    metadata_faults: tuple[Fault, ...] = ()

    @property
    def stated_hashes(self) -> Mapping[str, str]:
        return {"sha256": sha256(self.content)} if self.hashes is None else self.hashes

    @property
    def stated_metadata_hash(self) -> str:
        if self.metadata_hash is not None:
            return self.metadata_hash
        return sha256(self.metadata or b"")


@dataclass(frozen=True, slots=True, init=False)
class Project:
    """A name and its files."""

    name: str
    files: tuple[File, ...]
    faults: tuple[Fault, ...]

    def __init__(self, name: str, *files: File, faults: Sequence[Fault] = ()) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "files", files)
        object.__setattr__(self, "faults", tuple(faults))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def core_metadata(name: str, version: str, *requires: str, more: str = "") -> bytes:
    """Return the metadata of a distribution."""
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    return "\n".join([*lines, *(f"Requires-Dist: {each}" for each in requires), more, ""]).encode()


def wheel(
    name: str,
    version: str,
    *requires: str,
    tag: str = "py3-none-any",
    padding: int = 0,
    more: str = "",
) -> File:
    """Return a wheel that can be installed; ``padding`` bytes make it larger."""
    stem = f"{name.replace('-', '_')}-{version}"
    files = {f"{stem}.dist-info/METADATA": core_metadata(name, version, *requires, more=more)}
    if padding:
        # The first file of all, so that the metadata stand at the end, as they should.
        files["demo.py"] = random.Random(padding).randbytes(padding)  # ruff: ignore[suspicious-non-cryptographic-random-usage]
    draft = Draft(dist_info=f"{stem}.dist-info", files=files)
    return File(name=f"{stem}-{tag}.whl", content=draft.pack())


def sdist(name: str, version: str) -> File:
    """Return an sdist."""
    stem = f"{name}-{version}"
    metadata = file(f"{stem}/PKG-INFO", core_metadata(name, version))
    content = gz(tar(metadata, file(f"{stem}/pyproject.toml")))
    return File(name=f"{stem}.tar.gz", content=content)


def offering_metadata(one: File, content: bytes) -> File:
    """Return the file with a metadata file beside it."""
    return replace(one, metadata=content)


# Faults


class Fault(Protocol):
    """Something that happens instead of a good answer, or to it."""

    def play(self, request: Request, good: Response) -> None:
        """Answer, well or badly."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Says something else than 200."""

    code: int
    retry_after: str = ""

    def play(self, request: Request, good: Response) -> None:  # ruff: ignore[unused-method-argument]
        headers = {"Retry-After": self.retry_after} if self.retry_after else {}
        request.send(Response(self.code, headers, b""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Closes the connection after some of the body."""

    after: int

    def play(self, request: Request, good: Response) -> None:
        request.send(good, most=self.after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """Falls silent after some of the body, for longer than the client is expected to wait."""

    seconds: float
    after: int = 0

    def play(self, request: Request, good: Response) -> None:
        request.send(good, most=self.after, pause=self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Sends the client elsewhere; ``{here}`` is the path that was asked for."""

    to: str
    code: int = 302

    def play(self, request: Request, good: Response) -> None:  # ruff: ignore[unused-method-argument]
        target = self.to.format(here=request.path)
        request.send(Response(self.code, {"Location": target}, b""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Answers with other bytes than the file's, from then on or once."""

    content: bytes
    kind: str = "application/octet-stream"

    def play(self, request: Request, good: Response) -> None:
        headers = {**good.headers, "Content-Type": self.kind}
        request.send(request.part(Response(200, headers, self.content)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Sends these bytes and no others, head and all, and hangs up.

    ``endless`` are sent again and again after them, with a pause each time, for as long as the
    client listens.
    """

    content: bytes
    endless: bytes = b""
    pause: float = 0.0

    def play(self, request: Request, good: Response) -> None:  # ruff: ignore[unused-method-argument]
        request.close_connection = True
        with contextlib.suppress(OSError):
            request.wfile.write(self.content)
            while self.endless and not request.pause(self.pause):
                request.wfile.write(self.endless)


# The server


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """The features of a server, and the login it requires."""

    json: bool = False
    ranges: str = "all"
    """``all``; ``from`` a start only, not of the last bytes; ``none``; or ``refused``."""
    tags: bool = False
    """Whether files have an ETag."""
    login: tuple[str, str] | None = None
    comment: str = ""
    """HTML to put at the head of pages."""


@dataclass(frozen=True, slots=True)
class Response:
    code: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it came in."""

    path: str
    headers: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class Index:
    """A running server; ``projects`` may be changed while it runs."""

    origin: str
    projects: dict[str, Project]
    manners: Manners
    asked: list[Asked] = field(default_factory=list[Asked])
    _played: dict[str, int] = field(default_factory=dict[str, int])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"{self.origin}{PAGES}"

    def url_as(self, user: str, password: str) -> str:
        """Return the URL with credentials in it."""
        return self.url.replace("://", f"://{user}:{password}@")

    def count(self, part: str) -> int:
        """Return how many requests had ``part`` in their path."""
        return len(self.headers_of(part))

    def headers_of(self, part: str) -> list[Mapping[str, str]]:
        """Return the headers of each request that had ``part`` in its path."""
        return [asked.headers for asked in self.asked if part in asked.path]

    def put(self, *projects: Project) -> None:
        """Add or replace projects."""
        self.projects.update({project.name: project for project in projects})

    def answer(self, request: Request) -> None:
        """Play the next fault of what is asked for, or answer well."""
        headers = {key.lower(): value for key, value in request.headers.items()}
        self.asked.append(Asked(path=request.path, headers=headers))
        if not self._is_known(headers.get("authorization", "")):
            request.send(Response(401, {"WWW-Authenticate": "Basic"}, b""))
            return
        faults, good = self._find(urlsplit(request.path).path)
        with self._lock:
            number = self._played.get(request.path, 0)
            self._played[request.path] = number + 1
        if number < len(faults):
            faults[number].play(request, request.part(good))
        else:
            request.send(request.part(good))

    def _is_known(self, said: str) -> bool:
        if self.manners.login is None:
            return True
        expected = b64encode(":".join(self.manners.login).encode()).decode()
        return said == f"Basic {expected}"

    def _find(self, path: str) -> tuple[Sequence[Fault], Response]:
        nothing = Response(404, {}, b"not here")
        if path.startswith(PAGES):
            project = self.projects.get(path.removeprefix(PAGES).rstrip("/"))
            return (project.faults, self._page(project)) if project else ((), nothing)
        name = unquote(path.removeprefix(FILES))
        for one in (one for project in self.projects.values() for one in project.files):
            if one.name == name:
                return one.faults, self._file(one.content)
            if f"{one.name}.metadata" == name and one.metadata is not None:
                return one.metadata_faults, self._file(one.metadata)
        return (), nothing

    def _file(self, content: bytes) -> Response:
        headers = {"Content-Type": "application/octet-stream"}
        if self.manners.ranges in {"all", "from"}:
            headers["Accept-Ranges"] = "bytes"
        if self.manners.tags:
            headers["ETag"] = f'"{sha256(content)}"'
        return Response(200, headers, content)

    # Pages

    def _page(self, project: Project) -> Response:
        if self.manners.json:
            files = [self._json_file(one) for one in project.files]
            page = {"meta": {"api-version": "1.1"}, "name": project.name, "files": files}
            return Response(200, {"Content-Type": JSON}, json.dumps(page).encode())
        anchors = "".join(f"{self._anchor(one)}<br/>\n" for one in project.files)
        text = f"<!DOCTYPE html><html><head>{self.manners.comment}</head><body>\n{anchors}"
        return Response(200, {"Content-Type": "text/html"}, f"{text}</body></html>".encode())

    @staticmethod
    def _url(one: File) -> str:
        return one.url or f"../..{FILES}{one.name}"

    def _json_file(self, one: File) -> dict[str, object]:
        facts: dict[str, object] = {
            "filename": one.name,
            "url": self._url(one),
            "hashes": dict(one.stated_hashes),
            "size": one.size,
            "requires-python": one.requires_python or None,
            "yanked": (one.yanked or True) if one.yanked is not None else False,
            "upload-time": one.uploaded or None,
        }
        if one.metadata is not None:
            key = "dist-info-metadata" if one.old_attribute else "core-metadata"
            digest = one.stated_metadata_hash
            facts[key] = {"sha256": digest} if digest else True
        return {key: value for key, value in facts.items() if value is not None}

    def _anchor(self, one: File) -> str:
        fragment = "&".join(f"{name}={digest}" for name, digest in one.stated_hashes.items())
        attributes = {"href": f"{self._url(one)}{'#' if fragment else ''}{fragment}"}
        if one.requires_python:
            attributes["data-requires-python"] = one.requires_python
        if one.uploaded:
            attributes["data-upload-time"] = one.uploaded
        if one.yanked is not None:
            attributes["data-yanked"] = one.yanked
        if one.metadata is not None:
            key = "data-dist-info-metadata" if one.old_attribute else "data-core-metadata"
            digest = one.stated_metadata_hash
            attributes[key] = f"sha256={digest}" if digest else "true"
        text = " ".join(f'{key}="{html.escape(value)}"' for key, value in attributes.items())
        return f"<a {text}>{one.name}</a>"


class Request(BaseHTTPRequestHandler):
    """One connection, kept open as long as the client wants."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def _owner(self) -> _Server:
        assert isinstance(self.server, _Server)
        return self.server

    def do_GET(self) -> None:
        self._owner.index.answer(self)

    def part(self, whole: Response) -> Response:
        """Return what is asked for of a response: all of it, or a range."""
        match = _SPAN.fullmatch(self.headers.get("Range", ""))
        ranges = self._owner.index.manners.ranges
        if match is None or whole.code != 200 or ranges == "none":
            return whole
        if ranges == "refused":
            return Response(501, {}, b"")
        condition = self.headers.get("If-Range")
        if condition is not None and condition != whole.headers.get("ETag"):
            return whole
        return whole if ranges == "from" and not match[1] else _cut(whole, match[1], match[2])

    def send(self, response: Response, most: int | None = None, pause: float = 0.0) -> None:
        """Send a response, or the beginning of it, and then nothing for a while."""
        self.send_response(response.code)
        for key, value in response.headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(response.body[:most])
        self.close_connection = most is not None
        if pause:
            self._owner.stopped.wait(pause)

    def pause(self, seconds: float) -> bool:
        """Wait; return whether the server is being stopped."""
        return self._owner.stopped.wait(seconds)

    def log_message(self, format: str, *args: object) -> None:  # ruff: ignore[builtin-argument-shadowing]
        """Keep quiet: what was asked is kept in a list."""


def _cut(whole: Response, first: str, last: str) -> Response:
    size = len(whole.body)
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if start >= size:
        return Response(416, {"Content-Range": f"bytes */{size}"}, b"")
    headers = {**whole.headers, "Content-Range": f"bytes {start}-{stop - 1}/{size}"}
    return Response(206, headers, whole.body[start:stop])


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    index: Index

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.stopped = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that hang up."""


@contextlib.contextmanager
def serve(
    *projects: Project, manners: Manners = Manners(), certificate: Path | None = None
) -> Generator[Index]:
    """Yield a running index of ``projects``; it speaks TLS with a certificate, of ``localhost``."""
    with _Server() as server:
        origin = f"http://127.0.0.1:{server.server_address[1]}"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            origin = f"https://localhost:{server.server_address[1]}"
        named = {project.name: project for project in projects}
        server.index = Index(origin=origin, projects=named, manners=manners)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server.index
        finally:
            server.stopped.set()
            server.shutdown()
            thread.join()


@dataclass(slots=True)
class Pauses:
    """Sleeps not at all, and remembers for how long it should have."""

    seconds: list[float] = field(default_factory=list[float])

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def free_port_url() -> str:
    """Return the URL of an index that nobody serves."""
    with _Server() as server:
        return f"http://127.0.0.1:{server.server_address[1]}{PAGES}"


def http_date(seconds_from_now: float) -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + seconds_from_now))
