"""The settings of an index, which pip's variables and configuration files give as well.

As in pip a variable beats the files, a later file an earlier one, and a section for one command
the global one. One thing differs: additional indexes are asked *before* the main one. A name that
exists on both is then the private one's, where pip would take whichever version is higher.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

from wheelforge.index.models import as_utc
from wheelforge.index.proxies import read_direct_hosts, read_proxies, with_scheme
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.sealed import fingerprint
from wheelforge_isolation.formats.urls import check_url, redact, without_secrets

PYPI = "https://pypi.org/simple/"
_IDENTITY_LENGTH = 32
_SECTIONS = ("global", "wheel", "install")
"""Sections for the commands that install build requirements; the later one wins."""
_PREFIX = "PIP_"
_OTHER_NAMES = {"pypi-url": "index-url", "default-timeout": "timeout"}
_YES, _NO = {"y", "yes", "t", "true", "on", "1"}, {"n", "no", "f", "false", "off", "0"}
_DAYS_AGO = re.compile(r"P(\d+)D")
_ALL, _NONE = ":all:", ":none:"
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, kw_only=True)
class IndexSettings:
    """The indexes, the files that may be used, and the way to the servers."""

    index_urls: tuple[str, ...] = field(default=(PYPI,), repr=False)
    """The first server that knows a name ends the search; a directory does not."""
    find_links: tuple[str, ...] = field(default=(), repr=False)
    """Directories, files and pages whose files come before those of the indexes."""
    no_index: bool = False
    offline: bool = False
    """Whether no server may be asked."""
    exclude_newer: datetime | None = None
    """Files that were uploaded later, or without a stated time, are left out."""
    no_binary: frozenset[str] = frozenset()
    """Normalised names, or ``:all:``; a name given in the other set wins over ``:all:``."""
    only_binary: frozenset[str] = frozenset()
    prefers_wheels: bool = False
    """Whether an older wheel is better than a newer sdist."""
    build_constraints: tuple[Path, ...] = ()
    """Constraints files for build requirements.

    `python -m build` has pip install build requirements, which `PIP_CONSTRAINT` limits; whatever
    pip builds in doing so is limited by `PIP_BUILD_CONSTRAINT`.
    """
    retries: int = 5
    timeout_seconds: float = 15.0
    ca_bundle: str | None = None
    client_certificate: str | None = None
    proxy: str | None = field(default=None, repr=False)
    """For all requests; the others count only without it."""
    proxies: Mapping[str, str] = field(default_factory=dict[str, str], repr=False, hash=False)
    """By scheme, or for ``all``."""
    direct_hosts: tuple[str, ...] = ()
    """Exempt from ``proxies``: hosts with their subdomains, networks, or a star."""
    trusted_hosts: tuple[str, ...] = ()
    """May be asked without TLS, or with a certificate that cannot be verified."""
    netrc: str | None = None
    ask_keyring: bool = True
    use_truststore: bool = False
    """Whether the package truststore, if installed, verifies certificates on every system."""

    def __post_init__(self) -> None:
        for url in (*self.index_urls, *self.find_links):
            try:
                check_url(url)
            except FormatError as error:
                from wheelforge.errors import UsageError

                raise UsageError("index-settings-invalid", redact(url), str(error)) from error

    @property
    def asked_urls(self) -> tuple[str, ...]:
        """The indexes in use."""
        return () if self.no_index else self.index_urls

    @property
    def identity(self) -> str:
        """A digest of every setting that changes answers, without credentials."""
        cut_off = as_utc(self.exclude_newer)
        places = (self.asked_urls, self.find_links)
        facts = [
            *([without_secrets(url).rstrip("/") for url in urls] for urls in places),
            cut_off and cut_off.timestamp(),
            sorted(self.no_binary),
            sorted(self.only_binary),
            sorted(self.trusted_hosts),
        ]
        return fingerprint(facts)[:_IDENTITY_LENGTH]


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexOptions:
    """The indexes that are asked for; pip's settings count where these are None or empty."""

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    no_index: bool = False
    exclude_newer: datetime | None = None
    offline: bool = False


