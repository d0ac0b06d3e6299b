"""Access: roles, tokens, and the headers by which a browser betrays another page.

Over the Unix socket a client is the server's own user. Over TCP it has to show a token, always, and
may name no paths, programs or variables. A page of another site cannot speak for its reader: the
`Host` must be one of a list, exactly, against names that are bound to another address; a foreign
`Origin` is refused; and what changes anything is posted as JSON, which no form can.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
import secrets
import stat
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.errors import ServiceError
from wheelforge_isolation import open_new_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

ROLES = ("read", "build", "admin")
"""Each may do what those before it may."""
_LINE = re.compile(r"(?:(\w+)\s+)?([\x21-\x7e]{20,})")
_OTHERS = 0o077


class Refusal(NamedTuple):
    """Why a request is not answered."""

    status: int
    code: str
    detail: str


class Access(NamedTuple):
    """The rules of one listener on TCP."""

    tokens: Mapping[str, str]
    """The role of each."""
    hosts: frozenset[str]

    def check(self, headers: Mapping[str, str], role: str) -> Refusal | None:
        """Return why a request that needs that role is refused, if it is."""
        host, origin = headers.get("Host", ""), headers.get("Origin")
        if host not in self.hosts:
            return Refusal(403, "host-refused", f"this server is not called `{host}`")
        if origin is not None and origin not in self._list_origins():
            return Refusal(403, "origin-refused", f"pages of `{origin}` have no say here")
        if not role:
            return None
        found = self.tokens.get(self.find_token(headers))
        if found is None:
            return Refusal(401, "token-missing", "a token is needed, and this is none")
        if ROLES.index(found) < ROLES.index(role):
            return Refusal(403, "role-insufficient", f"this takes the role `{role}`, not `{found}`")
        return None

    def _list_origins(self) -> set[str]:
        return {f"{scheme}://{host}" for scheme in ("http", "https") for host in self.hosts}

    def find_token(self, headers: Mapping[str, str]) -> str:
        """Return the token that is shown, which a browser sends as the password of any user."""
        scheme, _, value = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                value = base64.b64decode(value, validate=True).decode().partition(":")[2]
            except (binascii.Error, ValueError):
                return ""
        elif scheme.lower() != "bearer":
            return ""
        given, found = value.strip().encode(errors="replace"), ""
        for token in self.tokens:  # all of them, so that time tells nothing
            if hmac.compare_digest(given, token.encode()):
                found = token
        return found


def read_tokens(path: Path) -> dict[str, str]:
    """Return the tokens of a file, which is made if it is not there: a role and a token a line."""
    if not path.exists():
        with os.fdopen(open_new_file(str(path)), "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)
            file.writelines(f"{role} {secrets.token_urlsafe(32)}\n" for role in ROLES)
    return load_tokens(path)


def load_tokens(path: Path) -> dict[str, str]:
    """Return the tokens of a file that is there, and private."""
    try:
        status = path.lstat()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ServiceError("token-file-invalid", str(path), reason) from error
    is_own = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    if not stat.S_ISREG(status.st_mode) or not is_own:
        raise ServiceError("token-file-invalid", str(path), "it is no file of this user")
    if hasattr(os, "geteuid") and status.st_mode & _OTHERS:
        raise ServiceError("token-file-invalid", str(path), "others may read it; `chmod 600` it")
    lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    found = dict(map(_read_line, (line for line in lines if line.strip() and line[0] != "#")))
    if not found or "" in found:
        reason = f"each line is a role of {', '.join(ROLES)}, and a token of 20 characters or more"
        raise ServiceError("token-file-invalid", str(path), reason)
    return found


def _read_line(line: str) -> tuple[str, str]:
    match = _LINE.fullmatch(line.strip())
    role = "" if match is None else match[1] or "admin"
    return (match[2], role) if match is not None and role in ROLES else ("", "")


def list_hosts(host: str, port: int, others: Iterable[str]) -> frozenset[str]:
    """Return the names by which clients may call a listener; ``others`` are those of proxies."""
    own = {host, "localhost", "127.0.0.1", "[::1]"} if host in LOOPBACK else {host}
    return frozenset({*(f"{name}:{port}" for name in own), *others})


LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}
