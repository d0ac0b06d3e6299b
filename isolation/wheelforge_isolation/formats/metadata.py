"""METADATA, PKG-INFO and WHEEL: header fields, as `email` reads them for `packaging` too.

Where two readers differ, a wheel has two meanings: a licence text whose blank lines are folded, for
example, must not end the fields before it.
"""

from __future__ import annotations

import re
from typing import TypeAlias

Fields: TypeAlias = dict[str, list[str]]
"""All values of each field in order, each on one line, by the field's name in small letters."""

_FOLD = re.compile(r"[\r\n]+[ \t]*")


def parse_fields(content: bytes) -> Fields:
    """Return the fields at the beginning of ``content``, up to the first line of another kind."""
    from email.parser import HeaderParser

    fields: Fields = {}
    for name, value in HeaderParser().parsestr(content.decode("utf-8", "replace")).items():
        fields.setdefault(name.lower(), []).append(_FOLD.sub(" ", value).strip())
    return fields


def all_values(fields: Fields, name: str) -> list[str]:
    """Return the values of a field."""
    return fields.get(name.lower(), [])


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
