"""The Simple API: what its documents ask of a server, a test each, and a table of all of them."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import io
import os
import re
import zipfile
from datetime import datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin

import pytest
from packaging.metadata import Metadata
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

pytest.importorskip("aiohttp", reason="the extra `service` is not installed")

from tests.support.index import JSON, File, Project, sha256, wheel
from tests.support.on_demand import UPLOADED, OnDemand, facts_of, on_demand, sdist_of, spelled
from tests.support.source import ROOT
from wheelforge.index.pages import HTML

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a server forks"),
    pytest.mark.xdist_group("conformance"),
]
TABLE = ROOT / "frontend" / "wheelforge" / "service" / "simple" / "CONFORMANCE.md"
NEW, OLD = ">=3.8", "for <b>nobody</b>"
FOREIGN = File(name="demo-1.0-cp27-cp27m-win32.whl", content=b"wheel")
TRACKS = ["https://example.org/simple/demo/"]
REQUIRING = (
    "import willing\nwilling._metadata = lambda facts: (\n"
    "    f\"Metadata-Version: 2.2\\nName: {facts['name']}\\nVersion: {facts['version']}\\n\"\n"
    "    'Requires-Python: >=3.7, <5\\n')"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnDemand]:
    parent = tmp_path_factory.mktemp("conformance")
    sdist = sdist_of(parent, "demo")
    page = {
        "meta": {
            "api-version": "1.3",
            "_last-serial": 7,
            "tracks": TRACKS,
            "alternate-locations": TRACKS,
        },
        "versions": ["1.0", "0.9"],
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
    whole = sdist_of(parent, "whole", build_wheel=REQUIRING)
    listed = {"meta": {"api-version": "1.1"}, "versions": ["1.0"], "files": [facts_of(whole)]}
    closed = {**listed, "files": [], "project-status": {"status": "quarantined"}}
    signed = facts_of(wheel("signed", "1.0"), yanked=True, **{"gpg-sig": True})
    projects = [
        spelled(Project("demo", sdist, FOREIGN), page),
        spelled(Project("whole", whole), listed),
        Project("plain", sdist_of(parent, "plain")),
        spelled(Project("signed", wheel("signed", "1.0")), {**listed, "files": [signed]}),
        spelled(Project("closed"), closed),
        Project("locked", sdist_of(parent, "locked")),
    ]
    with on_demand(parent, *projects) as found:
        for name in ("plain", "whole", "locked"):
            found.show(name)
        yield found


@pytest.fixture
def pypi_simple() -> Any:
    return pytest.importorskip("pypi_simple", reason="pypi-simple is not installed")


class Anchors(HTMLParser):
    """The anchors, the metas and the kinds of tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.metas: dict[str | None, str | None] = {}
        self.texts: list[str] = []
        self.declared = ""
        self._is_in_anchor = False
        self.feed(text)

    def handle_decl(self, decl: str) -> None:
        self.declared = decl

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_in_anchor = tag == "a"
        if tag == "a":
            self.found.append(dict(attrs))
        elif tag == "meta":
            self.metas[dict(attrs)["name"]] = dict(attrs)["content"]

    def handle_data(self, data: str) -> None:
        if self._is_in_anchor:
            self.texts.append(data)
            self._is_in_anchor = False


def wheel_of(site: OnDemand, project: str = "plain") -> Any:
    return site.show(project).find(".whl")


def locate(url: str, project: str = "plain") -> str:
    return urljoin(f"/this/simple/{project}/", url)


def metadata_of(site: OnDemand, project: str = "plain") -> bytes:
    return site.get(locate(f"{wheel_of(site, project)['url']}.metadata", project)).body


def content_of(site: OnDemand, project: str = "plain") -> bytes:
    return site.get(locate(wheel_of(site, project)["url"], project)).body


def packed_metadata_of(site: OnDemand) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content_of(site))) as found:
        return found.read("plain-1.0.dist-info/METADATA")


def html_of(site: OnDemand, project: str, kind: str = "text/html") -> Anchors:
    answer = site.show(project, Accept=kind)
    assert answer.headers["Content-Type"].startswith(kind)
    return Anchors(answer.body.decode())


def root_of(site: OnDemand) -> Anchors:
    return Anchors(site.get("/this/simple/", Accept="").body.decode())


def files_of(site: OnDemand, *projects: str) -> list[dict[str, Any]]:
    """Return the entries of files on pages of JSON."""
    chosen = projects or ("demo", "plain", "whole", "signed")
    return [file for project in chosen for file in site.show(project).page["files"]]


def kind_of(site: OnDemand, accept: str, path: str = "/this/simple/demo/") -> str:
    return site.get(path, Accept=accept).headers["Content-Type"]


