"""Requirements mean what `packaging` says, or are refused with a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.requirements import (
    admits_python,
    applies,
    find_requirement,
    parse_requirement,
    parse_specifier,
)

PIECES = (
    *("a", "b-c", "[x]", "[x,y]", ">=1", "==2.*", ",", "(", ")", " ", ";", "@ https://host/a.whl"),
    *("python_version", "extra", "'3'", '"x"', "==", "in", "and", "or", "\n", "é", "#"),
)
texts = st.lists(st.sampled_from(PIECES), max_size=10).map(" ".join) | st.text(max_size=30)


@given(texts)
def test_requirement__is_what_packaging_reads(text: str) -> None:
    try:
        theirs = Requirement(text)
    except InvalidRequirement:
        theirs = None

    assert find_requirement(text) == theirs


@given(texts)
def test_specifier__is_what_packaging_reads(text: str) -> None:
    try:
        theirs = SpecifierSet(text)
    except InvalidSpecifier:
        with pytest.raises(FormatError):
            parse_specifier(text)
    else:
        assert parse_specifier(text) == theirs


def test_requirement__is_refused_with_a_reason_on_one_line_without_secrets() -> None:
    with pytest.raises(FormatError) as caught:
        parse_requirement("a @ https://me:s3cr@et@host/ b")

    assert str(caught.value).startswith("Expected")
    assert "\n" not in str(caught.value)
    assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "extra", "expected"),
    [
        ("a", "", True),
        ("a; python_version >= '3.9'", "", True),
        ("a; extra == 'X_y'", "x-y", True),
        ("a; extra == 'x'", "", False),
    ],
)
def test_requirement__applies_where_its_marker_holds(
    text: str, extra: str, *, expected: bool
) -> None:
    assert applies(parse_requirement(text), {"python_version": "3.11"}, extra) is expected


@pytest.mark.parametrize(
    ("stated", "expected"), [("", True), (">=3.9", True), ("<3", False), ("nonsense", True)]
)
def test_requires_python__admits_a_python_unless_it_says_otherwise(
    stated: str, *, expected: bool
) -> None:
    assert admits_python(stated, "3.11.7") is expected
