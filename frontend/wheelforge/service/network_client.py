"""A server on another machine, as its client sees it: HTTP, with the standard library alone."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import uuid
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple
from urllib.parse import quote, urlsplit

from wheelforge.errors import ServiceError
from wheelforge_isolation import digest, open_new_file
from wheelforge_isolation.formats.tables import as_table
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    Connection = http.client.HTTPConnection

_PATIENCE_SECONDS = 60.0
"""A server that is alive says something four times as often."""
_FIRST_ERROR = 400
_UNKNOWN = 404
_CHUNK = 1 << 16
_JSON = "application/json"
_ATTEMPTS = 3
_BROKEN = (OSError, http.client.HTTPException)


class RemoteServer(NamedTuple):
    """A server by its URL, and what is shown to it."""

    address: str
    token: str = ""

    def ask(self, method: str, target: str, document: object = None) -> dict[str, Any]:
        """Return the answer to a question; a problem is an error."""
        body = None if document is None else json.dumps(document).encode()
        # If an answer is lost on its way, the same request again is the same build.
        key = {"Idempotency-Key": uuid.uuid4().hex} if method == "POST" else {}
        for attempt in range(_ATTEMPTS):
            try:
                with self._request(method, target, body, {"Content-Type": _JSON, **key}) as answer:
                    return _read(answer)
            except _BROKEN as error:
                if attempt == _ATTEMPTS - 1:
                    raise self._fail(error) from error
        raise AssertionError

    def send(self, path: Path, check: Callable[[], None]) -> str:
        """Let the server have an archive, unless it has it; return how requests name it.

        ``check`` is called again and again meanwhile, and may raise.
        """
        sha256 = digest(path)
        target = f"/api/v1/uploads/{sha256}"
        try:
            with self._request("GET", target) as answer:
                if answer.status != _UNKNOWN:
                    return str(_read(answer)["source"])
            headers = {"Content-Length": str(path.stat().st_size)}
            place = f"{target}?name={quote(path.name)}"
            with self._request("PUT", place, _read_pieces(path, check), headers) as answer:
                return str(_read(answer)["source"])
        except _BROKEN as error:
            raise self._fail(error) from error

    def follow(self, number: str) -> Iterator[dict[str, Any]]:
        """Yield the events of a build as they come, and its end as the last."""
        after = failures = 0
        while failures < _ATTEMPTS:
            target = f"/api/v1/builds/{quote(number)}/events?after={after}"
            try:
                with self._request("GET", target) as answer:
                    for event in _read_events(answer):
                        after, failures = int(event.get("seq", after)), 0
                        yield event
                        if event.get("kind") == "end":
                            return
            except _BROKEN as error:
                failures += 1
                if failures == _ATTEMPTS:
                    raise self._fail(error) from error

    def fetch(self, artifact: dict[str, Any], path: Path) -> None:
        """Write an artifact to ``path``; an error unless it is what was promised."""
        target = f"/api/v1/artifacts/{quote(artifact['sha256'])}"
        try:
            with (
                self._request("GET", target) as answer,
                os.fdopen(open_new_file(str(path)), "wb") as file,
            ):
                found = _copy(answer, file, artifact["size"])
        except _BROKEN as error:
            raise self._fail(error) from error
        if found != artifact["sha256"]:
            reason = f"`{path.name}` is not what it has built: it has another SHA-256"
            raise ServiceError("server-failed", reason)

    @contextlib.contextmanager
    def _request(
        self,
        method: str,
        target: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Generator[http.client.HTTPResponse]:
        parts = urlsplit(self.address)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        connection = kind(parts.hostname or "", parts.port, timeout=_PATIENCE_SECONDS)
        given = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        with contextlib.closing(connection):
            connection.request(
                method, f"{parts.path.rstrip('/')}{target}", body, given | (headers or {})
            )
            yield connection.getresponse()

    def _fail(self, error: Exception) -> ServiceError:
        reason = getattr(error, "strerror", None) or str(error) or "it has hung up"
        return ServiceError("server-failed", f"`{redact(self.address)}`: {reason}")


def _read(answer: http.client.HTTPResponse) -> dict[str, Any]:
    """Return the object that an answer is; an error if it is a problem."""
    content = answer.read()
    try:
        found = as_table(json.loads(content))
    except ValueError:
        found = {}
    if answer.status >= _FIRST_ERROR or not found:
        detail = found.get("detail") or f"it answers {answer.status} {answer.reason}"
        raise ServiceError("server-failed", str(detail))
    return found


def _copy(answer: http.client.HTTPResponse, file: BinaryIO, most: int) -> str:
    """Copy a body that is not larger than it should be; return its SHA-256."""
    if answer.status >= _FIRST_ERROR:
        _read(answer)
    found, count = hashlib.sha256(), 0
    while (piece := answer.read(_CHUNK)) and count <= most:
        count += len(piece)
        found.update(piece)
        file.write(piece)
    return found.hexdigest()


def _read_events(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    if answer.status >= _FIRST_ERROR:
        _read(answer)
    event: dict[str, Any] = {}
    while event.get("kind") != "end":
        line = answer.readline()
        if not line.endswith(b"\n"):
            raise http.client.IncompleteRead(line)
        if line.strip():
            event = as_table(json.loads(line))
            yield event


def _read_pieces(path: Path, check: Callable[[], None]) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            check()
            yield piece
