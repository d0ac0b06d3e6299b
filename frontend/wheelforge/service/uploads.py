"""Archives that clients send, kept by their SHA-256 until they are old."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from wheelforge.service.problems import Problem
from wheelforge_isolation import ensure_directory, move, open_new_file, remove_file, remove_tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,200}\.(?:tar\.gz|zip)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
MOST_BYTES = 1 << 30
MOST_BYTES_OF_CLIENT = 10 << 30
"""All uploads of one client together, until they are old."""
MOST_OF_CLIENT = 10_000
_KEPT_SECONDS = 7 * 86400.0
_PATIENCE_SECONDS = 30.0
PREFIX = "sha256:"


class Uploads:
    """The archives below one directory, each in one that is named by its hash.

    An empty file beside it says for each client that has sent it that it counts for this one.
    """

    def __init__(
        self, root: Path, most_bytes: int = MOST_BYTES_OF_CLIENT, most: int = MOST_OF_CLIENT
    ) -> None:
        self._root = root
        self._most_bytes = most_bytes
        self._most = most
        self._sizes: dict[str, list[int]] = {}
        self._arriving = Counter[str]()
        ensure_directory(str(root))

    def find(self, sha256: str) -> Path | None:
        """Return the archive with that hash."""
        if not _SHA256.fullmatch(sha256):
            return None
        try:
            return next((self._root / sha256).iterdir(), None)
        except OSError:
            return None

    async def receive(
        self, sha256: str, name: str, content: AsyncIterator[bytes], client: str = "local"
    ) -> Path:
        """Take an archive in; it is there whole, with that hash, or not at all."""
        if not _SHA256.fullmatch(sha256) or not _NAME.fullmatch(name):
            detail = "the path is a SHA-256, and `name` that of a `.tar.gz` or `.zip` file"
            raise Problem(400, "request-invalid", detail)
        known = self.find(sha256)
        if known is not None:
            return known
        sizes = self._list_sizes(client)
        if len(sizes) >= self._most:
            detail = f"a client has {self._most} uploads at most"
            raise Problem(413, "uploads-exceeded", detail, "they are removed after a week")
        draft = self._root / f"{sha256}.{time.time_ns():x}.draft"
        try:
            size = await self._store(draft, content, sha256, client)
            ensure_directory(str(self._root / sha256))
            move(str(draft), str(self._root / sha256 / name))
            with suppress(FileExistsError):
                os.close(open_new_file(str(self._root / f"{sha256}.{client}")))
            sizes.append(size)
        finally:
            remove_file(str(draft))
        return self._root / sha256 / name

    async def _store(
        self, draft: Path, content: AsyncIterator[bytes], sha256: str, client: str
    ) -> int:
        """Write a body to a draft, within the bounds of its client; return how large it is."""
        size, sizes = 0, self._list_sizes(client)

        def note(count: int) -> None:
            nonlocal size
            size += count
            self._arriving[client] += count
            if size > MOST_BYTES:
                raise Problem(413, "upload-too-large", f"it has more than {MOST_BYTES} bytes")
            if sum(sizes) + self._arriving[client] > self._most_bytes:
                detail = f"all uploads of a client have {self._most_bytes} bytes at most"
                raise Problem(413, "uploads-exceeded", detail, "they are removed after a week")

        try:
            found = await write_stream(draft, content, note)
        finally:
            self._arriving[client] -= size
        if found != sha256:
            raise Problem(422, "hash-mismatch", f"the body has the SHA-256 {found}")
        return size

    def measure(self, client: str) -> int:
        """Return how many bytes a client has sent that are still there."""
        return sum(self._list_sizes(client))

    def _list_sizes(self, client: str) -> list[int]:
        """Return the sizes of all that a client has sent; looked up once, until some are gone."""
        if client not in self._sizes:
            paths = (self.find(path.stem) for path in self._root.glob(f"*.{client}"))
            self._sizes[client] = [path.stat().st_size for path in paths if path is not None]
        return self._sizes[client]

    def sweep(self, *, with_drafts: bool = False) -> None:
        """Remove what is old, and drafts if no server is alive that would write them."""
        self._sizes.clear()
        for path in self._root.iterdir():
            is_old = time.time() - path.stat().st_mtime > _KEPT_SECONDS
            if path.is_dir():
                if is_old:
                    remove_tree(str(path))
            elif is_old or (with_drafts and path.name.endswith(".draft")):
                remove_file(str(path))


async def write_stream(
    draft: Path, content: AsyncIterator[bytes], note: Callable[[int], None]
) -> str:
    """Write what comes to a new file, and return its SHA-256; ``note`` is told how much it is."""
    digest = hashlib.sha256()
    with os.fdopen(open_new_file(str(draft)), "wb") as file:
        while True:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    piece = await anext(content, b"")
            except TimeoutError as error:
                raise Problem(408, "client-slow", "the body comes too slowly") from error
            if not piece:
                return digest.hexdigest()
            note(len(piece))
            digest.update(piece)
            file.write(piece)
