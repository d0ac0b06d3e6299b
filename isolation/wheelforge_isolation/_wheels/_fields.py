"""The fields of METADATA and WHEEL, read as the `email` of the standard library reads them.

That one takes longer to import than a small wheel takes to judge. A test holds the two together,
for where two readers differ, a wheel means two things.
"""

from __future__ import annotations

import re
from typing import TypeAlias

Fields: TypeAlias = dict[str, list[str]]
"""All values of a field, by its name in small letters."""

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_FIELD = re.compile(r"([!-9;-~]*):[ \t]*(.*)", re.DOTALL)
_CONTINUES = (" ", "\t")
_ENVELOPE = "From "
"""How a mailbox parts its mails: such a line is passed over."""


def parse_fields(text: str) -> Fields:
    """Return the fields at the beginning of ``text``, up to the first line that is of none."""
    fields: Fields = {}
    values: list[str] = []
    for line in (match[0] for match in _LINE.finditer(text)):
        if line.startswith(_CONTINUES):
            values[-1:] = [value + line for value in values[-1:]]
            continue
        found, values = _FIELD.fullmatch(line), []
        if found is None and not line.startswith(_ENVELOPE):
            break
        if found is not None and found[1]:
            values = fields.setdefault(found[1].lower(), [])
            values.append(found[2])
    return {name: [value.rstrip("\r\n") for value in values] for name, values in fields.items()}
