"""Requests that persist: redirects, credentials, and patience with servers that are busy.

Redirects are followed here, so that every hop gets its own credentials and none leads from a safe
connection to an unsafe one.
"""

from __future__ import annotations

import contextlib
import sys
import time
from threading import Lock
from typing import TYPE_CHECKING, NoReturn, TypeVar
from urllib.parse import urljoin, urlsplit

from wheelforge._index._certificates import Certificates
from wheelforge._index._connections import (
    ConnectionBrokenError,
    DisbelievedError,
    RequestImpossibleError,
    StraightConnections,
    read_whole,
)
from wheelforge._index._credentials import Credentials
from wheelforge._index._origins import is_safe
from wheelforge._index._proxies import find_proxy, read_system_proxies
from wheelforge._index._values import without_credentials
from wheelforge.errors import (
    IndexRefusedError,
    IndexUnreachableError,
    OfflineError,
)
from wheelforge_isolation.values import Value, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from wheelforge._index._connections import Answer, Connections
    from wheelforge._index._values import IndexSettings, Sleep

T = TypeVar("T")

GOOD, PARTIAL = 200, 206
GONE = {404, 410}
UNAUTHORISED, FORBIDDEN = 401, {401, 403, 407}
_BUSY = {408, 425, 429, 500, 502, 503, 504, *range(520, 528), 529, 530}
_UNABLE = {400, 405, 416, 501}
"""What servers say to a request for a part of a file, if they do not give one."""
_HAS_OWN_PROXIES = sys.platform in {"darwin", "win32"}
_MOST_HOPS = 20
_OURS = {"User-Agent": "wheelforge", "Accept-Encoding": "gzip"}
_MOST_DRAINED = 1 << 14
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 8.0
_LONGEST_WISH_SECONDS = 120.0
"""A server that asks for a longer pause is taken to say no."""


class Reply(Value):
    """An answer, and the URL that gave it after all redirects."""

    answer: Answer
    url: str


class _BusyError(ConnectionBrokenError):
    """A server asks for patience."""

    def __init__(self, status: int, pause_seconds: float | None) -> None:
        super().__init__(f"HTTP {status}")
        self.pause_seconds = pause_seconds


