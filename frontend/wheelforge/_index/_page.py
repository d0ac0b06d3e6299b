"""Pages of an index, HTML or JSON, read into one shape. Pure.

HTML is read by two regular expressions instead of a parser: these pages are lists of links, some
have thousands, and this is several times as fast. What they may hold besides links (comments, a
base, entities, attributes in any order and quotes) is minded.
"""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import unquote, urljoin

from wheelforge.errors import IndexPageInvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wheelforge._index._values import Hashes

JSON, HTML = "application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.v1+html"
ACCEPTED = f"{JSON}, {HTML}; q=0.2, text/html; q=0.1"

# Matches also what has no end, to have done with it: a page with a thousand open quotes must not
# cost a thousand readings.
_TAG = r"""((?:[^>"']|"[^"]*+"|'[^']*+')*+)(>?)"""
_ANCHOR = re.compile(rf"<a\s{_TAG}", re.IGNORECASE)
_BASE = re.compile(rf"<base\s{_TAG}", re.IGNORECASE)
_META = re.compile(rf"<meta\s{_TAG}", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"""([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?""",
)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_HASH = re.compile(r"(md5|sha1|sha224|sha256|sha384|sha512)=([0-9a-fA-F]+)")
_CHARSET = re.compile(r"charset=[\"']?([\w-]+)", re.IGNORECASE)
_REMOTE = ("https://", "http://")
_LENGTHS = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}
_NO_HASHES: Hashes = {}


class Listed(NamedTuple):
    """A file as an index lists it: nothing of it is believed yet."""

    url: str
    """Absolute, without fragment."""
    file_name: str
    hashes: Hashes
    requires_python: str
    yanked: str | None
    uploaded: str
    metadata_hashes: Hashes | None
    size_bytes: int | None = None


def parse_page(content: bytes, content_type: str, url: str, origin: str) -> list[Listed]:
    """Return the files on a page that was found at ``url``."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON:
        listed = _parse_json(content, url, origin)
    elif kind in {HTML, "text/html"}:
        listed = _parse_html(content, content_type, url, origin)
    else:
        raise IndexPageInvalidError(origin, f"it answers with `{kind}`, which is no list of files")
    return [file for file in listed if _is_followed(file.url, url)]


def file_name_of(url: str) -> str:
    """Return the last part of a URL's path."""
    name = url.partition("#")[0].partition("?")[0].rpartition("/")[2]
    return unquote(name) if "%" in name else name


# HTML


def _parse_html(content: bytes, content_type: str, url: str, origin: str) -> Iterator[Listed]:
    text = _decode(content, content_type)
    if "<!--" in text:
        text = _COMMENT.sub("", text)
    first_anchor = _ANCHOR.search(text)
    head = text[: first_anchor.start()] if first_anchor else text
    for meta in _find_tags(_META, head):
        if meta.get("name") == "pypi:repository-version":
            _check_version(meta.get("content", ""), origin)
    for base in _find_tags(_BASE, head):
        url = _join(url, base.get("href", ""))
    for anchor in _find_tags(_ANCHOR, text):
        if "href" in anchor:
            yield _read_anchor(anchor, url)


def _find_tags(kind: re.Pattern[str], text: str) -> Iterator[dict[str, str]]:
    """Yield the attributes of each tag that has an end."""
    return (_attributes(attributes) for attributes, end in kind.findall(text) if end)


def _is_followed(url: str, page_url: str) -> bool:
    """Return whether a link leads where it may: a server must not make us read our own files."""
    return url.startswith(_REMOTE) or (page_url.startswith("file:") and url.startswith("file:"))


def _decode(content: bytes, content_type: str) -> str:
    charset = _CHARSET.search(content_type)
    try:
        return content.decode(charset[1] if charset else "utf-8", "replace")
    except LookupError:
        return content.decode("utf-8", "replace")


def _attributes(tag: str) -> dict[str, str]:
    found = {
        name.lower(): double or single or bare
        for name, double, single, bare in reversed(_ATTRIBUTE.findall(tag))
    }
    if "&" in tag:
        found = {name: html.unescape(value) for name, value in found.items()}
    return found


def _read_anchor(attributes: Mapping[str, str], base: str) -> Listed:
    href, _, fragment = attributes["href"].strip().partition("#")
    offered = attributes.get("data-core-metadata", attributes.get("data-dist-info-metadata"))
    return Listed(
        url=_join(base, href),
        file_name=file_name_of(href),
        hashes=_read_hashes(fragment),
        requires_python=attributes.get("data-requires-python", ""),
        yanked=attributes.get("data-yanked"),
        uploaded=attributes.get("data-upload-time", ""),
        metadata_hashes=None if offered in {None, "", "false"} else _read_hashes(offered or ""),
    )


def _join(base: str, url: str) -> str:
    if url.startswith(_REMOTE):
        return url
    try:
        return urljoin(base, url)
    except ValueError:
        return ""


def _read_hashes(text: str) -> Hashes:
    return _sound(dict(_HASH.findall(text))) if text else _NO_HASHES


def _sound(hashes: Mapping[str, Any]) -> Hashes:
    """Leave out what no file could ever match, for being no digest of that algorithm."""
    return {
        name: value.lower()
        for name, value in hashes.items()
        if isinstance(value, str) and len(value) == _LENGTHS.get(name)
    }


# JSON


def _parse_json(content: bytes, url: str, origin: str) -> Iterator[Listed]:
    try:
        page = json.loads(content)
        files, meta = page["files"], page.get("meta", {})
        _check_version(str(meta.get("api-version", "1.0")), origin)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise IndexPageInvalidError(origin, f"its JSON is no list of files: {error!r}") from error
    for item in files:
        if isinstance(item, dict):
            yield from _read_item(cast("dict[str, Any]", item), url)


def _read_item(item: Mapping[str, Any], base: str) -> Iterator[Listed]:
    url, size = item.get("url"), item.get("size")
    if isinstance(url, str):
        url = url.partition("#")[0]
        yield Listed(
            url=_join(base, url),
            file_name=_text(item, "filename") or file_name_of(url),
            hashes=_json_hashes(item.get("hashes")) or _NO_HASHES,
            requires_python=_text(item, "requires-python"),
            yanked=_text(item, "yanked") if item.get("yanked") else None,
            uploaded=_text(item, "upload-time"),
            metadata_hashes=_json_hashes(item.get("core-metadata", item.get("dist-info-metadata"))),
            size_bytes=size if isinstance(size, int) else None,
        )


def _text(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    return value if isinstance(value, str) else ""


def _json_hashes(value: object) -> Hashes | None:
    """Return hashes; none of a mere "yes", and None of a "no"."""
    if isinstance(value, dict):
        return _sound(cast("dict[str, Any]", value))
    return _NO_HASHES if value is True else None


def _check_version(version: str, origin: str) -> None:
    if version.partition(".")[0].strip() != "1":
        raise IndexPageInvalidError(origin, f"it speaks version {version} of the protocol, not 1")
