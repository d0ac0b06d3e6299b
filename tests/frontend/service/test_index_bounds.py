"""The bounds of an index that lives for long, and failures of its own that it does not hide."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.builds import Ground
from tests.support.index import Index, Manners, Project, serve, sha256, wheel
from tests.support.on_demand import Ahead, Bare, OnDemand, sdist_of
from tests.support.service import PLAIN, Service, finish, start_client, until
from wheelforge.service.simple.sets import AnnouncedSets

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a server forks"),
    pytest.mark.xdist_group("index-bounds"),
]
SMALL = """
from wheelforge.service import retention, server
usual = retention.Retention()
retention.Retention.__new__.__defaults__ = usual._replace(
    wheel_bytes={bytes}, in_use_seconds={seconds}
)
server._SWEEP_SECONDS = 0.0
"""
FEW_SETS = """
from wheelforge.service import retention
retention.Retention.__new__.__defaults__ = retention.Retention()._replace(sets=2)
"""
FAILING = """
from wheelforge.service.simple import builds
def fail(*_): raise RuntimeError("a mistake of ours")
builds.read_wheel = fail
"""
BALLAST = "files['ballast'] = __import__('random').randbytes(100_000).hex()"


@contextlib.contextmanager
def serving_changed(
    parent: Path, upstream: Index, change: str, *words: str
) -> Generator[tuple[OnDemand, Path]]:
    """Yield a server whose program is changed, and the file with all that it says."""
    ground = Ground.make(parent)
    ahead = Ahead(cache=ground.cache, links=ground.links, url=upstream.url)
    usual = ["--listen", "127.0.0.1:0", "--target", f"this={sys.executable}", "--open-index"]
    program = f"import wheelforge.cli\n{change}\nwheelforge.cli.run()"
    given = ahead.words("serve", *usual, *words, "--sandbox", "none")
    said = parent / "said"
    with said.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *given], env=PLAIN, stderr=log, text=True
        )
    path = ground.cache / "service-v1" / "socket"
    service = Service(ground=ahead, process=process, socket=path)
    with process:
        try:
            until(lambda: "listening" in said.read_text(encoding="utf-8"))
            yield OnDemand(upstream=upstream, service=service), said
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(15)


def test_wheels__used_longest_ago_go_and_their_pages_say_so(tmp_path: Path) -> None:
    names = ("one", "two", "three")
    projects = [Project(name, sdist_of(tmp_path, name, build_wheel=BALLAST)) for name in names]
    change = SMALL.format(bytes=320_000, seconds=0.0)
    with (
        serve(*projects, manners=Manners(json=True)) as upstream,
        serving_changed(tmp_path, upstream, change) as (site, _),
    ):
        wheels = site.service.home / "wheels"
        first = site.show("one").find(".whl")
        assert site.follow("one", first["url"]).status == 200
        os.utime(wheels / first["hashes"]["sha256"], (1, 1))
        site.show("two")
        site.show("three")
        # To ask for the wheel would be a use, for which it stays.
        until(lambda: not (wheels / first["hashes"]["sha256"]).exists())
        assert site.follow("one", first["url"]).status == 404

        # The files that are left are promised, and those that are promised are there.
        page = site.get("/this/simple/one/", method="HEAD")
        assert page.headers["Cache-Control"] == "no-store"
        until(lambda: sum(path.stat().st_size for path in wheels.rglob("*.whl")) <= 320_000)
        again = site.show("one").find(".whl")
        assert sha256(site.follow("one", again["url"]).body) == again["hashes"]["sha256"]


def test_wheels__of_announced_sets_stay(tmp_path: Path) -> None:
    projects = [Project(name, sdist_of(tmp_path, name)) for name in ("kept", "gone")]
    change = SMALL.format(bytes=1, seconds=0.0)
    with (
        serve(*projects, manners=Manners(json=True)) as upstream,
        serving_changed(tmp_path, upstream, change) as (site, _),
    ):
        bare = Bare(cache=site.service.ground.cache, links=site.service.ground.links)
        words = ("want", "kept", "--server", site.url, "--wait", "--name", "s")
        assert finish(start_client(bare, *words)).code == 0
        site.show("gone")
        wheels = site.service.home / "wheels"
        until(lambda: [path.name[:4] for path in wheels.glob("*/*.whl")] == ["kept"])

        file = site.get("/sets/s/this/simple/kept/").find(".whl")
        found = site.get(f"/sets/s/this/{file['url'].removeprefix('../../')}")
        assert sha256(found.body) == file["hashes"]["sha256"]


def test_sets__used_longest_ago_are_forgotten_with_what_they_want(tmp_path: Path) -> None:
    names = ("one", "two", "three")
    projects = [
        Project(name, *(sdist_of(tmp_path, name, version) for version in ("1.0", "2.0")))
        for name in names
    ]
    with (
        serve(*projects, manners=Manners(json=True)) as upstream,
        serving_changed(tmp_path, upstream, FEW_SETS, "--policy", "wanted") as (site, _),
    ):
        bare = Bare(cache=site.service.ground.cache, links=site.service.ground.links)

        def want(name: str) -> None:
            words = ("want", f"{name}==1.0", "--server", site.url, "--wait", "--name", name)
            assert finish(start_client(bare, *words)).code == 0

        want("one")
        want("two")
        assert site.get("/sets/one/this/simple/one/").status == 200
        want("three")

        known = [site.get(f"/sets/{name}/this/simple/{name}/").status for name in names]
        assert known == [200, 404, 200]
        assert site.get("/api/v1/sets/two").status == 404
        base = sqlite3.connect(site.service.home / "index-v1.sqlite")
        with contextlib.closing(base):
            for table in ("announced", "announced_page", "announced_use", "announced_want"):
                found = {row[0] for row in base.execute(f"SELECT name FROM {table}")}  # ruff: ignore[hardcoded-sql-expression]
                assert found == {"one", "three"}
        want("two")
        assert site.get("/sets/two/this/simple/two/").status == 200


def test_sets__releases_that_an_earlier_server_wants_stay_wanted(tmp_path: Path) -> None:
    path = tmp_path / "base.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.execute("CREATE TABLE wanted (target TEXT, project TEXT, version TEXT)")
        base.execute("INSERT INTO wanted VALUES ('this', 'demo', '1.0')")
        base.commit()

    for _ in range(2):
        sets = AnnouncedSets(path)
        sets.remove_unused(0)
        assert sets.list_wanted("this", "demo") == {Version("1.0")}
        sets.close()


def test_files__that_were_passed_on_long_ago_go_and_are_fetched_again(tmp_path: Path) -> None:
    lib = wheel("lib", "1.0")
    change = SMALL.format(bytes=1, seconds=0.0)
    with (
        serve(Project("lib", lib), manners=Manners(json=True)) as upstream,
        serving_changed(tmp_path, upstream, change, "--proxy-files") as (site, _),
    ):
        url = site.show("lib").page["files"][0]["url"]
        for count in (1, 2):
            assert site.follow("lib", url).body == lib.content
            assert upstream.count(f"/files/{lib.name}") == count
            until(lambda: not list((site.service.home / "files").iterdir()))


def test_files__in_use_stay(tmp_path: Path) -> None:
    change = SMALL.format(bytes=1, seconds=600.0)
    projects = [Project("one", sdist_of(tmp_path, "one")), Project("lib", wheel("lib", "1.0"))]
    with (
        serve(*projects, manners=Manners(json=True)) as upstream,
        serving_changed(tmp_path, upstream, change, "--proxy-files") as (site, _),
    ):
        file = site.show("one").find(".whl")
        url = site.show("lib").page["files"][0]["url"]
        assert site.follow("lib", url).status == 200
        started = site.service.ask("GET", "/api/v1/server")[1]["seconds"]
        until(lambda: site.service.ask("GET", "/api/v1/server")[1]["seconds"] > started + 1.5)

        assert site.follow("one", file["url"]).status == 200
        assert len(list((site.service.home / "files").iterdir())) == 1


def test_server__builds_although_libraries_of_other_extras_are_not_installed(
    tmp_path: Path,
) -> None:
    with (
        serve(Project("one", sdist_of(tmp_path, "one")), manners=Manners(json=True)) as upstream,
        serving_changed(tmp_path, upstream, 'import sys\nsys.modules["obstore"] = None') as (
            site,
            _,
        ),
    ):
        assert site.show("one").find(".whl")


def test_mistake__of_the_server_is_logged_and_shown_and_not_made_again_at_once(
    tmp_path: Path,
) -> None:
    with (
        serve(Project("one", sdist_of(tmp_path, "one")), manners=Manners(json=True)) as upstream,
        serving_changed(tmp_path, upstream, FAILING, "--strict") as (site, said),
    ):
        site.show("one")
        page = site.show("one")
        assert [file["filename"] for file in page.page["files"]] == ["one-1.0.tar.gz"]
        assert site.count_builds("one") == 1
        assert "unexpected RuntimeError: a mistake of ours" in site.get("/this/").body.decode()
        answer = site.follow("one", page.page["files"][0]["url"])
        assert answer.status == 424
        assert "a mistake of ours" in answer.reason
        assert "see" not in answer.page["detail"]
        log = said.read_text(encoding="utf-8")
        assert "has broken off" in log
        assert "RuntimeError: a mistake of ours" in log
