"""METADATA, PKG-INFO and WHEEL: header fields, read as the `email` package reads them.

`packaging.metadata` reads them by `email` too, whose import alone takes longer than a small wheel
takes to judge. Tests hold this reader to both of them, for where two readers differ, a wheel has
two meanings: a licence text whose blank lines are folded must not end the fields before it.
"""

from __future__ import annotations

import re
from typing import TypeAlias

Fields: TypeAlias = dict[str, list[str]]
"""All values of each field in order, by the field's name in small letters."""

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_FIELD = re.compile(r"([!-9;-~]*):[ \t]*(.*)", re.DOTALL)
_CONTINUES = (" ", "\t")
_ENVELOPE = "From "
"""The line that separates the mails of a mailbox; `email` skips it."""
_FOLD = re.compile(r"[\r\n]+[ \t]*")


def parse_fields(content: bytes) -> Fields:
    """Return the fields at the beginning of ``content``; the first line of another kind ends them.

    A value keeps the line breaks at which it is folded.
    """
    fields: dict[str, list[list[str]]] = {}
    folded: list[str] = []
    for line in (match[0] for match in _LINE.finditer(content.decode("utf-8", "replace"))):
        if line.startswith(_CONTINUES):
            folded.append(line)
            continue
        found, folded = _FIELD.fullmatch(line), []
        if found is None and not line.startswith(_ENVELOPE):
            break
        if found is not None and found[1]:
            folded.append(found[2])
            fields.setdefault(found[1].lower(), []).append(folded)
    return {
        name: ["".join(lines).rstrip("\r\n") for lines in values] for name, values in fields.items()
    }


def all_values(fields: Fields, name: str) -> list[str]:
    """Return the values of a field, each on one line."""
    return [_FOLD.sub(" ", value).strip() for value in fields.get(name.lower(), ())]


def first_value(fields: Fields, name: str) -> str:
    """Return the first value of a field, or nothing where there is no such field."""
    return next(iter(all_values(fields, name)), "")


def only_value(fields: Fields, name: str) -> str | None:
    """Return the value of a field that is stated exactly once.

    Of a field that is stated twice, each reader would choose its own value.
    """
    values = all_values(fields, name)
    return values[0] if len(values) == 1 else None


def to_json(content: bytes) -> dict[str, object]:
    """Return core metadata in the usual JSON form, its fields sorted by name."""
    from packaging.metadata import parse_email

    metadata, _ = parse_email(content)
    return dict(sorted(metadata.items()))
