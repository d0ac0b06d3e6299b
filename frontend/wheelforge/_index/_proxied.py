"""Connections by way of a proxy: unearth's, which know how to ask one for anything."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from wheelforge._index._certificates import find_library
from wheelforge._index._connections import (
    DISBELIEF,
    KEPT_OPEN_SECONDS,
    ConnectionBrokenError,
    DisbelievedError,
    RequestImpossibleError,
)
from wheelforge._index._values import without_credentials
from wheelforge.errors import IndexSettingsInvalidError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from ssl import SSLContext

    from wheelforge._index._connections import Answer
    from wheelforge._index._values import IndexSettings


class ProxiedConnections:
    """Connections through one proxy; to be used by any number of threads."""

    def __init__(self, proxy: str, settings: IndexSettings, context: SSLContext) -> None:
        from unearth.fetchers.sync import PyPIClient

        self._library = library = find_library()
        try:
            self._session = PyPIClient(
                limits=library.Limits(keepalive_expiry=KEPT_OPEN_SECONDS),
                trusted_hosts=settings.trusted_hosts,
                verify=context,
                timeout=settings.timeout_seconds,
                # What the variables say is in the settings already, as far as it was wanted.
                trust_env=False,
                mounts=self._mount(proxy, settings.trusted_hosts),
                proxy=proxy,
            )
        except (library.InvalidURL, ImportError, ValueError) as error:
            raise IndexSettingsInvalidError(without_credentials(proxy), str(error)) from error

    def send(self, url: str, headers: Mapping[str, str]) -> Answer:
        """Return the answer to one request, its body still to come."""
        with self.translated():
            request = self._session.build_request("GET", url, headers=dict(headers))
            answer = self._session.send(request, stream=True, follow_redirects=False)
        return _ProxiedAnswer(answer, self)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def _mount(self, proxy: str, trusted_hosts: tuple[str, ...]) -> dict[str, Any]:
        # Otherwise the hosts whose certificates do not matter would be asked directly.
        return {
            f"all://{host}": self._library.HTTPTransport(verify=False, proxy=proxy, trust_env=False)
            for host in trusted_hosts
        }

    @contextlib.contextmanager
    def translated(self) -> Generator[None]:
        """Tell the troubles of a connection that may pass from those that will not."""
        library = self._library
        try:
            yield
        except (library.UnsupportedProtocol, library.InvalidURL, ValueError) as error:
            raise RequestImpossibleError(str(error)) from error
        except library.RequestError as error:
            problem = str(error) or type(error).__name__
            kind = DisbelievedError if DISBELIEF in problem else ConnectionBrokenError
            raise kind(problem) from error


class _ProxiedAnswer:
    """An answer of that library, whose errors are told apart as well."""

    def __init__(self, answer: Any, connections: ProxiedConnections) -> None:  # ruff: ignore[any-type]
        self.headers: Mapping[str, str] = answer.headers
        self.status_code: int = answer.status_code
        self._answer = answer
        self._connections = connections

    def iter_raw(self, chunk_size: int) -> Iterator[bytes]:
        chunks = self._answer.iter_raw(chunk_size)
        while True:
            with self._connections.translated():
                chunk: bytes | None = next(chunks, None)
            if chunk is None:
                return
            yield chunk

    def close(self) -> None:
        self._answer.close()
