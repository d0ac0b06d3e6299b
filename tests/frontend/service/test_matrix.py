"""The index at a glance: projects by targets, on the dashboard and as JSON."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")
pytest.importorskip("jinja2", reason="the extra `service` is not installed")

from tests.support.index import Project
from tests.support.on_demand import OnDemand, on_demand, sdist_of
from tests.support.service import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a server forks"),
    pytest.mark.xdist_group("padding"),
]
FAILING = "raise SystemExit('fatal error: <b>no</b>')"


def survey(site: OnDemand, path: str = "/projects") -> Any:
    return site.service.ask("GET", path, Accept="application/json")[1]


def test_matrix__shows_what_there_is_of_each_project_for_each_target(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    code = f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)"
    projects = [
        Project("quick", sdist_of(tmp_path, "quick")),
        Project("broken", sdist_of(tmp_path, "broken", build_wheel=FAILING)),
        Project("slow", sdist_of(tmp_path, "slow", build_wheel=code)),
    ]
    words = ("--target", f"other={sys.executable}", "--target", "gone=/nowhere/python")
    with on_demand(tmp_path, *projects, words=words) as site:
        assert survey(site)["projects"] == []
        site.show("quick")
        site.show("broken")
        site.get("/other/simple/quick/")
        with contextlib.closing(site.connect()) as waiting:
            waiting.request("GET", "/this/simple/slow/")
            until(lambda: "slow" in [row["name"] for row in survey(site)["projects"]])
            facts = survey(site)

        assert [(each["name"], bool(each["error"])) for each in facts["targets"]] == [
            ("this", False),
            ("other", False),
            ("gone", True),
        ]
        rows = {row["name"]: row["targets"] for row in facts["projects"]}
        assert list(rows) == ["broken", "quick", "slow"]
        assert [cell["wheels"] for cell in rows["quick"].values()] == [1, 1]
        assert rows["slow"]["this"]["building"] == 1
        (failure,) = rows["broken"]["this"]["failures"]
        assert failure["file"] == "broken-1.0.tar.gz"
        assert rows["broken"].keys() == {"this"}

        for path in ("/", "/projects"):
            text = site.service.fetch("GET", path, Accept="text/html")[2].decode()
            assert f'<a href="/builds/{failure["build"]}">{failure["code"]}</a>' in text
            assert text.count('<span class="state built">1 built</span>') == 2
            assert "<b>no" not in text
        assert facts["count"] == 3
        assert survey(site, "/projects?offset=1")["projects"][0]["name"] == "quick"
