"""Requests that persist: redirects, credentials, and patience with servers that are busy.

The connections are unearth's, which keeps them open and shares them between threads. Redirects
are followed here, so that every hop gets its own credentials and none leads from a safe
connection to an unsafe one.
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar
from urllib.parse import urljoin, urlsplit

from wheelforge._index._certificates import (
    complete_certificates,
    find_library,
    load_certificates,
)
from wheelforge._index._credentials import Credentials
from wheelforge._index._proxies import find_proxy, read_system_proxies
from wheelforge._index._values import without_credentials
from wheelforge.errors import (
    IndexRefusedError,
    IndexSettingsInvalidError,
    IndexUnreachableError,
    OfflineError,
)
from wheelforge_isolation.values import Value, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from types import ModuleType

    from unearth.fetchers.sync import PyPIClient

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
_DISBELIEF = "CERTIFICATE_VERIFY_FAILED"
_KEPT_OPEN_SECONDS = 60.0
_MOST_DRAINED = 1 << 14
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 8.0
_LONGEST_WISH_SECONDS = 120.0
"""A server that asks for a longer pause is taken to say no."""


class Answer(Protocol):
    """What comes back from a server; the body is read as it comes, and as it is."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def status_code(self) -> int: ...

    def iter_raw(self, chunk_size: int | None = None) -> Iterator[bytes]: ...

    def read(self) -> bytes: ...


class Reply(Value):
    """An answer, and the URL that gave it after all redirects."""

    answer: Answer
    url: str


class _TryAgainError(Exception):
    """Something went wrong that may go right the next time."""

    def __init__(self, problem: str, pause_seconds: float | None = None) -> None:
        super().__init__(problem, pause_seconds)
        self.problem = problem
        self.pause_seconds = pause_seconds


class Client:
    """Asks servers; made with the first request, as loading it takes a while."""

    def __init__(self, settings: IndexSettings, sleep: Sleep, note: Callable[[str], None]) -> None:
        self._settings = settings
        self._sleep = sleep
        self._credentials = Credentials(settings, note)
        self._sessions: dict[str | None, PyPIClient] = {}
        """By the proxy that they go through."""
        self._library: ModuleType | None = None
        self._lock = Lock()

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for session in self._sessions.values():
                session.close()
            self._sessions.clear()

    def insist(self, url: str, ask: Callable[[], T]) -> T:
        """Return what ``ask`` does, trying again while a server is busy or a connection breaks."""
        for attempt in range(self._settings.retries + 1):
            try:
                with self._translated(url):
                    return ask()
            except _TryAgainError as error:
                problem, wish = error.problem, error.pause_seconds
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
                return reply, reply.answer.read()

        return self.insist(url, read)

    def is_safe(self, url: str) -> bool:
        """Return whether what comes from ``url`` cannot be changed on the way, or is trusted."""
        if not url.lower().startswith("http://"):
            return True
        from unearth import Link
        from unearth.collector import is_secure_origin

        session: Any = self._open(url)
        return is_secure_origin(session, Link(url))

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

    def _send_as(self, login: str | None, url: str, headers: Mapping[str, str]) -> Any:  # ruff: ignore[any-type]
        session = self._open(url)
        every = {**headers, **({"Authorization": login} if login else {})}
        request = session.build_request("GET", without_credentials(url), headers=every)
        library: Any = self._library
        try:
            return session.send(request, stream=True, follow_redirects=False)
        except library.RequestError as error:
            if _DISBELIEF not in str(error):
                raise
            complete_certificates()
            return session.send(request, stream=True, follow_redirects=False)

    def _follow(self, url: str, location: str) -> str:
        target = urljoin(without_credentials(url), location)
        scheme = urlsplit(target).scheme
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
            raise _TryAgainError(f"HTTP {status}", _read_wish(answer.headers.get("retry-after")))
        if status in FORBIDDEN:
            raise IndexRefusedError(without_credentials(url), status)
        if status not in {GOOD, PARTIAL, *GONE, *tolerated}:
            raise _unreachable(url, f"HTTP {status}")

    @contextlib.contextmanager
    def _translated(self, url: str) -> Generator[None]:
        """Tell the troubles of a connection that may pass from those that will not."""
        self._open(url)
        library: Any = self._library
        try:
            yield
        except (library.UnsupportedProtocol, library.InvalidURL, ValueError) as error:
            raise _unreachable(url, str(error)) from error
        except library.RequestError as error:
            problem = str(error) or type(error).__name__
            if _DISBELIEF in problem:
                raise _unreachable(url, problem) from error
            raise _TryAgainError(problem) from error

    # The connections

    def _open(self, url: str) -> PyPIClient:
        with self._lock:
            if self._library is None and not self._settings.proxies and _HAS_OWN_PROXIES:
                self._settings = replace(self._settings, proxies=read_system_proxies())
            proxy = find_proxy(url, self._settings)
            if proxy not in self._sessions:
                self._sessions[proxy] = self._make_session(proxy)
            return self._sessions[proxy]

    def _make_session(self, proxy: str | None) -> PyPIClient:
        from unearth.fetchers.sync import PyPIClient

        library: Any = find_library()
        self._library = library
        try:
            return PyPIClient(
                limits=library.Limits(keepalive_expiry=_KEPT_OPEN_SECONDS),
                trusted_hosts=self._settings.trusted_hosts,
                verify=self._make_verification(),
                timeout=self._settings.timeout_seconds,
                headers={"User-Agent": "wheelforge", "Accept-Encoding": "gzip"},
                # What the variables say is in the settings already, as far as it was wanted.
                trust_env=False,
                **self._make_proxy(proxy),
            )
        except (library.InvalidURL, ImportError, ValueError) as error:
            raise IndexSettingsInvalidError(without_credentials(proxy or ""), str(error)) from error

    def _make_proxy(self, proxy: str | None) -> dict[str, Any]:
        library: Any = self._library
        if proxy is None:
            return {}
        # Otherwise the hosts whose certificates do not matter would be asked directly.
        transports = {
            f"all://{host}": library.HTTPTransport(verify=False, proxy=proxy, trust_env=False)
            for host in self._settings.trusted_hosts
        }
        return {"mounts": transports, "proxy": proxy}

    def _make_verification(self) -> Any:  # ruff: ignore[any-type]
        settings = self._settings
        if not settings.ca_bundle and not settings.client_certificate:
            return load_certificates()
        import ssl

        bundle = settings.ca_bundle
        is_directory = bundle is not None and Path(bundle).is_dir()
        try:
            context = ssl.create_default_context(
                cafile=None if is_directory else bundle, capath=bundle if is_directory else None
            )
            if settings.client_certificate:
                context.load_cert_chain(settings.client_certificate)
        except OSError as error:
            path = f"{bundle or ''} {settings.client_certificate or ''}".strip()
            raise IndexUnreachableError(path, f"unusable certificates: {error}", 0) from error
        return context


def _drain(answer: Answer) -> None:
    """Read what nobody needs, if that is little: the connection can be used again then."""
    length = answer.headers.get("content-length", "")
    if length.isdecimal() and int(length) <= _MOST_DRAINED:
        answer.read()


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
