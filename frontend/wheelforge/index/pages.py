"""Pages of an index, JSON or HTML, parsed into one shape. Pure.

A page is foreign text: a field that makes no sense excludes its file and no other, and a page that
would take more memory or time than any real one is refused.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast
from urllib.parse import urljoin

from wheelforge.errors import PackageIndexError
from wheelforge_isolation.errors import quoted
from wheelforge_isolation.formats.urls import check_url, file_name_of

if TYPE_CHECKING:
    from wheelforge.index.models import Hashes

JSON, HTML = "application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.v1+html"
ACCEPTED = f"{JSON}, {HTML}; q=0.2, text/html; q=0.1"
MOST_PAGE_BYTES = 64 << 20
_MOST_FILES = 100_000
_MOST_TAGS = 500_000
_MOST_COMMAS = 1_500_000
"""In JSON, each may bring an object that takes 200 times its bytes."""
_MOST_TAG_LENGTH = 1 << 16
_PIECE = 1 << 14
_MOST_URL, _MOST_FIELD, _MOST_SIZE = 8192, 1024, 1 << 60
_INT_DIGITS = 18

BAD_HASH = "with a hash that is none"
BAD_FIELD = "with a malformed or overlong field"

_CHARSET = re.compile(r"charset=[\"']?([\w-]+)", re.IGNORECASE)
_CHARSETS = {"latin-1", "iso-8859-1", "windows-1252", "cp1252"}
"""All others are read as UTF-8: Python knows codecs that fail, or take quadratic time."""
_DATE = re.compile(r"[12]\d{3}-\d\d-\d\d")
_STATUSES = {"pypi:project-status": "status", "pypi:project-status-reason": "reason"}
_HEX = re.compile(r"[0-9a-f]+")
REMOTE = ("https://", "http://")
_LENGTHS = {
    "md5": 32,
    "sha1": 40,
    "sha224": 56,
    "sha256": 64,
    "sha384": 96,
    "sha512": 128,
    "sha3_224": 56,
    "sha3_256": 64,
    "sha3_384": 96,
    "sha3_512": 128,
    "blake2s": 64,
    "blake2b": 128,
}
"""Of the hexadecimal digests of each algorithm that a file can be checked by."""
_NO_HASHES: Hashes = {}


class Listed(NamedTuple):
    """A file as an index lists it, well-formed but not checked."""

    url: str
    """Absolute, without fragment."""
    file_name: str
    hashes: Hashes
    requires_python: str
    yanked: str | None
    uploaded: str
    metadata_hashes: Hashes | None
    size_bytes: int | None = None


class Page(NamedTuple):
    """The files of a page."""

    files: list[Listed]
    left_out: Mapping[str, int]
    """How many files are malformed, by reason."""


_Item: TypeAlias = "Mapping[str, Any]"
"""The attributes of an anchor, or an object of JSON."""


class Document(NamedTuple):
    """A page as JSON has it, whichever way it came."""

    facts: Mapping[str, Any]
    """All but the files."""
    items: Iterable[_Item]
    base: str
    """The URL that those of the files are relative to."""


class FileInvalidError(Exception):
    """A file is listed in a way that cannot be right; the message is the reason."""


def parse_page(content: bytes, content_type: str, url: str, origin: str) -> Page:
    """Return the files of a page that was found at ``url``."""
    document = parse_document(content, content_type, url, origin)
    # A server must not name files of this machine.
    followed = (*REMOTE, "file:") if url.startswith("file:") else REMOTE
    files, left_out = list[Listed](), Counter[str]()
    for item in document.items:
        try:
            file = read_item(item, document.base)
        except FileInvalidError as error:
            left_out[str(error)] += 1
        else:
            files += [file] if file.url.startswith(followed) else []
    return Page(files, left_out)


def parse_document(content: bytes, content_type: str, url: str, origin: str) -> Document:
    """Return a page that was found at ``url``, with all that it says."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON:
        page = _parse_json(content, origin)
        facts = {name: value for name, value in page.items() if name != "files"}
        return Document(facts, _list_items(page["files"], origin), url)
    if kind not in {HTML, "text/html"}:
        raise _invalid(origin, f"it answers with {quoted(kind)}, which is no list of files")
    charset = _CHARSET.search(content_type)
    name = charset[1].lower() if charset else ""
    text = content.decode(name if name in _CHARSETS else "utf-8", "replace")
    parser = _parse_html(text, url, origin)
    return Document(parser.facts, map(_convert, parser.anchors), parser.base)


