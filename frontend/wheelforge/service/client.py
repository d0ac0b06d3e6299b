"""Questions to a server over its Unix socket."""

from __future__ import annotations

import http.client
import json
import socket
from typing import TYPE_CHECKING, Any

from wheelforge.errors import ServiceError

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE_SECONDS = 30.0
_FIRST_ERROR = 400


class UnixConnection(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_PATIENCE_SECONDS)
        self._path = str(path)

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(path: Path, method: str, target: str, document: object = None) -> dict[str, Any]:
    """Return the answer of a server; a problem is an error."""
    connection = UnixConnection(path)
    try:
        body = None if method == "GET" else json.dumps(document or {})
        connection.request(method, target, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        found: dict[str, Any] = json.loads(response.read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or "it has hung up"
        raise ServiceError("server-failed", f"`unix:{path}`: {reason}") from error
    finally:
        connection.close()
    if response.status >= _FIRST_ERROR:
        raise ServiceError("server-failed", found.get("detail", response.reason))
    return found
