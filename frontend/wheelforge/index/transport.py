"""Requests over urllib3: pooled, directly or by way of a proxy, every answer within limits.

urllib3 limits how long a server may be silent. An answer here also has a limit of bytes (head and
chunk framing included) and of seconds: a server that sends one byte now and then would never end.
"""

from __future__ import annotations

import contextlib
import re
import ssl
import time
import zlib
from functools import partial
from http.client import HTTPException, HTTPResponse
from importlib.util import find_spec
from io import BufferedReader, RawIOBase
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

from urllib3 import PoolManager, ProxyManager
from urllib3.exceptions import HTTPError, ProtocolError

from wheelforge.errors import UsageError
from wheelforge.index.auth import Login
from wheelforge.index.tls import is_trusted, load_certificates, trust_all
from wheelforge_isolation.formats.urls import redact, without_credentials

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

    from urllib3 import BaseHTTPResponse
    from urllib3.connection import HTTPSConnection as _Connection
    from urllib3.response import HTTPResponse as PooledResponse

    from wheelforge.index.settings import IndexSettings
else:
    _Connection = object

CHUNK_BYTES = 1 << 16
_IDLE_SECONDS = 60.0
"""Middle boxes forget connections that are idle for longer, without telling either end."""
_CONNECTIONS = 8
"""Kept for each server: one for each thread that asks."""
_HEAD_BYTES = 1 << 20
"""For status lines, headers, and whatever else is no body."""
_PATIENCE = 8
"""The time for an answer, in timeouts, to which each received byte adds some."""
_SLOWEST_BYTES_PER_SECOND = 4 << 10
_GZIP = 31
"""zlib's number for gzip framing."""
_RATIO, _RATIO_FROM_BYTES = 100, 8 << 20
"""As in archives: no honest page is packed as tightly."""
_COUNT_DIGITS = 18
_MOST_INTERIM = 32
_CONTINUE, _SWITCHING, _OK = 100, 101, 200
_POOL = re.compile(r"HTTPS?Connection(Pool)?\(.*?\): ")
_REFUSED_BY_PROXY = re.compile(r"Tunnel connection failed: 4\d\d")


class Upload(NamedTuple):
    """A request that does more than to ask for a body."""

    method: str
    body: bytes | IO[bytes] | None = None
    """Its length has to be in a header."""


_GET = Upload("GET")