# HTML


class _LinkParser(HTMLParser):
    """Collects the attributes of anchors, and the URL that they are relative to."""

    def __init__(self, url: str, origin: str) -> None:
        super().__init__()
        self.base = url
        self.anchors: list[_Item] = []
        self.facts: dict[str, Any] = {}
        self._origin = origin
        self._has_base = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # Of an attribute that is repeated, the first one counts.
        found = {name: value or "" for name, value in reversed(attrs)}
        if tag == "a" and "href" in found:
            self.anchors.append(found)
            if len(self.anchors) > _MOST_FILES:
                raise _too_large(self._origin)
        elif tag == "base" and "href" in found and not self._has_base:
            self._has_base = True
            with contextlib.suppress(ValueError):
                self.base = urljoin(self.base, found["href"])
        elif tag == "meta":
            self._read_meta(found.get("name", ""), found.get("content", ""))

    def _read_meta(self, name: str, content: str) -> None:
        if name == "pypi:repository-version":
            _check_version(content, self._origin)
            self.facts["meta"] = {"api-version": content}
        elif name in _STATUSES:
            self.facts.setdefault("project-status", {})[_STATUSES[name]] = content


def _parse_html(text: str, url: str, origin: str) -> _LinkParser:
    if text.count("<") > _MOST_TAGS:
        raise _too_large(origin)
    parser = _LinkParser(url, origin)
    # In small pieces and without `close`: before 3.13.6 and its like, the time for a tag without
    # an end grows with the square of its length.
    for start in range(0, len(text), _PIECE):
        try:
            parser.feed(text[start : start + _PIECE])
        except AssertionError as error:
            raise _invalid(origin, f"its HTML is damaged: {error}") from error
        if len(parser.rawdata) > _MOST_TAG_LENGTH:
            raise _invalid(origin, "its HTML has a tag without an end")
    return parser


def _convert(attributes: Mapping[str, str]) -> _Item:
    """Return an anchor as JSON has a file."""
    href, _, fragment = attributes["href"].strip().partition("#")
    offered = attributes.get("data-core-metadata", attributes.get("data-dist-info-metadata", ""))
    is_offered = offered not in {"", "false"}
    return {
        "url": href,
        "hashes": _split(fragment),
        "requires-python": attributes.get("data-requires-python"),
        "yanked": attributes.get("data-yanked", False) or "data-yanked" in attributes,
        "upload-time": attributes.get("data-upload-time"),
        "core-metadata": offered == "true" or (_split(offered) if is_offered else None),
        "gpg-sig": {"true": True, "false": False}.get(attributes.get("data-gpg-sig", "")),
        "provenance": attributes.get("data-provenance"),
    }


def _split(fragment: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in fragment.split("&") if "=" in pair)
    known = {name.lower(): value for name, _, value in pairs}
    return {name: value for name, value in known.items() if name in _LENGTHS}


# JSON


def _parse_json(content: bytes, origin: str) -> dict[str, Any]:
    if content.count(b",") > _MOST_COMMAS:
        raise _too_large(origin)
    try:
        page: dict[str, Any] = json.loads(content, parse_int=_parse_int)
        _, meta = page["files"], page.get("meta", {})
        _check_version(str(meta.get("api-version", "1.0")), origin)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        problem = f"{type(error).__name__}: {str(error)[:_MOST_FIELD]}"
        raise _invalid(origin, f"its JSON is no list of files ({problem})") from error
    return page


