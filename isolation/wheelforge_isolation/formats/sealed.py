"""JSON under a seal, and digests of JSON: what wheelforge writes for itself to read again.

The first line of a sealed file is the SHA-256 of its subject and its body, the rest is the body, as
compact JSON. A file that was cut, damaged, edited or written about another subject has the wrong
seal and is not read, which costs no more than making its content anew. A seal is no signature:
whoever may write to the cache can make one.

The subject is all that the content depends on. Where the name of the file tells that, as it does of
the records of trees, it is empty.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any


def seal_json(value: object, subject: str = "") -> bytes:
    """Return the content of a file that holds ``value``."""
    body = json.dumps(value, separators=(",", ":")).encode("ascii")
    return _seal(subject, body) + b"\n" + body


def unseal_json(content: bytes | None, subject: str = "") -> Any | None:  # ruff: ignore[any-type]
    """Return the value in ``content``, or nothing unless it is whole and about ``subject``."""
    seal, _, body = (content or b"").partition(b"\n")
    return json.loads(body) if seal == _seal(subject, body) else None


def _seal(subject: str, body: bytes) -> bytes:
    return hashlib.sha256(subject.encode("utf-8", "surrogateescape") + body).hexdigest().encode()


def fingerprint(facts: object) -> str:
    """Return a digest of ``facts``, which must be JSON; equal ones have the same in every process.

    Unlike texts that are joined, no two lists of facts run into one.
    """
    return hashlib.sha256(json.dumps(facts).encode("ascii")).hexdigest()
