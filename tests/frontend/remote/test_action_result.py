"""Bodies of actions: as Google's protocol buffers read and write them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.bazel_cache import ActionResult, find_fault
from wheelforge.remote.action_result import OutputFile, decode_action, encode_action

_FILES = {
    "record.json": OutputFile("ab" * 32, 300, b"{}" * 150),
    "demo-1.0-py3-none-any.whl": OutputFile("cd" * 32, 1 << 33),
    "empty": OutputFile("ef" * 32, 0),
}


def test_action_result__is_what_google_reads() -> None:
    found = ActionResult.FromString(encode_action(_FILES))

    assert not find_fault(found)
    assert {
        file.path: OutputFile(file.digest.hash, file.digest.size_bytes, file.contents)
        for file in found.output_files
    } == _FILES


def test_action_result__fields_that_a_server_adds_are_skipped() -> None:
    action = ActionResult.FromString(encode_action(_FILES))
    action.exit_code, action.stdout_raw = 7, b"text"
    action.execution_metadata.worker = "127.0.0.1"
    for file in action.output_files:
        file.is_executable = True

    assert decode_action(action.SerializeToString()) == _FILES


@pytest.mark.parametrize(
    "body",
    [
        b"\x12",
        b"\x12\x05\x0a",
        b"\x13\x00",
        b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x12\x02\x08\x01",
        encode_action({"wheel": OutputFile("short", 1)}),
    ],
)
def test_action_result__other_bytes_are_none(body: bytes) -> None:
    with pytest.raises((ValueError, LookupError)):
        decode_action(body)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 400))
def test_action_result__no_bytes_do_harm(noise: bytes, place: int) -> None:
    body = encode_action(_FILES)
    for damaged in (noise, body[:place], body[:place] + noise + body[place + len(noise) :]):
        try:
            decode_action(damaged)
        except (ValueError, LookupError):
            continue
