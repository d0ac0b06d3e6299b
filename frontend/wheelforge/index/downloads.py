"""Files of an index: fetched early if they are small, resumed when cut, named only once right."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future
from io import SEEK_END
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING

from wheelforge.errors import DownloadMismatchError, PackageIndexError
from wheelforge.index.http import AS_IT_IS, GONE, GOOD, PARTIAL, raise_status
from wheelforge.index.models import reading
from wheelforge.index.transport import CHUNK_BYTES
from wheelforge_isolation import spool
from wheelforge_isolation.formats.urls import local_path

if TYPE_CHECKING:
    from wheelforge.index.http import Client
    from wheelforge.index.models import Candidate, Hashes
    from wheelforge.index.transport import Answer

    Content = IO[bytes] | None

_MOST_FILE_BYTES = 4 << 30
"""As for all that an sdist may unpack to; the largest known wheels have less."""
_MOST_EARLY_BYTES = 16 << 20
_MOST_KEPT_BYTES = 64 << 20


# Bytes on their way


class Check:
    """The size and the hashes that the bytes of a file must have."""

    def __init__(self, candidate: Candidate, hashes: Hashes, size_bytes: int | None) -> None:
        self._file_name, self._origin = candidate.file_name, candidate.origin
        self._hashes = hashes
        self._size_bytes = size_bytes
        self.restart()

    def restart(self) -> None:
        """Forget the bytes so far."""
        self.seen_bytes = 0
        self._digests = {
            name: hashlib.new(name, usedforsecurity=False) for name in sorted(self._hashes)
        }

    def copy(self, chunks: Iterable[bytes], output: IO[bytes]) -> None:
        """Write the next bytes; refuse more than the stated size."""
        for chunk in chunks:
            self.seen_bytes += len(chunk)
            if self._size_bytes is not None and self.seen_bytes > self._size_bytes:
                self._refuse("size", str(self._size_bytes), f"at least {self.seen_bytes}")
            for digest in self._digests.values():
                digest.update(chunk)
            output.write(chunk)

    def finish(self) -> None:
        """Refuse bytes that do not have the stated size and every stated hash."""
        if self._size_bytes is not None and self.seen_bytes != self._size_bytes:
            self._refuse("size", str(self._size_bytes), str(self.seen_bytes))
        for name, digest in self._digests.items():
            if digest.hexdigest() != self._hashes[name]:
                self._refuse(name, self._hashes[name], digest.hexdigest())

    def _refuse(self, what: str, wanted: str, found: str) -> None:
        raise DownloadMismatchError(self._file_name, self._origin, (what, wanted, found))


def receive(
    chunks: Iterable[bytes], candidate: Candidate, hashes: Hashes, size_bytes: int | None = None
) -> IO[bytes]:
    """Return what comes in ``chunks`` once it is checked; to be closed."""
    check, output = Check(candidate, hashes, size_bytes), spool()
    try:
        check.copy(chunks, output)
        check.finish()
    except OSError as error:
        output.close()
        raise PackageIndexError("download-unwritable", candidate.file_name, str(error)) from error
    except BaseException:
        output.close()
        raise
    output.seek(0)
    return output


def receive_file(answer: Answer, candidate: Candidate, most_bytes: int | None = None) -> IO[bytes]:
    """Return a body that is the whole file, checked; to be closed."""
    chunks = answer.chunks(most_bytes or _MOST_FILE_BYTES)
    return receive(chunks, candidate, candidate.hashes, candidate.size_bytes)


# Before they are asked for


class EarlyFiles:
    """Files that come before they are asked for: most of a download is waiting.

    They are spooled, and together they have a limit. To be used by any number of threads.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._coming: dict[str, Future[Content]] = {}
        self._free_bytes = _MOST_KEPT_BYTES
        self._lock = Lock()

    def expect(
        self, candidate: Candidate, start: Callable[[Callable[[], Content]], Future[Content]]
    ) -> None:
        """Have ``start`` fetch the file, unless that was done already or it is on this machine."""
        key = _key(candidate)
        with self._lock:
            if key not in self._coming and not candidate.url.startswith("file:"):
                self._coming[key] = start(lambda: self._fetch(candidate))

    def keep(self, candidate: Candidate, content: IO[bytes]) -> None:
        """Keep a file that came whole where only a part was asked for, if there is room."""
        future = Future["Content"]()
        future.set_result(content)
        key, size = _key(candidate), content.seek(0, SEEK_END)
        content.seek(0)
        with self._lock:
            is_kept = key not in self._coming and size <= self._free_bytes
            if is_kept:
                self._free_bytes -= size
                self._coming[key] = future
        if not is_kept:
            content.close()

    def get(self, candidate: Candidate) -> Content:
        """Return the content of a file if it came or is about to come; to be closed."""
        with self._lock:
            coming = self._coming.pop(_key(candidate), None)
        if coming is None or coming.cancel():  # not begun: the caller can begin as well
            return None
        content = coming.result()
        if content is not None:
            self._release(content.seek(0, SEEK_END))
            content.seek(0)
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

    def _fetch(self, candidate: Candidate) -> Content:
        """Return a file; None if it is better written as it comes."""

        def ask() -> Content:
            is_verified = candidate.has_secure_hash
            with self._client.ask(candidate.url, AS_IT_IS, is_verified=is_verified) as answer:
                size = answer.length
                if answer.status != GOOD or size is None or size > _MOST_EARLY_BYTES:
                    return None
                with self._lock:
                    if size > self._free_bytes:
                        return None
                    self._free_bytes -= size
                try:
                    return receive_file(answer, candidate, size)
                except BaseException:
                    self._release(size)
                    raise

        return self._client.persist(candidate.url, ask)

    def _release(self, size_bytes: int) -> None:
        with self._lock:
            self._free_bytes += size_bytes


