"""A remote cache in S3, which another program plays: with accounts, and signatures of requests."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("obstore", reason="the extra `remote` is not installed")
pytest.importorskip("moto", reason="moto[server] is not installed")

from tests.support.forge import Place
from tests.support.remotes import Team
from tests.support.servers import running
from wheelforge.remote.stores import hide_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("object-store")]
_ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
_SET_UP = 4
"""Calls that need no account: those that make one."""


@pytest.fixture(scope="module")
def account() -> Iterator[dict[str, str]]:
    """Yield the variables of an account that may do anything with the bucket `wheels`."""
    import boto3  # type: ignore[import-untyped]

    os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = str(_SET_UP)
    try:
        with running(sys.executable, "-m", "moto.server", "-p", "PORT") as port:
            url = f"http://127.0.0.1:{port}"
            facts: dict[str, Any] = {"endpoint_url": url, "region_name": "us-east-1"}
            facts |= {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
            iam = boto3.client("iam", **facts)
            boto3.client("s3", **facts).create_bucket(Bucket="wheels")
            iam.create_user(UserName="ci")
            iam.put_user_policy(UserName="ci", PolicyName="all", PolicyDocument=_ALL)
            key = iam.create_access_key(UserName="ci")["AccessKey"]
            yield {
                "AWS_ENDPOINT_URL": url,
                "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            }
    finally:
        del os.environ["INITIAL_NO_AUTH_ACTION_COUNT"]


def test_object_store__second_machine_builds_nothing(
    account: dict[str, str], tmp_path: Path
) -> None:
    team = Team.make(tmp_path, "s3://wheels/team")
    remote = {"variables": account, "timeout_seconds": 20.0}

    assert team.build("first", remote=remote).verdict == "built"
    found = team.build("second", remote=remote)

    assert (found.verdict, team.notes) == ("reused", [])
    assert "taken from the remote cache s3://wheels/team" in found.notes


@pytest.mark.parametrize(
    "change",
    [
        {"AWS_SECRET_ACCESS_KEY": "wrong"},
        {"AWS_ACCESS_KEY_ID": "nobody"},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
    ],
)
def test_object_store__refusal_is_a_miss_that_is_told(
    account: dict[str, str], tmp_path: Path, change: dict[str, str]
) -> None:
    team = Team.make(tmp_path, "s3://wheels/refused")
    remote = {"variables": {**account, **change}}

    assert team.build("first", remote=remote).verdict == "built"

    assert [note for note in team.notes if "remote cache `s3://wheels/refused`" in note]
    assert not [note for note in team.notes if account["AWS_SECRET_ACCESS_KEY"] in note]


def test_object_store__bucket_that_is_not_there_is_a_miss(
    account: dict[str, str], tmp_path: Path
) -> None:
    team = Team.make(tmp_path, "s3://elsewhere/team")

    assert team.build("first", remote={"variables": account}).verdict == "built"


def test_object_store__url_that_is_none_is_refused(tmp_path: Path) -> None:
    done = Place(path=tmp_path).run("x", "--remote-cache", "s3://")

    assert (done.code, done.error) == (2, "option-invalid")


def test_credentials__hooks_do_not_get_those_of_object_stores(account: dict[str, str]) -> None:
    variables = {**account, "PATH": "/bin"}

    assert hide_credentials(["http://cache"], variables) == variables
    assert hide_credentials(["s3://wheels"], variables).keys() == {
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
        "PATH",
    }
