"""Answers of an index, grown from real ones: damaged in the head, the page, the metadata, the zip.

A case is a number, which alone decides what is damaged and how.
"""

import gzip
import hashlib
import json
import lzma
import random
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from tests.support.corpus import FIXTURES
from tests.support.wheels import Draft

Chance = random.Random  # ruff: ignore[suspicious-non-cryptographic-random-usage]  # repeatable
PROJECT = "iniconfig"
PAGE, METADATA, WHEEL, PART = "page", "metadata", "wheel", "part"
_STEM = "iniconfig-2.3.1"
_FILE = f"{_STEM}-py3-none-any.whl"
_DIGITS = "1" * 5000
_TEXTS = [
    "", " ", "0", "-1", "abc", "true", "null", _DIGITS, "x" * 70_000, "\0", "\n", "\r\n",
    "\x1b[31m", "\u202e", "\ud800", "é", "../../x", "/etc/passwd", "C:\\x", "%2e%2e%2f", "%", "%00",
    "http://[", "http://x:y/", "//x/y", "file:///etc/passwd", "javascript:x", "#", "?",
    "1.0", "1!1.0", "==1", ">=3", "<3", f">=1.{_DIGITS}", "~=1", "[x]", "x; y",
    "9999-12-31T23:59:59Z",
    "2024-01-01", "0001-01-01T00:00:00+23:59", "sha256=00", "sha256=" + "0" * 64, "md5=zz",
    "a-1-b-c-d-e-f.whl", f"iniconfig-{_DIGITS}.tar.gz", "iniconfig-9-py3-none-any.whl",
    f"iniconfig-9-{'.'.join('a' * 400)}-{'.'.join('b' * 400)}-any.whl", "iniconfig-9.tar.gz",
]  # fmt: skip
_VALUES: list[object] = [
    None, True, False, 0, -1, 1.5, float("inf"), 10**30, [], {}, [[]], {"sha256": "00"},
    {"sha256": 5}, {"md5": "0" * 32}, {"blake3": "0" * 64}, [None], "deep",
]  # fmt: skip
_STATUSES = [
    "200 OK", "206 Partial Content", "204 No Content", "100 Continue", "103 Early Hints", "200",
    "301 Moved", "302 Found", "304 Not Modified", "308 Moved", "401 No", "403 No", "404 No",
    "407 No", "410 Gone", "416 No", "429 Busy", "500 No", "503 Busy", "999 ?", "000 ?", "abc", "",
]  # fmt: skip
_HEADERS = [
    "Content-Length", "Content-Type", "Content-Range", "Content-Encoding", "Transfer-Encoding",
    "Location", "Retry-After", "ETag", "Last-Modified", "Accept-Ranges", "WWW-Authenticate",
    "Set-Cookie", "Connection", "Content-Disposition",
]  # fmt: skip
_HEADER_VALUES = [
    "", "0", "1", "-1", "99999999999", _DIGITS, "abc", "1, 2", "gzip", "br", "gzip, gzip",
    "identity", "chunked", "chunked, chunked", "close", "keep-alive", "bytes 0-0/1", "bytes 5-1/9",
    "bytes */5", f"bytes 0-{_DIGITS}/{_DIGITS}", "bytes 7-7551/7552", "bytes", "none",
    "/simple/iniconfig/", "/", "//", "http://[", "http://127.0.0.1:0/", "file:///etc/passwd", "https://127.0.0.1/x",
    "http://a.invalid/", "text/html", "text/html; charset=undefined", "text/html; charset=idna",
    "application/vnd.pypi.simple.v1+json", "application/json", "text/plain", "\xff", "a" * 70_000,
    "Sat, 99 Foo 99999 00:00:00", "Sat, 28 Nov 2026 11:03:21 GMT", "120", 'W/"x"', '"x"', "\x0b",
]  # fmt: skip
_FIELDS = [
    "Name: {}", "Version: {}", "Requires-Dist: {}", "Requires-Python: {}", "Provides-Extra: {}",
    "Metadata-Version: {}", "Requires-Dist: x{}", "Requires-Dist: iniconfig {}",
    "Requires-Dist: x; python_version {}", "Requires-Dist: x @ {}", "{}", " {}",
]  # fmt: skip


