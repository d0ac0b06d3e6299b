"""The metadata of a wheel, read where it is: from the file beside it, or by ranges."""

from __future__ import annotations

import re
from io import SEEK_END
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, NamedTuple, TypeAlias

from wheelforge.errors import MetadataInvalidError
from wheelforge.index.downloads import Check, measure, receive_whole
from wheelforge.index.http import AS_IT_IS, GONE, GOOD, PARTIAL, raise_status
from wheelforge.index.models import SECURE_HASHES, reading
from wheelforge.index.transport import RequestFailedError
from wheelforge.index.wheel_metadata import PartialFile, parse_metadata, read_metadata
from wheelforge_isolation.formats.urls import local_path

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from wheelforge.index.http import Client
    from wheelforge.index.models import Candidate, Metadata
    from wheelforge.index.prefetch import KeptFiles
    from wheelforge.index.transport import Answer

TAIL_BYTES = 256 << 10
"""Most build backends are smaller, and need no second request to be had whole."""
_MOST_METADATA_BYTES = 16 << 20
_MOST_PART_BYTES = 32 << 20
_WORTH_A_REQUEST = 4 * TAIL_BYTES
_SPAN = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


class MetadataReader:
    """Reads metadata; wheels that come whole on the way are kept for when they are wanted."""

    def __init__(self, client: Client, kept: KeptFiles) -> None:
        self._client = client
        self._kept = kept
        self._whole: dict[str, IO[bytes]] = {}
        self._answered: dict[str, Metadata] = {}
        """By URL, the metadata that were read without the wheel's hash being checked."""
        self._lock = Lock()

    def take(self, candidate: Candidate) -> IO[bytes] | None:
        """Return the content of a wheel if it is here; to be closed."""
        with self._lock:
            content = self._whole.pop(_key(candidate), None)
        if content is not None:
            self._kept.release(measure(content))
        return content

    def read(self, candidate: Candidate) -> Metadata:
        """Return the metadata of a wheel."""
        path = local_path(candidate.url)
        if path is not None:
            return _read_local(candidate, path)
        if candidate.metadata_hashes is not None:
            beside = self._read_beside(candidate)
            if beside is not None:
                return self._remember(candidate, parse_metadata(beside, candidate))
        found = self._open(candidate)
        if isinstance(found, PartialFile):
            metadata = read_metadata(found, found.size_bytes, candidate)
            return self._remember(candidate, metadata)
        try:
            return _read_file(candidate, found)
        finally:
            self._keep(found, candidate)

    def close(self) -> None:
        """Drop the wheels that are kept."""
        with self._lock:
            for content in self._whole.values():
                content.close()

    def compare(self, candidate: Candidate, path: str) -> None:
        """Refuse, and remove, a wheel whose metadata are not those that were answered."""
        answered = self._answered.get(candidate.url)
        if answered is not None and answered != _read_local(candidate, path):
            Path(path).unlink()
            reason = "its requirements are not those that its index answered before"
            raise MetadataInvalidError(candidate.file_name, reason)

    def _remember(self, candidate: Candidate, metadata: Metadata) -> Metadata:
        self._answered[candidate.url] = metadata
        return metadata

    def _read_beside(self, candidate: Candidate) -> bytes | None:
        """Return the metadata file, checked; None if it is missing, though it was promised."""
        hashes = candidate.metadata_hashes or {}
        is_verified = candidate.has_secure_hash or not SECURE_HASHES.isdisjoint(hashes)
        url, headers = f"{candidate.url}.metadata", {"Accept": "*/*"}
        found = self._client.get(url, headers, _MOST_METADATA_BYTES, is_verified=is_verified)
        if found is None:
            return None
        check = Check(candidate, hashes, None)
        check.update(found[1])
        check.finish()
        return found[1]

    def _keep(self, content: IO[bytes], candidate: Candidate) -> None:
        size, key = measure(content), _key(candidate)
        with self._lock:
            is_kept = key not in self._whole and self._kept.reserve(size)
            if is_kept:
                self._whole[key] = content
        if not is_kept:
            content.close()

    # By ranges

    def _open(self, candidate: Candidate) -> PartialFile | IO[bytes]:
        """Return the end of a wheel, or all of it where it is not had in parts."""
        found = self._ask(candidate, f"bytes=-{TAIL_BYTES}")
        if isinstance(found, int):
            # Some stores give any part of a file, if only they are told where it starts.
            found = self._ask(candidate, f"bytes={found - TAIL_BYTES}-")
        if found is None or isinstance(found, int):
            return self._fetch_whole(candidate)
        return found

    def _ask(self, candidate: Candidate, span: str) -> _Found:
        def ask() -> _Found:
            with self._request(candidate, span) as answer:
                if answer.status == PARTIAL:
                    return self._receive_tail(answer, candidate)
                if answer.status in GONE:
                    raise_status(answer)
                if answer.status != GOOD:
                    return None
                size = answer.length or 0
                has_ranges = answer.headers.get("accept-ranges", "").lower() == "bytes"
                if span.startswith("bytes=-") and has_ranges and size > _WORTH_A_REQUEST:
                    return size
                return receive_whole(answer, candidate)

        return self._client.persist(candidate.url, ask)

    def _fetch_whole(self, candidate: Candidate) -> IO[bytes]:
        def ask() -> IO[bytes]:
            with self._request(candidate, "") as answer:
                if answer.status != GOOD:
                    raise_status(answer)
                return receive_whole(answer, candidate)

        return self._client.persist(candidate.url, ask)

    def _request(self, candidate: Candidate, span: str) -> AbstractContextManager[Answer]:
        headers = {**AS_IT_IS, **({"Range": span} if span else {})}
        return self._client.ask(candidate.url, headers, is_verified=candidate.has_secure_hash)

    def _receive_tail(self, answer: Answer, candidate: Candidate) -> PartialFile | IO[bytes] | None:
        """Return the end of a file; None if the answer is another part, or more than that."""
        span = _read_span(answer)
        if span is None or span.stop != span.total or span.stop - span.start > TAIL_BYTES:
            return None
        if span.start == 0:
            return receive_whole(answer, candidate, span.total)
        content = _receive_part(answer, span.start, span.stop)

        def read(start: int, stop: int) -> bytes:
            return self._read_part(candidate, start, stop)

        return PartialFile(span.total, span.start, content, read)

    def _read_part(self, candidate: Candidate, start: int, stop: int) -> bytes:
        if stop - start > _MOST_PART_BYTES:
            raise MetadataInvalidError(candidate.file_name, "its directory is too large")

        def ask() -> bytes:
            with self._request(candidate, f"bytes={start}-{stop - 1}") as answer:
                span = _read_span(answer)
                if span is None or (span.start, span.stop) != (start, stop):
                    raise_status(answer)
                return _receive_part(answer, start, stop)

        return self._client.persist(candidate.url, ask)


class _Span(NamedTuple):
    """The part of a file that an answer holds."""

    start: int
    stop: int
    total: int


_Found: TypeAlias = "PartialFile | IO[bytes] | int | None"
"""A part or the whole; or the file's size, if asking again is better; or nothing usable."""


def _read_span(answer: Answer) -> _Span | None:
    match = _SPAN.fullmatch(answer.headers.get("content-range", ""))
    if match is None or answer.status != PARTIAL:
        return None
    start, last, total = map(int, match.groups())
    return _Span(start, last + 1, total) if start <= last < total else None


def _receive_part(answer: Answer, start: int, stop: int) -> bytes:
    content = b"".join(answer.chunks(stop - start))
    if len(content) != stop - start:
        raise RequestFailedError("it answers with less than it says")
    return content


def _read_local(candidate: Candidate, path: str) -> Metadata:
    with reading(path), Path(path).open("rb") as file:
        return _read_file(candidate, file)


def _read_file(candidate: Candidate, file: IO[bytes]) -> Metadata:
    return read_metadata(file, file.seek(0, SEEK_END), candidate)


def _key(candidate: Candidate) -> str:
    return f"{candidate.url} {sorted(candidate.hashes.items())}"
