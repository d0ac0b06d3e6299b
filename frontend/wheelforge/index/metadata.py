"""The metadata of a wheel, read where it is: from the file beside it, or without having all of it.

A wheel is a zip, whose directory is at its end and whose METADATA usually stands just before. So
the end of a wheel is asked for first, and most build backends are so small that this is all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from io import SEEK_END, SEEK_SET
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from packaging.utils import canonicalize_name

from wheelforge.errors import MetadataInvalidError
from wheelforge.index.downloads import receive, receive_file
from wheelforge.index.http import AS_IT_IS, GONE, GOOD, PARTIAL, raise_status
from wheelforge.index.models import SECURE_HASHES, Metadata, reading
from wheelforge.index.transport import RequestFailedError
from wheelforge_isolation import ArchiveError, read_wheel_metadata, remove_file
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import normalize_name, parse_version
from wheelforge_isolation.formats.metadata import all_values, first_value, only_value, parse_fields
from wheelforge_isolation.formats.urls import local_path

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from wheelforge.index.downloads import EarlyFiles
    from wheelforge.index.http import Client
    from wheelforge.index.models import Candidate
    from wheelforge.index.transport import Answer

TAIL_BYTES = 256 << 10
"""Most build backends are smaller, and need no second request to be had whole."""
_MOST_METADATA_BYTES = 16 << 20
_MOST_PART_BYTES = 32 << 20
_AHEAD_BYTES = 64 << 10
"""More than nearly every METADATA; another request takes longer than these bytes."""
_WORTH_A_REQUEST = 4 * TAIL_BYTES
_MOST_REQUIREMENTS = 20_000
_SHOWN = 200
_SPAN = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


class MetadataReader:
    """Reads metadata; wheels that come whole on the way are kept for when they are wanted."""

    def __init__(self, client: Client, early: EarlyFiles) -> None:
        self._client = client
        self._early = early
        self._answered: dict[str, Metadata] = {}
        """By URL, the metadata that were read without the wheel's hash being checked."""

    def read(self, candidate: Candidate) -> Metadata:
        """Return the metadata of a wheel."""
        path = local_path(candidate.url)
        if path is not None:
            return _read_local(candidate, path)
        metadata = None
        if candidate.metadata_hashes is not None:
            metadata = self._read_beside(candidate)
        if metadata is None:
            found = self._open(candidate, f"bytes=-{TAIL_BYTES}")
            if not isinstance(found, PartialFile):
                try:
                    return _read_file(candidate, found)
                finally:
                    self._early.keep(candidate, found)
            metadata = _read_file(candidate, found)
        self._answered[candidate.url] = metadata
        return metadata

    def compare(self, candidate: Candidate, path: str) -> None:
        """Refuse, and remove, a wheel whose metadata are not those that were answered."""
        answered = self._answered.get(candidate.url)
        if answered is not None and answered != _read_local(candidate, path):
            remove_file(path)
            reason = "its requirements are not those that its index answered before"
            raise MetadataInvalidError(candidate.file_name, reason)

    def _read_beside(self, candidate: Candidate) -> Metadata | None:
        """Return what the metadata file says; None if it is missing, though it was promised."""
        hashes = candidate.metadata_hashes or {}
        is_verified = candidate.has_secure_hash or not SECURE_HASHES.isdisjoint(hashes)
        url, headers = f"{candidate.url}.metadata", {"Accept": "*/*"}
        found = self._client.get(url, headers, _MOST_METADATA_BYTES, is_verified=is_verified)
        if found is None:
            return None
        _, content = found
        receive([content], candidate, hashes).close()
        return _parse(content, candidate)

    # By ranges

    def _open(self, candidate: Candidate, span: str) -> PartialFile | IO[bytes]:
        """Return the end of a wheel, or all of it where it is not had in parts."""

        def ask() -> PartialFile | IO[bytes] | str:
            """Return a file, or the span to be asked for instead."""
            with self._request(candidate, span) as answer:
                if answer.status == PARTIAL and span:
                    return self._receive_tail(answer, candidate) or ""
                if answer.status == GOOD:
                    size = answer.length or 0
                    has_ranges = answer.headers.get("accept-ranges", "").lower() == "bytes"
                    if span.startswith("bytes=-") and has_ranges and size > _WORTH_A_REQUEST:
                        # Some stores give any part of a file, if only told where it starts.
                        return f"bytes={size - TAIL_BYTES}-"
                    return receive_file(answer, candidate)
                if answer.status in GONE or not span:
                    raise_status(answer)
                return ""

        found = self._client.persist(candidate.url, ask)
        return self._open(candidate, found) if isinstance(found, str) else found

    def _request(self, candidate: Candidate, span: str) -> AbstractContextManager[Answer]:
        headers = {**AS_IT_IS, **({"Range": span} if span else {})}
        return self._client.ask(candidate.url, headers, is_verified=candidate.has_secure_hash)

    def _receive_tail(self, answer: Answer, candidate: Candidate) -> PartialFile | IO[bytes] | None:
        """Return the end of a file; None if the answer is another part, or more than that."""
        span = _read_span(answer)
        if span is None or span.stop != span.total or span.stop - span.start > TAIL_BYTES:
            return None
        if span.start == 0:
            return receive_file(answer, candidate, span.total)
        content = _receive_part(answer, span)

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
                return _receive_part(answer, span)

        return self._client.persist(candidate.url, ask)


