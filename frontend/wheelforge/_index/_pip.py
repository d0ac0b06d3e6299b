"""What pip is told about indexes, in its variables and configuration files, holds for us too.

As in pip a variable beats the files, a later file an earlier one, and a section for one command
the global one. One thing differs: additional indexes are asked *before* the main one. A name that
exists on both is then the private one's, where pip would take whichever version is higher.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge._index._proxies import read_direct_hosts, read_proxies, with_scheme
from wheelforge._index._values import PYPI, IndexSettings
from wheelforge_isolation.values import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SECTIONS = ("global", "wheel", "install")
"""Those of the commands that install build requirements; the later one wins."""
_PREFIX = "PIP_"
_OTHER_NAMES = {"pypi-url": "index-url", "default-timeout": "timeout"}
_YES, _NO = {"y", "yes", "t", "true", "on", "1"}, {"n", "no", "f", "false", "off", "0"}
_DAYS_AGO = re.compile(r"P(\d+)D")
_ALL, _NONE = ":all:", ":none:"
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_ON_WINDOWS = "win32"


class IndexOptions(Value):
    """What the command line says; whatever is None or empty is left to pip's settings."""

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    exclude_newer: datetime | None = None
    offline: bool = False


def find_index_settings(
    environ: Mapping[str, str],
    options: IndexOptions | None = None,
    config_files: Sequence[Path] = (),
) -> IndexSettings:
    """Return what ``options`` say, and pip's variables and files where those are silent."""
    options = options or IndexOptions()
    said = _Said(environ, config_files)
    main = options.index_url or said.text("index-url") or PYPI
    extra = (*options.extra_index_urls, *said.words("extra-index-url"))
    return IndexSettings(
        index_urls=tuple(dict.fromkeys((*extra, main))),
        find_links=tuple(dict.fromkeys((*options.find_links, *said.words("find-links")))),
        no_index=options.no_index or said.flag("no-index"),
        offline=options.offline,
        exclude_newer=options.exclude_newer or said.moment("uploaded-prior-to"),
        no_binary=said.names("no-binary"),
        only_binary=said.names("only-binary"),
        prefers_wheels=said.flag("prefer-binary"),
        build_constraints=tuple(map(Path, said.words("build-constraint"))),
        retries=said.number("retries", 5),
        timeout_seconds=said.number("timeout", 15),
        ca_bundle=said.text("cert") or next(filter(None, map(environ.get, _BUNDLES)), None),
        client_certificate=said.text("client-cert") or None,
        proxy=with_scheme(said.text("proxy")) if said.text("proxy") else None,
        proxies=read_proxies(environ),
        direct_hosts=read_direct_hosts(environ),
        trusted_hosts=said.words("trusted-host"),
        netrc=environ.get("NETRC") or _find_netrc(environ),
        ask_keyring=said.text("keyring-provider") != "disabled",
    )


def list_config_files(environ: Mapping[str, str], platform: str, prefix: str) -> tuple[Path, ...]:
    """Return where pip looks for its configuration, the files that win last.

    ``platform`` and ``prefix`` are those of ``sys``.
    """
    override = environ.get("PIP_CONFIG_FILE", "")
    if override == os.devnull:
        return ()
    name = "pip.ini" if platform == _ON_WINDOWS else "pip.conf"
    users = () if override else _list_user_directories(environ, platform)
    directories = (*_list_global_directories(environ, platform), *users, prefix)
    places = tuple(Path(directory, name) for directory in directories)
    return (*places, Path(override)) if override else places


def _list_global_directories(environ: Mapping[str, str], platform: str) -> tuple[str, ...]:
    if platform == _ON_WINDOWS:
        return (f"{environ.get('PROGRAMDATA', 'C:/ProgramData')}/pip",)
    if platform == "darwin":
        return ("/Library/Application Support/pip",)
    places = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    return (*(f"{place}/pip" for place in places.split(":") if place), "/etc")


def _list_user_directories(environ: Mapping[str, str], platform: str) -> tuple[str, ...]:
    home = _find_home(environ, platform)
    if platform == _ON_WINDOWS:
        roaming = environ.get("APPDATA") or f"{home}/AppData/Roaming"
        return (f"{home}/pip", f"{roaming}/pip")
    config = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    if platform == "darwin":
        return (f"{home}/.pip", f"{home}/.config/pip", f"{home}/Library/Application Support/pip")
    return (f"{home}/.pip", f"{config}/pip")


def _find_home(environ: Mapping[str, str], platform: str) -> str:
    return environ.get("USERPROFILE" if platform == _ON_WINDOWS else "HOME", "~")


def _find_netrc(environ: Mapping[str, str]) -> str | None:
    """Return where a netrc file would be; whether there is one is seen when it is needed."""
    home = environ.get("HOME") or environ.get("USERPROFILE")
    return str(Path(home, "_netrc" if os.name == "nt" else ".netrc")) if home else None


class _Said:
    """pip's settings by name, and where each is from, for errors."""

    def __init__(self, environ: Mapping[str, str], config_files: Sequence[Path]) -> None:
        self._values: dict[str, tuple[str, str]] = {}
        for word, value, source in (*_read_files(config_files), *_read_variables(environ)):
            key = word.lower().replace("_", "-").removeprefix("--")
            if value.strip():
                self._values[_OTHER_NAMES.get(key, key)] = (value.strip(), source)

    def text(self, key: str) -> str:
        return self._values.get(key, ("", ""))[0]

    def words(self, key: str) -> tuple[str, ...]:
        return tuple(self.text(key).split())

    def flag(self, key: str) -> bool:
        text = self.text(key).lower()
        if text and text not in _YES | _NO:
            self._refuse(key, "it is neither yes nor no")
        return text in _YES

    def number(self, key: str, default: int) -> int:
        text = self.text(key)
        if text and not text.isdecimal():
            self._refuse(key, f"`{text}` is no number")
        return int(text) if text else default

    def names(self, key: str) -> frozenset[str]:
        """Return names as pip's format options give them: each may take back what was before."""
        words = [word for word in re.split(r"[,\s]+", self.text(key)) if word]
        if not words:
            return frozenset()
        from packaging.utils import canonicalize_name

        names: list[str] = []
        for word in words:
            if word == _NONE:
                names.clear()
            else:
                names.append(word if word == _ALL else canonicalize_name(word))
        return frozenset(names)

    def moment(self, key: str) -> datetime | None:
        text = self.text(key)
        ago = _DAYS_AGO.fullmatch(text)
        if ago:
            return datetime.now(UTC) - timedelta(days=int(ago[1]))
        try:
            return datetime.fromisoformat(text).astimezone() if text else None
        except ValueError as error:
            self._refuse(key, str(error))
            raise AssertionError from error

    def _refuse(self, key: str, reason: str) -> None:
        from wheelforge.errors import IndexSettingsInvalidError

        raise IndexSettingsInvalidError(self._values[key][1], reason)


def _read_variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for variable, value in environ.items():
        if variable.startswith(_PREFIX):
            yield variable.removeprefix(_PREFIX), value, variable


def _read_files(paths: Sequence[Path]) -> Iterator[tuple[str, str, str]]:
    from configparser import Error, RawConfigParser

    for path in paths:
        parser = RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (Error, UnicodeDecodeError) as error:
            from wheelforge.errors import IndexSettingsInvalidError

            raise IndexSettingsInvalidError(str(path), str(error)) from error
        for section in filter(parser.has_section, _SECTIONS):
            for key, value in parser.items(section):
                yield key, value, f"{section}.{key} in {path}"
