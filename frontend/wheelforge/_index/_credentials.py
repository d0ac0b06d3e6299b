"""Who we are to a server: said by a URL, a netrc file or, once it has refused us, a keyring.

What is said for an index goes to that index's host and nowhere else; nobody is ever prompted, as
a build may have nobody in front of it.
"""

from __future__ import annotations

from base64 import b64encode
from itertools import takewhile
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wheelforge._index._values import IndexSettings


class _Login(NamedTuple):
    user: str
    password: str

    def header(self) -> str:
        return f"Basic {b64encode(f'{self.user}:{self.password}'.encode()).decode()}"


class Credentials:
    """Finds what to say to a server; safe to use from several threads."""

    def __init__(self, settings: IndexSettings, note: Callable[[str], None]) -> None:
        self._note = note
        urls = (*settings.index_urls, *settings.find_links)
        self._indexes = [urlsplit(url) for url in urls if "://" in url]
        self._netrc_path = settings.netrc
        self._may_ask_keyring = settings.ask_keyring
        self._netrc: Mapping[str, _Login] | None = None
        self._from_keyring: dict[tuple[str, str], _Login | None] = {}
        self._lock = Lock()

    def find(self, url: str) -> str | None:
        """Return the header that a request for ``url`` should carry, if any."""
        parts = urlsplit(url)
        login = _read_login(parts)
        if login is None or not login.password:
            index = self._find_index(parts)
            known = self._from_keyring.get(_origin(parts))
            login = known or (_read_login(index) if index else None) or login
        if login is None or not login.password:
            login = self._find_in_netrc(parts.hostname or "") or login
        return login.header() if login else None

    def find_after_refusal(self, url: str) -> str | None:
        """Return the header that the keyring knows, if any."""
        if not self._may_ask_keyring:
            return None
        parts = urlsplit(url)
        with self._lock:
            origin = _origin(parts)
            if origin not in self._from_keyring:
                self._from_keyring[origin] = self._ask_keyring(parts)
            login = self._from_keyring[origin]
        return login.header() if login else None

    def _find_index(self, parts: SplitResult) -> SplitResult | None:
        """Return the index on the same server whose path has most in common."""

        def count_common(index: SplitResult) -> int:
            pairs = zip(index.path.split("/"), parts.path.split("/"), strict=False)
            return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))

        same = [index for index in self._indexes if _origin(index) == _origin(parts)]
        return max(same, key=count_common, default=None)

    def _find_in_netrc(self, host: str) -> _Login | None:
        with self._lock:
            if self._netrc is None:
                self._netrc = self._read_netrc(self._netrc_path)
        return self._netrc.get(host) or self._netrc.get("default")

    def _read_netrc(self, path: str | None) -> Mapping[str, _Login]:
        try:
            return _parse_netrc(path)
        except (OSError, ValueError) as error:
            self._note(f"the netrc file is not used: {error}")
            return {}

    def _ask_keyring(self, parts: SplitResult) -> _Login | None:
        from unearth.auth import get_keyring_auth

        index = self._find_index(parts) or parts
        said = _read_login(index)
        user = said.user if said else None
        host = parts.netloc.rpartition("@")[2]
        place = index._replace(netloc=host).geturl()
        found = get_keyring_auth(place, user) or get_keyring_auth(host, user)
        return _Login(*found) if found else None


def _parse_netrc(path: str | None) -> Mapping[str, _Login]:
    if not path or not Path(path).exists():
        return {}
    from netrc import NetrcParseError, netrc

    try:
        hosts = netrc(path).hosts
    except NetrcParseError as error:
        raise ValueError(str(error)) from error
    return {host: _Login(user, password) for host, (user, _, password) in hosts.items()}


def _read_login(parts: SplitResult) -> _Login | None:
    if not parts.username and not parts.password:
        return None
    return _Login(unquote(parts.username or ""), unquote(parts.password or ""))


def _origin(parts: SplitResult) -> tuple[str, str]:
    return parts.scheme, parts.netloc.rpartition("@")[2].lower()
