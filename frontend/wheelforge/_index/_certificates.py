"""Whom this machine believes, and what we show of ourselves.

Reading all certificates takes as long as a small download. Where the system keeps them one by one
as well, they are looked up there when a server shows one; the whole lot is read only if that is
not enough.
"""

from __future__ import annotations

import functools
import re
import ssl
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from wheelforge._index._origins import is_trusted
from wheelforge.errors import IndexUnreachableError

if TYPE_CHECKING:
    from wheelforge._index._values import IndexSettings

_HASHED = re.compile(r"[0-9a-f]{8}\.\d")
"""The name of a file that is found by what is in it."""
_LOCK = Lock()


class Certificates:
    """What decides whether a server is who it says; read when the first one has to say."""

    def __init__(self, settings: IndexSettings) -> None:
        self._settings = settings
        self._paths = (settings.ca_bundle or "", settings.client_certificate or "")
        _stamp(self._paths)  # what is not there is said at once

    def find(self, server: str) -> ssl.SSLContext:
        """Return what is asked about ``server``: nothing, if it is trusted anyway."""
        if is_trusted(server, self._settings.trusted_hosts):
            return _believe_all()
        return self.context

    @property
    def context(self) -> ssl.SSLContext:
        """What is asked about everybody else."""
        return load_certificates(*self._paths)

    def complete(self) -> bool:
        """Have the whole lot read; return whether it is worth asking again."""
        return not any(self._paths) and complete_certificates()


def load_certificates(bundle: str = "", client_certificate: str = "") -> ssl.SSLContext:
    """Return what believes those in ``bundle``, or whom this machine believes; one for all."""
    paths = (bundle, client_certificate)
    with _LOCK:
        return _load_own(paths, _stamp(paths)) if any(paths) else _open_certificates()


@functools.cache
def _open_certificates() -> ssl.SSLContext:
    paths = ssl.get_default_verify_paths()
    if not _has_lookup(paths):
        whole: ssl.SSLContext = find_library().create_ssl_context(trust_env=False)
        return whole
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(capath=paths.openssl_capath)
    return context


@functools.cache
def complete_certificates() -> bool:
    """Read the whole lot, after which nobody else is believed; return whether there is one."""
    paths = ssl.get_default_verify_paths()
    if not _has_lookup(paths) or not Path(paths.openssl_cafile).is_file():
        return False
    load_certificates().load_verify_locations(cafile=paths.openssl_cafile)
    return True


def _stamp(paths: tuple[str, str]) -> tuple[int, ...]:
    """Return what changes when certificates do: who runs for long has to see new ones."""
    try:
        return tuple(Path(path).stat().st_mtime_ns for path in paths if path)
    except OSError as error:
        raise _unusable(paths, str(error)) from error


@functools.lru_cache(maxsize=4)
def _load_own(paths: tuple[str, str], _when: tuple[int, ...]) -> ssl.SSLContext:
    bundle, client_certificate = paths
    is_directory = Path(bundle).is_dir()
    try:
        context = ssl.create_default_context(
            cafile=None if is_directory else bundle or None,
            capath=bundle if is_directory else None,
        )
        if client_certificate:
            context.load_cert_chain(client_certificate)
    except OSError as error:
        raise _unusable(paths, str(error)) from error
    return context


def _unusable(paths: tuple[str, str], problem: str) -> IndexUnreachableError:
    return IndexUnreachableError(
        " ".join(filter(None, paths)), f"unusable certificates: {problem}", 0
    )


def _believe_all() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _has_lookup(paths: ssl.DefaultVerifyPaths) -> bool:
    try:
        return any(_HASHED.fullmatch(each.name) for each in Path(paths.openssl_capath).iterdir())
    except OSError:
        return False


def find_library() -> Any:  # ruff: ignore[any-type]
    """Return the library that unearth's client is of: one or another, depending on the release."""
    from unearth.fetchers.sync import PyPIClient

    return import_module(PyPIClient.__mro__[1].__module__.partition(".")[0])
