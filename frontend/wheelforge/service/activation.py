"""Sockets that a service manager has opened before it has started the server."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.errors import ServiceError
from wheelforge.service.home import COMMANDS_SUFFIX, check_private

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FIRST_DESCRIPTOR = 3


def read_listeners(variables: Mapping[str, str]) -> list[socket.socket]:
    """Return the sockets that these variables tell this process of."""
    if variables.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = variables.get("LISTEN_FDS", "")
    found = [
        _open(number) for number in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count or 0))
    ]
    for listener in found:
        if listener.family == socket.AF_UNIX:
            check_private(Path(listener.getsockname()).parent)
    return found


def _open(number: int) -> socket.socket:
    try:
        listener = socket.socket(fileno=number)
        is_listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ServiceError("socket-invalid", f"descriptor {number}", reason) from error
    if not is_listening or listener.type != socket.SOCK_STREAM:
        listener.close()
        raise ServiceError("socket-invalid", f"descriptor {number}", "it takes no connections")
    listener.set_inheritable(False)
    return listener


def find_socket(listeners: Sequence[socket.socket]) -> Path | None:
    """Return the path of the one that speaks HTTP on this machine, if it is among them."""
    paths = [each.getsockname() for each in listeners if each.family == socket.AF_UNIX]
    own = (path for path in paths if not path.endswith(COMMANDS_SUFFIX))
    return next(map(Path, own), None)


def find_network(listeners: Sequence[socket.socket]) -> tuple[str, int] | None:
    """Return host and port of the one that is on a network, if it is among them."""
    for each in listeners:
        if each.family != socket.AF_UNIX:
            host, port = each.getsockname()[:2]
            return (f"[{host}]" if ":" in host else host), port
    return None
