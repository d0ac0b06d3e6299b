"""Pages that wait for builds: one build for all, an end for what nobody wants, and no lies."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.builds import Ground
from tests.support.index import (
    JSON,
    Fault,
    Manners,
    Other,
    Project,
    core_metadata,
    offering_metadata,
    serve,
    sha256,
    wheel,
)
from tests.support.on_demand import OnDemand, on_demand, on_demand_of, sdist_of
from tests.support.service import finish, start_client, until
from wheelforge.index import IndexSettings
from wheelforge.index.listing import ListedFile, Listing
from wheelforge.index.pages import Listed
from wheelforge.service.access import read_tokens
from wheelforge.service.simple.rules import Chooser, IndexRules, Python, parse_rule
from wheelforge_isolation import remove_tree

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a server forks"),
    pytest.mark.xdist_group("on-demand"),
]
GATED = (
    "import pathlib, time\nopen({log!r}, 'a').write('x')\n"
    "while not pathlib.Path({gate!r}).exists(): time.sleep(0.01)"
)
FAILING = "open({log!r}, 'a').write('x'); raise SystemExit('fatal error: it <b>cannot</b>')"


class Gate:
    """A build that begins, and ends when it may."""

    def __init__(self, directory: Path) -> None:
        self._log, self._gate = directory / "log", directory / "gate"

    def code(self, text: str = GATED) -> str:
        return text.format(log=str(self._log), gate=str(self._gate))

    @property
    def begun(self) -> int:
        return len(self._log.read_text(encoding="utf-8")) if self._log.exists() else 0

    def open(self) -> None:
        self._gate.touch()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


@pytest.fixture
def slow(tmp_path: Path, gate: Gate) -> Project:
    return Project("slow", sdist_of(tmp_path, "slow", build_wheel=gate.code()))


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project("quick", sdist_of(tmp_path_factory.mktemp("quick"), "quick"))


@contextlib.contextmanager
def asking(site: OnDemand, project: str, **headers: str) -> Generator[Any]:
    """Yield the answer with the page of a project, whose body may still be to come."""
    with contextlib.closing(site.connect()) as connection:
        given = {"Accept": JSON, **headers}
        connection.request("GET", f"/this/simple/{project}/", headers=given)
        yield connection.getresponse()


def runs_of(site: OnDemand) -> list[Any]:
    return list(site.service.ask("GET", "/api/v1/queue")[1]["running"])


def test_page__comes_at_once_and_goes_on_until_its_wheel_is_built(
    tmp_path: Path, gate: Gate, slow: Project
) -> None:
    with (
        on_demand(tmp_path, slow) as site,
        asking(site, "slow", **{"If-None-Match": "*"}) as answer,
    ):
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["ETag"] is None
        assert answer.read(1) == b" "
        until(lambda: gate.begun)
        quick = site.get("/this/simple/slow/", method="HEAD")
        assert (quick.status, quick.headers["Cache-Control"]) == (200, "no-store")
        gate.open()
        page = json.loads(answer.read())

        assert [file["filename"][-4:] for file in page["files"]] == ["r.gz", ".whl"]
        assert site.show("slow").headers["ETag"]


def test_page__of_fifty_clients_takes_one_build(tmp_path: Path, gate: Gate, slow: Project) -> None:
    found = list[Any]()
    with on_demand(tmp_path, slow) as site:
        clients = [
            threading.Thread(target=lambda: found.append(site.show("slow").find(".whl")))
            for _ in range(50)
        ]
        for client in clients:
            client.start()
        until(lambda: gate.begun and b"\nwheelforge_connections 5" in _metrics(site))
        gate.open()
        for client in clients:
            client.join()

        assert len(found) == 50
        assert len({file["hashes"]["sha256"] for file in found}) == gate.begun == 1


def _metrics(site: OnDemand) -> bytes:
    return site.service.fetch("GET", "/metrics")[2]


@pytest.mark.stress
def test_page__is_refused_to_a_client_that_waits_for_very_many(
    tmp_path: Path, gate: Gate, slow: Project
) -> None:
    with on_demand(tmp_path, slow) as site, contextlib.ExitStack() as stack:
        answers = [stack.enter_context(asking(site, "slow")) for _ in range(512)]
        assert {answer.read(1) for answer in answers} == {b" "}
        assert site.show("slow").status == 429
        gate.open()
        assert {json.loads(answer.read())["name"] for answer in answers} == {"slow"}
        until(lambda: site.show("slow").status == 200)


def test_build__ends_when_the_last_client_has_gone(
    tmp_path: Path, gate: Gate, slow: Project
) -> None:
    with on_demand(tmp_path, slow) as site:
        with asking(site, "slow") as first:
            first.read(1)
            with asking(site, "slow") as second:
                second.read(1)
                until(lambda: gate.begun)
            assert runs_of(site)
        until(lambda: not runs_of(site))
        _, facts = site.service.ask("GET", "/api/v1/builds")
        assert [build["verdict"] for build in facts["builds"]] == ["cancelled"]

        gate.open()
        assert site.show("slow").find(".whl")
        assert gate.begun == 2


def test_page__is_answered_without_its_wheel_when_that_takes_too_long(
    tmp_path: Path, gate: Gate, slow: Project
) -> None:
    with on_demand(tmp_path, slow, words=("--page-wait", "0.2")) as site:
        page = site.show("slow").page
        assert [file["filename"] for file in page["files"]] == ["slow-1.0.tar.gz"]

        # Its build goes on, so that a client that asks again finds it.
        gate.open()
        until(lambda: len(site.show("slow").page["files"]) == 2)
        assert gate.begun == 1


def test_failure__is_remembered_shown_and_told_where_that_is_wanted(
    tmp_path: Path, gate: Gate
) -> None:
    broken = Project("broken", sdist_of(tmp_path, "broken", build_wheel=gate.code(FAILING)))
    with on_demand(tmp_path, broken, words=("--strict",)) as site:
        file = site.show("broken").find(".tar.gz")
        count = gate.begun
        page = site.show("broken")
        assert page.page["files"] == [file]
        assert page.headers["ETag"]
        assert gate.begun == count
        assert site.count_builds("broken") == 1
        assert "broken-1.0.tar.gz: " in site.get("/this/").body.decode()
        answer = site.follow("broken", file["url"])
        assert answer.status == 424
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.reason.startswith(f"{answer.page['code']}: ")
        assert "broken-1.0.tar.gz" in answer.page["detail"]


@pytest.mark.long
def test_failure__is_remembered_by_the_next_server(tmp_path: Path, gate: Gate) -> None:
    broken = Project("broken", sdist_of(tmp_path, "broken", build_wheel=gate.code(FAILING)))
    counts = list[int]()
    with serve(broken, manners=Manners(json=True)) as upstream:
        for _ in range(2):
            with on_demand_of(tmp_path, upstream) as site:
                url = site.show("broken").find(".tar.gz")["url"]
                assert url.startswith(upstream.origin)
            counts.append(gate.begun)
    assert counts[0] == counts[1]


def test_index__builds_nothing_that_its_rules_leave_out(tmp_path: Path) -> None:
    names = ("overlaid", "wanted", "barred")
    rules = ("--policy", "/Overlaid=overlay", "--policy", "this/wanted=wanted", "--allow", "[!b]*")
    projects = [Project(name, sdist_of(tmp_path, name)) for name in names]
    with on_demand(tmp_path, *projects, words=rules) as site:
        for name in names:
            assert len(site.show(name).page["files"]) == 1
        assert site.show("absent").status == 404
        assert site.count_builds() == 0
        assert not runs_of(site)


@pytest.mark.parametrize(
    ("words", "policy"),
    [
        ("", "latest"),
        ("source", "source"),
        ("source overlay", "overlay"),
        ("py=source overlay", "source"),
        ("/demo=wanted py=source", "wanted"),
        ("py/demo=overlay /demo=wanted", "overlay"),
        ("py2=source /other=wanted py/other=overlay", "latest"),
    ],
)
def test_policy__is_that_of_the_rule_that_says_most(words: str, policy: str) -> None:
    found = [parse_rule(word) for word in words.split()]
    rules = IndexRules(IndexSettings(), policies=[rule for rule in found if rule])

    assert len(rules.policies) == len(found)
    assert rules.find_policy("py", "demo") == policy


RELEASES = {
    "1.0": "w",
    "2.0": "sw",
    "3.0": "s",
    "4.0": "s wheel for others",
    "5.0rc1": "s",
    "6.0": "s yanked",
    "7.0": "s python",
}


@pytest.mark.parametrize(
    ("policy", "wanted", "without", "chosen"),
    [
        ("latest", "", "", "4.0"),
        ("latest", "", "4.0", "3.0"),
        ("latest", "", "4.0 3.0", ""),
        ("latest", "", "4.0 3.0 2.0 1.0", "5.0rc1"),
        ("latest", "3.0 2.0 6.0 7.0", "", "4.0 6.0 3.0"),
        ("wanted", "3.0 1.0", "", "3.0"),
        ("source", "", "4.0 3.0", "2.0"),
        ("source", "2.0", "", "4.0 2.0"),
        ("overlay", "3.0", "", ""),
    ],
)
def test_policy__chooses_sdists(policy: str, wanted: str, without: str, chosen: str) -> None:
    files = [
        ListedFile({}, file)
        for version, kinds in RELEASES.items()
        if version not in without.split()
        for file in list_release(version, kinds)
    ]
    chooser = Chooser(IndexSettings(), Python(("py3-none-any",), "3.11.4"))
    listing = Listing({}, files, "https://index.test/simple", is_private=False)

    found = chooser.choose("demo", listing, policy, {Version(each) for each in wanted.split()})

    assert [str(sdist.version) for sdist in found] == chosen.split()


def list_release(version: str, kinds: str) -> list[Listed]:
    names = [f"demo-{version}.tar.gz"] if kinds[0] == "s" else []
    names += [f"demo-{version}-py3-none-any.whl"] if "w" in kinds.split(maxsplit=1)[0] else []
    names += [f"demo-{version}-cp27-cp27m-win32.whl"] if "others" in kinds else []
    python = "<3" if "python" in kinds else ""
    yanked = "" if "yanked" in kinds else None
    return [
        Listed(f"https://index.test/{name}", name, {}, python, yanked, "", None) for name in names
    ]


def test_index__builds_the_projects_that_are_allowed(tmp_path: Path, quick: Project) -> None:
    with on_demand(tmp_path, quick, words=("--allow", "Qu*", "--policy", "/Quick=source")) as site:
        assert site.show("quick").find(".whl")


def test_wheel__is_kept_for_the_locks_that_name_it_and_listed_only_while_it_is_there(
    tmp_path: Path, quick: Project
) -> None:
    with on_demand(tmp_path, quick) as site:
        file, home = site.show("quick").find(".whl"), site.service.home
        for path in (home / "artifacts").iterdir():
            remove_tree(str(path))
        assert site.show("quick").find(".whl") == file
        assert sha256(site.follow("quick", file["url"]).body) == file["hashes"]["sha256"]

        remove_tree(str(home / "wheels"))
        assert site.follow("quick", file["url"]).status == 404
        lost = site.get("/this/simple/quick/", method="HEAD")
        assert lost.headers["Cache-Control"] == "no-store"
        file = site.show("quick").find(".whl")
        assert sha256(site.follow("quick", file["url"]).body) == file["hashes"]["sha256"]


def test_index__asks_clients_for_a_token_unless_it_is_open(tmp_path: Path, quick: Project) -> None:
    with on_demand(tmp_path, quick, words=("--closed",)) as site:
        tokens = {role: token for token, role in read_tokens(site.service.home / "tokens").items()}
        logins = {
            role: f"Basic {b64encode(f'ci:{token}'.encode()).decode()}"
            for role, token in tokens.items()
        }
        assert site.show("quick").status == site.get("/this/").status == 401
        assert len(site.show("quick", Authorization=logins["read"]).page["files"]) == 1
        assert site.show("quick", Authorization=logins["build"]).find(".whl")


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Sec_Fetch_Site": "cross-site"}, 200), ({"Host": "evil.example.org"}, 403)],
)
def test_index__builds_nothing_for_a_foreign_page_in_a_browser(
    tmp_path: Path, quick: Project, headers: dict[str, str], status: int
) -> None:
    with on_demand(tmp_path, quick) as site:
        assert site.show("quick", **headers).status == status
        assert site.count_builds() == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--open-index"], "it needs `--listen`"),
        (["--token-file", "tokens"], "it needs `--listen`"),
        (["--host", "builds.test"], "it needs `--listen`"),
        (["--open-index", "--listen", "0.0.0.0:0"], "name the projects with `--allow`"),
        (["--policy", "all"], "overlay, latest, wanted, source"),
        (["--policy", "/-=latest"], "overlay, latest, wanted, source"),
    ],
)
def test_serve__refuses_rules_that_open_too_much_or_mean_nothing(
    tmp_path: Path, words: list[str], reason: str
) -> None:
    done = finish(start_client(Ground.make(tmp_path), "serve", *words))

    assert done.code == 2
    assert reason in done.err


def test_files__of_a_private_index_are_passed_on_without_its_credentials(
    tmp_path: Path, quick: Project
) -> None:
    metadata = core_metadata("lib", "1.0")
    lib = offering_metadata(wheel("lib", "1.0"), metadata)
    manners = Manners(json=True, login=("ci", "s3cr3t"))
    with (
        serve(quick, Project("lib", lib), manners=manners) as upstream,
        on_demand_of(tmp_path, upstream, url=upstream.url_as("ci", "s3cr3t")) as site,
    ):
        assert site.show("quick").find(".whl")
        url = site.show("lib").page["files"][0]["url"]
        assert site.follow("lib", url).body == lib.content
        assert site.follow("lib", f"{url}.metadata").body == metadata
        assert site.follow("lib", url, Range="bytes=0-3").body == lib.content[:4]
        assert upstream.count(f"/files/{lib.name}") == 2  # the file once, and its metadata
        assert site.follow("lib", f"{url}x").status == 404
        pages = [
            site.show(name, Accept=form).body for name in ("lib", "quick") for form in (JSON, "")
        ]
        shown = b"".join([*pages, site.get("/this/").body, _everything_in(site.service.home)])
        assert b"s3cr3t" not in shown
        assert "s3cr3t" not in json.dumps(site.service.ask("GET", "/api/v1/server")[1])


def _everything_in(home: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file())


def test_files__that_are_passed_on_are_those_of_their_page(tmp_path: Path) -> None:
    lib = wheel("lib", "1.0")
    changed: tuple[Fault, ...] = (Other(content=b"evil"),) * 20
    bad = replace(lib, faults=changed)
    with on_demand(tmp_path, Project("lib", bad), words=("--proxy-files",)) as site:
        url = site.show("lib").page["files"][0]["url"]
        answer = site.follow("lib", url)

        assert answer.status == 502
        assert b"evil" not in answer.body
        assert not list((site.service.home / "files").iterdir())
