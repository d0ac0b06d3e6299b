"""Small files, fetched before they are asked for: most of a download is waiting."""

from __future__ import annotations

from threading import Lock
from typing import IO, TYPE_CHECKING

from wheelforge.index.downloads import measure, receive_whole
from wheelforge.index.http import AS_IT_IS, GOOD

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from wheelforge.index.http import Client
    from wheelforge.index.models import Candidate
    from wheelforge.index.transport import Answer

    Content = IO[bytes] | None

_MOST_BYTES = 16 << 20


class KeptFiles:
    """The room for whole files that came early, shared by all that keep some."""

    def __init__(self, most_bytes: int = 64 << 20) -> None:
        self._free_bytes = most_bytes
        self._lock = Lock()

    def reserve(self, size_bytes: int) -> bool:
        """Take the room for a file; return whether there is enough."""
        with self._lock:
            has_room = size_bytes <= self._free_bytes
            if has_room:
                self._free_bytes -= size_bytes
        return has_room

    def release(self, size_bytes: int) -> None:
        """Give the room of a file back."""
        with self._lock:
            self._free_bytes += size_bytes


class Prefetcher:
    """Files on their way; to be used by any number of threads."""

    def __init__(self, client: Client, kept: KeptFiles) -> None:
        self._client = client
        self._kept = kept
        self._coming: dict[str, Future[Content]] = {}
        self._lock = Lock()

    def expect(
        self, candidate: Candidate, start: Callable[[Callable[[], Content]], Future[Content]]
    ) -> None:
        """Have ``start`` fetch the file, unless that was done already or it is on this machine."""
        with self._lock:
            if candidate.url not in self._coming and not candidate.url.startswith("file:"):
                self._coming[candidate.url] = start(lambda: self._load(candidate))

    def take(self, candidate: Candidate) -> Content:
        """Return the content of a file if it was expected and is small; to be closed."""
        with self._lock:
            coming = self._coming.pop(candidate.url, None)
        if coming is None or coming.cancel():  # not begun: the caller can begin as well
            return None
        content = coming.result()
        if content is not None:
            self._kept.release(measure(content))
        return content

    def close(self) -> None:
        """Drop the files that came, once no more of them can come."""
        with self._lock:
            coming = [future for future in self._coming.values() if not future.cancelled()]
            self._coming.clear()
        for future in coming:
            content = None if future.exception() else future.result()
            if content is not None:
                content.close()

    def _load(self, candidate: Candidate) -> Content:
        is_verified = candidate.has_secure_hash

        def ask() -> Content:
            with self._client.ask(candidate.url, AS_IT_IS, is_verified=is_verified) as answer:
                return self._receive(answer, candidate)

        return self._client.persist(candidate.url, ask)

    def _receive(self, answer: Answer, candidate: Candidate) -> Content:
        """Return the content, checked; None if it is better written as it comes."""
        size = answer.length
        if answer.status != GOOD or size is None or size > _MOST_BYTES:
            return None
        if not self._kept.reserve(size):
            return None
        try:
            return receive_whole(answer, candidate, size)
        except BaseException:
            self._kept.release(size)
            raise
