"""Where files are looked for, and what is found there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote, urlsplit

from wheelforge_isolation.values import Value, field

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from packaging.version import Version

Sleep: TypeAlias = Callable[[float], object]
"""Something that waits for a number of seconds."""
Hashes: TypeAlias = Mapping[str, str]
"""Hexadecimal digests by the name of their algorithm, in lower case."""

PYPI = "https://pypi.org/simple/"
_CREDENTIALS = re.compile(r"(?<=://)[^/?#]*@")
_IDENTITY_LENGTH = 32
_BEFORE_DRIVE = re.compile(r"/(?=[A-Za-z]:)")


def without_credentials(url: str) -> str:
    """Return ``url`` fit for messages and keys."""
    return _CREDENTIALS.sub("", url, count=1)


def path_of(url: str, system: str = os.name) -> str:
    """Return the path of a ``file:`` URL; on Windows it may be one of another host."""
    parts = urlsplit(url)
    path, host = unquote(parts.path), parts.netloc.lower().removeprefix("localhost")
    if system != "nt":
        return path
    path = f"//{host}{path}" if host else _BEFORE_DRIVE.sub("", path)
    return path.replace("/", "\\")


def find_local_place(location: str) -> str | None:
    """Return the path of what is on this machine; None of what is not."""
    if location.lower().startswith("file:"):
        return path_of(location)
    return None if "://" in location else location


@contextlib.contextmanager
def reading(path: str) -> Generator[None]:
    """Say of what cannot be read inside that it is ``path``."""
    try:
        yield
    except OSError as error:
        from wheelforge.errors import IndexUnreachableError

        raise IndexUnreachableError(path, error.strerror or str(error), 1) from error


def as_utc(moment: datetime | None) -> datetime | None:
    """Return a time that can be compared: without a time zone, it is in UTC."""
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


class IndexSettings(Value):
    """Where to look, on what terms, and how to get there."""

    index_urls: tuple[str, ...] = field(default=(PYPI,), repr=False)
    """A name that a server has is never looked for on the next; a directory's may be."""
    find_links: tuple[str, ...] = field(default=(), repr=False)
    """Directories, files and pages whose files come before those of the indexes."""
    no_index: bool = False
    offline: bool = False
    """Whether only what is on this machine may be looked at."""
    exclude_newer: datetime | None = None
    """What was uploaded later is left out, as is what does not say when it was."""
    no_binary: frozenset[str] = frozenset()
    """Normalised names, or ``:all:``; a name given in the other set wins over ``:all:``."""
    only_binary: frozenset[str] = frozenset()
    prefers_wheels: bool = False
    """Whether an older wheel is better than a newer sdist."""
    build_constraints: tuple[Path, ...] = ()
    """Files that limit what is built with, which those that limit what is installed do not."""
    retries: int = 5
    timeout_seconds: float = 15.0
    ca_bundle: str | None = None
    client_certificate: str | None = None
    proxy: str | None = field(default=None, repr=False)
    """For everything; unless given, ``proxies`` count."""
    proxies: Mapping[str, str] = field(default_factory=dict[str, str], repr=False, hash=False)
    """By scheme, or for ``all``."""
    direct_hosts: tuple[str, ...] = ()
    """Not asked through any of ``proxies``: hosts with all below them, networks, or a star."""
    trusted_hosts: tuple[str, ...] = ()
    """May be asked without, or with a doubtful, certificate."""
    netrc: str | None = None
    ask_keyring: bool = True

    def __post_init__(self) -> None:
        for url in (*self.index_urls, *self.find_links):
            try:
                urlsplit(url)
            except ValueError as error:
                from wheelforge.errors import IndexSettingsInvalidError

                raise IndexSettingsInvalidError(without_credentials(url), str(error)) from error

    @property
    def asked_urls(self) -> tuple[str, ...]:
        """The indexes that are asked."""
        return () if self.no_index else self.index_urls

    @property
    def identity(self) -> str:
        """A digest of everything that changes answers; no credentials are in it."""
        cut_off = as_utc(self.exclude_newer)
        facts = [
            self._locations(self.asked_urls),
            self._locations(self.find_links),
            cut_off and cut_off.timestamp(),
            sorted(self.no_binary),
            sorted(self.only_binary),
            sorted(self.trusted_hosts),
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:_IDENTITY_LENGTH]

    @staticmethod
    def _locations(urls: tuple[str, ...]) -> list[str]:
        return [without_credentials(url).rstrip("/") for url in urls]


class Candidate(Value):
    """One file that may be used: a wheel that the interpreter takes, or an sdist."""

    name: str
    """Normalised."""
    version: Version
    file_name: str
    url: str
    hashes: Hashes = field(hash=False)
    is_wheel: bool
    origin: str = ""
    """Which index or directory it is from, without credentials."""
    requires_python: str = ""
    yanked: str | None = None
    """Why, which may be nothing; None if it is not."""
    uploaded: datetime | None = None
    metadata_hashes: Hashes | None = field(default=None, hash=False)
    """Of the metadata file beside it; None if there is none."""
    size_bytes: int | None = None


class Metadata(Value):
    """What one candidate asks for."""

    requires: tuple[str, ...]
    """Its ``Requires-Dist`` lines."""
    requires_python: str
    extras: frozenset[str]
    """Normalised."""
