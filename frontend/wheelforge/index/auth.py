"""Credentials for a server: from a URL, a netrc file or, after a refusal, a keyring.

The credentials of an index go to the host of that index and nowhere else. There is no prompt: a
build may run without a user at a terminal.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from posixpath import commonprefix
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

if TYPE_CHECKING:
    from wheelforge.index.settings import IndexSettings


class Login(NamedTuple):
    """A user and a password."""

    user: str
    password: str

    @classmethod
    def of(cls, parts: SplitResult) -> Login | None:
        """Return the login that a URL holds, if any."""
        if not parts.username and not parts.password:
            return None
        return cls(unquote(parts.username or ""), unquote(parts.password or ""))

    @property
    def header(self) -> str:
        """The value of an ``Authorization`` header."""
        return f"Basic {b64encode(f'{self.user}:{self.password}'.encode()).decode()}"


class Credentials:
    """Finds the login for a URL; to be used by any number of threads."""

    def __init__(self, settings: IndexSettings, note: Callable[[str], None]) -> None:
        self._note = note
        urls = (*settings.index_urls, *settings.find_links)
        self._indexes = [urlsplit(url) for url in urls if "://" in url]
        self._netrc_path = settings.netrc
        self._may_ask_keyring = settings.ask_keyring
        self._netrc: Mapping[str, Login] | None = None
        self._from_keyring: dict[tuple[str, str], Login | None] = {}
        self._lock = Lock()

    def find(self, url: str) -> str | None:
        """Return the value of the header ``Authorization`` for ``url``, if any."""
        parts = urlsplit(url)
        login = Login.of(parts)
        if login is None or not login.password:
            index = self._find_index(parts)
            known = self._from_keyring.get(_origin(parts))
            login = known or (Login.of(index) if index else None) or login
        if login is None or not login.password:
            login = self._find_in_netrc(parts.hostname or "") or login
        return login.header if login else None

    def find_after_refusal(self, url: str) -> str | None:
        """Return the value of that header from the keyring, if any."""
        if not self._may_ask_keyring:
            return None
        parts = urlsplit(url)
        with self._lock:
            origin = _origin(parts)
            if origin not in self._from_keyring:
                self._from_keyring[origin] = self._ask_keyring(parts)
            login = self._from_keyring[origin]
        return login.header if login else None

    def _find_index(self, parts: SplitResult) -> SplitResult | None:
        """Return the index on the same server that shares most of the path."""
        same = [index for index in self._indexes if _origin(index) == _origin(parts)]
        path = parts.path.split("/")
        return max(
            same, key=lambda index: len(commonprefix([index.path.split("/"), path])), default=None
        )

    def _find_in_netrc(self, host: str) -> Login | None:
        with self._lock:
            if self._netrc is None:
                self._netrc = {}
                if self._netrc_path and Path(self._netrc_path).exists():
                    self._netrc = self._read_netrc(self._netrc_path)
        return self._netrc.get(host) or self._netrc.get("default")

    def _read_netrc(self, path: str) -> Mapping[str, Login]:
        from netrc import NetrcParseError, netrc

        try:
            hosts = netrc(path).hosts
        except (OSError, ValueError, NetrcParseError) as error:
            self._note(f"the netrc file is not used: {error}")
            return {}
        return {host: Login(user, password) for host, (user, _, password) in hosts.items()}

    def _ask_keyring(self, parts: SplitResult) -> Login | None:
        if not find_spec("keyring"):
            return None
        keyring: Any = import_module("keyring")
        index = self._find_index(parts) or parts
        given = Login.of(index)
        host = parts.netloc.rpartition("@")[2]
        for service in (index._replace(netloc=host).geturl(), host):
            try:
                found = keyring.get_credential(service, given.user if given else None)
            except Exception as error:  # ruff: ignore[blind-except]  # any of its backends'
                self._note(f"the keyring is not used: {error}")
                return None
            if found is not None:
                return Login(found.username, found.password)
        return None


def _origin(parts: SplitResult) -> tuple[str, str]:
    return parts.scheme, parts.netloc.rpartition("@")[2].lower()
