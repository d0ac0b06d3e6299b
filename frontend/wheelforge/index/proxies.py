"""The proxy for a URL, from environment variables as other programs read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast
from urllib.parse import urlsplit

_SCHEMES = ("http", "https", "all")
_PORTS = {"http": 80, "https": 443}


def read_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies that variables name, by scheme or for ``all``."""
    found = {scheme: _read_variable(environ, f"{scheme}_proxy") for scheme in _SCHEMES}
    if "REQUEST_METHOD" in environ:
        # In a CGI script a `Proxy:` header of the request sets this variable.
        found["http"] = environ.get("http_proxy", "")
    return {scheme: with_scheme(proxy) for scheme, proxy in found.items() if proxy}


def read_direct_hosts(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the hosts that variables exempt from proxies."""
    words = _read_variable(environ, "no_proxy").lower().split(",")
    return tuple(word.strip() for word in words if word.strip())


def read_system_proxies() -> dict[str, str]:
    """Return the proxies of the system settings of Windows or macOS."""
    from urllib import request

    asked = ("getproxies_registry", "getproxies_macosx_sysconf")
    answers = (getattr(request, name)() for name in asked if hasattr(request, name))
    found = cast("Mapping[str, str]", next(answers, dict[str, str]()))
    return {scheme: with_scheme(found[scheme]) for scheme in _SCHEMES if found.get(scheme)}


def with_scheme(proxy: str) -> str:
    """Return a proxy as a URL."""
    return proxy if "://" in proxy else f"http://{proxy}"


def find_proxy(url: str, proxies: Mapping[str, str], direct: Iterable[str]) -> str | None:
    """Return the proxy for ``url``; None if it is asked for directly, as the ``direct`` hosts."""
    if not proxies:
        return None
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    address = f"{host}:{parts.port or _PORTS.get(parts.scheme, 0)}"
    if any(_is_exempt(exempt, host, address) for exempt in direct):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")


def _read_variable(environ: Mapping[str, str], name: str) -> str:
    # An empty variable in small letters overrides the one in capitals.
    return environ.get(name, environ.get(name.upper(), ""))


def _is_exempt(exempt: str, host: str, address: str) -> bool:
    """Return whether a host is the exempt one, a subdomain of it, or in that network."""
    if exempt == "*":
        return True
    if "/" in exempt:
        from ipaddress import ip_address, ip_network

        try:
            return ip_address(host) in ip_network(exempt, strict=False)
        except ValueError:
            return False
    domain = exempt.removeprefix("*").removeprefix(".")
    return any(
        known == domain or known.endswith(f".{domain}") for known in (host, f"[{host}]", address)
    )
