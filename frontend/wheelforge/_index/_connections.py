"""Connections straight to servers, kept open for the next request. Over `http.client`.

A larger library would do, and does where a proxy stands between; importing it took a third of what
a small build with an empty cache takes.
"""

from __future__ import annotations

import contextlib
import select
import time
import zlib
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, InvalidURL
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast
from urllib.parse import SplitResult, quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from ssl import SSLContext

KEPT_OPEN_SECONDS = 60.0
_KINDS = {"http", "https"}
DISBELIEF = "CERTIFICATE_VERIFY_FAILED"
_AS_GIVEN = "!#$%&'()*+,/:;=?@[]~"
"""What a URL holds besides letters and numbers; what is quoted already is not quoted again."""
_GZIP = 31
"""zlib's number for gzip framing."""
_CHUNK_BYTES = 1 << 16
_MOST_BYTES = 1 << 28
"""The largest pages there are have a hundredth of that."""


class Answer(Protocol):
    """What comes back from a server; the body is read as it comes, and as it is."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def status_code(self) -> int: ...

    def iter_raw(self, chunk_size: int) -> Iterator[bytes]: ...

    def close(self) -> None: ...


class Connections(Protocol):
    """Whatever brings a request to its server."""

    def send(self, url: str, headers: Mapping[str, str]) -> Answer: ...

    def close(self) -> None: ...


class ConnectionBrokenError(Exception):
    """Something went wrong that may go right the next time."""

    pause_seconds: float | None = None
    """How long the server asks to wait until then, if it does."""


class RequestImpossibleError(Exception):
    """Something is wrong that stays so."""


class DisbelievedError(RequestImpossibleError):
    """Nobody whom we believe vouches for the server."""


class _Line(NamedTuple):
    """A connection that nobody uses, and since when."""

    connection: HTTPConnection
    since: float

    def is_alive(self) -> bool:
        """Return whether it is worth a try: a server that has something to say has hung up."""
        socket = self.connection.sock
        if socket is None or time.monotonic() - self.since > KEPT_OPEN_SECONDS:
            return False
        with contextlib.suppress(OSError, ValueError):
            return not select.select([socket], [], [], 0)[0]
        return False


class StraightConnections:
    """Connections to any number of servers; to be used by any number of threads."""

    def __init__(self, find_context: Callable[[str], SSLContext], timeout_seconds: float) -> None:
        self._find_context = find_context
        self._timeout_seconds = timeout_seconds
        self._idle: dict[tuple[str, str], list[_Line]] = {}
        self._lock = Lock()

    def send(self, url: str, headers: Mapping[str, str]) -> Answer:
        """Return the answer to one request, its body still to come."""
        with _translated():
            parts = urlsplit(url)
            kept = self._take((parts.scheme, parts.netloc))
            if kept is not None:
                # The server may hang up at the very moment that it is used again.
                with contextlib.suppress(ConnectionError):
                    return self._ask(kept, parts, headers)
            return self._ask(self._open(parts), parts, headers)

    def _ask(
        self, connection: HTTPConnection, parts: SplitResult, headers: Mapping[str, str]
    ) -> Answer:
        try:
            connection.request("GET", _target(parts), headers=dict(headers))
            response = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        keep = partial(self._keep, (parts.scheme, parts.netloc), connection)
        return _StraightAnswer(response, connection, keep)

    def close(self) -> None:
        """Close what nobody uses."""
        with self._lock:
            lines = [line for lines in self._idle.values() for line in lines]
            self._idle.clear()
        for line in lines:
            line.connection.close()

    def _take(self, server: tuple[str, str]) -> HTTPConnection | None:
        while True:
            with self._lock:
                lines = self._idle.get(server)
                if not lines:
                    return None
                line = lines.pop()
            if line.is_alive():
                return line.connection
            line.connection.close()

    def _open(self, parts: SplitResult) -> HTTPConnection:
        if parts.scheme not in _KINDS or not parts.hostname:
            raise InvalidURL(f"nobody can be asked for `{parts.geturl()}`")
        if parts.scheme == "http":
            return HTTPConnection(parts.netloc, timeout=self._timeout_seconds)
        context = self._find_context(parts.netloc)
        return HTTPSConnection(parts.netloc, timeout=self._timeout_seconds, context=context)

    def _keep(self, server: tuple[str, str], connection: HTTPConnection) -> None:
        with self._lock:
            self._idle.setdefault(server, []).append(_Line(connection, time.monotonic()))


class _StraightAnswer:
    """An answer whose connection is kept once everything is read, and closed otherwise."""

    def __init__(
        self, response: HTTPResponse, connection: HTTPConnection, keep: Callable[[], None]
    ) -> None:
        self.headers = cast("Mapping[str, str]", response.headers)
        self.status_code = response.status
        self._response = response
        self._connection = connection
        self._keep = keep
        self._is_closed = False

    def iter_raw(self, chunk_size: int) -> Iterator[bytes]:
        while chunk := self._read(chunk_size):
            yield chunk
        if self._response.length:
            raise ConnectionBrokenError(f"it ends {self._response.length} bytes too early")

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if self._response.isclosed() and self._connection.sock is not None:
            self._keep()
        else:
            self._response.close()
            self._connection.close()

    def _read(self, count: int) -> bytes:
        with _translated():
            return self._response.read(count)


def _target(parts: SplitResult) -> str:
    query = f"?{parts.query}" if parts.query else ""
    return quote(f"{parts.path or '/'}{query}", safe=_AS_GIVEN)


def read_whole(answer: Answer) -> bytes:
    """Return a whole body, unpacked if it was packed for the way, and not without end."""
    content = bytearray()
    for chunk in answer.iter_raw(_CHUNK_BYTES):
        content += chunk
        if len(content) > _MOST_BYTES:
            raise _endless()
    is_packed = answer.headers.get("content-encoding", "").lower() == "gzip"
    return _unpack(content) if is_packed and content else bytes(content)


def _unpack(content: bytearray) -> bytes:
    engine = zlib.decompressobj(_GZIP)
    try:
        unpacked = engine.decompress(content, _MOST_BYTES)
    except zlib.error as error:
        raise ConnectionBrokenError(f"it cannot be unpacked: {error}") from error
    if engine.unconsumed_tail:
        raise _endless()
    if not engine.eof:
        raise ConnectionBrokenError("it ends before all is unpacked")
    return unpacked


def _endless() -> RequestImpossibleError:
    return RequestImpossibleError(f"it answers with more than {_MOST_BYTES >> 20} MiB")


@contextlib.contextmanager
def _translated() -> Generator[None]:
    """Tell the troubles of a connection that may pass from those that will not."""
    try:
        yield
    except (InvalidURL, ValueError) as error:
        kind = DisbelievedError if DISBELIEF in str(error) else RequestImpossibleError
        raise kind(str(error)) from error
    except (OSError, HTTPException) as error:
        raise ConnectionBrokenError(str(error) or type(error).__name__) from error
