"""Fields of metadata mean what they mean to everybody else."""

from __future__ import annotations

from email.parser import HeaderParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wheelforge_isolation._wheels._fields import Fields, parse_fields

PIECES = (
    *("Name", "Version", "name", "x", "a b", "é", "-", ":", ": ", " ", "\t", "From ", "From "),
    *("\n", "\r", "\r\n", "\n ", "\n\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"),
)


def read_as_mail(text: str) -> Fields:
    """Return what the standard library finds."""
    found: Fields = {}
    for name, value in HeaderParser().parsestr(text).items():
        found.setdefault(name.lower(), []).append(str(value))
    return found


@settings(max_examples=2000)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text())
def test_fields_are_those_of_a_mail(text: str) -> None:
    assert parse_fields(text) == read_as_mail(text)


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
def test_a_field_ends_where_it_should(text: str, expected: Fields) -> None:
    assert parse_fields(text) == expected
