"""Remote caches that do not do what they are asked for: a miss, told once, and never more."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from tests.support.bazel_cache import ActionResult, BazelCache, serve_cache
from tests.support.remotes import write_key
from wheelforge.index.settings import IndexSettings
from wheelforge.remote.cache import RemoteCaches
from wheelforge.remote.record import MANIFEST, WHEEL, KeptFile, RemoteRecord, locate
from wheelforge.settings import RemoteSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
RECORD = RemoteRecord("wheel", "key", {"a": 1}, KeptFile("demo-1.0.whl", SHA256, len(CONTENT)))
FAULTS = (
    *("tampered", "truncated", "cut", "close"),
    *("400", "401", "403", "409", "429", "500", "503", "302"),
)


@pytest.fixture
def server() -> Generator[BazelCache]:
    with serve_cache() as cache:
        yield cache


@pytest.fixture
def opening(tmp_path: Path) -> Callable[..., RemoteCaches]:
    signer, _ = write_key(tmp_path, "team")

    def open_caches(*urls: str, notes: list[str] | None = None) -> RemoteCaches:
        settings = RemoteSettings(urls=urls, signer=signer, timeout_seconds=0.5)
        told = [] if notes is None else notes
        return RemoteCaches(settings, IndexSettings(), told.append)

    return open_caches


def test_remotes__give_back_what_they_were_given(
    opening: Callable[..., RemoteCaches], server: BazelCache
) -> None:
    with opening(server.url) as caches:
        caches.publish(RECORD, {SHA256: CONTENT})
    output = BytesIO()

    with opening(server.url) as caches:
        found = caches.find(WHEEL, "key")
        place = caches.fetch(SHA256, output)

    assert found is not None
    assert (found.record, place, output.getvalue()) == (RECORD, server.url, CONTENT)
    assert [method for method, _ in server.asked] == ["HEAD", "PUT", "PUT", "GET", "GET"]


@pytest.mark.parametrize("fault", FAULTS)
def test_remotes__fault_is_a_miss_that_is_told_once(
    opening: Callable[..., RemoteCaches], server: BazelCache, fault: str
) -> None:
    with opening(server.url) as caches:
        caches.publish(RECORD, {SHA256: CONTENT})
    server.fault, notes = lambda *_: fault, list[str]()
    output = BytesIO()

    with opening(server.url, notes=notes) as caches:
        found = [caches.find(WHEEL, "key") for _ in range(5)]
        places = [caches.fetch(SHA256, output) for _ in range(5)]

    assert (found, places, output.getvalue()) == ([None] * 5, [""] * 5, b"")
    assert 1 <= len(notes) <= 2
    assert len(set(notes)) == len(notes)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("unsigned", "its record is not signed"),
        ("changed", "no trusted key has signed its record"),
        ("replayed", "its record is about another build"),
        ("other kind", "its record is about another build"),
        ("garbage", "it has no record of wheelforge"),
    ],
)
def test_remotes__record_that_is_not_to_be_trusted_is_a_miss_with_a_note(
    opening: Callable[..., RemoteCaches], server: BazelCache, how: str, sentence: str
) -> None:
    with opening(server.url) as caches:
        caches.publish(RECORD, {SHA256: CONTENT})
    action = ActionResult.FromString(server.blobs[locate(WHEEL, "key")])
    (record,) = (file for file in action.output_files if file.path == "record.json")
    envelope, asked = json.loads(record.contents), (WHEEL, "key")
    if how == "unsigned":
        envelope["signatures"] = []
    elif how == "changed":
        payload = base64.b64decode(envelope["payload"]).replace(b'"a": 1', b'"a": 2')
        envelope["payload"] = base64.b64encode(payload).decode()
    elif how != "garbage":
        asked = (WHEEL, "other") if how == "replayed" else (MANIFEST, "key")
    record.contents = b"{]" if how == "garbage" else json.dumps(envelope).encode()
    server.blobs[locate(*asked)] = action.SerializeToString()
    notes = list[str]()

    with opening(server.url, notes=notes) as caches:
        assert caches.find(*asked) is None

    assert [sentence in note for note in notes] == [True]


@pytest.mark.parametrize("fault", FAULTS)
def test_remotes__fault_of_an_upload_is_no_failure(
    opening: Callable[..., RemoteCaches], server: BazelCache, fault: str
) -> None:
    server.fault, notes = lambda *_: fault, list[str]()

    with opening(server.url, notes=notes) as caches:
        for _ in range(5):
            caches.publish(RECORD, {SHA256: CONTENT})

    assert len(notes) <= 2


def test_remotes__next_one_has_what_the_first_has_not(
    opening: Callable[..., RemoteCaches], server: BazelCache, tmp_path: Path
) -> None:
    directory = str(tmp_path / "shared")
    with opening(directory) as caches:
        caches.publish(RECORD, {SHA256: CONTENT})
    server.fault = lambda *_: "500"
    output = BytesIO()

    with opening(server.url, directory) as caches:
        found = caches.find(WHEEL, "key")
        place = caches.fetch(SHA256, output)

    assert found is not None
    assert (found.place, place, output.getvalue()) == (directory, directory, CONTENT)


def test_remotes__nothing_listens_and_nothing_is_there(
    opening: Callable[..., RemoteCaches], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    notes = list[str]()

    with opening("http://127.0.0.1:9", str(tmp_path / "file"), notes=notes) as caches:
        caches.publish(RECORD, {SHA256: CONTENT})
        assert caches.find(WHEEL, "key") is None

    assert len(notes) == 2


def test_remotes__file_that_is_larger_than_its_record_says_is_not_read_on(
    opening: Callable[..., RemoteCaches], server: BazelCache
) -> None:
    server.blobs[f"cas/{SHA256}"] = CONTENT
    output = BytesIO()

    with opening(server.url) as caches:
        assert not caches.fetch(SHA256, output, len(CONTENT) - 1)

    assert not output.getvalue()


def test_remotes__pipe_in_a_directory_is_a_miss(
    opening: Callable[..., RemoteCaches], tmp_path: Path
) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs pipes")
    (tmp_path / "cas").mkdir()
    os.mkfifo(tmp_path / "cas" / SHA256)

    with opening(str(tmp_path)) as caches:
        assert not caches.fetch(SHA256, BytesIO())