@cache
def _seeds() -> dict[str, bytes]:
    """Return real answers, head and body, by what they are."""
    with lzma.open(FIXTURES / "index_answers.json.xz", "rt", encoding="utf-8") as file:
        answers: dict[str, str] = json.load(file)["answers"]
    return {name: answer.encode("latin-1") for name, answer in answers.items()}


def make_answers(chance: Chance, origin: str) -> dict[str, bytes]:
    """Return an answer, head and body, for each kind of request, damaged or about odd files."""
    ways: list[Callable[[Chance, str], dict[str, bytes]]] = [_damage_real, _damage_own]
    return chance.choices(ways, [1, 2])[0](chance, origin)


# Real answers, damaged as they are


def _damage_real(chance: Chance, origin: str) -> dict[str, bytes]:
    seeds = _seeds()
    page = chance.choice([name for name in seeds if name.startswith("page")])
    tail = chance.choice(["wheel-tail", "wheel", "wheel-part", "wheel-pypiserver", "wheel-beyond"])
    answers = {
        PAGE: seeds[page].replace(b"https://files.pythonhosted.org", origin.encode()),
        METADATA: seeds["metadata"],
        WHEEL: seeds["wheel"],
        PART: seeds[tail],
    }
    for kind in chance.choices(list(answers), [6, 1, 2, 2], k=chance.randint(1, 3)):
        answers[kind] = _damage_answer(chance, answers[kind])
    return answers


def _damage_answer(chance: Chance, answer: bytes) -> bytes:
    head, _, body = answer.partition(b"\r\n\r\n")
    if chance.random() < 0.5:
        return _damage_head(chance, head) + b"\r\n\r\n" + body
    body = _damage_bytes(chance, body)
    if chance.random() < 0.8:
        head = re.sub(rb"(?i)content-length: *\d+", b"Content-Length: %d" % len(body), head)
    return head + b"\r\n\r\n" + body


def _damage_head(chance: Chance, head: bytes) -> bytes:
    lines = head.split(b"\r\n")
    way = chance.randrange(6)
    name, value = chance.choice(_HEADERS), chance.choice(_HEADER_VALUES)
    line = f"{name}: {value}".encode("latin-1", "replace")
    if way == 0:
        lines[0] = f"HTTP/1.{chance.choice('019x')} {chance.choice(_STATUSES)}".encode()
    elif way <= 2:
        lines.insert(chance.randint(1, len(lines)), line)
    elif way == 3:
        kept = [each for each in lines if not each.lower().startswith(name.lower().encode())]
        lines = [*kept, line]
    elif way == 4:
        lines.insert(
            chance.randint(0, len(lines)), chance.choice([b"", b":", b"x", b" x", line[5:]])
        )
    else:
        return _damage_bytes(chance, head)
    return b"\r\n".join(lines)


def _damage_bytes(chance: Chance, content: bytes) -> bytes:
    """Return bytes of which some are changed, lost, doubled or moved."""
    damaged = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 3, 10])):
        start = chance.randint(0, len(damaged))
        stop = min(len(damaged), start + chance.choice([1, 1, 4, 50, 3000]))
        piece = bytes(damaged[start:stop])
        odd = chance.choice(_TEXTS).encode(errors="surrogatepass")
        damaged[start:stop] = chance.choice([
            b"",
            piece * 2,
            piece[::-1],
            odd,
            chance.randbytes(len(piece)),
            b"\xff" * len(piece),
        ])
    return bytes(damaged)


# An index of our own, whose pages are right about odd files


