"""Pages that are begun before it is known what is on them, and go on coming until it is.

Installers wait for a page whose body goes on coming, and not for a silent one. When such a body
breaks off, because the server has died, uv asks again, and clients that are made of `requests`
fail; but when that is the body of a redirect, they follow it all the same, and go on asking until a
server is there again. So those clients wait for the body of a redirect to the page that they want.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

OF_PAGES = {
    "Vary": "Accept, Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'",
}
PAD_SECONDS = 3.0
SINCE = "since"
"""The part of a URL that says since when its client has waited, by whichever server."""
_READ_REDIRECTS = ("pip/", "poetry/")
"""Clients, by their names, that read the body of a redirect before they follow it."""


class PaddedAnswer:
    """The answer to one request for a page, which may be begun early."""

    def __init__(self, request: web.Request, form: str, wait_seconds: float) -> None:
        """Answer with a page of the content type ``form``, after ``wait_seconds`` at the latest."""
        self._request = request
        self._form = form
        self._response: web.StreamResponse | None = None
        now, said = time.time(), read_since(request)
        self.is_again = said is not None
        """Whether the client was sent here to go on waiting."""
        self._since = now if said is None else min(said, now)
        self._deadline = self._since + wait_seconds
        name = request.headers.get("User-Agent", "")
        self.redirects = name.startswith(_READ_REDIRECTS)

    @property
    def is_begun(self) -> bool:
        """Whether the client has its status already."""
        return self._response is not None

    @property
    def is_overdue(self) -> bool:
        """Whether the client has waited for as long as it may."""
        return time.time() >= self._deadline and self.is_again

    async def wait(self, tasks: Collection[asyncio.Task[Any]]) -> None:
        """Write a space every few seconds until the tasks are done, or for as long as allowed."""
        response = await self._begin()
        while tasks:
            await response.write(b" ")
            left = self._deadline - time.time()
            if left <= 0:
                return
            _, tasks = await asyncio.wait(tasks, timeout=min(PAD_SECONDS, left))

    async def _begin(self) -> web.StreamResponse:
        if self._response is None:
            headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", **OF_PAGES}
            if self.redirects:
                url = self._request.rel_url.update_query({SINCE: f"{self._since:.3f}"})
                headers |= {"Content-Type": "text/plain", "Location": f"?{url.raw_query_string}"}
            else:
                headers["Content-Type"] = self._form
            status = 307 if self.redirects else 200
            self._response = web.StreamResponse(status=status, headers=headers)
            self._response.enable_chunked_encoding()
            await self._response.prepare(self._request)
        return self._response

    async def finish(self, show: Callable[[], bytes]) -> web.StreamResponse:
        """End an answer that was begun: with the page, or by letting the client ask for it."""
        response = await self._begin()
        if not self.redirects:
            await response.write(show())
        await response.write_eof()
        return response

    async def give_up(self) -> web.StreamResponse:
        """End an answer that was begun and that there is no page for; the client asks again."""
        if not self.redirects:
            raise ConnectionResetError  # in the middle of the body
        return await self.finish(bytes)


def read_since(request: web.Request) -> float | None:
    """Return since when a client has waited that was sent here; None if it was not."""
    if not request.query_string:
        return None
    try:
        number = float(request.query.get(SINCE, ""))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
