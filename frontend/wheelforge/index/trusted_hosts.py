"""Servers that may be asked without TLS: this machine, and the trusted hosts of the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable


def is_safe(url: str, trusted_hosts: Iterable[str]) -> bool:
    """Return whether an answer cannot be changed on the way, or comes from a trusted host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if parts.scheme != "http" or _is_this_machine(parts.hostname or ""):
        return True
    return is_trusted(parts.netloc, trusted_hosts)


def is_trusted(server: str, trusted_hosts: Iterable[str]) -> bool:
    """Return whether a host, with its port or without, is among those that are trusted."""
    host = urlsplit(f"//{server}").hostname or ""
    known = {server.rpartition("@")[2].lower(), host, f"[{host}]"}
    return any(trusted.lower() in known for trusted in trusted_hosts)


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
