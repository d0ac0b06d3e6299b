"""The bytes of members, read from the spool that the archive was inflated into."""

from __future__ import annotations

import hashlib
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wheelforge_isolation.archive.members import Member

_CHUNK = 1 << 20


class SpoolContents:
    """The contents of an archive that lies inflated in a spool."""

    def __init__(self, spool: IO[bytes]) -> None:
        self._spool = spool
        self._digests: dict[tuple[int, int], bytes] = {}

    def chunks(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of ``member``, a bounded piece at a time."""
        end = member.offset + member.size
        for start in range(member.offset, end, _CHUNK):
            self._spool.seek(start)
            yield self._spool.read(min(_CHUNK, end - start))

    def digest(self, member: Member) -> bytes:
        """Return the SHA-256 of the bytes of ``member``."""
        key = member.offset, member.size  # an empty member starts where the next one does
        if key not in self._digests:
            seal = hashlib.sha256()
            for chunk in self.chunks(member):
                seal.update(chunk)
            self._digests[key] = seal.digest()
        return self._digests[key]