REQUIREMENTS: dict[str, Callable[[OnDemand], Any]] = {
    # PEP 503
    "503: the root is HTML5": lambda site: root_of(site).declared == "DOCTYPE html",
    "503: the root has an anchor for each project, whose text is its name": lambda site: (
        root_of(site).texts == ["locked", "plain", "whole"]
    ),
    "503: an anchor of the root leads to the page of its project": lambda site: all(
        site.get(urljoin("/this/simple/", str(each["href"]))).page["name"] == str(each["href"])[:-1]
        for each in root_of(site).found
    ),
    "503: the page of a project is HTML5": lambda site: (
        html_of(site, "demo").declared == "DOCTYPE html"
    ),
    "503: a page has one anchor for each file, whose text is its name": lambda site: (
        html_of(site, "plain").texts == ["plain-1.0.tar.gz", "plain-1.0-py3-none-any.whl"]
    ),
    "503: the URL of a file ends with its name": lambda site: all(
        unquote(str(each["href"]).partition("#")[0]).endswith(f"/{text}")
        for found in [html_of(site, "plain"), html_of(site, "demo")]
        for each, text in zip(found.found, found.texts, strict=True)
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
    "503: a hash is in the fragment, as NAME=DIGEST, and is SHA-256": lambda site: all(
        re.search(r"#sha256=[0-9a-f]{64}$", str(each["href"]))
        for each in html_of(site, "demo").found + html_of(site, "plain").found
    ),
    "503: a file has the hash that is stated": lambda site: (
        sha256(content_of(site)) == str(html_of(site, "plain").found[1]["href"])[-64:]
    ),
    "503: data-gpg-sig is passed on": lambda site: (
        html_of(site, "demo").found[1]["data-gpg-sig"] == "false"
        and html_of(site, "signed").found[0]["data-gpg-sig"] == "true"
    ),
    "503: data-requires-python is escaped": lambda site: (
        b'data-requires-python="&gt;=3.8"' in site.show("demo", Accept="text/html").body
    ),
    "503: an unknown project is not found": lambda site: site.show("absent").status == 404,
    # PEP 592
    "592: a file that is yanked says why": lambda site: (
        html_of(site, "demo").found[0]["data-yanked"] == OLD
    ),
    "592: the reason may be left out": lambda site: (
        html_of(site, "signed").found[0].get("data-yanked", "no") in {"", None}
    ),
    "592: a file that is not yanked does not have the attribute": lambda site: all(
        "data-yanked" not in each for each in html_of(site, "plain").found
    ),
    # PEP 629
    "629: HTML states the version, as MAJOR.MINOR": lambda site: (
        html_of(site, "demo").metas["pypi:repository-version"] == "1.4"
        and root_of(site).metas["pypi:repository-version"] == "1.4"
    ),
    # PEP 658
    "658: metadata is beside the wheel, at its URL with .metadata": lambda site: (
        metadata_of(site) == b"Metadata-Version: 2.2\nName: plain\nVersion: 1.0\n"
    ),
    "658: it is METADATA of the wheel, byte for byte": lambda site: (
        metadata_of(site) == packed_metadata_of(site)
    ),
    "658: it has the hash that is stated": lambda site: (
        sha256(metadata_of(site)) == wheel_of(site)["core-metadata"]["sha256"]
    ),
    "658: HTML states it as NAME=DIGEST": lambda site: (
        html_of(site, "plain").found[1]["data-core-metadata"]
        == f"sha256={sha256(metadata_of(site))}"
    ),
    "658: a file without metadata does not promise any": lambda site: (
        "core-metadata" not in site.show("plain").find(".tar.gz")
        and site.get(locate("../../files/x/plain-1.0.tar.gz.metadata")).status == 404
    ),
    # PEP 691
    "691: JSON states the version": lambda site: (
        site.show("demo").page["meta"]["api-version"]
        == site.get("/this/simple/").page["meta"]["api-version"]
        == "1.4"
    ),
    "691: the root lists projects by name": lambda site: (
        site.get("/this/simple/").page["projects"]
        == [{"name": "locked"}, {"name": "plain"}, {"name": "whole"}]
    ),
    "691: the name is normalised": lambda site: site.show("demo").page["name"] == "demo",
    "691: each file has filename, url and hashes": lambda site: all(
        {"filename", "url", "hashes"} <= file.keys() for file in files_of(site)
    ),
    "691: hashes go by their names in hashlib, with digests in hex": lambda site: all(
        re.fullmatch(r"[0-9a-f]{64}", file["hashes"]["sha256"]) for file in files_of(site)
    ),
    "691: requires-python is not escaped": lambda site: (
        site.show("demo").find(".tar.gz")["requires-python"] == NEW
        and wheel_of(site, "whole")["requires-python"] == ">=3.7, <5"
    ),
    "691: core-metadata is true, false or hashes": lambda site: (
        site.show("demo").find("win32.whl")["core-metadata"] == {"sha256": "0" * 64}
        and wheel_of(site)["core-metadata"].keys() == {"sha256"}
    ),
    "691: gpg-sig is true or false": lambda site: (
        [file["gpg-sig"] for file in files_of(site, "signed")] == [True]
        and site.show("demo").find("win32.whl")["gpg-sig"] is False
    ),
    "691: yanked is true, false or the reason": lambda site: (
        site.show("demo").find(".tar.gz")["yanked"] == OLD
        and [file["yanked"] for file in files_of(site, "signed")] == [True]
        and wheel_of(site)["yanked"] is False
    ),
    "691: keys that are not known are passed on": lambda site: (
        site.show("demo").page["x-new"] == {"a": 1}
        and site.show("demo").page["meta"]["_last-serial"] == 7
        and site.show("demo").find("win32.whl")["_odd"] == [1]
    ),
    "691: the content type is the one of the version": lambda site: (
        kind_of(site, "application/vnd.pypi.simple.latest+json")
        == kind_of(site, JSON, "/this/simple/")
        == JSON
    ),
    "691: HTML has a content type of the version, too": lambda site: (
        kind_of(site, "application/vnd.pypi.simple.latest+html")
        == kind_of(site, HTML, "/this/simple/")
        == HTML
    ),
    "691: without `Accept` a page is HTML": lambda site: kind_of(site, "") == "text/html",
    "691: the form with the best quality is chosen": lambda site: (
        kind_of(site, f"{JSON};q=0.2, {HTML};q=0.3, text/html;q=0.1") == HTML
    ),
    "691: what is not acceptable is said": lambda site: (
        site.show("demo", Accept="image/png").status
        == site.get("/this/simple/", Accept="application/vnd.pypi.simple.v2+json").status
        == 406
    ),
    "691: caches are told of the negotiation": lambda site: all(
        "Accept" in site.get(path, Accept=form).headers["Vary"].split(", ")
        for path in ("/this/simple/", "/this/simple/demo/")
        for form in (JSON, "")
    ),
    "691: HEAD has the headers of GET": lambda site: (
        site.get("/this/simple/demo/", method="HEAD").headers["Content-Type"] == JSON
        and site.get("/this/simple/demo/", method="HEAD").headers["ETag"]
        == site.show("demo").headers["ETag"]
    ),
    # PEP 700
    "700: each file has a size, in bytes": lambda site: (
        all(type(file["size"]) is int for file in files_of(site, "demo", "whole"))
        and wheel_of(site)["size"] == len(content_of(site))
    ),
    "700: all versions are listed, once, and those without files as well": lambda site: (
        site.show("demo").page["versions"] == ["1.0", "0.9"]
        and site.show("whole").page["versions"] == ["1.0"]
    ),
    "700: a page without sizes or versions is of an older version": lambda site: (
        site.show("plain").page["meta"]["api-version"] == "1.0"
        and html_of(site, "plain").metas["pypi:repository-version"] == "1.0"
    ),
    "700: a wheel has the upload time of its sdist": lambda site: (
        wheel_of(site)["upload-time"] == UPLOADED
    ),
    "700: an upload time is of UTC, with microseconds at most": lambda site: all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", file["upload-time"])
        and datetime.fromisoformat(file["upload-time"])
        for file in files_of(site)
    ),
    "700: keys of a server's own begin with an underscore": lambda site: (
        wheel_of(site).keys() - site.show("plain").find(".tar.gz").keys()
        == {"core-metadata", "dist-info-metadata", "_wheelforge"}
    ),
    # PEP 708
    "708: tracks and alternate-locations are passed on": lambda site: (
        site.show("demo").page["meta"]["tracks"]
        == site.show("demo").page["meta"]["alternate-locations"]
        == TRACKS
    ),
    # PEP 714
    "714: JSON has core-metadata by both names": lambda site: (
        (file := wheel_of(site))["core-metadata"] == file["dist-info-metadata"]
    ),
    "714: HTML has data-core-metadata by both names": lambda site: (
        (anchor := html_of(site, "plain").found[1])["data-core-metadata"]
        == anchor["data-dist-info-metadata"]
    ),
    # PEP 740
    "740: provenance is passed on, as an absolute URL": lambda site: (
        site.show("demo").find("win32.whl")["provenance"]
        == html_of(site, "demo").found[1]["data-provenance"]
        == "https://example.org/p"
    ),
    "740: a file without provenance does not promise any": lambda site: (
        wheel_of(site).get("provenance") is None
        and "data-provenance" not in html_of(site, "plain").found[1]
    ),
    # PEP 792
    "792: the status of a project is passed on, with its reason": lambda site: (
        site.show("demo").page["project-status"] == {"status": "archived", "reason": OLD}
    ),
    "792: HTML states the status and its reason": lambda site: (
        (metas := html_of(site, "demo").metas)["pypi:project-status"] == "archived"
        and metas["pypi:project-status-reason"] == OLD
    ),
    "792: a project without a status does not have the key": lambda site: (
        "project-status" not in site.show("plain").page
    ),
    "792: no file of a project in quarantine is offered": lambda site: (
        site.show("closed").page["files"] == [] and html_of(site, "closed").found == []
    ),
    # API 1.4
    "1.4: a page that states all of it is of version 1.4": lambda site: (
        site.show("whole").page["meta"]["api-version"] == "1.4"
        and html_of(site, "whole").metas["pypi:repository-version"] == "1.4"
    ),
}


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_simple_api__does_what_its_documents_ask(site: OnDemand, requirement: str) -> None:
    assert REQUIREMENTS[requirement](site)


