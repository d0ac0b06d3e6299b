"""Lists of files: the page of an index for one name, or a location that has files of any name."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.index.models import SECURE_HASHES, reading
from wheelforge.index.pages import ACCEPTED, MOST_PAGE_BYTES, Listed, parse_page
from wheelforge_isolation.formats.urls import (
    file_name_of,
    local_place,
    redact,
    without_secrets,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wheelforge.index.http import Client

UNSAFE = "without TLS and without a SHA-256 hash"
_PAGE_SUFFIXES = {".html", ".htm"}


class Directory(NamedTuple):
    """A list of files, and its location for messages."""

    origin: str
    files: Sequence[Listed]


class Lister:
    """Reads lists of files; those that do not depend on a name, only once."""

    def __init__(self, client: Client, note: Callable[[str], None]) -> None:
        self._client = client
        self._note = note
        self._flat: Sequence[Directory] | None = None
        self._lock = Lock()

    def list_all(self, locations: Sequence[str]) -> Sequence[Directory]:
        """Return the files of each location that has files of any name."""
        with self._lock:
            if self._flat is None:
                self._flat = [self._list(location) for location in locations]
            return self._flat

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
        with reading(str(path)):
            content = path.read_bytes()
        return self._parse(content, "text/html", path.absolute().as_uri(), str(path))

    def _parse(self, content: bytes, kind: str, url: str, origin: str) -> Sequence[Listed]:
        page = parse_page(content, kind, url, origin)
        files = [file for file in page.files if self._is_verifiable(file)]
        left_out = {**page.left_out, UNSAFE: len(page.files) - len(files)}
        for reason, count in left_out.items():
            if count:
                self._note(f"{count} files at `{origin}` are left out: {reason}")
        return files

    def _is_verifiable(self, file: Listed) -> bool:
        """Return whether a file cannot be exchanged on the way without being noticed."""
        return self._client.is_safe(file.url) or not SECURE_HASHES.isdisjoint(file.hashes)

    # Locations with files of any name

    def _list(self, location: str) -> Directory:
        origin, path = without_secrets(location), local_place(location)
        if path is None:
            return Directory(origin, self._list_remote(location))
        if not Path(path).exists():
            self._note(f"`{path}`, where files were to be looked for, does not exist")
            return Directory(path, ())
        return Directory(path, self._list_local(Path(path)))

    def _list_remote(self, url: str) -> Sequence[Listed]:
        if file_name_of(url).endswith((".whl", ".zip", ".tar.gz")):
            return [_list_file(url)]
        files = self._read_remote(url, url)
        if files is None:
            self._note(f"there is nothing at `{redact(url)}`")
        return files or ()

    def _list_local(self, path: Path) -> Sequence[Listed]:
        if not path.is_dir():
            return self._list_local_file(path)
        with reading(str(path)):
            paths = sorted(path.iterdir())
        return [file for each in paths for file in self._list_local_file(each)]

    def _list_local_file(self, path: Path) -> Sequence[Listed]:
        if path.suffix in _PAGE_SUFFIXES:
            return self._read_local(path)
        return [_list_file(path.absolute().as_uri())]


def _list_file(url: str) -> Listed:
    return Listed(url.partition("#")[0], file_name_of(url), {}, "", None, "", None)