class RequestFailedError(Exception):
    """A request got no usable answer."""

    def __init__(
        self, problem: str, *, is_final: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(problem)
        self.is_final = is_final
        """Whether asking again is of no use."""
        self.retry_after = retry_after
        """How many seconds the server asks to wait."""


# Limits


class _CountedSocket(RawIOBase):
    """The bytes and the seconds that one answer takes from a socket, within limits."""

    def __init__(self, raw: RawIOBase, seconds: float) -> None:
        super().__init__()
        self._raw = raw
        self._start = time.monotonic()
        self._seconds = seconds
        self._received = 0
        self._most = _HEAD_BYTES

    def count_body(self, body_bytes: int) -> None:
        """Let more come after so many bytes of a body, with as much framing as that may need."""
        self._most = _HEAD_BYTES + body_bytes + body_bytes // 8

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:  # ruff: ignore[any-type]
        count = cast("int | None", self._raw.readinto(buffer))
        self._received += count or 0
        if self._received > self._most:
            raise RequestFailedError(f"it sends more than {self._most:,} bytes", is_final=True)
        seconds = self._seconds + self._received / _SLOWEST_BYTES_PER_SECOND
        if time.monotonic() - self._start > seconds:
            problem = f"it is too slow: {self._received:,} bytes in {seconds:.0f} s"
            raise RequestFailedError(problem, is_final=True)
        return count

    def readall(self) -> bytes:
        # `http.client` reads to the end where a chunk says that it has -1 bytes.
        raise HTTPException("a chunk has no length")

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """A response of the standard library, counted, without the interim ones before it."""

    def __init__(self, seconds: float, sock: Any, *words: Any, **more: Any) -> None:  # ruff: ignore[any-type]
        super().__init__(sock, *words, **more)
        self.counted = _CountedSocket(self.fp.detach(), seconds)
        self.fp = BufferedReader(self.counted)

    def begin(self) -> None:
        super().begin()
        for _ in range(_MOST_INTERIM):
            if not _CONTINUE <= self.status < _OK or self.status == _SWITCHING:
                return
            self.headers = None  # type: ignore[assignment]  # as before the first one
            super().begin()
        raise HTTPException("too many interim answers")


class _Counted(_Connection):
    """Our additions to the connections of urllib3, as a mix-in."""

    is_vouched_for = False
    """Whether the certificate of the server does not matter."""
    patience = _PATIENCE
    response: _Response
    """The one that comes at present."""

    def connect(self) -> None:
        super().connect()
        if self.is_vouched_for:
            self.is_verified = True  # or urllib3 would warn

    def response_class(  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        self,
        *words: Any,  # ruff: ignore[any-type]
        **more: Any,  # ruff: ignore[any-type]
    ) -> _Response:
        seconds = cast("float", self.timeout) * self.patience
        self.response = _Response(seconds, *words, **more)
        return self.response

    def getresponse(self) -> PooledResponse:  # type: ignore[override]  # as urllib3 has it
        try:
            return super().getresponse()
        except HTTPError:
            self.response.close()  # which has the socket already, if it is the last one on it
            raise


# Answers


class Answer:
    """The answer to one request; its body comes as it is read."""

    def __init__(self, response: BaseHTTPResponse, url: str) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.url = url
        """Without credentials."""
        self._response = response
        self._counted = cast("_Counted", response.connection).response.counted

    @property
    def length(self) -> int | None:
        """The size of the body, as far as it is stated."""
        text = self.headers.get("content-length", "").strip()
        is_count = text.isascii() and text.isdecimal() and len(text) <= _COUNT_DIGITS
        return int(text) if is_count else None

    def chunks(self, most_bytes: int) -> Iterator[bytes]:
        """Yield the body as it comes, which may not be larger than ``most_bytes``."""
        received = 0
        with _raising_request_failures():
            for chunk in self._response.stream(CHUNK_BYTES, decode_content=False):
                received += len(chunk)
                self._counted.count_body(received)
                if received > most_bytes:
                    raise _too_large(most_bytes)
                yield chunk

    def read(self, most_bytes: int) -> bytes:
        """Return the whole body, unpacked if it was packed for the way."""
        coding = self.headers.get("content-encoding", "").strip().lower()
        if coding in {"", "identity"}:
            return b"".join(self.chunks(most_bytes))
        if coding != "gzip":
            raise RequestFailedError("it uses a content encoding not asked for", is_final=True)
        return _unpack(self.chunks(most_bytes), most_bytes)

    def close(self) -> None:
        """Give the connection back if the whole body was read, and close it otherwise."""
        self._response.close()
        self._response.release_conn()


def _unpack(chunks: Iterable[bytes], most_bytes: int) -> bytes:
    engine = zlib.decompressobj(_GZIP)
    content, packed = bytearray(), 0
    for chunk in chunks:
        packed += len(chunk)
        try:
            content += engine.decompress(chunk, most_bytes + 1 - len(content))
        except zlib.error as error:
            raise RequestFailedError(f"it cannot be unpacked: {error}") from error
        is_bomb = len(content) > _RATIO_FROM_BYTES and len(content) > _RATIO * packed
        if is_bomb or len(content) > most_bytes:
            raise _too_large(_RATIO_FROM_BYTES if is_bomb else most_bytes)
    if packed and (not engine.eof or engine.unused_data):
        raise RequestFailedError("it cannot be unpacked: it does not end where its data do")
    return bytes(content)


def _too_large(most_bytes: int) -> RequestFailedError:
    most = f"{most_bytes >> 20} MiB" if most_bytes >= 1 << 20 else f"{most_bytes:,} bytes"
    return RequestFailedError(f"it answers with more than {most}", is_final=True)


# Connections


class Connections:
    """Connections to any number of servers, for any number of threads."""

    def __init__(self, settings: IndexSettings, *, patience: int = _PATIENCE) -> None:
        self._settings = settings
        self._patience = patience
        self._managers: dict[tuple[str, str | None, bool], PoolManager] = {}
        """By the scheme, the proxy, and whether the certificate of the server does not matter."""
        self._used = time.monotonic()
        self._lock = Lock()

    def send(
        self, url: str, headers: Mapping[str, str], proxy: str | None, upload: Upload = _GET
    ) -> Answer:
        """Return the answer to one request, its body still to come."""
        with _raising_request_failures():
            encoded = _encode_host(url)
            # Redirects and retries are the client's: each hop has its own credentials, and a broken
            # body is asked for again as well.
            ask = partial(
                self._find(encoded, proxy).urlopen,
                upload.method,
                encoded,
                body=upload.body,
                headers=dict(headers),
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
            try:
                response = ask()
            except ProtocolError as error:
                if not isinstance(_find_cause(error), ConnectionError):
                    raise
                # A server may close an idle connection at the moment that it is used again.
                if upload.body is not None and not isinstance(upload.body, bytes):
                    upload.body.seek(0)
                response = ask()
            return Answer(response, url)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for manager in self._managers.values():
                manager.clear()
            self._managers.clear()

    def _find(self, url: str, proxy: str | None) -> PoolManager:
        parts = urlsplit(url)
        is_vouched_for = is_trusted(parts.netloc, self._settings.trusted_hosts)
        way = (parts.scheme, proxy, is_vouched_for)
        with self._lock:
            now = time.monotonic()
            if now - self._used > _IDLE_SECONDS:
                for manager in self._managers.values():
                    manager.clear()
            self._used = now
            if way not in self._managers:
                facts = {"is_vouched_for": is_vouched_for, "patience": self._patience}
                self._managers[way] = _open(parts.scheme, proxy, self._settings, facts)
            return self._managers[way]


def _open(
    scheme: str, proxy: str | None, settings: IndexSettings, facts: dict[str, Any]
) -> PoolManager:
    """Return a manager whose connections have these ``facts`` as attributes."""
    more: dict[str, Any] = {"timeout": settings.timeout_seconds, "maxsize": _CONNECTIONS}
    if scheme == "https":
        is_vouched_for = facts["is_vouched_for"]
        more["ssl_context"] = trust_all() if is_vouched_for else load_certificates(settings)
    manager = PoolManager(**more) if proxy is None else _open_proxy(proxy, settings, more)
    # Pools of the same kinds, with our connections in them.
    pools: dict[str, Any] = dict(manager.pool_classes_by_scheme)
    for name, pool in pools.items():
        kind = type(pool.ConnectionCls.__name__, (_Counted, pool.ConnectionCls), facts)
        pools[name] = type(pool.__name__, (pool,), {"ConnectionCls": kind})
    manager.pool_classes_by_scheme = pools
    return manager


def _open_proxy(proxy: str, settings: IndexSettings, more: dict[str, Any]) -> PoolManager:
    parts = urlsplit(proxy)
    is_socks, login = parts.scheme.startswith("socks"), Login.of(parts)
    if is_socks and find_spec("socks") is None:
        problem = "a SOCKS proxy needs the package PySocks, which is not installed"
        raise UsageError("index-settings-invalid", redact(proxy), problem)
    if login is not None and not is_socks:
        more["proxy_headers"] = {"Proxy-Authorization": login.header}
    if parts.scheme == "https":
        more["proxy_ssl_context"] = load_certificates(settings)
    try:
        if is_socks:
            from urllib3.contrib.socks import SOCKSProxyManager

            return SOCKSProxyManager(proxy, **more)
        return ProxyManager(without_credentials(proxy), **more)
    except (HTTPError, ValueError) as error:
        raise UsageError("index-settings-invalid", redact(proxy), str(error)) from error


def _encode_host(url: str) -> str:
    """Return a URL as it is asked for; urllib3 quotes whatever else has to be."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise RequestFailedError("it is not an http or https URL", is_final=True)
    if parts.hostname.isascii():
        return url
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(netloc=f"{parts.hostname.encode('idna').decode()}{port}").geturl()


@contextlib.contextmanager
def _raising_request_failures() -> Generator[None]:
    """Turn every failure of a request into one kind, which says whether it may pass."""
    try:
        yield
    except ValueError as error:
        raise RequestFailedError(_describe(error), is_final=True) from error
    except (HTTPError, HTTPException, OSError) as error:
        cause = _find_cause(error)
        is_final = isinstance(cause, ssl.SSLCertVerificationError) or bool(
            _REFUSED_BY_PROXY.search(str(cause))
        )
        raise RequestFailedError(_describe(cause), is_final=is_final) from error


def _find_cause(error: BaseException) -> BaseException:
    while error.args and isinstance(error.args[-1], BaseException):
        error = error.args[-1]
    return error


def _describe(error: BaseException) -> str:
    return _POOL.sub("", str(error)) or type(error).__name__
