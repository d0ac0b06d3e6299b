"""Requests with redirects, credentials and retries.

Redirects are followed here, not by urllib3: each hop gets its own credentials, and none leads from
a safe connection to an unsafe one.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, NoReturn, TypeVar
from urllib.parse import urljoin, urlsplit

from urllib3 import Retry
from urllib3.exceptions import InvalidHeader

from wheelforge.errors import OfflineError, PackageIndexError
from wheelforge.index.auth import Credentials
from wheelforge.index.proxies import find_proxy, read_system_proxies
from wheelforge.index.tls import is_safe
from wheelforge.index.transport import Connections, RequestFailedError
from wheelforge_isolation.formats.urls import redact, without_credentials

if TYPE_CHECKING:
    from wheelforge.index.models import Sleep
    from wheelforge.index.settings import IndexSettings
    from wheelforge.index.transport import Answer

T = TypeVar("T")

GOOD, PARTIAL, UNCHANGED = 200, 206, 304
GONE = {404, 410}
UNAUTHORISED, FORBIDDEN = 401, {401, 403, 407}
_BUSY = {408, 425, 429, 500, 502, 503, 504, *range(520, 528), 529, 530}
_NO_RANGES = {400, 405, 416, 501}
"""Servers without ranges answer with these."""
_HAS_SYSTEM_PROXIES = sys.platform in {"darwin", "win32"}
_MOST_HOPS = 20
_HEADERS = {"User-Agent": "wheelforge", "Accept-Encoding": "gzip"}
AS_IT_IS = {"Accept": "*/*", "Accept-Encoding": "identity"}
"""A file is hashed as it was published, not as it travels."""
_MOST_DRAINED = 1 << 14
_LONGEST_WAIT_SECONDS = 120.0
"""A server that asks for a longer pause is not waited for."""


class Client:
    """Asks servers; to be used by any number of threads."""

    def __init__(self, settings: IndexSettings, sleep: Sleep, note: Callable[[str], None]) -> None:
        self._settings = settings
        self._sleep = sleep
        self._credentials = Credentials(settings, note)
        self._connections = Connections(settings)
        self._lock = Lock()

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    def persist(self, url: str, ask: Callable[[], T]) -> T:
        """Return the result of ``ask``, which is called again after failures that may pass."""
        retry = Retry(
            self._settings.retries, backoff_factor=0.25, backoff_max=8, backoff_jitter=0.1
        )
        while True:
            try:
                return ask()
            except RequestFailedError as error:
                failure = error
            wait = failure.retry_after
            if failure.is_final or not retry.total or (wait or 0) > _LONGEST_WAIT_SECONDS:
                raise _unreachable(url, str(failure), len(retry.history) + 1) from failure
            retry = retry.increment(error=failure)
            self._sleep(retry.get_backoff_time() if wait is None else wait)

    @contextlib.contextmanager
    def ask(
        self, url: str, headers: Mapping[str, str], *, is_verified: bool = False
    ) -> Generator[Answer]:
        """Yield the final answer, whose status is of a file or a part, of absence, or of no ranges.

        Without TLS, only what is ``is_verified`` by a hash may come from another machine.
        """
        if self._settings.offline:
            raise OfflineError("offline", redact(url), "this build")
        if not is_verified and not self.is_safe(url):
            raise _unreachable(url, "without TLS, a file needs a SHA-256 hash or a trusted host")
        with contextlib.ExitStack() as stack:
            for _ in range(_MOST_HOPS):
                answer = stack.enter_context(self._send(url, headers))
                location = answer.headers.get("location")
                if not 300 <= answer.status < 400 or location is None:  # ruff: ignore[magic-value-comparison]
                    self._check(answer, _list_tolerated(headers))
                    yield answer
                    return
                url = self._follow(url, location, is_verified=is_verified)
                _drain(answer)
                stack.close()
        raise _unreachable(url, "it redirects in a circle")

    def get(
        self, url: str, headers: Mapping[str, str], most_bytes: int, *, is_verified: bool = False
    ) -> tuple[Answer, bytes] | None:
        """Return an answer with its whole body; None if there is nothing at ``url``."""

        def read() -> tuple[Answer, bytes] | None:
            with self.ask(url, headers, is_verified=is_verified) as answer:
                if answer.status in GONE:
                    _drain(answer)
                    return None
                return answer, answer.read(most_bytes)

        return self.persist(url, read)

    def is_safe(self, url: str) -> bool:
        """Return whether an answer from ``url`` cannot be changed on the way, or is trusted."""
        return is_safe(url, self._settings.trusted_hosts)

    # One request

    @contextlib.contextmanager
    def _send(self, url: str, headers: Mapping[str, str]) -> Generator[Answer]:
        """Yield the answer to one request, sent again with the keyring's login after a refusal."""
        with self._lock:
            if _HAS_SYSTEM_PROXIES and not self._settings.proxies:
                self._settings = replace(self._settings, proxies=read_system_proxies())
            settings = self._settings
            # As with pip, pip's own proxy setting has no exceptions.
            proxy = settings.proxy or find_proxy(url, settings.proxies, settings.direct_hosts)

        def send(login: str | None) -> Answer:
            every = {**_HEADERS, **headers, **({"Authorization": login} if login else {})}
            return self._connections.send(without_credentials(url), every, proxy)

        answer = send(self._credentials.find(url))
        if answer.status == UNAUTHORISED:
            login = self._credentials.find_after_refusal(url)
            if login is not None:
                answer.close()
                answer = send(login)
        with contextlib.closing(answer):
            yield answer

    def _follow(self, url: str, location: str, *, is_verified: bool) -> str:
        try:
            target = urljoin(without_credentials(url), location)
            scheme = urlsplit(target).scheme
        except ValueError as error:
            raise _unreachable(url, f"it redirects to nowhere: {error}") from error
        needs_safety = not is_verified or url.lower().startswith("https:")
        if scheme not in {"http", "https"} or (needs_safety and not self.is_safe(target)):
            raise _unreachable(url, f"it redirects to `{redact(target)}`, which is not safe")
        return target

    @staticmethod
    def _check(answer: Answer, tolerated: set[int]) -> None:
        """Refuse an answer that neither has nor denies what was asked for."""
        status = answer.status
        if status in _BUSY:
            wait = _read_retry_after(answer.headers.get("retry-after", ""))
            raise RequestFailedError(f"HTTP {status}", retry_after=wait)
        if status in FORBIDDEN:
            raise PackageIndexError("index-refused", answer.url, status)
        if status not in {GOOD, PARTIAL, *GONE, *tolerated}:
            raise_status(answer)


def _list_tolerated(headers: Mapping[str, str]) -> set[int]:
    """Return the statuses that a condition in the request may be answered with."""
    unchanged = {UNCHANGED} if "If-None-Match" in headers else set[int]()
    return unchanged | (_NO_RANGES if "Range" in headers else set())


def _drain(answer: Answer) -> None:
    """Read a small body of no interest: the connection can be used again then."""
    length = answer.length
    if length is not None and length <= _MOST_DRAINED:
        for _ in answer.chunks(_MOST_DRAINED):
            pass


def raise_status(answer: Answer) -> NoReturn:
    """Refuse an answer for its status."""
    raise _unreachable(answer.url, f"HTTP {answer.status}")


def _unreachable(url: str, problem: str, attempts: int = 1) -> PackageIndexError:
    return PackageIndexError("index-unreachable", redact(url), problem, attempts)


def _read_retry_after(text: str) -> float | None:
    """Return how many seconds a server asks to wait; None if it does not, or makes no sense."""
    try:
        return Retry().parse_retry_after(text) if text else None
    except (InvalidHeader, ValueError, OverflowError):
        return None
