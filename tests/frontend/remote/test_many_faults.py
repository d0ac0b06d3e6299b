"""Faults of remote caches, each met by a build of its own: no wrong wheel, and no failed build."""

# ruff: file-ignore[suspicious-non-cryptographic-random-usage]

from __future__ import annotations

import errno
import hashlib
import os
import random
import shutil
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.bazel_cache import ActionResult, BazelCache, serve_cache
from tests.support.remotes import Team, write_key
from wheelforge.build import shared_wheels
from wheelforge.build.forge import Components
from wheelforge.build.verify_reuse import compare_wheels
from wheelforge.hooks.pool import RunnerPool
from wheelforge.index.settings import IndexSettings
from wheelforge.provenance.envelope import Signer
from wheelforge.remote.action_result import OutputFile, encode_action
from wheelforge.remote.cache import RemoteCaches
from wheelforge.remote.record import MANIFEST, PAYLOAD_TYPE, WHEEL, KeptFile, RemoteRecord
from wheelforge.settings import RemoteSettings
from wheelforge_isolation import remove_tree

if TYPE_CHECKING:
    from pathlib import Path

_ON_THE_WAY = (
    *("tampered", "truncated", "cut", "close", "hang"),
    *("401", "403", "404", "409", "429", "500", "503"),
)
_STORED = ("missing", "unsigned", "foreign", "replayed", "garbage", "other wheel")
FAULTS = (*_ON_THE_WAY, *_STORED, "full disk")


class Saboteur:
    """A server whose answers, or whose content, are wrong in one way."""

    def __init__(self, server: BazelCache, chance: random.Random, foreign: Signer) -> None:
        self._server, self._chance, self._foreign = server, chance, foreign
        self._sound = dict(server.blobs)
        self.count = 0

    def plan(self, fault: str) -> None:
        """Have one of the next requests, or one of the blobs, meet ``fault``."""
        server, left = self._server, self._chance.randrange(3)
        server.blobs = dict(self._sound)
        server.fault = lambda *_: ""
        if fault in _STORED:
            self._spoil(fault)

        def answer(*_: str) -> str:
            nonlocal left
            left -= 1
            self.count += left == -1
            return fault if left == -1 else ""

        if fault in _ON_THE_WAY:
            server.fault = answer

    def _spoil(self, fault: str) -> None:
        blobs = self._server.blobs
        actions = sorted(path for path in blobs if path.startswith("ac/"))
        contents = sorted(path for path in blobs if path.startswith("cas/"))
        self.count += 1
        if fault == "missing":
            del blobs[self._chance.choice([*actions, *contents])]
        elif fault == "replayed":
            blobs.update(zip(actions, [blobs[each] for each in reversed(actions)], strict=True))
        elif fault == "other wheel":
            blobs.update(dict.fromkeys(contents, b"PK\x05\x06" + bytes(18)))
        else:
            path = self._chance.choice(actions)
            blobs[path] = self._forge(blobs[path], fault)

    def _forge(self, body: bytes, fault: str) -> bytes:
        files = {
            file.path: OutputFile(file.digest.hash, file.digest.size_bytes, file.contents)
            for file in ActionResult.FromString(body).output_files
        }
        record = files["record.json"]
        forged = {
            "unsigned": record.contents.replace(b'"sig"', b'"gis"'),
            "garbage": record.contents[: len(record.contents) // 2],
            "foreign": self._foreign.sign(b'{"schema": 1}', PAYLOAD_TYPE),
        }[fault]
        return encode_action({**files, "record.json": record._replace(contents=forged)})


@pytest.mark.parametrize("count", [5 * len(FAULTS), pytest.param(2000, marks=pytest.mark.stress)])
def test_remotes__fault_leaves_the_right_bytes_or_none(tmp_path: Path, count: int) -> None:
    content = bytes(range(256)) * 40
    sha256 = hashlib.sha256(content).hexdigest()
    file = KeptFile("demo-1.0-py3-none-any.whl", sha256, len(content))
    records = [RemoteRecord(kind, "key", {"a": 1}, file) for kind in (WHEEL, MANIFEST)]
    signer, _ = write_key(tmp_path, "team")
    found = {True: 0, False: 0}
    with serve_cache() as server:
        settings = RemoteSettings(urls=(server.url,), signer=signer)
        hasty = replace(settings, timeout_seconds=0.2)
        with RemoteCaches(settings, IndexSettings(), ignore) as caches:
            for record in records:
                caches.publish(record, {sha256: content})
        saboteur = Saboteur(server, random.Random(count), write_key(tmp_path, "foreign")[0])
        for number in range(count):
            fault, output = FAULTS[number % (len(FAULTS) - 1)], BytesIO()
            saboteur.plan(fault)
            chosen = hasty if fault == "hang" else settings
            with RemoteCaches(chosen, IndexSettings(), ignore) as caches:
                answers = [caches.find(record.kind, "key") for record in records]
                place = caches.fetch(sha256, output)
            for record, answer in zip(records, answers, strict=True):
                assert answer is None or answer.record == record
            assert output.getvalue() == (content if place else b"")
            found[all(answers) and bool(place)] += 1

    assert saboteur.count >= count * 0.9  # a slow machine may meet the time-out before the fault
    assert found[False] > count / 2


def ignore(_: str) -> None:
    """Say nothing."""


def forget(team: Team, machine: str) -> None:
    """Let a machine forget which wheels it has built, and keep all else."""
    cache = team.path / machine / "cache"
    for place in (cache / "built-v2", cache / "manifests-v1", *cache.glob("files-v1/*/*/demo-*")):
        remove_tree(str(place))


@pytest.mark.long
@pytest.mark.parametrize("count", [len(FAULTS), pytest.param(2000, marks=pytest.mark.stress)])
def test_remote_cache__no_fault_makes_a_wrong_wheel_or_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    chance, opened = random.Random(count), shared_wheels.open_new_file

    def open_full(path: str) -> int:
        saboteur.count += 1
        os.close(opened(path))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with serve_cache() as server, RunnerPool() as pool:
        team = Team.make(tmp_path, server.url)
        facts: dict[str, Any] = {"components": Components(pool=pool)}
        wheel = tmp_path / "wheel" / team.build("first", **facts).artifacts[0].path.name
        wheel.parent.mkdir()
        shutil.copy(tmp_path / "first" / "out" / wheel.name, wheel)
        saboteur = Saboteur(server, chance, write_key(tmp_path, "foreign")[0])
        verdicts = list[str]()
        for number in range(count):
            fault = FAULTS[number % len(FAULTS)]
            forget(team, "second")
            saboteur.plan(fault)
            is_full = fault == "full disk"
            monkeypatch.setattr(shared_wheels, "open_new_file", open_full if is_full else opened)
            seconds = 0.3 if fault == "hang" else 10.0
            found = team.build("second", remote={"timeout_seconds": seconds}, **facts)
            verdicts.append(found.verdict)
            made = found.artifacts[0].path
            assert set(compare_wheels(wheel, made)) <= {"willing_facts.json"}, fault

    assert set(verdicts) <= {"built", "reused"}
    assert saboteur.count >= count * 0.9  # some requests are not made once an earlier one failed
