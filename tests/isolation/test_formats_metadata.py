"""METADATA, PKG-INFO and WHEEL have the fields that `email` and `packaging.metadata` find."""

from __future__ import annotations

from email.parser import BytesHeaderParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.metadata import parse_email

from wheelforge_isolation.formats.metadata import (
    Fields,
    all_values,
    first_value,
    only_value,
    parse_fields,
)

PIECES = (
    *("Name", "Version", "name", "x", "a b", "é", "-", ":", ": ", " ", "\t", "From ", "From "),
    *("\n", "\r", "\r\n", "\n ", "\n\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"),
)
LICENCE = """\
Metadata-Version: 2.1
Name: demo
Version: 1.0
License: A licence
        {blank}
        of some paragraphs
Requires-Dist: numpy>=1.22.4
Provides-Extra: test
Requires-Dist: pytest; extra == "test"

The description.
"""


def read_as_mail(content: bytes) -> Fields:
    """Return what the standard library finds."""
    found: Fields = {}
    for name, value in BytesHeaderParser().parsebytes(content).raw_items():
        text = str(value).encode("ascii", "surrogateescape").decode("utf-8", "replace")
        found.setdefault(name.lower(), []).append(text)
    return found


@settings(max_examples=2000)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text())
def test_parse_fields__is_what_email_reads(text: str) -> None:
    content = text.encode("utf-8", "surrogatepass")

    assert parse_fields(content) == read_as_mail(content)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Name: a\nVersion: 1\n\nTag: prose\n", {"name": ["a"], "version": ["1"]}),
        ("Name: a\rName: b", {"name": ["a", "b"]}),
        ("Tag: a\n b\nTag: c", {"tag": ["a\n b", "c"]}),
        ("Name: a\nno field\nVersion: 1", {"name": ["a"]}),
        ("", {}),
    ],
)
def test_parse_fields__ends_a_field_where_email_does(text: str, expected: Fields) -> None:
    assert parse_fields(text.encode()) == expected


@pytest.mark.parametrize("blank", ["", " ", "\t", "\x0c", "\u2028", "\x85 X-Field: b", "\x1c"])
def test_parse_fields__goes_on_after_a_folded_licence_text(blank: str) -> None:
    content = LICENCE.format(blank=blank).encode()

    fields = parse_fields(content)

    assert all_values(fields, "Requires-Dist") == ["numpy>=1.22.4", 'pytest; extra == "test"']
    assert all_values(fields, "Requires-Dist") == parse_email(content)[0]["requires_dist"]
    assert list(fields)[-2:] == ["requires-dist", "provides-extra"]


def test_values_of_a_field__are_on_one_line_each() -> None:
    fields = parse_fields(
        b"Requires-Dist: a;\n  extra == 'x'\nRequires-Dist:\tb \nName: a\nname: b"
    )

    assert all_values(fields, "requires-dist") == ["a; extra == 'x'", "b"]
    assert first_value(fields, "Name") == "a"
    assert only_value(fields, "Name") is None
    assert not first_value(fields, "Version")
    assert only_value(fields, "Version") is None