def find_index_settings(
    environ: Mapping[str, str],
    options: IndexOptions | None = None,
    config_files: Sequence[Path] = (),
) -> IndexSettings:
    """Return the settings of ``options``, and pip's variables and files where they say nothing."""
    options = options or IndexOptions()
    pip = _PipSettings(environ, config_files)
    main = options.index_url or pip.text("index-url") or PYPI
    extra = (*options.extra_index_urls, *pip.words("extra-index-url"))
    # Whether there is such a file is seen when it is needed.
    home = environ.get("HOME") or environ.get("USERPROFILE")
    netrc = str(Path(home, "_netrc" if os.name == "nt" else ".netrc")) if home else None
    return IndexSettings(
        index_urls=tuple(dict.fromkeys((*extra, main))),
        find_links=tuple(dict.fromkeys((*options.find_links, *pip.words("find-links")))),
        no_index=options.no_index or pip.flag("no-index"),
        offline=options.offline,
        exclude_newer=options.exclude_newer or pip.moment("uploaded-prior-to"),
        no_binary=pip.names("no-binary"),
        only_binary=pip.names("only-binary"),
        prefers_wheels=pip.flag("prefer-binary"),
        build_constraints=(*pip.files("constraint"), *pip.files("build-constraint")),
        retries=pip.number("retries", 5),
        timeout_seconds=pip.number("timeout", 15),
        ca_bundle=pip.text("cert") or next(filter(None, map(environ.get, _BUNDLES)), None),
        client_certificate=pip.text("client-cert") or None,
        proxy=with_scheme(pip.text("proxy")) if pip.text("proxy") else None,
        proxies=read_proxies(environ),
        direct_hosts=read_direct_hosts(environ),
        trusted_hosts=(*options.trusted_hosts, *pip.words("trusted-host")),
        netrc=environ.get("NETRC") or netrc,
        ask_keyring=pip.text("keyring-provider") != "disabled",
        use_truststore="truststore" in pip.words("use-feature"),
    )


def list_config_files(environ: Mapping[str, str], platform: str, prefix: str) -> tuple[Path, ...]:
    """Return where pip looks for its configuration, the files that win last.

    ``platform`` and ``prefix`` are those of ``sys``.
    """
    override = environ.get("PIP_CONFIG_FILE", "")
    if override == os.devnull:
        return ()
    if platform == "win32":
        home = environ.get("USERPROFILE", "~")
        roaming = environ.get("APPDATA") or f"{home}/AppData/Roaming"
        shared = [f"{environ.get('PROGRAMDATA', 'C:/ProgramData')}/pip"]
        own = [f"{home}/pip", f"{roaming}/pip"]
    elif platform == "darwin":
        home, support = environ.get("HOME", "~"), "Library/Application Support/pip"
        shared = [f"/{support}"]
        own = [f"{home}/.pip", f"{home}/.config/pip", f"{home}/{support}"]
    else:
        home = environ.get("HOME", "~")
        config = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
        places = (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
        shared = [*(f"{place}/pip" for place in places if place), "/etc"]
        own = [f"{home}/.pip", f"{config}/pip"]
    directories = (*shared, *(() if override else own), prefix)
    name = "pip.ini" if platform == "win32" else "pip.conf"
    files = tuple(Path(directory, name) for directory in directories)
    return (*files, Path(override)) if override else files


class _PipSettings:
    """pip's settings by name, each with its source for messages."""

    def __init__(self, environ: Mapping[str, str], config_files: Sequence[Path]) -> None:
        self._values: dict[str, tuple[str, str]] = {}
        variables = (
            (variable.removeprefix(_PREFIX), value, variable)
            for variable, value in environ.items()
            if variable.startswith(_PREFIX)
        )
        for word, value, source in (*_read_files(config_files), *variables):
            key = word.lower().replace("_", "-").removeprefix("--")
            if value.strip():
                self._values[_OTHER_NAMES.get(key, key)] = (value.strip(), source)

    def text(self, key: str) -> str:
        return self._values.get(key, ("", ""))[0]

    def words(self, key: str) -> tuple[str, ...]:
        return tuple(self.text(key).split())

    def files(self, key: str) -> tuple[Path, ...]:
        words = self.words(key)
        if any("://" in word for word in words):
            self._refuse(key, "it names a URL, and constraints are read from local files only")
        paths = tuple(map(Path, words))
        missing = next((path for path in paths if not path.exists()), None)
        if missing is not None:
            self._refuse(key, f"there is no `{missing}`")
        return paths

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

    def _refuse(self, key: str, reason: str) -> NoReturn:
        from wheelforge.errors import UsageError

        raise UsageError("index-settings-invalid", self._values[key][1], reason)


def _read_files(paths: Sequence[Path]) -> Iterator[tuple[str, str, str]]:
    from configparser import Error, RawConfigParser

    for path in paths:
        parser = RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (Error, UnicodeDecodeError) as error:
            from wheelforge.errors import UsageError

            raise UsageError("index-settings-invalid", str(path), str(error)) from error
        for section in filter(parser.has_section, _SECTIONS):
            for key, value in parser.items(section):
                yield key, value, f"{section}.{key} in {path}"
