"""A remote cache in an object store: S3, Google Cloud Storage or Azure, by the library obstore."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import from_url

from wheelforge.remote.stores import RemoteFailedError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from wheelforge.remote.stores import Output

_SETTINGS = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"),
    *("AWS_DEFAULT_REGION", "AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_SKIP_SIGNATURE"),
    *("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
    *("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_SERVICE_ACCOUNT_KEY"),
    *("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SKIP_SIGNATURE"),
    *("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN"),
    *("AZURE_STORAGE_CLIENT_ID", "AZURE_STORAGE_CLIENT_SECRET", "AZURE_STORAGE_TENANT_ID"),
    *("AZURE_STORAGE_ENDPOINT", "AZURE_SKIP_SIGNATURE"),
)
"""Variables that the library takes as settings, which refuses those it does not know."""
_FAMILIES = {"s": "AWS_", "g": "GOOGLE_", "a": "AZURE_"}
"""By the first letter of a scheme, what begins the variables of that service."""


class ObjectStore:
    """The objects below one URL, as `s3://BUCKET/PREFIX`."""

    def __init__(self, url: str, timeout_seconds: float, variables: Mapping[str, str]) -> None:
        timeout, family = timedelta(seconds=timeout_seconds), _FAMILIES[url[0].lower()]
        known = (name for name in _SETTINGS if name.startswith(family) and variables.get(name))
        config: Any = {name.lower(): variables[name] for name in known}
        endpoints = (value for name, value in config.items() if "endpoint" in name)
        client: Any = {"timeout": timeout, "connect_timeout": timeout}
        client["allow_http"] = any(value.startswith("http:") for value in endpoints)
        retries: Any = {"max_retries": 1, "retry_timeout": timeout}
        self._store: Any = from_url(url, config=config, client_options=client, retry_config=retries)

    def fetch(self, path: str, output: Output, most_bytes: int) -> bool:
        """Write what is at ``path`` to ``output``; return whether there is anything."""
        with _raising_failures():
            try:
                answer = obstore.get(self._store, path)
            except FileNotFoundError:
                return False
            if answer.meta["size"] > most_bytes:
                raise RemoteFailedError(f"an object has more than {most_bytes:,} bytes")
            for chunk in answer:
                output.write(bytes(chunk))
            return True

    def has(self, path: str) -> bool:
        """Return whether there is anything at ``path``."""
        with _raising_failures():
            try:
                obstore.head(self._store, path)
            except FileNotFoundError:
                return False
            return True

    def write(self, path: str, content: bytes | Path) -> None:
        """Put bytes, or those of a file, to ``path``: all of them, or nothing."""
        with _raising_failures(), contextlib.suppress(AlreadyExistsError):
            obstore.put(self._store, path, content)

    def close(self) -> None:
        """Do nothing: connections end with the process."""


@contextlib.contextmanager
def _raising_failures() -> Generator[None]:
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        is_final = isinstance(error, PermissionDeniedError | UnauthenticatedError)
        text = str(error).partition("\n")[0]
        raise RemoteFailedError(text, is_final=is_final) from error
