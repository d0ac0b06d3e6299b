"""The work behind an index, loaded when it is needed: what there is of a name, and of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge._index._ahead import Ahead
from wheelforge._index._client import Client
from wheelforge._index._download import Download
from wheelforge._index._files import OTHER_NAME, UNDATED, Selection, Selector, merge
from wheelforge._index._listing import Directory, Lister
from wheelforge._index._remote import MetadataReader
from wheelforge._index._values import find_local_place, without_credentials
from wheelforge.errors import PackageNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wheelforge._index._values import Candidate, IndexSettings, Metadata, Sleep


class Survey:
    """Asks for pages, metadata and files; remembers nothing of what it has found."""

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
        self._reader = MetadataReader(self._client)
        self.ahead = Ahead(self._client)

    def look_up(self, name: str) -> Selection:
        """Return the files of ``name``, which is normalised; an error where nobody knows it."""
        settings = self._settings
        flat = [
            self._choose(name, directory)
            for directory in self._lister.list_all(settings.find_links)
        ]
        indexed = self._ask_indexes(name)
        selection = merge([*flat, *([indexed] if indexed else [])])
        if indexed is None and not (selection.candidates or selection.left_out):
            searched = (*settings.find_links, *settings.asked_urls)
            raise PackageNotFoundError(name, tuple(map(without_credentials, searched)))
        return selection

    def read_metadata(self, candidate: Candidate) -> Metadata:
        """Return what a wheel asks for."""
        return self._reader.read(candidate)

    def fetch(self, candidate: Candidate, path: str) -> None:
        """Put the file at ``path``, whole and as it is described, or not at all."""
        known = self._reader.take(candidate) or self.ahead.take(candidate)
        Download(self._client, candidate).run(path, known)
        self._reader.compare(candidate, path)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _ask_indexes(self, name: str) -> Selection | None:
        found: list[Selection] = []
        for url in self._settings.asked_urls:
            listed = self._lister.read_page(url, name)
            if listed is not None:
                found.append(self._choose(name, Directory(without_credentials(url), listed)))
                # On this machine's own disk there may be no more than a part of what there is.
                if find_local_place(url) is None:
                    break
        return merge(found) if found else None

    def _choose(self, name: str, directory: Directory) -> Selection:
        selection = self._selector.select(name, directory.files, directory.origin)
        del selection.left_out[OTHER_NAME]
        undated = selection.left_out[UNDATED]
        if undated:
            self._note(f"{undated} files of `{name}` at `{directory.origin}` are {UNDATED}")
        for file_name in selection.clashing:
            self._note(f"`{file_name}` at `{directory.origin}` is listed with two hashes; left out")
        return selection
