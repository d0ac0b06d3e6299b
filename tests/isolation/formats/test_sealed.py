"""Sealed JSON: read as it was written, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelforge_isolation.formats.sealed import fingerprint, seal_json, unseal_json

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(value=_VALUES, subject=st.text())
def test_sealed_json__is_read_as_it_was_written(value: object, subject: str) -> None:
    assert unseal_json(seal_json(value, subject), subject) == value


@given(value=_VALUES, subject=st.text(), other=st.text())
def test_sealed_json__about_another_subject_is_not_read(
    value: object, subject: str, other: str
) -> None:
    assert (unseal_json(seal_json([value], subject), other) is None) == (subject != other)


@given(value=_VALUES, data=st.data())
def test_sealed_json__that_was_changed_anywhere_is_not_read(
    value: object, data: st.DataObject
) -> None:
    content = bytearray(seal_json([value]))
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= data.draw(st.integers(1, 255))
    else:
        del content[place:]

    assert unseal_json(bytes(content)) is None


@pytest.mark.parametrize("content", [None, b"", b"\n", b"{}", b"e3b0c442\n{}", b"\xff\n\xff"])
def test_sealed_json__without_a_seal_is_not_read(content: bytes | None) -> None:
    assert unseal_json(content) is None


@given(first=_VALUES, second=_VALUES)
def test_fingerprint__tells_facts_apart(first: object, second: object) -> None:
    assert (fingerprint(first) == fingerprint(second)) == (repr(first) == repr(second))


def test_fingerprint__takes_names_that_are_no_unicode() -> None:
    assert len({fingerprint(["a", "bc"]), fingerprint(["ab", "c"]), fingerprint(["\udcff"])}) == 3
