"""Pages, metadata and files of all indexes; imported late, as it brings the HTTP library.

A list of files is the page of an index for one name, or a location that has files of any name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from wheelforge.errors import PackageNotFoundError
from wheelforge.index.candidates import OTHER_NAME, UNDATED, Candidates, Selector, merge
from wheelforge.index.downloads import Download, EarlyFiles
from wheelforge.index.http import Client
from wheelforge.index.metadata import MetadataReader
from wheelforge.index.models import SECURE_HASHES, reading
from wheelforge.index.pages import ACCEPTED, MOST_PAGE_BYTES, Listed, parse_page
from wheelforge_isolation.formats.urls import file_name_of, local_place, redact, without_secrets

if TYPE_CHECKING:
    from wheelforge.index.models import Candidate, Sleep
    from wheelforge.index.settings import IndexSettings

UNSAFE = "without TLS and without a SHA-256 hash"
_PAGE_SUFFIXES = {".html", ".htm"}


class IndexBackend:
    """Asks for pages, metadata and files, without remembering the answers."""

    def __init__(
        self,
        settings: IndexSettings,
        tags: Sequence[str],
        sleep: Sleep,
        note: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._note = note
        self._client = Client(settings, sleep, note)
        self._lists = _FileLists(self._client, note)
        self._selector = Selector(settings, tags)
        self.early = EarlyFiles(self._client)
        self.metadata = MetadataReader(self._client, self.early)

    def look_up(self, name: str) -> Candidates:
        """Return the files of ``name``, which is normalised; an error where it is not known."""
        settings = self._settings
        links = self._lists.read_locations(settings.find_links)
        found = [self._select(name, files, origin) for origin, files in links]
        is_known = False
        for url in settings.asked_urls:
            files = self._lists.read_page(url, name)
            if files is not None:
                is_known = True
                found.append(self._select(name, files, without_secrets(url)))
                # On this machine's own disk there may be no more than a part of what there is.
                if local_place(url) is None:
                    break
        every = merge(found)
        if not (is_known or every.usable or every.left_out):
            searched = (*settings.find_links, *settings.asked_urls)
            raise PackageNotFoundError(name, tuple(map(without_secrets, searched)), ())
        return every

    def fetch(self, candidate: Candidate, path: str) -> None:
        """Put the file at ``path``, whole and as it is described, or not at all."""
        known = self.early.get(candidate)
        with known or contextlib.nullcontext():
            Download(self._client, candidate).run(path, known)
        self.metadata.compare(candidate, path)

    def close(self) -> None:
        """Close all connections, and drop the files that nothing has asked for."""
        self._client.close()
        self.early.close()

    def _select(self, name: str, files: Sequence[Listed], origin: str) -> Candidates:
        found = self._selector.select(name, files, origin)
        del found.left_out[OTHER_NAME]
        undated = found.left_out[UNDATED]
        if undated:
            self._note(f"{undated} files of `{name}` at `{origin}` are {UNDATED}")
        for file_name in found.clashing:
            self._note(f"`{file_name}` at `{origin}` is listed with two hashes; left out")
        return found


class _FileLists:
    def __init__(self, client: Client, note: Callable[[str], None]) -> None:
        self._client = client
        self._note = note
        self._locations: list[tuple[str, Sequence[Listed]]] | None = None
        self._lock = Lock()

    def read_locations(self, locations: Sequence[str]) -> list[tuple[str, Sequence[Listed]]]:
        """Return the origin and the files of each location that has files of any name."""
        with self._lock:
            if self._locations is None:
                self._locations = [self._read_location(location) for location in locations]
            return self._locations

    def read_page(self, index_url: str, name: str) -> Sequence[Listed] | None:
        """Return the files that an index has of a name; None if it does not know the name."""
        path = local_place(index_url)
        if path is None:
            return self._read_remote(f"{index_url.rstrip('/')}/{name}/", index_url)
        if not Path(path).is_dir():
            self._note(f"the index `{path}` does not exist; it is left out")
            return None
        page = Path(path, name, "index.html")
        return self._read_local(page) if page.exists() else None

    def _read_location(self, location: str) -> tuple[str, Sequence[Listed]]:
        path = local_place(location)
        if path is not None:
            files: Sequence[Listed] = ()
            if not Path(path).exists():
                self._note(f"`{path}`, where files were to be looked for, does not exist")
            elif Path(path).is_dir():
                with reading(path):
                    paths = sorted(Path(path).iterdir())
                files = [file for each in paths for file in self._read_local(each)]
            else:
                files = self._read_local(Path(path))
            return path, files
        if file_name_of(location).endswith((".whl", ".zip", ".tar.gz")):
            return without_secrets(location), [_list_file(location)]
        found = self._read_remote(location, location)
        if found is None:
            self._note(f"there is nothing at `{redact(location)}`")
        return without_secrets(location), found or ()

    def _read_remote(self, url: str, origin: str) -> Sequence[Listed] | None:
        if not self._client.is_safe(url):
            self._note(f"`{redact(origin)}` is neither https nor a trusted host; it is left out")
            return None
        found = self._client.get(url, {"Accept": ACCEPTED}, MOST_PAGE_BYTES)
        if found is None:
            return None
        answer, content = found
        kind = answer.headers.get("content-type", "")
        return self._parse(content, kind, answer.url, without_secrets(origin))

    def _read_local(self, path: Path) -> Sequence[Listed]:
        """Return the files that a page lists, or the file itself if it is no page."""
        if path.suffix not in _PAGE_SUFFIXES:
            return [_list_file(path.absolute().as_uri())]
        with reading(str(path)):
            content = path.read_bytes()
        return self._parse(content, "text/html", path.absolute().as_uri(), str(path))

    def _parse(self, content: bytes, kind: str, url: str, origin: str) -> Sequence[Listed]:
        page = parse_page(content, kind, url, origin)
        # Others could be exchanged on the way without being noticed.
        files = [
            file
            for file in page.files
            if self._client.is_safe(file.url) or not SECURE_HASHES.isdisjoint(file.hashes)
        ]
        for reason, count in {**page.left_out, UNSAFE: len(page.files) - len(files)}.items():
            if count:
                self._note(f"{count} files at `{origin}` are left out: {reason}")
        return files


def _list_file(url: str) -> Listed:
    return Listed(url.partition("#")[0], file_name_of(url), {}, "", None, "", None)