def _key(candidate: Candidate) -> str:
    return f"{candidate.url} {sorted(candidate.hashes.items())}"


# To the disk


class Download:
    """A file on its way to the disk; what has arrived is kept when the connection breaks."""

    def __init__(self, client: Client, candidate: Candidate) -> None:
        self._client = client
        self._candidate = candidate
        self._check = Check(candidate, candidate.hashes, candidate.size_bytes)
        self._validator = ""
        self._was_resumed = False

    def run(self, path: str, known: IO[bytes] | None = None) -> None:
        """Write the file to ``path``; ``known`` is its content if that is here already."""
        partial, local = Path(f"{path}.part"), local_path(self._candidate.url)
        with _removed_on_failure(partial), contextlib.ExitStack() as stack:
            with partial.open("wb") as output:
                if known is None and local is not None:
                    with reading(local):
                        known = stack.enter_context(Path(local).open("rb"))
                if known is not None:
                    self._check.copy(iter(lambda: known.read(CHUNK_BYTES), b""), output)
                else:
                    self._fetch(output)
                self._check.finish()
            partial.replace(path)

    def _fetch(self, output: IO[bytes]) -> None:
        self._client.persist(self._candidate.url, lambda: self._continue(output))
        if self._was_resumed:
            # Two halves that do not match may be of two files, of which one may be right.
            try:
                self._check.finish()
            except DownloadMismatchError:
                self._start_over(output)
                self._client.persist(self._candidate.url, lambda: self._continue(output))

    def _continue(self, output: IO[bytes]) -> None:
        headers, candidate = self._headers(), self._candidate
        position = self._check.seen_bytes
        is_verified = candidate.has_secure_hash
        with self._client.ask(candidate.url, headers, is_verified=is_verified) as answer:
            span = answer.headers.get("content-range", "")
            if answer.status == PARTIAL and span.startswith(f"bytes {position}-"):
                self._was_resumed = True
                return self._check.copy(answer.chunks(_MOST_FILE_BYTES - position), output)
            self._start_over(output)
            if answer.status == GOOD:
                # The header that tells two states of a file apart for certain.
                tag = answer.headers.get("etag", "")
                modified = answer.headers.get("last-modified", "")
                self._validator = tag if tag.startswith('"') else modified
                return self._check.copy(answer.chunks(_MOST_FILE_BYTES), output)
            if "Range" not in headers or answer.status in GONE:
                raise_status(answer)
        return self._continue(output)

    def _headers(self) -> Mapping[str, str]:
        position = self._check.seen_bytes
        # Without a hash, only the server can tell whether it is still the same file.
        if not position or not (self._validator or self._candidate.hashes):
            return AS_IT_IS
        condition = {"If-Range": self._validator} if self._validator else {}
        return {**AS_IT_IS, "Range": f"bytes={position}-", **condition}

    def _start_over(self, output: IO[bytes]) -> None:
        output.seek(0)
        output.truncate()
        self._check.restart()
        self._validator = ""
        self._was_resumed = False


@contextlib.contextmanager
def _removed_on_failure(path: Path) -> Generator[None]:
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(OSError):
            path.unlink()
        if isinstance(error, OSError):
            raise PackageIndexError(
                "download-unwritable", str(path), error.strerror or str(error)
            ) from error
        raise
