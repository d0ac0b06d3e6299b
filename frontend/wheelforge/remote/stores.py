"""Where a remote cache is: its address, and how bytes get there and back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import urlsplit

from wheelforge.errors import ServiceError, UsageError
from wheelforge_isolation.formats.urls import local_path, redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wheelforge.index.settings import IndexSettings
    from wheelforge.settings import RemoteSettings

READ_ONLY = "?read-only"
_OBJECTS = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss")
_CREDENTIALS = re.compile(
    r"AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|CONTAINER_\w+|WEB_IDENTITY_\w+)"
    r"|GOOGLE_(SERVICE_ACCOUNT\w*|APPLICATION_CREDENTIALS)|AZURE_\w*(KEY|TOKEN|SECRET)"
)
_LINE = "\n"


class RemoteFailedError(Exception):
    """A remote cache did not do what it was asked for."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final
        """Whether there is no use in asking for anything else."""


class Output(Protocol):
    """Where bytes go to."""

    def write(self, content: bytes, /) -> object:
        """Take some more bytes."""
        ...


class Store(Protocol):
    """The bytes of a remote cache by their paths, `ac/HASH` and `cas/HASH`.

    To be used by several threads. Whatever goes wrong is a `RemoteFailedError`.
    """

    def fetch(self, path: str, output: Output, most_bytes: int) -> bool:
        """Write what is at ``path`` to ``output``; return whether there is anything."""
        ...

    def has(self, path: str) -> bool:
        """Return whether there is anything at ``path``."""
        ...

    def write(self, path: str, content: bytes | Path) -> None:
        """Put bytes, or those of a file, to ``path``: all of them, or nothing."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class Location(NamedTuple):
    """The address of a remote cache."""

    url: str
    """A URL, or the path of a directory."""
    is_read_only: bool = False

    def __str__(self) -> str:
        return redact(self.url)

    @property
    def scheme(self) -> str:
        """That of the URL; ``file`` for a directory."""
        return urlsplit(self.url).scheme.lower() if "://" in self.url else "file"

    @property
    def is_on_network(self) -> bool:
        """Whether it cannot be reached offline."""
        return self.scheme != "file"


def read_location(text: str) -> Location:
    """Return the address that ``text`` is."""
    url, is_read_only = text.removesuffix(READ_ONLY), text.endswith(READ_ONLY)
    found = Location(url, is_read_only)
    if found.scheme not in {"http", "https", "file", *_OBJECTS}:
        reason = f"`{found}` is no directory, and none of http:, https:, s3:, gs: and az:"
        raise UsageError("option-invalid", "--remote-cache", reason)
    return found


def open_store(location: Location, index: IndexSettings, settings: RemoteSettings) -> Store:
    """Return the store at ``location``; certificates and proxies are those of the ``index``."""
    if location.scheme in {"http", "https"}:
        from wheelforge.remote.http_store import HttpStore

        return HttpStore(location.url, index, settings.timeout_seconds)
    if location.scheme == "file":
        from wheelforge.remote.directory_store import DirectoryStore

        return DirectoryStore(Path(local_path(location.url) or location.url))
    try:
        from wheelforge.remote.object_store import ObjectStore
    except ModuleNotFoundError as error:
        raise ServiceError("extra-missing", "remote", str(error)) from error
    try:
        return ObjectStore(location.url, settings.timeout_seconds, settings.variables)
    except Exception as error:  # any of the library's
        reason = f"`{location}`: {str(error).partition(_LINE)[0]}"
        raise UsageError("option-invalid", "--remote-cache", reason) from error


def hide_credentials(urls: Iterable[str], variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of builds: hooks are not to have what opens the caches at ``urls``."""
    is_object_store = any(read_location(url).scheme in _OBJECTS for url in urls)
    return {
        name: value
        for name, value in variables.items()
        if not (is_object_store and _CREDENTIALS.fullmatch(name))
    }
