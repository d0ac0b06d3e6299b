"""A cache server as bazel-remote is one, with its checks of bodies, and with faults on demand.

Actions are parsed by Google's own protocol buffers, from a description of the messages as Bazel's
remote execution API has them: nothing here knows how wheelforge writes them.
"""

# ruff: file-ignore[any-type]

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Fault = Callable[[str, str], str]

_PATH = re.compile(r"/(?:.*/)?(ac|cas)/([0-9a-f]{64})")
_FIELD = descriptor_pb2.FieldDescriptorProto
_STRING, _INT64, _INT32 = _FIELD.TYPE_STRING, _FIELD.TYPE_INT64, _FIELD.TYPE_INT32
_BYTES, _BOOL = _FIELD.TYPE_BYTES, _FIELD.TYPE_BOOL
_MESSAGES: dict[str, list[tuple[int, str, int | str, bool]]] = {
    "Digest": [(1, "hash", _STRING, False), (2, "size_bytes", _INT64, False)],
    "OutputFile": [
        (1, "path", _STRING, False),
        (2, "digest", "Digest", False),
        (4, "is_executable", _BOOL, False),
        (5, "contents", _BYTES, False),
    ],
    "ExecutedActionMetadata": [(1, "worker", _STRING, False)],
    "ActionResult": [
        (2, "output_files", "OutputFile", True),
        (4, "exit_code", _INT32, False),
        (5, "stdout_raw", _BYTES, False),
        (6, "stdout_digest", "Digest", False),
        (9, "execution_metadata", "ExecutedActionMetadata", False),
    ],
}


def _describe() -> Any:
    package = "build.bazel.remote.execution.v2"
    file = descriptor_pb2.FileDescriptorProto(name="v2.proto", package=package, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field, kind, repeated in fields:
            label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            more: dict[str, Any] = {"type": kind}
            if isinstance(kind, str):
                more = {"type": _FIELD.TYPE_MESSAGE, "type_name": f".{package}.{kind}"}
            message.field.add(name=field, number=number, label=label, **more)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = pool.FindMessageTypeByName(f"{package}.ActionResult")
    return message_factory.GetMessageClass(found)


ActionResult: Any = _describe()


def find_fault(action: Any) -> str:
    """Return what bazel-remote refuses an action for, before it looks at other blobs."""
    for file in action.output_files:
        if not file.path or file.path.startswith("/"):
            return f"a path is absolute or empty: {file.path!r}"
        if not file.HasField("digest"):
            return f"no digest for {file.path}"
        if file.digest.size_bytes < 0 or not re.fullmatch(r"[0-9a-f]{64}", file.digest.hash):
            return f"an invalid digest for {file.path}"
    return ""


class BazelCache:
    """The blobs of a server, what it was asked, and what it does wrong."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.received = self.sent = 0
        """Bytes of bodies."""
        self.login = ""
        self.fault: Fault = lambda _method, _path: ""
        self.hang = threading.Event()
        self.url = ""

    def put(self, kind: str, name: str, body: bytes) -> int:
        """Take a blob, and return the status."""
        if kind == "cas" and hashlib.sha256(body).hexdigest() != name:
            return 500
        if kind == "ac":
            action = ActionResult()
            try:
                action.ParseFromString(body)
            except DecodeError:
                return 400
            if find_fault(action):
                return 400
            if not action.execution_metadata.worker:
                action.execution_metadata.worker = "127.0.0.1"
            body = action.SerializeToString()
        self.blobs[f"{kind}/{name}"] = body
        return 200

    def get(self, kind: str, name: str) -> bytes | None:
        """Return a blob; an action only if all that it names is there."""
        body = self.blobs.get(f"{kind}/{name}")
        if kind == "cas" or body is None:
            return body
        action = ActionResult.FromString(body)
        missing = (
            file.digest.hash
            for file in action.output_files
            if not file.contents and f"cas/{file.digest.hash}" not in self.blobs
        )
        return None if any(missing) else body


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cache: BazelCache

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._handle()

    def do_HEAD(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def _handle(self) -> None:
        cache, match = self.cache, _PATH.fullmatch(self.path)
        length = self.headers.get("Content-Length")
        body = self.rfile.read(int(length or 0)) if self.command == "PUT" else b""
        cache.received += len(body)
        if match is None or (self.command == "PUT" and length is None):
            self._answer(400)
            return
        kind, name = match.groups()
        cache.asked.append((self.command, f"{kind}/{name}"))
        fault = cache.fault(self.command, f"{kind}/{name}")
        if not self._is_welcome():
            self._answer(401)
        elif fault.isdecimal():
            self._answer(int(fault))
        elif fault in {"hang", "close"}:
            cache.hang.wait(20 if fault == "hang" else 0)
            self.close_connection = True
        elif self.command == "PUT":
            self._answer(cache.put(kind, name, body))
        else:
            found = cache.get(kind, name)
            self._answer(404 if found is None else 200, found or b"", fault)

    def _is_welcome(self) -> bool:
        token = base64.b64encode(self.cache.login.encode()).decode()
        return not self.cache.login or (self.headers.get("Authorization") == f"Basic {token}")

    def _answer(self, status: int, body: bytes = b"", fault: str = "") -> None:
        half = len(body) // 2
        if fault == "tampered" and body:
            body = body[:half] + bytes([body[half] ^ 1]) + body[half + 1 :]
        body = body[:half] if fault == "truncated" else body
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self._send(body, fault)

    def _send(self, body: bytes, fault: str) -> None:
        with contextlib.suppress(OSError):
            if fault == "cut":
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
            elif fault == "dribble":
                for number in range(len(body)):
                    self.wfile.write(body[number : number + 1])
                    time.sleep(0.05)
            else:
                self.wfile.write(body)
                self.cache.sent += len(body)


@contextlib.contextmanager
def serve_cache(login: str = "") -> Generator[BazelCache]:
    """Yield such a server, at work; with a ``login`` it asks for that."""
    cache = BazelCache()
    cache.login = login
    handler = type("Handler", (_Handler,), {"cache": cache})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        cache.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield cache
        finally:
            cache.hang.set()
            server.shutdown()
            thread.join()