class _Span(NamedTuple):
    """The part of a file that an answer holds."""

    start: int
    stop: int
    total: int


def _read_span(answer: Answer) -> _Span | None:
    match = _SPAN.fullmatch(answer.headers.get("content-range", ""))
    if match is None or answer.status != PARTIAL:
        return None
    start, last, total = map(int, match.groups())
    return _Span(start, last + 1, total) if start <= last < total else None


def _receive_part(answer: Answer, span: _Span) -> bytes:
    content = b"".join(answer.chunks(span.stop - span.start))
    if len(content) != span.stop - span.start:
        raise RequestFailedError("it answers with less than it says")
    return content


class PartialFile:
    """A file of which the end is here; what is asked for before it is read in larger parts."""

    def __init__(
        self, size_bytes: int, start: int, content: bytes, read: Callable[[int, int], bytes]
    ) -> None:
        self._size_bytes = size_bytes
        self._parts = [(start, content)]
        self._read_part = read
        self._position = 0

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int:
        """Move to a position, from the start or, as zipfile does, from the end."""
        target = offset + (self._size_bytes if whence == SEEK_END else 0)
        if target < 0:
            raise OSError("before the start of the file")
        self._position = target
        return target

    def read(self, size: int = -1, /) -> bytes:
        """Return the bytes at the position, less where the file ends before."""
        wanted = self._size_bytes if size < 0 else self._position + size
        start, stop = self._position, min(wanted, self._size_bytes)
        if start >= stop:
            return b""
        self._position = stop
        part_start, part = self._find_part(start, stop)
        return part[start - part_start : stop - part_start]

    def _find_part(self, start: int, stop: int) -> tuple[int, bytes]:
        for begin, content in self._parts:
            if begin <= start and stop <= begin + len(content):
                return begin, content
        end = min(max(stop, start + _AHEAD_BYTES), self._size_bytes)
        # A member whose start was read first is not far from its end.
        self._parts[1:] = [(start, self._read_part(start, end))]
        return self._parts[1]


# The content


def _read_local(candidate: Candidate, path: str) -> Metadata:
    with reading(path), Path(path).open("rb") as file:
        return _read_file(candidate, file)


def _read_file(candidate: Candidate, file: IO[bytes] | PartialFile) -> Metadata:
    """Return the metadata of a wheel; refuse one that has none, or those of another wheel."""
    size, file_name = file.seek(0, SEEK_END), candidate.file_name
    try:
        content = read_wheel_metadata(file, size, file_name=file_name, project=candidate.name)
    except ArchiveError as error:
        raise MetadataInvalidError(file_name, error.reason) from error
    return _parse(content, candidate)


def _parse(content: bytes, candidate: Candidate) -> Metadata:
    fields = parse_fields(content)
    name, version = only_value(fields, "Name"), only_value(fields, "Version")
    try:
        is_same = name is not None and normalize_name(name) == candidate.name
        is_same = is_same and version is not None and parse_version(version) == candidate.version
    except FormatError:
        is_same = False
    if not is_same:
        stated = " ".join(all_values(fields, "Name") + all_values(fields, "Version"))
        raise MetadataInvalidError(candidate.file_name, f"its metadata are of `{stated[:_SHOWN]}`")
    requires = tuple(all_values(fields, "Requires-Dist"))
    if len(requires) > _MOST_REQUIREMENTS:
        reason = f"it has more than {_MOST_REQUIREMENTS:,} requirements"
        raise MetadataInvalidError(candidate.file_name, reason)
    return Metadata(
        requires=requires,
        requires_python=first_value(fields, "Requires-Python"),
        extras=frozenset(map(canonicalize_name, all_values(fields, "Provides-Extra"))),
    )
