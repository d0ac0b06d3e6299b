"""The remote caches of a run: asked in order, written to in the background.

A failure is a miss. It is told once for each cache, and one that has failed three times,
or has not answered in time, is not asked again in this run.
"""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from wheelforge.remote.record import RemoteRecord, UntrustedError, locate, seal, unseal
from wheelforge.remote.stores import Location, RemoteFailedError, open_store, read_location
from wheelforge.remote.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from wheelforge.index.settings import IndexSettings
    from wheelforge.provenance.envelope import PublicKey
    from wheelforge.remote.stores import Store
    from wheelforge.settings import RemoteSettings

    Blobs = Mapping[str, bytes | Path]

T = TypeVar("T")

_MOST_FAILURES = 3
_MOST_RECORD_BYTES = 8 << 20
_MOST_FILE_BYTES = 4 << 30
_LONGEST_FINISH_SECONDS = 60.0


class Found(NamedTuple):
    """A record, and where it was."""

    record: RemoteRecord
    place: str
    body: bytes
    level: int


class RemoteCaches:
    """All remote caches of one forge; for any number of threads."""

    def __init__(
        self,
        settings: RemoteSettings,
        index: IndexSettings,
        note: Callable[[str], None],
    ) -> None:
        self._settings = settings
        locations = map(read_location, settings.urls)
        self._levels = [
            _Level(location, open_store(location, index, settings), note)
            for location in locations
            if not (index.offline and location.is_on_network)
        ]
        self.note = note
        self._uploads = Uploads()
        self._lock = threading.Lock()
        self._trusted: Sequence[PublicKey] | None = None

    @property
    def is_written(self) -> bool:
        """Whether anything can be written: only with a key, which readers trust."""
        return self._settings.signer is not None and any(map(_is_writable, self._levels))

    def find(self, kind: str, key: str) -> Found | None:
        """Return the record under ``key`` of the first cache that has one which can be trusted."""
        path = locate(kind, key)
        for number, level in enumerate(self._levels):
            trusted = self._find_trusted()
            if not trusted:
                return None
            body = level.ask(partial(_read, path=path), b"")
            if not body:
                continue
            try:
                return Found(unseal(body, kind, key, trusted), str(level.location), body, number)
            except UntrustedError as error:
                level.tell(f"nothing is taken from it where {error}", f"untrusted {error}")
        return None

    def fetch(self, sha256: str, output: IO[bytes], size: int = _MOST_FILE_BYTES) -> str:
        """Write the file with that content, and return the cache that has it.

        ``output`` is empty again if none has it.
        """
        for level in self._levels:
            target = _Hashing(output)
            fetch = partial(_fetch, path=f"cas/{sha256}", output=target, most_bytes=size)
            if level.ask(fetch, default=False):
                if target.sha256 == sha256:
                    return str(level.location)
                level.tell(f"`cas/{sha256}` has other bytes: it counts as a miss", "bytes")
            output.seek(0)
            output.truncate()
        return ""

    def publish(self, record: RemoteRecord, blobs: Blobs) -> None:
        """Write a record, signed, and the files that belong to it, to all caches: some time soon.

        The files go by their SHA-256.
        """
        if self._settings.signer is not None:
            sizes = {sha256: _size(content) for sha256, content in blobs.items()}
            body = seal(record, self._settings.signer, sizes)
            self._write(self._levels, (locate(record.kind, record.key), body), blobs)

    def publish_file(self, sha256: str, path: Path) -> None:
        """Write a file that is known by its hash alone."""
        if self._settings.signer is not None:
            self._write(self._levels, None, {sha256: path})

    def fill(self, found: Found, blobs: Blobs) -> None:
        """Write what was found to the caches that were asked before, as it was signed."""
        if self._settings.signer is not None:
            action = (locate(found.record.kind, found.record.key), found.body)
            self._write(self._levels[: found.level], action, blobs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait until everything is written, for a limited time, and close all connections."""
        undone = self._uploads.finish(_LONGEST_FINISH_SECONDS if kind is None else 0)
        if undone:
            self.note(f"remote caches: {undone} uploads were not finished in time and given up")
        for level in self._levels:
            level.store.close()

    def _write(
        self, levels: Iterable[_Level], action: tuple[str, bytes] | None, blobs: Blobs
    ) -> None:
        for level in filter(_is_writable, levels):
            self._uploads.add(partial(level.ask, partial(_put, action=action, blobs=blobs), None))

    def _find_trusted(self) -> Sequence[PublicKey]:
        """Return the keys whose records are used; those that this run signs with are."""
        with self._lock:
            if self._trusted is None:
                self._trusted = self._read_keys()
                if not self._trusted and self._levels:
                    self.note(
                        "remote caches: nothing is taken from them, as no key is trusted"
                        " (`wheelforge cache trust FILE`)"
                    )
            return self._trusted

    def _read_keys(self) -> list[PublicKey]:
        from wheelforge.errors import ProvenanceError
        from wheelforge.provenance.envelope import read_public_key

        found: list[PublicKey] = []
        for path in self._settings.trusted:
            try:
                found.append(read_public_key(path))
            except ModuleNotFoundError:
                self.note("remote caches: keys need what `wheelforge[sign]` brings")
                return []
            except ProvenanceError as error:
                self.note(f"remote caches: {error}")
        signer = self._settings.signer
        return found if signer is None else [*found, signer.public_key]


class _Level:
    """One of the caches, as long as it works."""

    def __init__(self, location: Location, store: Store, note: Callable[[str], None]) -> None:
        self.location = location
        self.store = store
        self._note = note
        self._failures = 0
        self._is_off = False
        self._told: set[str] = set()
        self._lock = threading.Lock()

    def ask(self, question: Callable[[Store], T], default: T) -> T:
        """Return the answer, or the ``default`` if there is none because something is wrong."""
        if self._is_off:
            return default
        try:
            return question(self.store)
        except RemoteFailedError as error:
            self._fail(error)
            return default

    def tell(self, text: str, kind: str) -> None:
        """Say something about this cache, but not the same ``kind`` of thing again."""
        with self._lock:
            is_new = kind not in self._told
            self._told.add(kind)
        if is_new:
            self._note(f"remote cache `{self.location}`: {text}")

    def _fail(self, error: RemoteFailedError) -> None:
        with self._lock:
            self._failures += 1
            is_off = error.is_final or self._failures >= _MOST_FAILURES
            self._is_off = self._is_off or is_off
        end = "it is not used any more in this run" if is_off else "this counts as a miss"
        self.tell(f"{error}; {end}", "off" if is_off else "failure")


def _is_writable(level: _Level) -> bool:
    return not level.location.is_read_only


def _read(store: Store, path: str) -> bytes:
    output = BytesIO()
    return output.getvalue() if store.fetch(path, output, _MOST_RECORD_BYTES) else b""


def _fetch(store: Store, **facts: Any) -> bool:  # ruff: ignore[any-type]
    return store.fetch(**facts)


def _put(store: Store, *, action: tuple[str, bytes] | None, blobs: Blobs) -> None:
    """Write files that are not there yet, and then what names them."""
    for sha256, content in blobs.items():
        if not store.has(f"cas/{sha256}"):
            store.write(f"cas/{sha256}", content)
    if action is not None:
        store.write(*action)


def _size(content: bytes | Path) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


class _Hashing:
    """A file that is written to, and the hash of what was written."""

    def __init__(self, output: IO[bytes]) -> None:
        self._output = output
        self._digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self._digest.update(content)
        return self._output.write(content)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()