class Client:
    """Asks servers; made with the first request, as loading it takes a while."""

    def __init__(self, settings: IndexSettings, sleep: Sleep, note: Callable[[str], None]) -> None:
        self._settings = settings
        self._sleep = sleep
        self._credentials = Credentials(settings, note)
        self._certificates = Certificates(settings)
        self._connections: dict[str | None, Connections] = {}
        """By the proxy that they go through."""
        self._lock = Lock()

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for connections in self._connections.values():
                connections.close()
            self._connections.clear()

    def insist(self, url: str, ask: Callable[[], T]) -> T:
        """Return what ``ask`` does, trying again while a server is busy or a connection breaks."""
        for attempt in range(self._settings.retries + 1):
            try:
                return ask()
            except RequestImpossibleError as error:
                raise _unreachable(url, str(error)) from error
            except ConnectionBrokenError as error:
                problem, wish = str(error), error.pause_seconds
            if attempt == self._settings.retries or (wish or 0) > _LONGEST_WISH_SECONDS:
                raise _unreachable(url, problem, attempt + 1)
            self._sleep(_pause(attempt) if wish is None else wish)
        raise AssertionError

    @contextlib.contextmanager
    def ask(self, url: str, headers: Mapping[str, str]) -> Generator[Reply]:
        """Yield one answer that is neither a redirect nor an excuse."""
        if self._settings.offline:
            raise OfflineError(without_credentials(url), "this build")
        with contextlib.ExitStack() as stack:
            for _ in range(_MOST_HOPS):
                answer = stack.enter_context(self._send(url, headers))
                location = answer.headers.get("location")
                if not 300 <= answer.status_code < 400 or location is None:  # ruff: ignore[magic-value-comparison]
                    self._check(answer, url, _UNABLE if "Range" in headers else set())
                    yield Reply(answer=answer, url=without_credentials(url))
                    return
                url = self._follow(url, location)
                _drain(answer)
                stack.close()
        raise _unreachable(url, "it redirects in a circle")

    def get(self, url: str, headers: Mapping[str, str]) -> tuple[Reply, bytes] | None:
        """Return an answer with its whole body; None if there is nothing at ``url``."""

        def read() -> tuple[Reply, bytes] | None:
            with self.ask(url, headers) as reply:
                if reply.answer.status_code in GONE:
                    _drain(reply.answer)
                    return None
                return reply, read_whole(reply.answer)

        return self.insist(url, read)

    def is_safe(self, url: str) -> bool:
        """Return whether what comes from ``url`` cannot be changed on the way, or is trusted."""
        return is_safe(url, self._settings.trusted_hosts)

    # One request

    @contextlib.contextmanager
    def _send(self, url: str, headers: Mapping[str, str]) -> Generator[Answer]:
        """Yield the answer to one request; if we are refused, the keyring has a word."""
        answer = self._send_as(self._credentials.find(url), url, headers)
        if answer.status_code == UNAUTHORISED:
            login = self._credentials.find_after_refusal(url)
            if login is not None:
                answer.close()
                answer = self._send_as(login, url, headers)
        with contextlib.closing(answer):
            yield answer

    def _send_as(self, login: str | None, url: str, headers: Mapping[str, str]) -> Answer:
        connections, place = self._open(url), without_credentials(url)
        every = {**_OURS, **headers, **({"Authorization": login} if login else {})}
        try:
            return connections.send(place, every)
        except DisbelievedError:
            if not self._certificates.complete():
                raise
            return connections.send(place, every)

    def _follow(self, url: str, location: str) -> str:
        try:
            target = urljoin(without_credentials(url), location)
            scheme = urlsplit(target).scheme
        except ValueError as error:
            raise _unreachable(url, f"it redirects to nowhere: {error}") from error
        if scheme not in {"http", "https"} or (
            url.lower().startswith("https:") and not self.is_safe(target)
        ):
            place = without_credentials(target)
            raise _unreachable(url, f"it redirects to `{place}`, which is not safe")
        return target

    @staticmethod
    def _check(answer: Answer, url: str, tolerated: set[int]) -> None:
        """Refuse what is no answer, unless it says that there is nothing."""
        status = answer.status_code
        if status in _BUSY:
            raise _BusyError(status, _read_wish(answer.headers.get("retry-after")))
        if status in FORBIDDEN:
            raise IndexRefusedError(without_credentials(url), status)
        if status not in {GOOD, PARTIAL, *GONE, *tolerated}:
            raise _unreachable(url, f"HTTP {status}")

    # The connections

    def _open(self, url: str) -> Connections:
        with self._lock:
            if not self._connections and not self._settings.proxies and _HAS_OWN_PROXIES:
                self._settings = replace(self._settings, proxies=read_system_proxies())
            proxy = find_proxy(url, self._settings)
            if proxy not in self._connections:
                self._connections[proxy] = self._connect(proxy)
            return self._connections[proxy]

    def _connect(self, proxy: str | None) -> Connections:
        settings, certificates = self._settings, self._certificates
        if proxy is None:
            return StraightConnections(certificates.find, settings.timeout_seconds)
        from wheelforge._index._proxied import ProxiedConnections

        return ProxiedConnections(proxy, settings, certificates.context)


def _drain(answer: Answer) -> None:
    """Read what nobody needs, if that is little: the connection can be used again then."""
    length = answer.headers.get("content-length", "")
    if length.isdecimal() and int(length) <= _MOST_DRAINED:
        read_whole(answer)


def raise_status(reply: Reply) -> NoReturn:
    """Refuse an answer whose status is not the one that is needed."""
    raise _unreachable(reply.url, f"HTTP {reply.answer.status_code}")


def _unreachable(url: str, problem: str, attempts: int = 1) -> IndexUnreachableError:
    return IndexUnreachableError(without_credentials(url), problem, attempts)


def _pause(attempt: int) -> float:
    """Return how long to wait: longer each time, and not as long as everybody else."""
    from random import SystemRandom

    longest = min(_FIRST_PAUSE_SECONDS * (1 << attempt), _LONGEST_PAUSE_SECONDS)
    return longest * SystemRandom().uniform(0.5, 1.0)


def _read_wish(text: str | None) -> float | None:
    """Return how many seconds a server asks us to wait."""
    if not text:
        return None
    if text.strip().isdecimal():
        return float(text)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
