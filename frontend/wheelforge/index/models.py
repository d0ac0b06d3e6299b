"""Files of an index and what they require."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from packaging.version import Version

Sleep: TypeAlias = Callable[[float], object]
"""Waits for a number of seconds."""
Hashes: TypeAlias = Mapping[str, str]
"""Hexadecimal digests by the name of their algorithm, in lower case."""

SECURE_HASHES = frozenset({
    *("sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512", "blake2s", "blake2b")
})


@contextlib.contextmanager
def reading(path: str) -> Generator[None]:
    """Raise read failures inside as failures to get ``path``."""
    try:
        yield
    except OSError as error:
        from wheelforge.errors import PackageIndexError

        raise PackageIndexError(
            "index-unreachable", path, error.strerror or str(error), 1
        ) from error


def as_utc(moment: datetime | None) -> datetime | None:
    """Return a time that can be compared: without a time zone, it is in UTC."""
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A file that may be used: a wheel that fits the interpreter, or an sdist."""

    name: str
    """Normalised."""
    version: Version
    file_name: str
    url: str
    hashes: Hashes = field(hash=False)
    is_wheel: bool
    rank: int = 0
    """How well a wheel fits the interpreter; the smaller, the better."""
    build: tuple[int, str] = (-1, "")
    """The build tag of a wheel; the higher, the better."""
    origin: str = ""
    """The index or directory that lists it, without credentials."""
    requires_python: str = ""
    yanked: str | None = None
    """The reason, which may be empty; None if it is not yanked."""
    uploaded: datetime | None = None
    metadata_hashes: Hashes | None = field(default=None, hash=False)
    """Of the metadata file beside it; None if there is none."""
    size_bytes: int | None = None

    @property
    def has_secure_hash(self) -> bool:
        """Whether it does not matter on which way the file comes."""
        return not SECURE_HASHES.isdisjoint(self.hashes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """The requirements of one candidate."""

    requires: tuple[str, ...]
    """The ``Requires-Dist`` lines."""
    requires_python: str
    extras: frozenset[str]
    """Normalised."""
