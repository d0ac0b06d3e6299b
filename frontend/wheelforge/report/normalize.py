"""JSON as text that can be written to any file."""

from __future__ import annotations

import json
import re

_SURROGATE = re.compile(r"[\ud800-\udfff]")
"""What stands in a path for bytes that are no text; no encoding has it."""
_SPECIAL = re.compile(r"[<>&\u2028\u2029]")
"""What could end a script in a page, or a line in it."""


def spell_json(facts: object, *, indent: int | None = None) -> bytes:
    """Return ``facts`` as JSON, readable and without loss."""
    text = json.dumps(facts, ensure_ascii=False, indent=indent)
    return _SURROGATE.sub(_escape, text).encode()


def spell_inline(facts: object) -> str:
    """Return ``facts`` as JSON that can stand in a page."""
    text = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
    return _SPECIAL.sub(_escape, _SURROGATE.sub(_escape, text))


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
