"""Amounts with a unit, as people write them: times and sizes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wheelforge_isolation.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {
    **{unit: 1000**power for power, unit in enumerate(("b", "kb", "mb", "gb", "tb"))},
    **{unit: 1024**power for power, unit in enumerate(("", "kib", "mib", "gib", "tib"))},
}
_AMOUNT = re.compile(r"(\d{1,15}(?:\.\d{1,15})?) *([A-Za-z]*)")


def parse_amount(text: str, units: Mapping[str, int], wanted: str) -> float:
    """Return how many of the smallest unit ``text`` means; ``wanted`` says what it should be."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None or match[2].lower() not in units:
        raise FormatError(f"`{text}` is not {wanted}")
    return float(match[1]) * units[match[2].lower()]


def parse_seconds(text: str) -> float:
    """Return seconds, more than none: ``600``, ``10m``, ``2h``."""
    seconds = parse_amount(text, {"": 1, **SECONDS}, "a time like 600 or 10m")
    if not seconds:
        raise FormatError(f"`{text}` is no time at all; leave it out for no limit")
    return seconds


def parse_size(text: str) -> int:
    """Return bytes: ``5GB``, ``512MiB``, or a plain number of them."""
    return int(parse_amount(text, _BYTES, "a size like 5GB"))