def _list_items(files: object, origin: str) -> Iterator[_Item]:
    if not isinstance(files, list):
        raise _invalid(origin, "its JSON has no list of files")
    listed = cast("list[object]", files)
    if len(listed) > _MOST_FILES:
        raise _too_large(origin)
    for item in listed:
        if isinstance(item, dict) and isinstance(cast("_Item", item).get("url"), str):
            yield cast("_Item", item)


def _parse_int(digits: str) -> int:
    # Python refuses to read thousands of digits, with the whole page.
    return int(digits) if len(digits) <= _INT_DIGITS else -1


# Both


def read_item(item: _Item, base: str) -> Listed:
    """Return a file whose fields have bounds; refuse one that has a field without."""
    url, _, _ = item["url"].partition("#")
    file_name = _text(item, "filename") or file_name_of(url)
    python, size, uploaded = (
        _text(item, "requires-python"),
        item.get("size"),
        _text(item, "upload-time"),
    )
    try:
        url = url if url.startswith(REMOTE) else urljoin(base, url)
        check_url(url)
        f"{url}{file_name}{python}".encode()  # JSON allows halves of characters
    except ValueError as error:
        raise FileInvalidError(BAD_FIELD) from error
    is_sized = size is None or (type(size) is int and 0 <= size <= _MOST_SIZE)
    if len(url) > _MOST_URL or max(len(file_name), len(python)) > _MOST_FIELD or not is_sized:
        raise FileInvalidError(BAD_FIELD)
    is_dated = len(uploaded) <= _MOST_FIELD and _DATE.match(uploaded)
    yanked = _text(item, "yanked")[:_MOST_FIELD].encode(errors="replace").decode()
    return Listed(
        url=url,
        file_name=file_name,
        hashes=_read_hashes(item.get("hashes")),
        requires_python=python,
        yanked=yanked if item.get("yanked") else None,
        uploaded=uploaded if is_dated else "",
        metadata_hashes=_read_metadata_hashes(
            item.get("core-metadata", item.get("dist-info-metadata"))
        ),
        size_bytes=size,
    )


def _text(item: _Item, key: str) -> str:
    value = item.get(key)
    return value if isinstance(value, str) else ""


def _read_hashes(stated: object) -> Hashes:
    """Return the digests that a file can be checked by; refuse those that match no file."""
    if not stated:
        return _NO_HASHES
    known = _known(cast("_Item", stated)) if isinstance(stated, dict) else None
    if not known:
        raise FileInvalidError(BAD_HASH)
    return known


def _read_metadata_hashes(stated: object) -> Hashes | None:
    """Return digests; none of a mere "yes", and None of a "no" or of nonsense."""
    if isinstance(stated, dict):
        return _known(cast("_Item", stated))
    return _NO_HASHES if stated is True else None


def _known(stated: Mapping[str, object]) -> Hashes | None:
    """Return the digests of known algorithms; None if one of them is no digest."""
    known = {name: value for name, value in stated.items() if name in _LENGTHS}
    texts = {name: value.lower() for name, value in known.items() if isinstance(value, str)}
    is_sound = len(texts) == len(known) and all(
        len(digest) == _LENGTHS[name] and _HEX.fullmatch(digest) for name, digest in texts.items()
    )
    return texts if is_sound else None


def _check_version(version: str, origin: str) -> None:
    if version.partition(".")[0].strip() != "1":
        problem = f"it speaks version {version[:_INT_DIGITS]} of the protocol, not 1"
        raise _invalid(origin, problem)


def _too_large(origin: str) -> PackageIndexError:
    return _invalid(origin, f"it lists more than {_MOST_FILES:,} files, or none")


def _invalid(origin: str, problem: str) -> PackageIndexError:
    return PackageIndexError("index-page-invalid", origin, problem)
