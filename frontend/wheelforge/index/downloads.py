"""A file of an index on its way to the disk: resumed when cut, and named only once it is right."""

from __future__ import annotations

import contextlib
import hashlib
from io import SEEK_END
from pathlib import Path
from typing import IO, TYPE_CHECKING

from wheelforge.errors import DownloadMismatchError, PackageIndexError
from wheelforge.index.http import AS_IT_IS, GONE, GOOD, PARTIAL, raise_status
from wheelforge.index.models import reading
from wheelforge.index.transport import CHUNK_BYTES
from wheelforge_isolation import spool
from wheelforge_isolation.formats.urls import local_path

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from wheelforge.index.http import Client
    from wheelforge.index.models import Candidate, Hashes
    from wheelforge.index.transport import Answer

_MOST_FILE_BYTES = 4 << 30
"""As for all that an sdist may unpack to; the largest known wheels have less."""


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

    def update(self, chunk: bytes) -> None:
        """Take in the next bytes; refuse more than the stated size."""
        self.seen_bytes += len(chunk)
        if self._size_bytes is not None and self.seen_bytes > self._size_bytes:
            self._refuse("size", str(self._size_bytes), f"at least {self.seen_bytes}")
        for digest in self._digests.values():
            digest.update(chunk)

    def finish(self) -> None:
        """Refuse bytes that do not have the stated size and every stated hash."""
        if self._size_bytes is not None and self.seen_bytes != self._size_bytes:
            self._refuse("size", str(self._size_bytes), str(self.seen_bytes))
        for name, digest in self._digests.items():
            if digest.hexdigest() != self._hashes[name]:
                self._refuse(name, self._hashes[name], digest.hexdigest())

    def _refuse(self, what: str, wanted: str, found: str) -> None:
        raise DownloadMismatchError(self._file_name, self._origin, (what, wanted, found))


def check_file(candidate: Candidate) -> Check:
    """Return the check of the file itself."""
    return Check(candidate, candidate.hashes, candidate.size_bytes)


def receive_whole(answer: Answer, candidate: Candidate, most_bytes: int | None = None) -> IO[bytes]:
    """Return a body that is the whole file, checked as it comes; to be closed."""
    check, output = check_file(candidate), spool()
    try:
        _write(answer.chunks(most_bytes or _MOST_FILE_BYTES), output, check)
        check.finish()
    except OSError as error:
        output.close()
        raise PackageIndexError("download-unwritable", candidate.file_name, str(error)) from error
    except BaseException:
        output.close()
        raise
    output.seek(0)
    return output


def measure(file: IO[bytes]) -> int:
    """Return the size of a file, which is read from its start after that."""
    size = file.seek(0, SEEK_END)
    file.seek(0)
    return size


class Download:
    """A file on its way; what has arrived is kept when the connection breaks."""

    def __init__(self, client: Client, candidate: Candidate) -> None:
        self._client = client
        self._candidate = candidate
        self._check = check_file(candidate)
        self._validator = ""
        self._was_resumed = False

    def run(self, path: str, known: IO[bytes] | None = None) -> None:
        """Write the file to ``path``; ``known`` is its checked content if that is here already."""
        partial, local = Path(f"{path}.part"), local_path(self._candidate.url)
        with _removed_on_failure(partial):
            with partial.open("wb") as output:
                if known is not None:
                    self._copy(known, output)
                elif local is not None:
                    self._copy_local(local, output)
                else:
                    self._fetch(output)
                self._check.finish()
            partial.replace(path)

    def _copy(self, source: IO[bytes], output: IO[bytes]) -> None:
        _write(iter(lambda: source.read(CHUNK_BYTES), b""), output, self._check)

    def _copy_local(self, path: str, output: IO[bytes]) -> None:
        with contextlib.ExitStack() as stack:
            with reading(path):
                source = stack.enter_context(Path(path).open("rb"))
            self._copy(source, output)

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
        is_verified = candidate.has_secure_hash
        with self._client.ask(candidate.url, headers, is_verified=is_verified) as answer:
            if self._is_continuation(answer):
                self._was_resumed = True
                return self._receive(answer, output)
            self._start_over(output)
            if answer.status == GOOD:
                self._validator = _read_validator(answer.headers)
                return self._receive(answer, output)
            if "Range" not in headers or answer.status in GONE:
                raise_status(answer)
        return self._continue(output)

    def _receive(self, answer: Answer, output: IO[bytes]) -> None:
        most = _MOST_FILE_BYTES - self._check.seen_bytes
        _write(answer.chunks(most), output, self._check)

    def _headers(self) -> Mapping[str, str]:
        position = self._check.seen_bytes
        # Without a hash, only the server can tell whether it is still the same file.
        if not position or not (self._validator or self._candidate.hashes):
            return AS_IT_IS
        condition = {"If-Range": self._validator} if self._validator else {}
        return {**AS_IT_IS, "Range": f"bytes={position}-", **condition}

    def _is_continuation(self, answer: Answer) -> bool:
        span = answer.headers.get("content-range", "")
        return answer.status == PARTIAL and span.startswith(f"bytes {self._check.seen_bytes}-")

    def _start_over(self, output: IO[bytes]) -> None:
        output.seek(0)
        output.truncate()
        self._check.restart()
        self._validator = ""
        self._was_resumed = False


def _write(chunks: Iterable[bytes], output: IO[bytes], check: Check) -> None:
    for chunk in chunks:
        check.update(chunk)
        output.write(chunk)


def _read_validator(headers: Mapping[str, str]) -> str:
    """Return the header that tells two states of a file apart for certain."""
    tag = headers.get("etag", "")
    return tag if tag.startswith('"') else headers.get("last-modified", "")


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
