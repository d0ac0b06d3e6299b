"""Whom this machine believes.

Reading all certificates takes as long as a small download. Where the system keeps them one by one
as well, they are looked up there when a server shows one; the whole lot is read only if that is
not enough.
"""

from __future__ import annotations

import functools
import re
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssl import DefaultVerifyPaths, SSLContext

_HASHED = re.compile(r"[0-9a-f]{8}\.\d")
"""The name of a file that is found by what is in it."""
_LOCK = Lock()


def load_certificates() -> SSLContext:
    """Return what believes whom this machine believes; the same for all who ask."""
    with _LOCK:
        return _open_certificates()


@functools.cache
def _open_certificates() -> SSLContext:
    import ssl

    paths = ssl.get_default_verify_paths()
    if not _has_lookup(paths):
        whole: SSLContext = find_library().create_ssl_context(trust_env=False)
        return whole
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(capath=paths.openssl_capath)
    return context


@functools.cache
def complete_certificates() -> None:
    """Read the whole lot, after which nobody else is believed."""
    import ssl

    paths = ssl.get_default_verify_paths()
    if _has_lookup(paths) and Path(paths.openssl_cafile).is_file():
        load_certificates().load_verify_locations(cafile=paths.openssl_cafile)


def _has_lookup(paths: DefaultVerifyPaths) -> bool:
    try:
        return any(_HASHED.fullmatch(each.name) for each in Path(paths.openssl_capath).iterdir())
    except OSError:
        return False


def find_library() -> Any:  # ruff: ignore[any-type]
    """Return the library that unearth's client is of: one or another, depending on the release."""
    from unearth.fetchers.sync import PyPIClient

    return import_module(PyPIClient.__mro__[1].__module__.partition(".")[0])
