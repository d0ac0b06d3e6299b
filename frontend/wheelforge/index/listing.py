"""Pages as an index has them, for passing on: nothing is left out that is not understood.

The first index that knows a name is the only one that is asked about it, as everywhere here.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from wheelforge.errors import PackageIndexError
from wheelforge.index.downloads import Download, receive
from wheelforge.index.http import AS_IT_IS, UNCHANGED, Client
from wheelforge.index.models import SECURE_HASHES, Candidate
from wheelforge.index.pages import (
    ACCEPTED,
    MOST_PAGE_BYTES,
    REMOTE,
    FileInvalidError,
    Listed,
    parse_document,
    read_item,
)
from wheelforge_isolation.formats.file_names import parse_version
from wheelforge_isolation.formats.urls import redact, without_secrets

if TYPE_CHECKING:
    from wheelforge.index.models import Sleep
    from wheelforge.index.settings import IndexSettings
    from wheelforge.index.transport import Answer

_MAX_AGE = re.compile(r"max-age=(\d{1,9})\b")
_LONGEST_SECONDS = 600.0
"""A page is asked for again after this time, whatever its index says."""
_MOST_METADATA_BYTES = 16 << 20
_SERIALS = itertools.count(1)


class ListedFile(NamedTuple):
    """A file of a page."""

    facts: Mapping[str, Any]
    """All that the index says of it, with an absolute URL."""
    listed: Listed
    """The part that is understood here."""


class Listing(NamedTuple):
    """The page that an index has of a project."""

    facts: Mapping[str, Any]
    """All that it says but the files."""
    files: Sequence[ListedFile]
    origin: str
    """The index, without credentials."""
    is_private: bool
    """Whether clients of this process cannot fetch the files without its credentials."""
    etag: str = ""
    fresh_until: float = 0.0
    """Of the monotonic clock."""
    serial: int = 0
    """Tells what was read from what was read before."""

    def find(self, file_name: str) -> ListedFile | None:
        """Return the file of that name."""
        return next((file for file in self.files if file.listed.file_name == file_name), None)


class ListingReader:
    """Asks the indexes of ``settings``; to be used by any number of threads."""

    def __init__(self, settings: IndexSettings, sleep: Sleep = time.sleep) -> None:
        self._settings = settings
        self._client = Client(settings, sleep, lambda _: None)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def read(self, name: str, known: Listing | None = None) -> Listing | None:
        """Return the page of ``name``, which is normalised; ``known`` is the last one, if any."""
        for url in self._settings.asked_urls:
            if not url.startswith(REMOTE):
                continue
            if not self._client.is_safe(url):
                problem = "it is neither https nor a trusted host"
                raise PackageIndexError("index-unreachable", redact(url), problem, 1)
            found = self._read_page(url, name, known)
            if found is not None:
                return found
        return None

    def fetch(self, file: Listed, name: str, path: str) -> None:
        """Put a file of ``name`` at ``path``, whole and with the hashes of its page."""
        candidate = _describe(file, name, file.url)
        if not candidate.has_secure_hash:
            raise PackageIndexError(
                "index-unreachable", redact(file.url), "its page has no hash of it", 1
            )
        Download(self._client, candidate).run(path, None)

    def fetch_metadata(self, file: Listed, name: str) -> bytes | None:
        """Return the metadata file beside a file, with the hash of its page; None if absent."""
        candidate = _describe(file, name, f"{file.url}.metadata")
        hashes, url = file.metadata_hashes or {}, candidate.url
        is_verified = not SECURE_HASHES.isdisjoint(hashes)
        found = self._client.get(url, AS_IT_IS, _MOST_METADATA_BYTES, is_verified=is_verified)
        if found is None:
            return None
        with receive(iter([found[1]]), candidate, hashes) as content:
            return content.read()

    def fetch_provenance(self, file: ListedFile) -> bytes | None:
        """Return the provenance object of a file (PEP 740); None if its page names none."""
        url = file.facts.get("provenance")
        if not isinstance(url, str):
            return None
        found = None
        if url.startswith(REMOTE):
            found = self._client.get(url, AS_IT_IS, _MOST_METADATA_BYTES)
        if found is None:
            raise PackageIndexError("index-unreachable", redact(url), "there is nothing there", 1)
        return found[1]

    def _read_page(self, index_url: str, name: str, known: Listing | None) -> Listing | None:
        origin = without_secrets(index_url)
        headers = {"Accept": ACCEPTED}
        if known is not None and known.origin == origin and known.etag:
            headers["If-None-Match"] = known.etag
        url = f"{index_url.rstrip('/')}/{name}/"
        found = self._client.get(url, headers, MOST_PAGE_BYTES)
        if found is None:
            return None
        answer, content = found
        fresh_until = time.monotonic() + _read_age(answer)
        if answer.status == UNCHANGED and known is not None:
            return known._replace(fresh_until=fresh_until)
        kind = answer.headers.get("content-type", "")
        document = parse_document(content, kind, answer.url, origin)
        files = list[ListedFile]()
        for item in document.items:
            try:
                listed = read_item(item, document.base)
            except FileInvalidError:
                continue
            if listed.url.startswith(REMOTE) and listed.file_name:
                said = {key: value for key, value in item.items() if value is not None}
                facts = {**said, "filename": listed.file_name, "url": listed.url}
                files.append(ListedFile(facts, listed))
        return Listing(
            facts=document.facts,
            files=files,
            origin=origin,
            is_private="@" in urlsplit(index_url).netloc,
            etag=answer.headers.get("etag", ""),
            fresh_until=fresh_until,
            serial=next(_SERIALS),
        )


def _describe(file: Listed, name: str, url: str) -> Candidate:
    return Candidate(
        name=name,
        version=parse_version("0"),  # which is not needed to fetch it
        file_name=file.file_name,
        url=url,
        hashes=file.hashes,
        is_wheel=False,
        origin=redact(url),
        size_bytes=file.size_bytes,
    )


def _read_age(answer: Answer) -> float:
    """Return for how many seconds a page may be taken as it is."""
    control = answer.headers.get("cache-control", "")
    match = _MAX_AGE.search(control)
    if match is None or "no-cache" in control or "no-store" in control:
        return 0.0
    return min(float(match[1]), _LONGEST_SECONDS)
