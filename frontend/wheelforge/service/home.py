"""Where a server is: its directory in the cache, its lock, its record and its sockets.

The lock, held as long as the server lives, decides which process is the server of a cache; the
record only says where it listens. It is written after the listeners are there, and removed only by
the server whose nonce is in it.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge.errors import ServiceError
from wheelforge.version import VERSION
from wheelforge_isolation import (
    ForgeError,
    ensure_directory,
    ensure_private_directories,
    remove_file,
    replace_file,
    try_lock,
)
from wheelforge_isolation.formats.tables import as_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wheelforge_isolation import Lock

_LONGEST_PATH = 100
"""The name of a socket has 107 bytes at most, and the other socket has a suffix."""
COMMANDS_SUFFIX = ".run"
_ACCESS = 0o077
PROTOCOL = 1


class Home(NamedTuple):
    """The directory of a server in its cache; only its user may enter."""

    root: Path

    @classmethod
    def of(cls, cache: Path) -> Home:
        """Return that of a cache."""
        return cls(cache / "service-v1")

    @property
    def database(self) -> Path:
        """The queue."""
        return self.root / "queue.sqlite"

    @property
    def runs(self) -> Path:
        """A directory for each run: events, log, results."""
        return self.root / "runs"

    @property
    def artifacts(self) -> Path:
        """Results by their SHA-256."""
        return self.root / "artifacts"

    @property
    def wheels(self) -> Path:
        """The wheels of the index by their SHA-256."""
        return self.root / "wheels"

    @property
    def files(self) -> Path:
        """Files of other indexes that the index has passed on."""
        return self.root / "files"

    @property
    def record(self) -> Path:
        """The facts by which the server is found."""
        return self.root / "server.json"

    @property
    def log(self) -> Path:
        """The output of a server in the background."""
        return self.root / "server.log"

    def prepare(self) -> None:
        """Make the directory, and see that it is private."""
        ensure_private_directories(str(self.root))
        check_private(self.root)
        for place in (self.runs, self.artifacts):
            ensure_directory(str(place))

    def lock(self) -> Lock:
        """Become the server of this cache, or say which process is it."""
        lock = try_lock(self.root / "server.lock")
        if lock is None:
            record = self.read_record() or {}
            raise ServiceError("server-running", str(record.get("address", "not known yet")))
        return lock

    def is_served(self) -> bool:
        """Return whether a server is alive: it holds the lock."""
        if not (self.root / "server.lock").exists():
            return False
        try:
            lock = try_lock(self.root / "server.lock")
        except (OSError, ForgeError):
            return False
        if lock is not None:
            lock.release()
        return lock is None

    def read_record(self) -> dict[str, Any] | None:
        """Return what the server has written down of itself, if it is sound."""
        try:
            found = json.loads(self.record.read_bytes())
        except (OSError, ValueError):
            return None
        return as_table(found) or None

    def write_record(self, facts: Mapping[str, object]) -> str:
        """Let others find the server; return the nonce that proves whose record it is."""
        nonce = secrets.token_hex(8)
        facts = {**facts, "pid": os.getpid(), "nonce": nonce, "version": VERSION}
        replace_file(str(self.record), json.dumps(facts).encode())
        return nonce

    def remove_record(self, nonce: str) -> None:
        """Remove the record, unless it is that of another server."""
        if (self.read_record() or {}).get("nonce") == nonce:
            remove_file(str(self.record))


def check_private(directory: Path) -> None:
    """Refuse a directory that others could put a socket into."""
    status = directory.lstat()
    reason = ""
    if not stat.S_ISDIR(status.st_mode):
        reason = "its directory is a link or no directory"
    elif status.st_uid != os.geteuid():
        reason = "its directory belongs to another user"
    elif status.st_mode & _ACCESS:
        reason = "others may enter its directory; `chmod 700` it"
    if reason:
        raise ServiceError("socket-invalid", str(directory), reason)


def choose_socket(home: Home, variables: Mapping[str, str]) -> Path:
    """Return where the server of a cache listens, unless it is told where."""
    path = home.root / "socket"
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        return path
    runtime = variables.get("XDG_RUNTIME_DIR", "")
    if not runtime:
        reason = "the name is too long for a socket; choose one with `--socket`"
        raise ServiceError("socket-invalid", str(path), reason)
    import hashlib

    name = hashlib.sha256(os.fsencode(home.root)).hexdigest()[:16]
    return Path(runtime) / "wheelforge" / f"{name}.socket"


def listen(path: Path) -> socket.socket:
    """Return a socket at ``path`` that only this user can connect to."""
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise ServiceError("socket-invalid", str(path), "the name is too long for a socket")
    ensure_private_directories(str(path.parent))
    check_private(path.parent)
    if path.exists() and not path.is_socket():
        raise ServiceError("socket-invalid", str(path), "there is another file")
    remove_file(str(path))
    listener = socket.socket(socket.AF_UNIX)
    umask = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise ServiceError("socket-invalid", str(path), error.strerror or str(error)) from error
    finally:
        os.umask(umask)
    listener.listen(512)
    return listener


def is_own_user(line: socket.socket) -> bool:
    """Return whether the other end of a Unix socket is a process of this user."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True  # the directory of the socket lets nobody else through
    credentials = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    import struct

    return bool(struct.unpack("3i", credentials)[1] == os.geteuid())
