"""What a wheel or its metadata file holds, read from where it is."""

from __future__ import annotations

import re
from io import SEEK_END
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, cast

from wheelforge._index._client import GONE, GOOD, PARTIAL, raise_status
from wheelforge._index._download import AS_IT_IS, CHUNK_BYTES, Check, receive_whole
from wheelforge._index._metadata import Window, parse_metadata, read_wheel_metadata
from wheelforge._index._values import path_of, reading
from wheelforge.errors import MetadataInvalidError

if TYPE_CHECKING:
    from wheelforge._index._client import Client, Reply
    from wheelforge._index._values import Candidate, Metadata

TAIL_BYTES = 256 << 10
"""Most build backends are smaller, and need no second request to be had whole."""
_MOST_KEPT_BYTES = 64 << 20
_WORTH_A_REQUEST = 4 * TAIL_BYTES
_SPAN = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class MetadataReader:
    """Reads metadata; wheels that come whole by the way are kept for when they are wanted."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kept: dict[str, bytes] = {}
        self._kept_bytes = 0
        self._from_beside: dict[str, Metadata] = {}
        """By the URL of the wheel, which nobody has seen yet."""
        self._lock = Lock()

    def take(self, candidate: Candidate) -> bytes | None:
        """Return the content of a file if it is here; it is not kept any longer."""
        with self._lock:
            content = self._kept.pop(_key(candidate), None)
            self._kept_bytes -= len(content or b"")
        return content

    def read(self, candidate: Candidate) -> Metadata:
        """Return what a wheel asks for."""
        if candidate.url.startswith("file:"):
            return self._read_local(candidate)
        if candidate.metadata_hashes is not None:
            beside = self._read_beside(candidate)
            if beside is not None:
                found = self._from_beside[candidate.url] = parse_metadata(beside, candidate)
                return found
        window = self._open(candidate)
        self._keep(window, candidate)
        return read_wheel_metadata(window, candidate)

    def compare(self, candidate: Candidate, path: str) -> None:
        """Refuse, and remove, a wheel that asks for something else than the file beside it says."""
        said = self._from_beside.get(candidate.url)
        if said is not None and said != self._read_file(candidate, path):
            Path(path).unlink()
            reason = "it asks for something else than the metadata file beside it says"
            raise MetadataInvalidError(candidate.file_name, reason)

    def _read_local(self, candidate: Candidate) -> Metadata:
        return self._read_file(candidate, path_of(candidate.url))

    @staticmethod
    def _read_file(candidate: Candidate, path: str) -> Metadata:
        with reading(path), Path(path).open("rb") as file:

            def read(start: int, stop: int) -> bytes:
                file.seek(start)
                return file.read(stop - start)

            size = file.seek(0, SEEK_END)
            return read_wheel_metadata(Window(size, size, b"", read), candidate)

    def _read_beside(self, candidate: Candidate) -> bytes | None:
        """Return the metadata file, checked; None if it is not there, though it was promised."""
        found = self._client.get(f"{candidate.url}.metadata", {"Accept": "*/*"})
        if found is None:
            return None
        check = Check(candidate, candidate.metadata_hashes or {}, None)
        check.update(found[1])
        check.finish()
        return found[1]

    def _keep(self, window: Window, candidate: Candidate) -> None:
        content = window.whole
        if content is None:
            return
        with self._lock:
            if self._kept_bytes + len(content) <= _MOST_KEPT_BYTES:
                self._kept_bytes += len(content)
                self._kept[_key(candidate)] = content

    # By ranges

    def _open(self, candidate: Candidate) -> Window:
        """Return the end of a wheel, or all of it where nothing less is to be had."""
        window = self._ask(candidate, f"bytes=-{TAIL_BYTES}")
        if isinstance(window, int):
            # Some stores give any part of a file, if only they are told where it starts.
            window = self._ask(candidate, f"bytes={window - TAIL_BYTES}-")
        if not isinstance(window, Window):
            window = self._ask(candidate, "")
        return cast("Window", window)

    def _ask(self, candidate: Candidate, span: str) -> Window | int | None:
        """Return a window; or the file's size, if asking again is better; or nothing."""

        def ask() -> Window | int | None:
            headers = {**AS_IT_IS, **({"Range": span} if span else {})}
            with self._client.ask(candidate.url, headers) as reply:
                return self._receive(reply, candidate, span)

        return self._client.insist(candidate.url, ask)

    def _receive(self, reply: Reply, candidate: Candidate, span: str) -> Window | int | None:
        status, headers = reply.answer.status_code, reply.answer.headers
        if status == PARTIAL:
            return self._receive_part(reply, candidate)
        if status != GOOD:
            return raise_status(reply) if not span or status in GONE else None
        size = int(headers.get("content-length", "0"))
        is_able = headers.get("accept-ranges", "").lower() == "bytes"
        if span.startswith("bytes=-") and is_able and size > _WORTH_A_REQUEST:
            return size
        return _receive_whole(reply, candidate)

    def _receive_part(self, reply: Reply, candidate: Candidate) -> Window | None:
        match = _SPAN.fullmatch(reply.answer.headers.get("content-range", ""))
        if match is None:
            return None
        start, _, size = map(int, match.groups())
        if start == 0:
            return _receive_whole(reply, candidate)
        content = b"".join(reply.answer.iter_raw(CHUNK_BYTES))

        def read(start: int, stop: int) -> bytes:
            return self._read_part(candidate, start, stop)

        return Window(size, start, content, read)

    def _read_part(self, candidate: Candidate, start: int, stop: int) -> bytes:
        def ask() -> bytes:
            headers = {**AS_IT_IS, "Range": f"bytes={start}-{stop - 1}"}
            with self._client.ask(candidate.url, headers) as reply:
                if reply.answer.status_code != PARTIAL:
                    raise_status(reply)
                return b"".join(reply.answer.iter_raw(CHUNK_BYTES))

        return self._client.insist(candidate.url, ask)


def _receive_whole(reply: Reply, candidate: Candidate) -> Window:
    content = receive_whole(reply.answer, candidate)
    return Window(len(content), 0, content, lambda _start, _stop: b"")


def _key(candidate: Candidate) -> str:
    return f"{candidate.url} {sorted(candidate.hashes.items())}"