def test_table__has_a_row_for_each_test_and_no_other() -> None:
    rows = re.findall(r"^\| ([\d.]+) \| (.+) \|$", TABLE.read_text(encoding="utf-8"), re.MULTILINE)

    assert [f"{document}: {text}" for document, text in rows] == list(REQUIREMENTS)


def test_quarantine__hides_a_wheel_that_was_built_before(site: OnDemand) -> None:
    assert wheel_of(site, "locked")
    facts: dict[str, Any] = {"files": [], "project-status": {"status": "quarantined"}}
    site.upstream.put(spelled(Project("locked"), {"meta": {"api-version": "1.4"}, **facts}))

    page = site.show("locked").page
    assert page["files"] == []
    assert page["project-status"] == {"status": "quarantined"}


@pytest.mark.parametrize("project", ["demo", "plain", "whole", "signed", "closed"])
def test_packaging__reads_every_page(site: OnDemand, project: str) -> None:
    page = site.show(project).page

    assert canonicalize_name(page["name"]) == page["name"]
    stated = {Version(version) for version in page.get("versions", ["1.0"])}
    for file in page["files"]:
        is_wheel = file["filename"].endswith(".whl")
        parse: Any = parse_wheel_filename if is_wheel else parse_sdist_filename
        name, version, *_ = parse(file["filename"])
        assert name == project
        assert version in stated
        SpecifierSet(file.get("requires-python", ""))
        if "_wheelforge" in file:
            metadata = Metadata.from_email(metadata_of(site, project))
            assert (metadata.name, metadata.version) == (project, version)
            given = file.get("requires-python", "")
            assert (metadata.requires_python or SpecifierSet("")) == SpecifierSet(given)


