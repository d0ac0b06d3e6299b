"""Small files, fetched into memory before they are asked for: most of a download is waiting."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from wheelforge._index._client import GOOD
from wheelforge._index._download import AS_IT_IS, receive_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from wheelforge._index._client import Client, Reply
    from wheelforge._index._values import Candidate

    Content = Future[bytes | None]

_MOST_BYTES = 16 << 20
_MOST_KEPT_BYTES = 64 << 20


class Ahead:
    """Files on their way; to be used by any number of threads."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._coming: dict[str, Content] = {}
        self._kept_bytes = 0
        self._lock = Lock()

    def expect(
        self, candidate: Candidate, start: Callable[[Callable[[], bytes | None]], Content]
    ) -> None:
        """Have the file come, by ``start``, unless it comes already or is on this machine."""
        with self._lock:
            if candidate.url not in self._coming and not candidate.url.startswith("file:"):
                self._coming[candidate.url] = start(lambda: self._load(candidate))

    def take(self, candidate: Candidate) -> bytes | None:
        """Return the content of a file if it was expected, and is small; it is not kept longer."""
        with self._lock:
            coming = self._coming.pop(candidate.url, None)
        if coming is None or coming.cancel():  # nobody has begun, and we can as well
            return None
        content = coming.result()
        with self._lock:
            self._kept_bytes -= len(content or b"")
        return content

    def _load(self, candidate: Candidate) -> bytes | None:
        def ask() -> bytes | None:
            with self._client.ask(candidate.url, AS_IT_IS) as reply:
                return self._receive(reply, candidate)

        return self._client.insist(candidate.url, ask)

    def _receive(self, reply: Reply, candidate: Candidate) -> bytes | None:
        """Return the content, checked; nothing where it is better written as it comes."""
        length = reply.answer.headers.get("content-length", "")
        size = int(length) if length.isdecimal() else _MOST_BYTES
        if reply.answer.status_code != GOOD or not self._has_room(size):
            return None
        content = receive_whole(reply.answer, candidate)
        with self._lock:
            self._kept_bytes += len(content)
        return content

    def _has_room(self, size_bytes: int) -> bool:
        return size_bytes < _MOST_BYTES and self._kept_bytes + size_bytes <= _MOST_KEPT_BYTES
