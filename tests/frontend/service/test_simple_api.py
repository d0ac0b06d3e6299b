"""The Simple API: what its documents ask of a server, a row each; and what a page is made of."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.index import JSON, File, Project, sha256
from tests.support.on_demand import UPLOADED, OnDemand, facts_of, on_demand, sdist_of, spelled
from wheelforge.index.pages import HTML
from wheelforge.service.simple.negotiation import choose_form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a server forks"),
    pytest.mark.xdist_group("simple-api"),
]
NEW, OLD = ">=3.8", "for <b>nobody</b>"
FOREIGN = File(name="demo-1.0-cp27-cp27m-win32.whl", content=b"wheel")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnDemand]:
    parent = tmp_path_factory.mktemp("simple")
    sdist = sdist_of(parent, "demo")
    page = {
        "meta": {"api-version": "1.3", "_last-serial": 7},
        "versions": ["1.0"],
        "project-status": {"status": "archived", "reason": OLD},
        "x-new": {"a": 1},
        "files": [
            facts_of(sdist, yanked=OLD, **{"requires-python": NEW}),
            facts_of(
                FOREIGN,
                provenance="https://example.org/p",
                _odd=[1],
                **{"core-metadata": {"sha256": "0" * 64}, "gpg-sig": False},
            ),
        ],
    }
    project = spelled(Project("demo", sdist, FOREIGN), page)
    plain = Project("plain", sdist_of(parent, "plain"))
    with on_demand(parent, project, plain) as found:
        yield found


class Anchors(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.metas: dict[str | None, str | None] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(dict(attrs))
        elif tag == "meta":
            self.metas[dict(attrs)["name"]] = dict(attrs)["content"]


def wheel_of(site: OnDemand) -> Any:
    return site.show("plain").find(".whl")


def metadata_of(site: OnDemand) -> bytes:
    return site.get(urljoin("/this/simple/plain/", f"{wheel_of(site)['url']}.metadata")).body


def html_of(site: OnDemand, project: str, kind: str = "text/html") -> Anchors:
    answer = site.show(project, Accept=kind)
    assert answer.headers["Content-Type"].startswith(kind)
    return Anchors(answer.body.decode())


REQUIREMENTS: dict[str, Callable[[OnDemand], Any]] = {
    "503: the root is valid HTML5, with an anchor for each project": lambda site: (
        wheel_of(site)
        and [a["href"] for a in Anchors(site.get("/this/simple/", Accept="").body.decode()).found]
        == ["plain/"]
    ),
    "503: a page has one anchor for each file, whose text is its name": lambda site: (
        re.findall(rb">(plain[^<]+)</a>", site.show("plain", Accept="text/html").body)
        == [b"plain-1.0.tar.gz", b"plain-1.0-py3-none-any.whl"]
    ),
    "503: URLs end with a slash, and those without are redirected": lambda site: (
        site.get("/this/simple").headers["Location"] == "simple/"
        and site.get("/this/simple/demo").headers["Location"] == "demo/"
    ),
    "503: names are normalised, and others redirected": lambda site: (
        (answer := site.get("/this/simple/De_.mo/")).status == 301
        and urljoin("/this/simple/De_.mo/", answer.headers["Location"]) == "/this/simple/de-mo/"
    ),
    "503: a redirect keeps the query": lambda site: (
        site.get("/this/simple/Demo/?a=1").headers["Location"] == "../demo/?a=1"
    ),
    "503: a hash is in the fragment": lambda site: all(
        "#sha256=" in (each["href"] or "") for each in html_of(site, "demo").found
    ),
    "503: requires-python is escaped": lambda site: (
        b'data-requires-python="&gt;=3.8"' in site.show("demo", Accept="text/html").body
    ),
    "503: an unknown project is not found": lambda site: site.show("absent").status == 404,
    "592: a file that is yanked says why": lambda site: (
        html_of(site, "demo").found[0]["data-yanked"] == OLD
    ),
    "629: HTML states the version": lambda site: (
        html_of(site, "demo").metas["pypi:repository-version"] == "1.4"
    ),
    "658: metadata is beside the wheel": lambda site: (
        metadata_of(site) == b"Metadata-Version: 2.2\nName: plain\nVersion: 1.0\n"
    ),
    "658: the metadata of a wheel has the hash that is stated": lambda site: (
        sha256(
            site.get(
                urljoin("/this/simple/plain/", f"{(file := wheel_of(site))['url']}.metadata")
            ).body
        )
        == file["core-metadata"]["sha256"]
    ),
    "691: JSON states the version": lambda site: (
        site.show("demo").page["meta"]["api-version"] == "1.4"
    ),
    "691: the name is normalised": lambda site: site.show("demo").page["name"] == "demo",
    "691: the root lists projects by name": lambda site: (
        wheel_of(site) and site.get("/this/simple/").page["projects"] == [{"name": "plain"}]
    ),
    "691: each file has filename, url and hashes": lambda site: all(
        {"filename", "url", "hashes"} <= file.keys() for file in site.show("plain").page["files"]
    ),
    "691: the content type is the one of the version": lambda site: (
        site.show("demo", Accept="application/vnd.pypi.simple.latest+json").headers["Content-Type"]
        == JSON
    ),
    "691: HTML has a content type of the version, too": lambda site: html_of(site, "demo", HTML),
    "691: without `Accept` a page is HTML": lambda site: (
        site.show("demo", Accept="").headers["Content-Type"] == "text/html"
    ),
    "691: what is not acceptable is said": lambda site: (
        site.show("demo", Accept="image/png").status == 406
    ),
    "691: caches are told of the negotiation": lambda site: (
        site.show("demo").headers["Vary"] == "Accept"
    ),
    "700: each file has a size": lambda site: all(
        type(file["size"]) is int for file in site.show("demo").page["files"]
    ),
    "700: all versions are listed": lambda site: site.show("demo").page["versions"] == ["1.0"],
    "700: a page without sizes or versions is of an older version": lambda site: (
        site.show("plain").page["meta"]["api-version"] == "1.0"
    ),
    "700: a wheel has the upload time of its sdist": lambda site: (
        wheel_of(site)["upload-time"] == UPLOADED
    ),
    "700: keys of a server's own begin with an underscore": lambda site: (
        wheel_of(site).keys() - site.show("plain").find(".tar.gz").keys()
        == {"core-metadata", "dist-info-metadata", "_wheelforge"}
    ),
    "714: core-metadata goes by both names": lambda site: (
        (file := wheel_of(site))["core-metadata"] == file["dist-info-metadata"]
        and (anchor := html_of(site, "plain").found[1])["data-core-metadata"]
        == anchor["data-dist-info-metadata"]
    ),
    "740: provenance is passed on": lambda site: (
        site.show("demo").find("win32.whl")["provenance"]
        == html_of(site, "demo").found[1]["data-provenance"]
        == "https://example.org/p"
    ),
    "792: the status of a project is passed on": lambda site: (
        site.show("demo").page["project-status"] == {"status": "archived", "reason": OLD}
        and html_of(site, "demo").metas["pypi:project-status-reason"] == OLD
    ),
}


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_simple_api__does_what_its_documents_ask(site: OnDemand, requirement: str) -> None:
    assert REQUIREMENTS[requirement](site)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "text/html"),
        ("*/*", "text/html"),
        ("text/*", "text/html"),
        ("application/*", HTML),
        (JSON, JSON),
        (f"{JSON}, {HTML}; q=0.1, text/html; q=0.01", JSON),
        (f"text/html, {JSON};q=0.9", "text/html"),
        (f"{JSON};q=0.5, {HTML};q=0.5", JSON),
        (f"{JSON};q=0, */*;q=0.1", "text/html"),
        (f"{JSON};q=0", None),
        ("text/html;q=0, text/*", None),
        ("image/png", None),
        ("image/png, application/vnd.pypi.simple.latest+html;q=0.3", HTML),
        ("APPLICATION/VND.PYPI.SIMPLE.V1+JSON; Q=1", JSON),
        ("application/vnd.pypi.simple.v2+json, text/html;q=0.2", "text/html"),
        (f"{JSON};q=high, text/html", "text/html"),
        ("nonsense", "text/html"),
    ],
)
def test_negotiation__heeds_qualities_and_how_closely_a_form_is_named(
    accept: str, form: str | None
) -> None:
    assert choose_form(accept) == form


def test_page__passes_on_what_upstream_says_unchanged(site: OnDemand) -> None:
    page = site.show("demo").page

    foreign = page["files"][1]
    assert foreign == {
        **facts_of(FOREIGN, provenance="https://example.org/p", _odd=[1]),
        "url": f"{site.upstream.origin}/files/{FOREIGN.name}",
        "core-metadata": {"sha256": "0" * 64},
        "gpg-sig": False,
    }
    assert page["meta"] == {"api-version": "1.4", "_last-serial": 7}
    assert page["x-new"] == {"a": 1}
    assert site.count_builds("demo") == 0


def test_wheel__is_the_one_that_its_page_promises(site: OnDemand) -> None:
    file = wheel_of(site)
    url = urljoin("/this/simple/plain/", file["url"])

    answer = site.get(url)
    assert sha256(answer.body) == file["hashes"]["sha256"]
    assert len(answer.body) == file["size"]
    assert "immutable" in answer.headers["Cache-Control"]
    assert file["_wheelforge"]["sdist"] == sha256(site.upstream.projects["plain"].files[0].content)
    part = site.get(url, Range="bytes=-4")
    assert (part.status, part.body) == (206, answer.body[-4:])
    head = site.get(url, method="HEAD")
    assert (head.status, head.headers["Content-Length"]) == (200, str(file["size"]))
    assert site.get(url, If_None_Match=answer.headers["ETag"]).status == 304
    assert site.get(f"{url}x").status == site.get(url.replace("/files/", "/files/f")).status == 404


@pytest.mark.parametrize("form", [JSON, HTML, "text/html"])
def test_page__is_not_sent_again_to_who_has_it(site: OnDemand, form: str) -> None:
    wheel_of(site)
    first = site.show("plain", Accept=form)
    tag = first.headers["ETag"]

    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = site.show("plain", Accept=form, If_None_Match=known)
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
        assert again.headers["Vary"] == "Accept"
    assert site.show("plain", Accept=form, If_None_Match='"other"').status == 200
    assert first.headers["Cache-Control"] == "no-cache"


def test_page__has_another_tag_in_each_form(site: OnDemand) -> None:
    tags = {site.show("demo", Accept=form).headers["ETag"] for form in (JSON, HTML, "text/html")}

    assert len(tags) == 3


def test_target__explains_itself_with_lines_for_installers(site: OnDemand) -> None:
    text = site.get("/this/").body.decode()

    assert f"index-url = {site.url}/this/simple/" in text
    assert f'url = "{site.url}/this/simple/"' in text
    assert site.get("/other/").status == site.get("/other/simple/demo/").status == 404
    assert site.get("/simple/demo/").page == site.show("demo").page


@pytest.mark.parametrize(
    "name", ["%20", "..%2F..%2Ffiles", "a%2Fb", "%00", "x%3Fy", "-", "%E2%82%AC", "a" * 300]
)
def test_page__of_a_name_that_can_be_none_asks_nobody(site: OnDemand, name: str) -> None:
    asked = len(site.upstream.asked)

    assert site.get(f"/this/simple/{name}/").status == 404
    assert site.get(f"/this/upstream/{name}/x.whl").status == 404
    assert len(site.upstream.asked) == asked
