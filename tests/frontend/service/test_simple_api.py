"""Pages of the Simple API: their forms, their tags, and what they are made of."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pytest

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.index import JSON, File, Project, sha256
from tests.support.on_demand import OnDemand, facts_of, on_demand, sdist_of, spelled
from wheelforge.index.pages import HTML
from wheelforge.service.simple.negotiation import accepts_gzip, choose_form

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        "project-status": {"status": "archived", "reason": OLD * 80},
        "x-new": {"a": 1, "b": "text " * 300},
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
    with on_demand(parent, project, plain, Project("small")) as found:
        yield found


def wheel_of(site: OnDemand) -> Any:
    return site.show("plain").find(".whl")


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


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [
        ("", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("x-gzip", True),
        ("br, *;q=0.1", True),
        ("gzip;q=0, *", False),
        ("gzip;q=0", False),
        ("identity, gzip;q=0.5", False),
        ("gzip, identity", True),
        ("gzip;q=high", False),
        ("identity", False),
    ],
)
def test_negotiation__packs_for_those_who_want_it(accepted: str, is_packed: bool) -> None:  # ruff: ignore[boolean-type-hint-positional-argument]
    assert accepts_gzip(accepted) == is_packed


@pytest.mark.parametrize("form", [JSON, HTML, "text/html"])
def test_page__is_packed_for_clients_that_can_unpack_it(site: OnDemand, form: str) -> None:
    plain = site.show("demo", Accept=form)
    packed = site.show("demo", Accept=form, Accept_Encoding="gzip")

    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert int(packed.headers["Content-Length"]) == len(packed.body) < len(plain.body)
    assert packed.headers["Content-Type"] == plain.headers["Content-Type"]
    assert plain.headers["Content-Encoding"] is None
    # They are different bytes: a strong tag of the one is none of the other.
    tags = [answer.headers["ETag"] for answer in (plain, packed)]
    assert tags[0] != tags[1]
    for tag, encoding, status in (
        (tags[1], "gzip", 304),
        (tags[0], "gzip", 200),
        (tags[1], "identity", 200),
        (tags[0], "identity", 304),
    ):
        again = site.show("demo", Accept=form, Accept_Encoding=encoding, If_None_Match=tag)
        assert again.status == status
        assert again.headers["Vary"] == "Accept, Accept-Encoding"


def test_page__that_is_small_is_sent_as_it_is(site: OnDemand) -> None:
    assert site.show("small", Accept_Encoding="gzip").headers["Content-Encoding"] is None


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
    assert page["x-new"]["a"] == 1
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
        assert again.headers["Vary"] == "Accept, Accept-Encoding"
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