@pytest.mark.parametrize("project", ["demo", "plain", "whole", "signed", "closed"])
def test_pypi_simple__reads_every_page_alike_in_each_form(
    site: OnDemand, pypi_simple: Any, project: str
) -> None:
    base = f"{site.url}/this/simple/{project}/"
    answer, html = site.show(project), site.show(project, Accept=HTML)

    of_json = pypi_simple.ProjectPage.from_json_data(answer.page, base_url=base)
    of_html = pypi_simple.ProjectPage.from_html(project, html.body.decode(), base_url=base)

    assert of_json.project == of_html.project == project
    assert of_json.repository_version == of_html.repository_version
    kinds = [package.package_type for package in of_json.packages]
    assert set(kinds) <= {"sdist", "wheel"}
    for ours, other in zip(of_json.packages, of_html.packages, strict=True):
        assert (ours.filename, ours.url, ours.version) == (other.filename, other.url, other.version)
        assert ours.digests == other.digests
        assert ours.requires_python == other.requires_python
        assert ours.is_yanked == other.is_yanked
        assert (ours.yanked_reason or "") == (other.yanked_reason or "")
        assert ours.has_metadata == other.has_metadata
        assert ours.metadata_digests == other.metadata_digests
        assert ours.provenance_url == other.provenance_url


def test_pypi_simple__reads_the_root(site: OnDemand, pypi_simple: Any) -> None:
    json_root = pypi_simple.IndexPage.from_json_data(site.get("/this/simple/").page)
    html_root = pypi_simple.IndexPage.from_html(site.get("/this/simple/", Accept="").body.decode())

    assert json_root.projects == html_root.projects
    assert {"plain", "whole"} <= set(json_root.projects)
