"""Messages between processes of one user and one release: texts, and open files beside them.

A message is what `wheelforge.hooks.protocol` packs. Files go with its first byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING

from wheelforge.hooks.protocol import LENGTH_BYTES, pack

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_BYTES = 1 << 24
_MOST_FILES = 4
_PAUSE_SECONDS = 0.1


class WireError(Exception):
    """The other side has said something that is no message."""


def list_pairs(variables: dict[str, str]) -> list[str]:
    """Return variables as the texts of a message."""
    return [f"{name}={value}" for name, value in variables.items()]


def read_pairs(texts: Sequence[str]) -> dict[str, str]:
    """Return the variables that these texts say."""
    pairs = (text.partition("=") for text in texts)
    return {name: value for name, _, value in pairs}


def send(line: socket.socket, texts: Sequence[str], files: Sequence[int] = ()) -> None:
    """Send a message, from a thread that may wait."""
    content = pack(list(texts))
    sent = socket.send_fds(line, [content], files) if files else 0
    line.sendall(content[sent:])


def receive(line: socket.socket) -> tuple[list[str], list[int]]:
    """Wait for a message; nothing if the other side is gone."""
    head, files, _, _ = socket.recv_fds(line, LENGTH_BYTES, _MOST_FILES)
    if not head:
        return [], files
    head += _receive_all(line, LENGTH_BYTES - len(head))
    return _split(_receive_all(line, _measure(head))), files


def _receive_all(line: socket.socket, count: int) -> bytes:
    content = bytearray()
    while len(content) < count:
        piece = line.recv(min(count - len(content), 1 << 16))
        if not piece:
            raise WireError("a message was cut off")
        content += piece
    return bytes(content)


def _measure(head: bytes) -> int:
    length = int.from_bytes(head, "big")
    if length > _MOST_BYTES:
        raise WireError(f"a message of {length} bytes")
    return length


def _split(content: bytes) -> list[str]:
    return [os.fsdecode(text) for text in content.split(b"\0")]


async def accept(listener: socket.socket) -> socket.socket:
    """Wait for a client; one for whom no descriptor is left waits until there is."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            return (await loop.sock_accept(listener))[0]
        except OSError:
            await asyncio.sleep(_PAUSE_SECONDS)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class AsyncLine:
    """One end of a line in an event loop; the other end may be anywhere."""

    def __init__(self, line: socket.socket) -> None:
        line.setblocking(False)  # ruff: ignore[boolean-positional-value-in-call]
        self.socket = line
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()

    async def send(self, *texts: str, files: Sequence[int] = ()) -> None:
        """Send a message; one to somebody who is gone is lost."""
        content = pack(list(texts))
        async with self._lock:
            try:
                sent = socket.send_fds(self.socket, [content], files) if files else 0
                await self._loop.sock_sendall(self.socket, content[sent:])
            except OSError:
                return

    async def receive(self) -> tuple[list[str], list[int]]:
        """Wait for a message; nothing if the other side is gone."""
        files = list[int]()
        try:
            head = await self._receive_head(files)
            return _split(await self._receive_bytes(_measure(head))), files
        except (OSError, WireError):
            return [], files

    async def _receive_head(self, files: list[int]) -> bytes:
        head = b""
        while len(head) < LENGTH_BYTES:
            await self._wait_until_readable()
            rest = LENGTH_BYTES - len(head)
            piece, more, _, _ = socket.recv_fds(self.socket, rest, _MOST_FILES)
            files += more
            if not piece:
                raise WireError("the other side is gone")
            head += piece
        return head

    async def _receive_bytes(self, count: int) -> bytes:
        content = bytearray()
        while len(content) < count:
            piece = await self._loop.sock_recv(self.socket, count - len(content))
            if not piece:
                raise WireError("a message was cut off")
            content += piece
        return bytes(content)

    def hang_up(self) -> None:
        """Let the other end, and who receives here, see that it is over."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up, while nobody receives here."""
        self._loop.remove_reader(self.socket)
        self.socket.close()

    async def _wait_until_readable(self) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self.socket, _settle, ready)
        try:
            await ready
        finally:
            if self.socket.fileno() >= 0:
                self._loop.remove_reader(self.socket)
