"""The connections from the network: so many at most, and none that is slow or idle for long."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from wheelforge.service.wire import accept

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_MOST = 1024
_IDLE_SECONDS = 30.0
"""The time for the headers of a request, from the first byte or the last answer on."""


class Connections:
    """Accepts clients of one listener, and knows since when each of them has asked for nothing."""

    def __init__(
        self,
        make: Callable[[], asyncio.Protocol],
        *,
        most: int = _MOST,
        idle_seconds: float = _IDLE_SECONDS,
    ) -> None:
        self._make = make
        self._most = most
        self._idle_seconds = idle_seconds
        self._idle_since: dict[asyncio.BaseTransport, float] = {}
        self._opening = set[asyncio.Task[None]]()

    async def accept(self, listener: socket.socket) -> None:
        """Take in clients until this is cancelled; beyond the limit they are hung up on."""
        listener.setblocking(False)  # ruff: ignore[boolean-positional-value-in-call]
        while True:
            line = await accept(listener)
            if len(self._idle_since) + len(self._opening) >= self._most:
                self.sweep()
            if len(self._idle_since) + len(self._opening) >= self._most:
                line.close()
                await asyncio.sleep(0)
                continue
            # Those that wait at the listener are not kept waiting for each other.
            task = asyncio.ensure_future(self._open(line))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, line: socket.socket) -> None:
        with suppress(OSError):
            loop = asyncio.get_running_loop()
            transport, _ = await loop.connect_accepted_socket(self._make, line)
            self._idle_since[transport] = time.monotonic()

    def begin(self, transport: asyncio.BaseTransport | None) -> None:
        """Take note that a request has come."""
        if transport in self._idle_since:
            self._idle_since[transport] = float("inf")

    def end(self, transport: asyncio.BaseTransport | None) -> None:
        """Take note that it is answered."""
        if transport in self._idle_since:
            self._idle_since[transport] = time.monotonic()

    def sweep(self) -> None:
        """Hang up on those that have been idle for too long."""
        limit = time.monotonic() - self._idle_seconds
        for transport, since in tuple(self._idle_since.items()):
            if since < limit:
                transport.close()
            if transport.is_closing():
                del self._idle_since[transport]
