"""One file from an index to the disk: resumed when cut, and named only once it is right."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import IO, TYPE_CHECKING

from wheelforge._index._client import GONE, GOOD, PARTIAL, raise_status
from wheelforge._index._values import path_of, reading
from wheelforge.errors import DownloadMismatchError, DownloadUnwritableError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from wheelforge._index._client import Client, Reply
    from wheelforge._index._connections import Answer
    from wheelforge._index._values import Candidate, Hashes

CHUNK_BYTES = 1 << 16
AS_IT_IS = {"Accept": "*/*", "Accept-Encoding": "identity"}
"""What is hashed is what was published, not how it travels."""


class Check:
    """What a file's bytes must come to: its size and every hash that is stated."""

    def __init__(self, candidate: Candidate, hashes: Hashes, size_bytes: int | None) -> None:
        self._file_name, self._origin = candidate.file_name, candidate.origin
        self._hashes = hashes
        self._size_bytes = size_bytes
        self.restart()

    def restart(self) -> None:
        """Forget what was seen."""
        self.seen_bytes = 0
        self._digests = {
            name: hashlib.new(name, usedforsecurity=False) for name in sorted(self._hashes)
        }

    def update(self, chunk: bytes) -> None:
        """Take in the next bytes; stop at more than there may be."""
        self.seen_bytes += len(chunk)
        if self._size_bytes is not None and self.seen_bytes > self._size_bytes:
            self._refuse("size", str(self._size_bytes), f"at least {self.seen_bytes}")
        for digest in self._digests.values():
            digest.update(chunk)

    def finish(self) -> None:
        """Refuse what was seen if anything that was stated is not so."""
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


def receive_whole(answer: Answer, candidate: Candidate) -> bytes:
    """Return the whole body, which is the file itself, checked as it comes."""
    check, chunks = check_file(candidate), list[bytes]()
    for chunk in answer.iter_raw(CHUNK_BYTES):
        check.update(chunk)
        chunks.append(chunk)
    check.finish()
    return b"".join(chunks)


class Download:
    """A file on its way; what has arrived is kept while the connection breaks."""

    def __init__(self, client: Client, candidate: Candidate) -> None:
        self._client = client
        self._candidate = candidate
        self._check = check_file(candidate)
        self._validator = ""
        self._was_resumed = False

    def run(self, path: str, known: bytes | None = None) -> None:
        """Write the file to ``path``; ``known`` is its content if that is here already."""
        partial = Path(f"{path}.part")
        with _removed_on_failure(partial):
            with partial.open("wb") as output:
                self._fill(output, known)
                self._check.finish()
            partial.replace(path)

    def _fill(self, output: IO[bytes], known: bytes | None) -> None:
        if known is not None:
            self._write([known], output)
        elif self._candidate.url.startswith("file:"):
            self._copy(output)
        else:
            self._fetch(output)

    def _copy(self, output: IO[bytes]) -> None:
        path = path_of(self._candidate.url)
        with contextlib.ExitStack() as stack:
            with reading(path):
                source = stack.enter_context(Path(path).open("rb"))
            self._write(iter(lambda: source.read(CHUNK_BYTES), b""), output)

    def _fetch(self, output: IO[bytes]) -> None:
        self._client.insist(self._candidate.url, lambda: self._continue(output))
        if self._was_resumed:
            # Two halves that do not match may be of two files, of which one may be right.
            try:
                self._check.finish()
            except DownloadMismatchError:
                self._start_over(output)
                self._client.insist(self._candidate.url, lambda: self._continue(output))

    def _continue(self, output: IO[bytes]) -> None:
        headers = self._headers()
        with self._client.ask(self._candidate.url, headers) as reply:
            if self._is_continuation(reply):
                self._was_resumed = True
                return self._write(reply.answer.iter_raw(CHUNK_BYTES), output)
            self._start_over(output)
            if reply.answer.status_code == GOOD:
                self._validator = _read_validator(reply.answer.headers)
                return self._write(reply.answer.iter_raw(CHUNK_BYTES), output)
            if "Range" not in headers or reply.answer.status_code in GONE:
                raise_status(reply)
        return self._continue(output)

    def _headers(self) -> Mapping[str, str]:
        position = self._check.seen_bytes
        # Without a hash, only the server can tell whether it is still the same file.
        if not position or not (self._validator or self._candidate.hashes):
            return AS_IT_IS
        condition = {"If-Range": self._validator} if self._validator else {}
        return {**AS_IT_IS, "Range": f"bytes={position}-", **condition}

    def _is_continuation(self, reply: Reply) -> bool:
        span = reply.answer.headers.get("content-range", "")
        position = self._check.seen_bytes
        return reply.answer.status_code == PARTIAL and span.startswith(f"bytes {position}-")

    def _start_over(self, output: IO[bytes]) -> None:
        output.seek(0)
        output.truncate()
        self._check.restart()
        self._validator = ""
        self._was_resumed = False

    def _write(self, chunks: Iterable[bytes], output: IO[bytes]) -> None:
        for chunk in chunks:
            self._check.update(chunk)
            output.write(chunk)


def _read_validator(headers: Mapping[str, str]) -> str:
    """Return what tells two states of a file apart for certain."""
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
            raise DownloadUnwritableError(str(path), error.strerror or str(error)) from error
        raise
