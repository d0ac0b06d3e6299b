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
        self._is_own = bool(settings.ca_bundle or settings.client_certificate)
        self._own: ssl.SSLContext | None = None
        self._lock = Lock()
        for path in filter(None, (settings.ca_bundle, settings.client_certificate)):
            if not Path(path).exists():
                raise _unusable(settings, f"there is no `{path}`")

    def find(self, server: str) -> ssl.SSLContext:
        """Return what is asked about ``server``: nothing, if it is trusted anyway."""
        if is_trusted(server, self._settings.trusted_hosts):
            return _believe_all()
        return self.context

    @property
    def context(self) -> ssl.SSLContext:
        """What is asked about everybody else."""
        if not self._is_own:
            return load_certificates()
        with self._lock:
            self._own = self._own or _load_own(self._settings)
            return self._own

    def complete(self) -> bool:
        """Have the whole lot read; return whether it is worth asking again."""
        return not self._is_own and complete_certificates()


def load_certificates() -> ssl.SSLContext:
    """Return what believes whom this machine believes; the same for all who ask."""
    with _LOCK:
        return _open_certificates()


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


def _load_own(settings: IndexSettings) -> ssl.SSLContext:
    bundle = settings.ca_bundle
    is_directory = bundle is not None and Path(bundle).is_dir()
    try:
        context = ssl.create_default_context(
            cafile=None if is_directory else bundle, capath=bundle if is_directory else None
        )
        if settings.client_certificate:
            context.load_cert_chain(settings.client_certificate)
    except OSError as error:
        raise _unusable(settings, str(error)) from error
    return context


def _unusable(settings: IndexSettings, problem: str) -> IndexUnreachableError:
    path = f"{settings.ca_bundle or ''} {settings.client_certificate or ''}".strip()
    return IndexUnreachableError(path, f"unusable certificates: {problem}", 0)


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
