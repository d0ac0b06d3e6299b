"""Addresses of schedulers, and which of them are used.

A scheduler gives code to its workers, and believes everybody who reaches it: so it is used only if
TLS lets in nobody without a certificate, or if it is on this machine.
"""

from __future__ import annotations

import ipaddress
import re

from wheelforge.errors import ClusterError

_FORM = re.compile(r"(tls|tcp)://(\[[0-9a-fA-F:]+\]|[^\s\[\]:/@]+):([0-9]{1,5})")


def check_address(address: str) -> str:
    """Return the address of a scheduler that may be used; a `ClusterError` if it may not."""
    found = _FORM.fullmatch(address)
    if found is None:
        reason = "an address is `tls://HOST:PORT`, or `tcp://127.0.0.1:PORT`"
        raise ClusterError("scheduler-refused", address, reason)
    if found[1] == "tcp" and not is_loopback(found[2].strip("[]")):
        reason = "without TLS anybody on the network could run code on all of its workers"
        raise ClusterError("scheduler-refused", address, reason)
    return address


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is this machine, seen from itself alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
