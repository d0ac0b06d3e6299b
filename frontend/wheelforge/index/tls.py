"""Trust: the certificates for TLS, and the hosts that may be asked without it."""

from __future__ import annotations

import contextlib
import functools
import re
import ssl
import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wheelforge.errors import PackageIndexError

if TYPE_CHECKING:
    from wheelforge.index.settings import IndexSettings

_HASHED = re.compile(r"[0-9a-f]{8}\.\d")
"""The name of a file that OpenSSL finds by the subject of its certificate."""
_WHOLE_STORE = 50
"""The certificates of a directory that is more than an addition to a file."""
_HAS_OWN_STORE = sys.platform in {"darwin", "win32"}
"""Whether the system's certificates are where OpenSSL does not look."""


def load_certificates(settings: IndexSettings) -> ssl.SSLContext:
    """Return a context that trusts the named certificates, or those of this machine."""
    bundle, client = settings.ca_bundle or "", settings.client_certificate or ""
    try:
        # A process that runs for long has to see new files.
        changed = tuple(Path(path).stat().st_mtime_ns for path in (bundle, client) if path)
        return _load(bundle, client, changed, use_truststore=settings.use_truststore)
    except OSError as error:
        problem = f"unusable certificates: {error}"
        raise PackageIndexError(
            "index-unreachable", " ".join(filter(None, (bundle, client))), problem, 0
        ) from error


@functools.lru_cache(maxsize=8)
def _load(
    bundle: str, client: str, _changed: tuple[int, ...], *, use_truststore: bool
) -> ssl.SSLContext:
    context: ssl.SSLContext
    if bundle:
        is_directory = Path(bundle).is_dir()
        context = ssl.create_default_context(
            cafile=None if is_directory else bundle, capath=bundle if is_directory else None
        )
    elif (use_truststore or _HAS_OWN_STORE) and find_spec("truststore"):
        context = import_module("truststore").SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # A directory is searched, but reading a file of certificates takes 20 ms.
        directory = ssl.get_default_verify_paths().openssl_capath
        names: list[str] = []
        with contextlib.suppress(OSError):
            names = [path.name for path in Path(directory).iterdir()]
        if sum(map(bool, map(_HASHED.fullmatch, names))) >= _WHOLE_STORE:
            context.load_verify_locations(capath=directory)
        else:
            context.load_default_certs()
    if client:
        context.load_cert_chain(client)
    return context


def trust_all() -> ssl.SSLContext:
    """Return a context for hosts whose certificates do not matter."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


# Without TLS: this machine, and the trusted hosts of the settings


def is_safe(url: str, trusted_hosts: Iterable[str]) -> bool:
    """Return whether an answer cannot be changed on the way, or comes from a trusted host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if parts.scheme != "http" or parts.hostname == "localhost":
        return True
    from ipaddress import ip_address

    with contextlib.suppress(ValueError):
        if ip_address(parts.hostname or "").is_loopback:
            return True
    return is_trusted(parts.netloc, trusted_hosts)


def is_trusted(server: str, trusted_hosts: Iterable[str]) -> bool:
    """Return whether a host, with its port or without, is among those that are trusted."""
    host = urlsplit(f"//{server}").hostname or ""
    known = {server.rpartition("@")[2].lower(), host, f"[{host}]"}
    return any(trusted.lower() in known for trusted in trusted_hosts)
