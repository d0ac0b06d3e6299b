"""Wheels that other machines have built: found, told, and not trusted without a signature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.bazel_cache import BazelCache, serve_cache
from tests.support.remotes import Team, write_key
from wheelforge.build.verify_reuse import compare_wheels
from wheelforge.models import Policy
from wheelforge_isolation import digest

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@pytest.fixture
def server() -> Generator[BazelCache]:
    with serve_cache() as cache:
        yield cache


@pytest.fixture
def team(tmp_path: Path, server: BazelCache) -> Team:
    return Team.make(tmp_path, server.url)


def test_remote_cache__second_machine_builds_nothing(team: Team, server: BazelCache) -> None:
    first = team.build("first")
    assert (first.verdict, team.notes) == ("built", [])
    server.asked.clear()

    second = team.build("second")

    assert second.verdict == "reused"
    assert digest(second.artifacts[0].path) == first.artifacts[0].sha256
    assert f"taken from the remote cache {server.url}" in second.notes
    assert [(method, path.partition("/")[0]) for method, path in server.asked] == [
        ("GET", "ac"),
        ("GET", "ac"),
        ("GET", "cas"),
    ]


def test_remote_cache__second_use_on_a_machine_asks_nothing(team: Team, server: BazelCache) -> None:
    team.build("first")
    team.build("second")
    server.asked.clear()

    assert team.build("second").verdict == "reused"
    assert server.asked == []


def test_remote_cache__directory_serves_as_well(tmp_path: Path) -> None:
    team = Team.make(tmp_path, str(tmp_path / "shared"))

    assert team.build("first").verdict == "built"
    found = team.build("second")

    assert found.verdict == "reused"
    assert f"taken from the remote cache {tmp_path / 'shared'}" in found.notes


def test_remote_cache__other_sdist_is_a_miss(team: Team) -> None:
    team.build("first")
    team.sdist.unlink()

    assert team.build("second").verdict == "built"


def test_remote_cache__nothing_is_written_without_a_key(team: Team, server: BazelCache) -> None:
    team.build("second")

    assert not server.blobs
    assert {method for method, _ in server.asked} == {"GET"}


def test_remote_cache__read_only_one_is_not_written(team: Team, server: BazelCache) -> None:
    team.urls = (f"{server.url}?read-only",)

    team.build("first")

    assert not server.blobs


def test_remote_cache__wheel_of_no_sandbox_is_not_written_unless_told(
    team: Team, server: BazelCache
) -> None:
    team.build("first", remote={"least_sandbox": "strict"})

    (note,) = team.notes
    assert "`--remote-sandbox none` has them written" in note
    assert not server.blobs


def test_remote_cache__earlier_ones_are_filled(
    team: Team, server: BazelCache, tmp_path: Path
) -> None:
    team.build("first")
    near = tmp_path / "near"
    team.urls = (str(near), server.url)
    team.build("first-2")
    team.urls = (str(near),)

    found = team.build("third")

    assert found.verdict == "reused"
    assert {path.parent.name for path in near.glob("*/*")} == {"ac", "cas"}


def test_remote_cache__variable_that_may_be_a_secret_is_not_shared(
    team: Team, server: BazelCache
) -> None:
    variables = {"PATH": "/usr/bin:/bin", "DEPLOY_TOKEN": "abc"}

    team.build("first", variables=variables)

    assert not server.blobs


def test_remote_cache__other_variable_is_a_miss(team: Team) -> None:
    team.build("first", variables={"PATH": "/usr/bin:/bin", "DEMO": "1"})

    for value, verdict in (("2", "built"), ("1", "reused")):
        variables = {"PATH": "/usr/bin:/bin", "DEMO": value}
        assert team.build(f"second-{value}", variables=variables).verdict == verdict


def test_remote_cache__record_of_a_foreign_key_is_a_miss_with_a_note(team: Team) -> None:
    signer, _ = write_key(team.path, "other")
    team.build("first", remote={"signer": signer})

    found = team.build("second")

    assert found.verdict == "built"
    assert ["no trusted key has signed its record" in note for note in team.notes] == [True]


def test_remote_cache__no_trusted_key_is_told(team: Team) -> None:
    team.build("first")

    assert team.build("second", remote={"trusted": ()}).verdict == "built"
    assert [note for note in team.notes if "no key is trusted" in note] == team.notes != []


@pytest.mark.parametrize(
    ("fault", "kind"), [("tampered", "ac"), ("tampered", "cas"), ("cut", "cas"), ("403", "ac")]
)
def test_remote_cache__fault_is_a_miss_and_never_a_failure(
    team: Team, server: BazelCache, fault: str, kind: str
) -> None:
    wheel = team.build("first").artifacts[0].path
    server.fault = lambda _, path: fault if path.startswith(kind) else ""

    found = team.build("second")

    assert found.verdict == "built"
    assert set(compare_wheels(wheel, found.artifacts[0].path)) <= {"willing_facts.json"}
    assert team.notes


@pytest.mark.parametrize("fault", ["hang", "dribble"])
def test_remote_cache__silent_server_is_waited_for_once(
    team: Team, server: BazelCache, fault: str
) -> None:
    team.build("first")
    server.fault = lambda *_: fault
    server.asked.clear()

    found = team.build("second", remote={"timeout_seconds": 0.3})

    assert found.verdict == "built"
    assert len(server.asked) == 1
    assert [note for note in team.notes if "is not used any more in this run" in note]


def test_remote_cache__three_failures_are_enough(team: Team, server: BazelCache) -> None:
    server.fault = lambda *_: "500"

    team.build("first")

    assert len(server.asked) <= 3
    assert len(team.notes) <= 2


def test_remote_cache__offline_leaves_directories_only(
    team: Team, server: BazelCache, tmp_path: Path
) -> None:
    team.urls = (server.url, str(tmp_path / "shared"))
    team.build("first")
    server.asked.clear()

    assert team.build("second", offline=True).verdict == "reused"
    assert server.asked == []


def test_remote_cache__refresh_builds_and_writes(team: Team, server: BazelCache) -> None:
    team.build("first")
    server.blobs.clear()

    found = team.build("first", policy=Policy(rebuild=frozenset({":all:"})))

    assert found.verdict == "built"
    assert server.blobs


def test_remote_cache__login_comes_of_the_url(tmp_path: Path) -> None:
    with serve_cache("user:secret") as server:
        host = server.url.partition("//")[2]
        team = Team.make(tmp_path, f"http://user:secret@{host}")
        team.build("first")
        found = team.build("second")

    assert found.verdict == "reused"
    assert not [note for note in found.notes if "secret" in note]
