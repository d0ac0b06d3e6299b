"""Errors of the API, as `application/problem+json`, and the checks before any handler."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aiohttp import web

from wheelforge.service.requests import RequestError
from wheelforge_isolation import ForgeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Problem(Exception):  # ruff: ignore[error-suffix-on-exception-name]
    """A request to the API that ends with an error."""

    def __init__(
        self, status: int, code: str, detail: str, hint: str = "", *, retry_after: int = 0
    ) -> None:
        """Answer with these facts; after ``retry_after`` seconds it may be another answer."""
        super().__init__(detail)
        self.status, self.code, self.hint = status, code, hint
        self._retry_after = retry_after

    def answer(self) -> web.Response:
        """Return the response."""
        facts = {
            "type": f"urn:wheelforge:error:{self.code}",
            "title": self.code.replace("-", " "),
            "status": self.status,
            "detail": str(self),
            "code": self.code,
            "hint": self.hint or None,
            "log": None,
        }
        # A browser asks its user for a name, which may be any, and a password, the token.
        headers = {"WWW-Authenticate": "Basic realm=wheelforge"} if self.status == 401 else {}  # ruff: ignore[magic-value-comparison]
        if self._retry_after:
            headers["Retry-After"] = str(self._retry_after)
        return web.Response(
            body=json.dumps(facts).encode() + b"\n",
            status=self.status,
            content_type="application/problem+json",
            headers=headers,
        )


async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let every error become a response that says what is wrong."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.answer()
    except RequestError as error:
        if error.is_forbidden:
            return Problem(403, "request-forbidden", str(error)).answer()
        return Problem(400, "request-invalid", str(error)).answer()
    except ForgeError as error:
        return Problem(500, error.code, str(error), error.hint).answer()
    except web.HTTPException as error:
        detail = error.text or error.reason
        return Problem(error.status, error.reason.lower().replace(" ", "-"), detail).answer()


answer_problems_first = web.middleware(answer_problems)


def read_json(content: bytes) -> object:
    """Return what a body says."""
    try:
        found: object = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "request-invalid", f"the body is no JSON: {error}") from error
    return found
