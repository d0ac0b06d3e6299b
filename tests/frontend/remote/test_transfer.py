"""A cache as one file: what is in it, and what is not taken over."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.support.remotes import Team
from wheelforge_isolation import Layout, export_cache, import_cache, open_cache
from wheelforge_isolation.errors import CacheFileError

if TYPE_CHECKING:
    from pathlib import Path

_HOUR = 3600


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team.make(tmp_path)


def export(team: Team, machine: str, since: float = 0.0) -> Path:
    path = team.path / f"{machine}.cache"
    with open_cache(Layout(team.path / machine / "cache"), print) as cache:
        export_cache(cache, str(path), since)
    return path


def take_over(team: Team, machine: str, path: Path) -> tuple[int, int]:
    with open_cache(Layout(team.path / machine / "cache"), print) as cache:
        done = import_cache(cache, str(path))
    return done.wheels, done.built


def make_old(team: Team, machine: str, hours: int) -> None:
    root = team.path / machine / "cache"
    for path in root.glob("*/records/*/*.json"):
        then = path.stat().st_mtime - hours * _HOUR
        os.utime(path, (then, then))


def test_export__another_machine_uses_the_wheels(team: Team) -> None:
    assert team.build("first").verdict == "built"

    counts = take_over(team, "second", export(team, "first"))

    assert counts == (2, 1)  # the wheel, and the backend
    assert team.build("second").verdict == "reused"


def test_export__entries_that_were_not_used_stay_out(team: Team) -> None:
    team.build("first")
    since = (team.path / "first" / "cache").stat().st_mtime
    make_old(team, "first", 5)

    assert take_over(team, "second", export(team, "first", since)) == (0, 0)

    assert team.build("first").verdict == "reused"
    assert take_over(team, "third", export(team, "first", since)) == (1, 1)


def test_export__entries_that_came_by_an_import_are_out_unless_they_were_used(team: Team) -> None:
    team.build("first")
    take_over(team, "second", export(team, "first"))
    since = (team.path / "second" / "cache").stat().st_mtime

    assert take_over(team, "third", export(team, "second", since)) == (0, 0)

    assert team.build("second").verdict == "reused"
    assert take_over(team, "fourth", export(team, "second", since)) == (1, 1)


def test_import__a_second_time_changes_nothing(team: Team) -> None:
    team.build("first")
    path = export(team, "first")
    take_over(team, "second", path)

    assert take_over(team, "second", path) == (2, 1)
    assert take_over(team, "first", path) == (2, 1)
    assert team.build("first").verdict == "reused"


@pytest.mark.parametrize("kind", ["flipped", "cut", "longer", "empty", "other"])
def test_import__file_that_is_damaged_is_refused_whole(team: Team, kind: str) -> None:
    team.build("first")
    path = export(team, "first")
    content = path.read_bytes()
    place = content.rindex(b"PK\x05\x06")  # in the last wheel
    path.write_bytes(
        {
            "flipped": content[:place] + b"p" + content[place + 1 :],
            "cut": content[: len(content) * 2 // 3],
            "longer": content + b"\n",
            "empty": b"",
            "other": b"PK\x03\x04 something else",
        }[kind]
    )

    with pytest.raises(CacheFileError):
        take_over(team, "second", path)

    assert not [*(team.path / "second" / "cache").glob("files-v1/*/*/*")]


@pytest.mark.parametrize(
    ("kind", "name", "content"),
    [
        ("file", "../../evil.whl", b"x"),
        ("file", "..", b"x"),
        ("file", "a\nb", b"x"),
        ("answer", "../x.json", b"x"),
        ("answer", "tools-0.json", b"x"),
        ("built", "x.json", b"{}"),
        ("tree", "x", b"x"),
        ("file", "x", None),
        (1, "x", b"x"),
    ],
)
def test_import__hostile_entry_is_refused(
    team: Team, kind: str, name: str, content: bytes | None
) -> None:
    body = content or b""
    size = len(body) if content else 1 << 60
    head = json.dumps([kind, name, hashlib.sha256(body).hexdigest(), size]).encode()
    end = b'\n["end", "", "", 0]\n'
    path = team.path / "hostile"
    path.write_bytes(b"wheelforge cache 1\n" + head + b"\n" + body + end.lstrip())
    before = {each for each in team.path.rglob("*") if "/second/" not in str(each)}

    with pytest.raises(CacheFileError):
        take_over(team, "second", path)

    assert {each for each in team.path.rglob("*") if "/second/" not in str(each)} - before <= {
        team.path / "second"
    }
