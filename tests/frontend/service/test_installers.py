"""Installers as they are, in front of a server that builds what they ask for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.index import Manners, Project, serve
from tests.support.on_demand import Bare, OnDemand, on_demand_of, run_installer, sdist_of
from tests.support.service import finish, start_client

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

UV = Path(sys.executable).with_name("uv")
PIP = (sys.executable, "-m", "pip")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a server forks"),
    pytest.mark.skipif(find_spec("pip") is None or not UV.exists(), reason="needs pip and uv"),
    pytest.mark.xdist_group("installers"),
]
REQUIRING = """\
import willing
willing._metadata = lambda facts: (
    f"Metadata-Version: 2.1\\nName: {{facts['name']}}\\nVersion: {{facts['version']}}\\n"
    "Requires-Dist: {requirement}\\n"
)
"""
PROJECT = """\
[project]
name = "app"
version = "1.0"
requires-python = "==3.11.*"
dependencies = ["one"]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnDemand]:
    parent = tmp_path_factory.mktemp("installers")
    one = sdist_of(parent, "one", build_wheel=REQUIRING.format(requirement="two<2"))
    two = [sdist_of(parent, "two", version) for version in ("1.0", "1.1")]
    projects = [Project("one", one), Project("two", *two)]
    with (
        serve(*projects, manners=Manners(json=True)) as upstream,
        on_demand_of(parent, upstream) as found,
    ):
        yield found


def run(site: OnDemand, directory: Path, *words: str | Path, index: str = "") -> str:
    """Let an installer do something, and return what it says; ``INDEX`` is the URL of the index."""
    url = f"{site.url}{index or '/this/simple/'}"
    done = run_installer(*(url if word == "INDEX" else word for word in words), directory=directory)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


WHEELS_ONLY = ("--only-binary", ":all:")
COMMANDS: dict[str, Sequence[str | Path]] = {
    "pip install": (*PIP, "install", *WHEELS_ONLY, "--target", "t", "--index-url", "INDEX", "one"),
    "pip download": (*PIP, "download", *WHEELS_ONLY, "-d", "t", "--index-url", "INDEX", "one"),
    "uv pip install": (
        *(UV, "pip", "install", *WHEELS_ONLY, "--python", sys.executable, "--target", "t"),
        *("--exclude-newer", "2021-01-01", "--default-index", "INDEX", "one"),
    ),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_installer__has_the_wheels_of_a_project_and_of_all_that_it_requires(
    site: OnDemand, tmp_path: Path, command: str
) -> None:
    run(site, tmp_path, *COMMANDS[command])

    found = {path.name.partition("-")[0] for path in (tmp_path / "t").glob("*-1*")}
    assert found == {"one", "two"}


def test_installers__agree_on_the_hashes_of_wheels(site: OnDemand, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("one\n")
    words: Sequence[str] = ("--python", sys.executable, "--default-index", "INDEX")
    run(
        site, tmp_path, UV, "pip", "compile", "--generate-hashes", *words, "in.txt", "-o", "out.txt"
    )

    words = ("--require-hashes", "--target", "t", "--index-url", "INDEX", "-r", "out.txt")
    run(site, tmp_path, *PIP, "install", *WHEELS_ONLY, *words)
    assert (tmp_path / "t" / "willing_facts.json").exists()


def test_uv__locks_wheels_with_all_that_it_asks_for(site: OnDemand, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    words = ("--python", sys.executable, "--default-index", "INDEX")
    run(site, tmp_path, UV, "lock", *words)

    lock = (tmp_path / "uv.lock").read_text()
    pattern = r'\.whl", hash = "sha256:\w{64}", size = \d+, upload-time = "2020-01-01T00:00:00Z"'
    assert len(re.findall(pattern, lock)) == 2
    run(site, tmp_path, UV, "lock", "--check", *words)
    run(site, tmp_path, UV, "sync", "--no-build", *words)

    bare = Bare(cache=tmp_path, links=tmp_path)
    asked = ("want", "-r", tmp_path / "uv.lock", "--server", site.url, "--wait")
    done = finish(start_client(bare, *asked))
    assert done.code == 0, done.err
    assert "  one 1.0: one-1.0-py3-none-any.whl, built\n" in done.out


def test_pins__are_met_by_the_index_of_an_announced_set(site: OnDemand, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("one==1.0\ntwo==1.0\n")
    words = ("want", "-r", tmp_path / "requirements.txt", "--server", site.url, "--wait")
    ground = Bare(cache=tmp_path, links=tmp_path)
    done = finish(start_client(ground, *words))
    assert done.code == 0, done.err
    index = done.out.split("index: ")[1].strip().removeprefix(site.url)

    given = (*WHEELS_ONLY, "--target", "t", "--index-url", "INDEX", "-r", "requirements.txt")
    run(site, tmp_path, *PIP, "install", *given, index=index)
    assert (tmp_path / "t" / "two-1.0.dist-info").exists()


def test_pip__is_told_why_an_sdist_cannot_be_built(tmp_path: Path) -> None:
    broken = sdist_of(tmp_path, "broken", build_wheel="raise SystemExit('fatal error: no <x.h>')")
    with (
        serve(Project("broken", broken), manners=Manners(json=True)) as upstream,
        on_demand_of(tmp_path, upstream, words=("--strict",)) as site,
    ):
        words = ("install", "--target", "t", "--index-url", f"{site.url}/this/simple/", "broken")
        done: subprocess.CompletedProcess[str] = run_installer(*PIP, *words, directory=tmp_path)

    assert done.returncode == 1
    assert "424" in done.stderr
    assert "fatal error: no <x.h>" in done.stderr or "backend" in done.stderr
