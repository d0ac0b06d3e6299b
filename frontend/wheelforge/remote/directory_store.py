"""A remote cache that is a directory, as on a file server: `ac/` and `cas/` with files in them."""

from __future__ import annotations

import contextlib
import os
import stat
import uuid
from typing import TYPE_CHECKING

from wheelforge.remote.stores import RemoteFailedError
from wheelforge_isolation import (
    IsolationError,
    copy_file,
    create_file,
    ensure_directory,
    move,
    remove_file,
)

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from wheelforge.remote.stores import Output

_CHUNK_BYTES = 1 << 20


class DirectoryStore:
    """The files below one directory, which other users and machines write as well."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def fetch(self, path: str, output: Output, most_bytes: int) -> bool:
        """Write what is at ``path`` to ``output``; return whether there is anything."""
        with _raising_failures():
            if not self.has(path):
                return False
            received = 0
            with (self._root / path).open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    received += len(chunk)
                    if received > most_bytes:
                        raise RemoteFailedError(f"a file has more than {most_bytes:,} bytes")
                    output.write(chunk)
            return True

    def has(self, path: str) -> bool:
        """Return whether there is a file at ``path``; a pipe would be waited for."""
        with _raising_failures():
            try:
                return stat.S_ISREG((self._root / path).stat().st_mode)
            except FileNotFoundError:
                return False

    def write(self, path: str, content: bytes | Path) -> None:
        """Put bytes, or those of a file, to ``path``: all of them, or nothing."""
        target = self._root / path
        draft = str(target.with_name(f".{uuid.uuid4().hex}.draft"))
        with _raising_failures():
            ensure_directory(str(target.parent))
            try:
                if isinstance(content, bytes):
                    create_file(draft, [content])
                else:
                    copy_file(os.fspath(content), draft)
                move(draft, str(target))
            finally:
                with contextlib.suppress(IsolationError):
                    remove_file(draft)

    def close(self) -> None:
        """Do nothing: there are no connections."""


@contextlib.contextmanager
def _raising_failures() -> Generator[None]:
    try:
        yield
    except (OSError, IsolationError) as error:
        raise RemoteFailedError(getattr(error, "strerror", None) or str(error)) from error
