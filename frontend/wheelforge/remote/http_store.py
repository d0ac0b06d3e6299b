"""A remote cache that is asked over HTTP: `GET`, `HEAD` and `PUT`, as Bazel's caches are."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from wheelforge.index.auth import Credentials
from wheelforge.index.http import AS_IT_IS, FORBIDDEN, GONE, GOOD
from wheelforge.index.proxies import find_proxy
from wheelforge.index.transport import Connections, RequestFailedError, Upload
from wheelforge.remote.stores import RemoteFailedError
from wheelforge_isolation.formats.urls import without_credentials

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from wheelforge.index.settings import IndexSettings
    from wheelforge.index.transport import Answer
    from wheelforge.remote.stores import Output

_DONE = {200, 201, 202, 204, 409, 412}
"""Answers to an upload; the last two if somebody else has just put something as good there."""
_SLOWEST_BYTES_PER_SECOND = 256 << 10
_HEADERS = {**AS_IT_IS, "User-Agent": "wheelforge"}


class HttpStore:
    """One server, and the paths below its URL."""

    def __init__(self, url: str, index: IndexSettings, timeout_seconds: float) -> None:
        self._url = url.rstrip("/")
        self._settings = replace(
            index, index_urls=(self._url,), find_links=(), timeout_seconds=timeout_seconds
        )
        self._seconds = timeout_seconds
        self._connections = Connections(self._settings, patience=1)
        self._login = Credentials(self._settings, lambda _: None).find(self._url)

    def fetch(self, path: str, output: Output, most_bytes: int) -> bool:
        """Write what is at ``path`` to ``output``; return whether there is anything."""
        end = time.monotonic() + self._seconds
        with self._ask("GET", path) as answer:
            if answer.status in GONE:
                return False
            if answer.status != GOOD:
                raise _refuse(answer)
            for chunk in answer.chunks(most_bytes):
                output.write(chunk)
                end += len(chunk) / _SLOWEST_BYTES_PER_SECOND
                if time.monotonic() > end:
                    raise RemoteFailedError("it is too slow", is_final=True)
            return True

    def has(self, path: str) -> bool:
        """Return whether there is anything at ``path``."""
        with self._ask("HEAD", path) as answer:
            if answer.status not in {GOOD, *GONE}:
                raise _refuse(answer)
            return answer.status == GOOD

    def write(self, path: str, content: bytes | Path) -> None:
        """Put bytes, or those of a file, to ``path``: all of them, or nothing."""
        with contextlib.ExitStack() as stack:
            try:
                if isinstance(content, bytes):
                    upload, size = Upload("PUT", content), len(content)
                else:
                    upload = Upload("PUT", stack.enter_context(content.open("rb")))
                    size = content.stat().st_size
            except OSError as error:
                raise RemoteFailedError(error.strerror or str(error)) from error
            with self._ask(upload, path, {"Content-Length": str(size)}) as answer:
                if answer.status not in _DONE:
                    raise _refuse(answer)

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    @contextlib.contextmanager
    def _ask(
        self, method: str | Upload, path: str, headers: dict[str, str] | None = None
    ) -> Generator[Answer]:
        url, settings = f"{self._url}/{path}", self._settings
        login = {"Authorization": self._login} if self._login else {}
        every = {**_HEADERS, **(headers or {}), **login}
        proxy = settings.proxy or find_proxy(url, settings.proxies, settings.direct_hosts)
        upload = Upload(method) if isinstance(method, str) else method
        try:
            answer = self._connections.send(without_credentials(url), every, proxy, upload)
            with contextlib.closing(answer):
                yield answer
                # A connection can be used again once the whole answer was read.
                if upload.method != "GET" or answer.status in GONE:
                    for _ in answer.chunks(_MOST_DRAINED_BYTES):
                        pass
        except RequestFailedError as error:
            # No answer in time, or none at all: the next one is not waited for.
            raise RemoteFailedError(str(error), is_final=True) from error


_MOST_DRAINED_BYTES = 1 << 16


def _refuse(answer: Answer) -> RemoteFailedError:
    return RemoteFailedError(f"HTTP {answer.status}", is_final=answer.status in FORBIDDEN)