def _damage_own(chance: Chance, origin: str) -> dict[str, bytes]:
    metadata = _damage_metadata(chance)
    draft = Draft(dist_info=f"{_STEM}.dist-info", files={f"{_STEM}.dist-info/METADATA": metadata})
    wheel = draft.pack()
    if chance.random() < 0.2:
        wheel = _damage_bytes(chance, wheel)
    files = [_describe(wheel, metadata, origin), *_list_older(origin)[: chance.randrange(4)]]
    for _ in range(chance.choice([0, 0, 1, 1, 3])):
        files = _damage_value(chance, files)
    kind = chance.choice(["application/vnd.pypi.simple.v1+json", "text/html"])
    page = _write_json(files) if kind.endswith("json") else _write_html(chance, files)
    answers = {
        PAGE: _answer(page, kind, is_packed=chance.random() < 0.2),
        METADATA: _answer(metadata, "text/plain"),
        WHEEL: _answer(wheel, "application/zip"),
        PART: _answer(wheel, "application/zip", part=chance.choice([0, 0, len(wheel) // 2])),
    }
    for damaged in chance.choices(list(answers), k=chance.choice([0, 0, 0, 1, 2])):
        answers[damaged] = _damage_answer(chance, answers[damaged])
    return answers


def _damage_metadata(chance: Chance) -> bytes:
    lines = ["Metadata-Version: 2.1", "Name: iniconfig", "Version: 2.3.1"]
    for _ in range(chance.randrange(4)):
        field = chance.choice(_FIELDS).format(chance.choice(_TEXTS))
        lines.insert(chance.randint(0, len(lines)), field)
    content = "\n".join([*lines, "", "prose"]).encode(errors="surrogatepass")
    return _damage_bytes(chance, content) if chance.random() < 0.2 else content


def _describe(wheel: bytes, metadata: bytes, origin: str) -> dict[str, Any]:
    return {
        "filename": _FILE,
        "url": f"{origin}/files/{_FILE}",
        "hashes": {"sha256": hashlib.sha256(wheel).hexdigest()},
        "size": len(wheel),
        "requires-python": ">=3.8",
        "upload-time": "2024-05-01T10:00:00Z",
        "yanked": False,
        "core-metadata": {"sha256": hashlib.sha256(metadata).hexdigest()},
    }


@cache
def _real_page() -> str:
    return _seeds()["page-json"].partition(b"\r\n\r\n")[2].decode()


def _list_older(origin: str) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = json.loads(_real_page())["files"]
    return [{**one, "url": f"{origin}/files/{one['filename']}"} for one in files[-3::-1]]


def _damage_value(chance: Chance, files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    odd: object = chance.choice([*_TEXTS, *_VALUES])
    position = chance.randrange(len(files))
    one = dict(files[position])
    way = chance.randrange(5)
    key = chance.choice(list(one) or ["url"])
    if way == 0:
        one.pop(key, None)
    elif way == 1 and isinstance(one.get(key), str):
        text = one[key]
        place = chance.randint(0, len(text))
        one[key] = f"{text[:place]}{odd}{text[place:]}"
    else:
        one[key] = odd
    return [*files[:position], one, *files[position + 1 :]]


def _write_json(files: list[dict[str, Any]]) -> bytes:
    page = json.dumps({"meta": {"api-version": "1.1"}, "name": PROJECT, "files": files})
    return page.replace('"deep"', "[" * 3000 + "]" * 3000).encode()


def _write_html(chance: Chance, files: list[dict[str, Any]]) -> bytes:
    anchors: list[str] = []
    for one in files:
        quote = chance.choice("\"\"'' ")
        pairs = {f"data-{key}": value for key, value in one.items() if key not in {"url", "hashes"}}
        hashes = one.get("hashes")
        stated = hashes.items() if isinstance(hashes, dict) else [("sha256", hashes)]
        fragment = "&".join(f"{name}={digest}" for name, digest in stated)
        pairs["href"] = f"{one.get('url')}#{fragment}"
        attributes = " ".join(f"{key}={quote}{value}{quote}" for key, value in pairs.items())
        anchors.append(f"<a {attributes}>{one.get('filename')}</a>")
    odd = chance.choice(["", "<!--", "<base href='//x'>", "<![x[]]>", "<meta name=x>", "<a ", "\0"])
    return f"<html>{odd}{chance.choice(['', '<br/>']).join(anchors)}".encode(errors="replace")


def _answer(body: bytes, kind: str, *, is_packed: bool = False, part: int | None = None) -> bytes:
    total = len(body)
    status = "200 OK" if part is None else "206 Partial Content"
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}"]
    if part is not None:
        body = body[part:]
        lines.append(f"Content-Range: bytes {part}-{total - 1}/{total}")
    if is_packed:
        body = gzip.compress(body, mtime=0)
        lines.append("Content-Encoding: gzip")
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
