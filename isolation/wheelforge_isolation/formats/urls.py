"""URLs: what they name, and what of them may be shown or written down."""

from __future__ import annotations

import os
import re
from urllib.parse import parse_qsl, unquote, urlsplit

from wheelforge_isolation.formats import FormatError

_USER = r"[^/?#\s]*@|[^/?#\s@:\[]*:(?!\d*(?:[/?#\s`\"]|$))\S*@"
"""Up to the last at sign, as a password may have some. One with a slash, a question mark or a hash
makes of the user a host with a port that is no number: nobody can be asked for such a URL."""
_USER_INFO = re.compile(rf"(?<=://)(?:[^/?#]*@|{_USER})")
_SHOWN = re.compile(rf"(?<=://)(?:{_USER})?(?P<place>[^?#\s`\"]*)(?:\?[^#\s`\"]*)?")
_SECRET_KEY = re.compile(
    r"auth|credential|expires|hmac|jwt|key|pass|policy|pwd|secret|session|sig|token|user",
    re.IGNORECASE,
)
FETCHED_SCHEMES = frozenset({"file", "http", "https"})
_PATH = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?(?://[^/?#]*)?([^?#]*)")
_SEPARATORS = frozenset("/\\:")
_BEFORE_DRIVE = re.compile(r"/(?=[A-Za-z]:)")


def check_url(url: str) -> None:
    """Refuse a URL that cannot be taken apart."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        if "'" not in str(error):
            raise FormatError(str(error)) from error
        # The text quotes a part of the URL, which may be one of a password.
        encoded = "; in a password `/`, `?` and `#` are written `%2F`, `%3F` and `%23`"
        raise FormatError(f"its host or its port is invalid{encoded * ('@' in url)}") from error
    if parts.scheme in {"http", "https"} and not parts.hostname:
        raise FormatError("it names no host")
    if "\0" in unquote(url):
        raise FormatError("it has a null character")


def is_url(text: str) -> bool:
    """Return whether ``text`` is a URL and no path."""
    return "://" in text or text.lower().startswith("file:")


def scheme_of(url: str) -> str:
    """Return the scheme of a URL."""
    return url.partition(":")[0].lower()


def local_place(location: str) -> str | None:
    """Return the path that a location on this machine has, given as a path or a URL."""
    return local_path(location) if is_url(location) else location


def local_path(url: str, system: str = os.name) -> str | None:
    """Return the path that a ``file:`` URL names, or nothing for another one.

    On Windows it may be a path of another host.
    """
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    path, host = unquote(parts.path), parts.netloc.lower().removeprefix("localhost")
    if system != "nt":
        return path
    path = f"//{host}{path}" if host else _BEFORE_DRIVE.sub("", path)
    return path.replace("/", "\\")


def file_name_of(url: str) -> str:
    """Return the last part of a URL's path, decoded; nothing where that is no name of a file."""
    path = _PATH.match(url)
    name = unquote(path[1].rstrip("/").rpartition("/")[2]) if path else ""
    is_name = name.isprintable() and _SEPARATORS.isdisjoint(name) and name not in {".", ".."}
    return name if is_name else ""


def fragment_of(url: str) -> dict[str, str]:
    """Return the pairs of a URL's fragment, such as ``sha256=...``."""
    return dict(parse_qsl(url.partition("#")[2]))


def without_fragment(url: str) -> str:
    """Return ``url`` up to its fragment."""
    return url.partition("#")[0]


def without_credentials(url: str) -> str:
    """Return ``url`` without user and password: it can still be asked for."""
    return _USER_INFO.sub("", url, count=1)


def without_secrets(url: str) -> str:
    """Return ``url`` fit to be written down: without user, password and signatures in its query."""
    bare = without_credentials(url)
    before, mark, query = bare.partition("#")[0].partition("?")
    kept = [pair for pair in query.split("&") if not _SECRET_KEY.search(pair.partition("=")[0])]
    fragment = bare[len(before + mark + query) :]
    return f"{before}{'?' if any(kept) else ''}{'&'.join(kept)}{fragment}"


def redact(text: str) -> str:
    """Return ``text`` fit to be shown: its URLs lose user, password and the whole query."""
    return _SHOWN.sub(r"\g<place>", text)
