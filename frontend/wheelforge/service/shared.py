"""Wheels that clients share, by the protocol of Bazel's HTTP caches; the least used go first.

Clients do not trust the server: they look at hashes and signatures. So a token of the role `build`
is enough to write, and bodies are looked at so that no rubbish takes the place of wheels.
"""

# ruff: file-ignore[unused-async]  # every handler is called in the same way

from __future__ import annotations

import hashlib
import re
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from aiohttp import web

from wheelforge.remote.action_result import decode_action
from wheelforge.service.problems import Problem
from wheelforge.service.uploads import write_stream
from wheelforge_isolation import IsolationError, ensure_directory, mark_used, move, remove_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from wheelforge.service.server import Server

_NAME = re.compile(r"[0-9a-f]{64}")
_ACTION, _CONTENT = "ac", "cas"
_MOST_ACTION_BYTES = 8 << 20
_EMPTY = hashlib.sha256(b"").hexdigest()
_DRAFT = ".draft"


class SharedBlobs:
    """The blobs below one directory, which together have a limit."""

    def __init__(self, root: Path, most_bytes: int) -> None:
        self._root = root
        self._most_bytes = most_bytes
        self._sizes: OrderedDict[str, int] = OrderedDict()
        """Of each blob, the least used first."""
        self.size_bytes = 0
        found: list[tuple[float, str, int]] = []
        for path in root.glob("*/*/*"):
            status = path.stat()
            if path.suffix == _DRAFT:  # of a server that has died
                remove_file(str(path))
            else:
                name = f"{path.parent.parent.name}/{path.name}"
                found.append((status.st_mtime, name, status.st_size))
        for _, name, size in sorted(found):
            self._sizes[name] = size
            self.size_bytes += size
        self._make_room(0)

    def __len__(self) -> int:
        return len(self._sizes)

    def find(self, kind: str, sha256: str) -> Path | None:
        """Return the file with a blob, which counts as used now."""
        name = f"{kind}/{sha256}"
        if name not in self._sizes:
            return None
        self._sizes.move_to_end(name)
        path = self._locate(kind, sha256)
        mark_used(str(path))
        return path

    def read_action(self, sha256: str) -> bytes | None:
        """Return an action, if all the files that it names are there."""
        path = self.find(_ACTION, sha256)
        try:
            body = b"" if path is None else path.read_bytes()
            files = decode_action(body).values()
        except (OSError, ValueError, LookupError):
            return None
        missing = (
            file
            for file in files
            if not (file.contents or file.sha256 == _EMPTY or self.find(_CONTENT, file.sha256))
        )
        return None if not body or any(missing) else body

    async def receive(
        self, kind: str, sha256: str, size: int, content: AsyncIterator[bytes]
    ) -> None:
        """Take a blob in: it is there whole, or not at all."""
        most = _MOST_ACTION_BYTES if kind == _ACTION else self._most_bytes
        if size > most:
            raise Problem(413, "blob-too-large", f"it has more than {most} bytes")
        path = self._locate(kind, sha256)
        draft = path.with_name(f"{sha256}.{time.time_ns():x}{_DRAFT}")
        received = 0

        def note(count: int) -> None:
            nonlocal received
            received += count
            if received > size:
                raise Problem(400, "request-invalid", "the body is longer than it was to be")

        self._make_room(size)
        self.size_bytes += size  # of those that arrive at the same time, too
        try:
            ensure_directory(str(path.parent))
            found = await write_stream(draft, content, note)
            self._check(kind, sha256, draft, found if received == size else "")
            move(str(draft), str(path))
        except (OSError, IsolationError) as error:
            raise Problem(507, "server-full", f"it cannot be kept: {error}") from error
        finally:
            self.size_bytes -= size
            remove_file(str(draft))
        self.size_bytes += size - self._sizes.pop(f"{kind}/{sha256}", 0)
        self._sizes[f"{kind}/{sha256}"] = size

    def _check(self, kind: str, sha256: str, draft: Path, found: str) -> None:
        """Refuse a body that is cut, has another hash, or is no action."""
        if not found:
            raise Problem(400, "request-invalid", "the body is shorter than it was to be")
        if kind == _CONTENT and found != sha256:
            raise Problem(422, "hash-mismatch", f"the body has the SHA-256 {found}")
        if kind == _ACTION:
            try:
                decode_action(draft.read_bytes())
            except (ValueError, LookupError) as error:
                raise Problem(400, "request-invalid", "the body is no action") from error

    def _make_room(self, size: int) -> None:
        while self._sizes and self.size_bytes + size > self._most_bytes:
            name, freed = self._sizes.popitem(last=False)
            self.size_bytes -= freed
            remove_file(str(self._locate(*name.split("/"))))

    def _locate(self, kind: str, sha256: str) -> Path:
        return self._root / kind / sha256[:2] / sha256


async def fetch_action(server: Server, request: web.Request) -> web.StreamResponse:
    """Fetch the record of something that was built."""
    body = _find_blobs(server).read_action(_read_name(request))
    if body is None:
        raise Problem(404, "blob-unknown", "there is nothing under this key")
    return web.Response(body=body, content_type=_TYPE)


async def fetch_content(server: Server, request: web.Request) -> web.StreamResponse:
    """Fetch a file by its hash."""
    name = _read_name(request)
    path = _find_blobs(server).find(_CONTENT, name)
    if name == _EMPTY:
        return web.Response(body=b"", content_type=_TYPE)
    if path is None:
        raise Problem(404, "blob-unknown", "there is nothing with this hash")
    return web.FileResponse(path, headers={"Content-Type": _TYPE})


async def receive_action(server: Server, request: web.Request) -> web.StreamResponse:
    """Take the record of something that was built."""
    return await _receive(server, request, _ACTION)


async def receive_content(server: Server, request: web.Request) -> web.StreamResponse:
    """Take a file."""
    return await _receive(server, request, _CONTENT)


async def _receive(server: Server, request: web.Request, kind: str) -> web.StreamResponse:
    blobs, name, size = _find_blobs(server), _read_name(request), request.content_length
    if size is None:
        raise Problem(411, "request-invalid", "`Content-Length` is needed")
    await blobs.receive(kind, name, size, aiter(request.content.iter_chunked(1 << 16)))
    return web.Response()


def _find_blobs(server: Server) -> SharedBlobs:
    if server.blobs is None:
        hint = "`wheelforge serve --shared-cache SIZE` has one"
        raise Problem(404, "shared-cache-off", "this server has no shared cache", hint)
    return server.blobs


def _read_name(request: web.Request) -> str:
    name = request.match_info["sha256"]
    if not _NAME.fullmatch(name):
        raise Problem(400, "request-invalid", "the path ends in a SHA-256")
    return name


_TYPE = "application/octet-stream"
