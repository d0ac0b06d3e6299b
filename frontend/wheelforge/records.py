"""Small files that remember, one for each thing, in a directory of the cache.

Each opens with a seal: the digest of what it is about and of what follows. One whose seal is wrong
is damaged, cut or about something else, which are all the same: nothing is remembered.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING, Any

from wheelforge_isolation import IsolationError, ensure_directory, replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_KEY_LENGTH = 32


class Records:
    """The records of one kind below a directory."""

    def __init__(self, directory: Path, kind: str) -> None:
        self._directory = directory
        self._kind = kind

    def read(self, *facts: str) -> dict[str, Any] | None:
        """Return what is remembered of what ``facts`` tell from everything else."""
        key = self._key(facts)
        return read_record(self._place(key), key)

    def write(self, found: Mapping[str, object], *facts: str) -> None:
        """Remember ``found`` of what ``facts`` tell from everything else."""
        key = self._key(facts)
        write_record(self._place(key), key, found)

    def _key(self, facts: tuple[str, ...]) -> str:
        return hashlib.sha256(json.dumps([self._kind, *facts]).encode()).hexdigest()

    def _place(self, key: str) -> Path:
        return self._directory / f"{self._kind}-{key[:_KEY_LENGTH]}.json"


def read_record(place: Path, subject: str) -> dict[str, Any] | None:
    """Return what the file ``place`` remembers of ``subject``, if it does."""
    try:
        content = place.read_bytes()
    except OSError:
        return None
    seal, _, body = content.partition(b"\n")
    return json.loads(body) if seal == _seal(subject, body) else None


def write_record(place: Path, subject: str, found: Mapping[str, object]) -> None:
    """Remember ``found`` of ``subject`` in the file ``place``."""
    body = json.dumps(found).encode("ascii")
    # Who may not write remembers nothing, and is none the worse for it.
    with contextlib.suppress(IsolationError):
        ensure_directory(str(place.parent))
        replace_file(str(place), _seal(subject, body) + b"\n" + body)


def _seal(subject: str, body: bytes) -> bytes:
    return hashlib.sha256(f"{subject}:".encode() + body).hexdigest().encode()
