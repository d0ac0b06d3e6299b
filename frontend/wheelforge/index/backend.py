"""Candidates, metadata and files of all indexes; imported late, as it brings the HTTP library."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from wheelforge.errors import PackageNotFoundError
from wheelforge.index.candidates import OTHER_NAME, UNDATED, Candidates, Selector, merge
from wheelforge.index.downloads import Download
from wheelforge.index.http import Client
from wheelforge.index.listing import Directory, Lister
from wheelforge.index.metadata import MetadataReader
from wheelforge.index.prefetch import KeptFiles, Prefetcher
from wheelforge_isolation.formats.urls import local_place, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wheelforge.index.models import Candidate, Metadata, Sleep
    from wheelforge.index.settings import IndexSettings


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
        self._lister = Lister(self._client, note)
        self._selector = Selector(settings, tags)
        kept = KeptFiles()
        self._metadata = MetadataReader(self._client, kept)
        self.prefetcher = Prefetcher(self._client, kept)

    def look_up(self, name: str) -> Candidates:
        """Return the files of ``name``, which is normalised; an error where it is not known."""
        settings = self._settings
        flat = [
            self._choose(name, directory)
            for directory in self._lister.list_all(settings.find_links)
        ]
        indexed = self._ask_indexes(name)
        found = merge([*flat, *indexed])
        if not indexed and not (found.usable or found.left_out):
            searched = (*settings.find_links, *settings.asked_urls)
            raise PackageNotFoundError(name, tuple(map(without_secrets, searched)))
        return found

    def read_metadata(self, candidate: Candidate) -> Metadata:
        """Return the metadata of a wheel."""
        return self._metadata.read(candidate)

    def fetch(self, candidate: Candidate, path: str) -> None:
        """Put the file at ``path``, whole and as it is described, or not at all."""
        known = self._metadata.take(candidate) or self.prefetcher.take(candidate)
        with known or contextlib.nullcontext():
            Download(self._client, candidate).run(path, known)
        self._metadata.compare(candidate, path)

    def close(self) -> None:
        """Close all connections, and drop the files that nothing has asked for."""
        self._client.close()
        self.prefetcher.close()
        self._metadata.close()

    def _ask_indexes(self, name: str) -> list[Candidates]:
        found: list[Candidates] = []
        for url in self._settings.asked_urls:
            listed = self._lister.read_page(url, name)
            if listed is not None:
                found.append(self._choose(name, Directory(without_secrets(url), listed)))
                # On this machine's own disk there may be no more than a part of what there is.
                if local_place(url) is None:
                    break
        return found

    def _choose(self, name: str, directory: Directory) -> Candidates:
        found = self._selector.select(name, directory.files, directory.origin)
        del found.left_out[OTHER_NAME]
        undated = found.left_out[UNDATED]
        if undated:
            self._note(f"{undated} files of `{name}` at `{directory.origin}` are {UNDATED}")
        for file_name in found.clashing:
            self._note(f"`{file_name}` at `{directory.origin}` is listed with two hashes; left out")
        return found
