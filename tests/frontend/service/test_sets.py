"""Announced sets: what is chosen and built for them, and the index that each of them has."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.index import JSON, Manners, Project, serve, sha256, wheel
from tests.support.on_demand import Bare, OnDemand, on_demand_of, sdist_of
from tests.support.service import finish, start_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.forge import Done
    from tests.support.index import Index

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a server forks"),
    pytest.mark.xdist_group("sets"),
]
WAITING = "import pathlib, time\nwhile not pathlib.Path({!r}).exists(): time.sleep(0.01)"


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    parent = tmp_path_factory.mktemp("upstream")
    broken = sdist_of(parent, "broken", build_wheel="raise SystemExit('fatal error: no')")
    projects = [
        Project("old", sdist_of(parent, "old", "1.0"), sdist_of(parent, "old", "2.0")),
        Project("app", wheel("app", "1.0", "old<2", "lib", "absent; python_version < '3'")),
        Project("lib", wheel("lib", "1.0"), wheel("lib", "1.1")),
        Project("broken", broken),
    ]
    with serve(*projects, manners=Manners(json=True)) as found:
        yield found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, upstream: Index) -> Iterator[OnDemand]:
    with on_demand_of(tmp_path_factory.mktemp("sets"), upstream) as found:
        yield found


def want(site: OnDemand, *words: str | Path) -> Done:
    ground = site.service.ground
    bare = Bare(cache=ground.cache, links=ground.links)
    return finish(start_client(bare, "want", "--server", site.url, *words))


def announced(done: Done) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.out)
    return found


def files_of(site: OnDemand, facts: dict[str, Any], project: str) -> list[str]:
    answer = site.get(f"{facts['path']}{project}/")
    return [file["filename"] for file in answer.page["files"]] if answer.status == 200 else []


def test_set__has_all_that_its_requirements_lead_to(site: OnDemand, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("app\nlib==1.0\n")
    words = ("-r", tmp_path / "requirements.txt", "--wait", "--json")
    done = want(site, *words)
    assert done.code == 0, done.err
    facts = announced(done)

    assert (facts["state"], facts["target"]) == ("ready", "this")
    assert {(each["name"], each["version"], each["built"]) for each in facts["packages"]} == {
        ("app", "1.0", False),
        ("lib", "1.0", False),
        ("old", "1.0", True),
    }
    assert site.get(facts["path"]).page["projects"] == [
        {"name": "app"},
        {"name": "lib"},
        {"name": "old"},
    ]
    assert files_of(site, facts, "old") == ["old-1.0.tar.gz", "old-1.0-py3-none-any.whl"]
    assert files_of(site, facts, "lib") == ["lib-1.0-py3-none-any.whl"]
    assert files_of(site, facts, "broken") == []
    page = site.get(f"{facts['path']}old/")
    file = page.find(".whl")
    answer = site.get(f"/sets/{facts['name']}/this/{file['url'].removeprefix('../../')}")
    assert sha256(answer.body) == file["hashes"]["sha256"]
    again = site.get(f"{facts['path']}old/", If_None_Match=page.headers["ETag"])
    assert again.status == 304
    # The page of the project has what somebody wants as well.
    assert "old-1.0-py3-none-any.whl" in [
        each["filename"] for each in site.show("old").page["files"]
    ]
    # The same again is the same set.
    assert announced(want(site, *words)) == facts


def test_set__does_not_change_when_it_is_ready(site: OnDemand, upstream: Index) -> None:
    done = want(site, "lib<1.1", "--name", "nightly", "--wait", "--json")
    facts = announced(done)
    before = site.get(f"{facts['path']}lib/").body
    upstream.put(
        Project("lib", *upstream.projects["lib"].files, wheel("lib", "1.0", tag="py2-none-any"))
    )

    assert site.get(f"{facts['path']}lib/").body == before
    other = want(site, "lib", "--name", "nightly")
    assert other.code != 0
    assert "there is another set `nightly`" in other.err


def test_set__that_cannot_be_had_says_why(site: OnDemand) -> None:
    done = want(site, "broken", "lib", "--wait")

    assert done.code == 1
    assert "fatal error: no" in done.out or "broken" in done.out
    facts = announced(want(site, "broken", "lib", "--wait", "--json"))
    assert facts["state"] == "failed"
    assert "broken" in facts["error"]
    assert site.get(f"{facts['path']}lib/").status == 409
    lost = announced(want(site, "absent-project", "--wait", "--json"))
    assert "absent-project" in lost["error"]


LOCK = """\
lock-version = "1.0"
created-by = "test"
[[packages]]
name = "old"
version = "2.0"
sdist = {{ url = "{url}", hashes = {{ sha256 = "{sha256}" }} }}
[[packages]]
name = "lib"
version = "1.0"
wheels = [{{ url = "https://a.test/lib-1.0-py3-none-any.whl", hashes = {{ sha256 = "{zero}" }} }}]
[[packages]]
name = "elsewhere"
version = "1.0"
marker = "sys_platform == 'plan9'"
sdist = {{ url = "https://example.org/elsewhere-1.0.tar.gz", hashes = {{ sha256 = "{zero}" }} }}
"""


@pytest.mark.parametrize("is_right", [True, False])
def test_set__of_a_lock_is_what_the_lock_says(
    site: OnDemand, upstream: Index, tmp_path: Path, *, is_right: bool
) -> None:
    sdist = upstream.projects["old"].files[1]
    known = sha256(sdist.content) if is_right else "1" * 64
    path = tmp_path / "pylock.toml"
    url = f"{upstream.origin}/files/{sdist.name}"
    path.write_text(LOCK.format(url=url, sha256=known, zero="0" * 64))

    done = want(site, "-r", path, "--wait", "--json")

    facts = announced(done)
    assert [each["name"] for each in facts["packages"]] == ["old", "lib"]
    assert (done.code, facts["state"]) == ((0, "ready") if is_right else (1, "failed"))
    if is_right:
        assert files_of(site, facts, "old") == ["old-2.0.tar.gz", "old-2.0-py3-none-any.whl"]
    else:
        assert facts["packages"][0]["error"] == "its sdist has none of the hashes that are stated"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "name releases"),
        (["lib @ https://example.org/lib-1.tar.gz"], "is no release of an index"),
        (["lib", "--target", "other"], "there is no target `other`"),
        (["lib", "--name", "a/b"], "letters, digits"),
        (["=="], "`==` is no release"),
        (["./lib"], "`./lib` is no release"),
    ],
)
def test_want__refuses_what_is_no_set(site: OnDemand, words: list[str], reason: str) -> None:
    done = want(site, *words)

    assert done.code != 0
    assert reason in done.err
    assert "Traceback" not in done.err


def test_set__of_a_version_that_is_none_fails(site: OnDemand) -> None:
    wanted = {"name": "odd", "requirements": ["lib===newest"], "is_closed": True}
    status, facts = site.service.ask("POST", "/api/v1/sets", wanted)
    assert (status, facts["state"]) == (202, "running")

    _, facts = site.service.ask("GET", "/api/v1/sets/odd?wait=20")
    assert facts["state"] == "failed"


def test_set__that_is_not_ready_is_waited_for(
    site: OnDemand, upstream: Index, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    code = WAITING.format(str(gate))
    upstream.put(Project("slow", sdist_of(tmp_path, "slow", build_wheel=code)))
    facts = announced(want(site, "slow", "--json"))
    assert facts["state"] == "running"

    with contextlib.closing(site.connect()) as connection:
        connection.request("GET", f"{facts['path']}slow/", headers={"Accept": JSON})
        answer = connection.getresponse()
        assert answer.read(1) == b" "
        gate.touch()
        page = json.loads(answer.read())
    assert [file["filename"] for file in page["files"]][1] == "slow-1.0-py3-none-any.whl"


@pytest.mark.long
def test_set__goes_on_under_the_next_server(upstream: Index, tmp_path: Path) -> None:
    gate, code = (
        tmp_path / "gate",
        "import pathlib, time\nwhile not pathlib.Path({!r}).exists(): time.sleep(0.01)",
    )
    upstream.put(Project("later", sdist_of(tmp_path, "later", build_wheel=code.format(str(gate)))))
    with on_demand_of(tmp_path, upstream) as first:
        facts = announced(want(first, "later", "--json"))
    gate.touch()
    with on_demand_of(tmp_path, upstream) as second:
        _, found = second.service.ask("GET", f"/api/v1/sets/{facts['name']}?wait=20")

    assert found["state"] == "ready"
