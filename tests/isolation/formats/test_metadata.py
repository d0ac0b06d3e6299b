"""METADATA, PKG-INFO and WHEEL have the fields that `packaging.metadata` finds."""

import pytest
from packaging.metadata import parse_email

from wheelforge_isolation.formats.metadata import (
    Fields,
    all_values,
    first_value,
    only_value,
    parse_fields,
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Name: a\nVersion: 1\n\nTag: prose\n", {"name": ["a"], "version": ["1"]}),
        ("Name: a\rName: b", {"name": ["a", "b"]}),
        ("Tag: a\n b\nTag: c", {"tag": ["a b", "c"]}),
        ("Name: a\nno field\nVersion: 1", {"name": ["a"]}),
        ("", {}),
    ],
)
def test_parse_fields__ends_a_field_at_the_next_one(text: str, expected: Fields) -> None:
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
