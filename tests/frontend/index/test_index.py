"""The files of a project: index pages, the usable files, and their order of preference."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.codes import raises
from tests.support.index import (
    File,
    Manners,
    Project,
    Redirect,
    Status,
    free_port_url,
    sdist,
    serve,
    sha256,
    wheel,
)
from tests.support.indexes import TAGS, asking, find_files, open_index
from wheelforge.errors import PackageNotFoundError
from wheelforge.index import Index, IndexSettings
from wheelforge.index.pages import HTML, JSON, parse_page

BOTH = pytest.mark.parametrize("manners", [Manners(), Manners(json=True)], ids=["html", "json"])
DIGEST = "0" * 64


def dated(one: File, uploaded: str) -> File:
    return File(name=one.name, content=one.content, uploaded=uploaded)


def names(index: Index, name: str = "demo") -> list[str]:
    return [candidate.file_name for candidate in index.find(name).usable]


@BOTH
def test_index__everything_that_a_page_says_of_a_file_arrives(manners: Manners) -> None:
    one = File(
        name="demo-1.0-py3-none-any.whl",
        content=b"wheel",
        uploaded="2024-05-01T10:00:00.5Z",
        requires_python=">=3.9,<4",
        yanked="it's <broken>",
        metadata=b"metadata",
    )

    with serve(Project("demo", one), manners=manners) as server, open_index(server) as index:
        (found,) = index.find("Demo").usable

    assert found.name == "demo"
    assert str(found.version) == "1.0"
    assert found.url == f"{server.origin}/files/{one.name}"
    assert found.hashes == {"sha256": sha256(b"wheel")}
    assert found.requires_python == ">=3.9,<4"
    assert found.yanked == "it's <broken>"
    assert found.uploaded == datetime(2024, 5, 1, 10, 0, 0, 500_000, tzinfo=UTC)
    assert found.is_wheel
    assert found.origin == server.url
    assert found.metadata_hashes == {"sha256": sha256(b"metadata")}


@BOTH
@pytest.mark.parametrize(("digest", "expected"), [("", {}), (DIGEST, {"sha256": DIGEST})])
def test_index__metadata_files_are_known_by_their_first_name_and_without_hash(
    manners: Manners, digest: str, expected: dict[str, str]
) -> None:
    one = File(
        name=wheel("demo", "1.0").name,
        content=b"",
        metadata=b"",
        metadata_hash=digest,
        old_attribute=True,
    )

    assert find_files(one, manners=manners)[0].metadata_hashes == expected


@BOTH
def test_index__a_yank_without_a_reason_is_a_yank(manners: Manners) -> None:
    (found,) = find_files(File(name="demo-1.0.tar.gz", content=b"", yanked=""), manners=manners)

    assert found.yanked == ""  # ruff: ignore[compare-to-empty-string]


def test_index__the_best_file_comes_first() -> None:
    files = (
        sdist("demo", "1.0"),
        wheel("demo", "1.0", tag="cp311-abi3-win_amd64"),
        wheel("demo", "1.0", tag="py2.py3-none-any"),
        wheel("demo", "1.0", tag="1-py3-none-any"),
        wheel("demo", "1.0", tag="10-py3-none-any"),
        wheel("demo", "1.0", tag="cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"),
        sdist("demo", "1.10"),
        sdist("demo", "1.9rc1"),
    )

    with serve(Project("demo", *files)) as server, open_index(server) as index:
        found, explanation = names(index), index.find("demo").explain()

    assert found == [
        "demo-1.10.tar.gz",
        "demo-1.9rc1.tar.gz",
        "demo-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "demo-1.0-10-py3-none-any.whl",
        "demo-1.0-1-py3-none-any.whl",
        "demo-1.0-py2.py3-none-any.whl",
        "demo-1.0.tar.gz",
    ]
    assert explanation == "1 wheels for other Pythons or platforms"


def test_index__a_yanked_file_comes_after_the_others_of_its_version() -> None:
    bad = File(name="demo-1.0-py3-none-any.whl", content=b"", yanked="broken")

    found = find_files(bad, sdist("demo", "1.0"))

    assert [candidate.file_name for candidate in found] == ["demo-1.0.tar.gz", bad.name]


@pytest.mark.parametrize(
    "file_name",
    [
        "demo-1.0-py2.7.egg", "demo-1.0.exe", "demo-nonsense.tar.gz", "demo.tar.gz",
        "other-1.0.tar.gz", "demo2-1.0.tar.gz", "demo-extra-1.0.tar.gz", "demo-1.0-none-any.whl",
        "demo-1.0-1-2-py3-none-any.whl", "other-1.0-py3-none-any.whl", "demo-one-py3-none-any.whl",
        "demo-1.0-cp27-cp27m-any.whl",
    ],
)  # fmt: skip
def test_index__a_file_that_is_of_no_use_is_left_out(file_name: str) -> None:
    assert find_files(File(name=file_name, content=b"")) == []


@pytest.mark.parametrize(
    ("name", "file_name", "version"),
    [
        ("zope-interface", "zope.interface-1.0.tar.gz", "1.0"),
        ("zope-interface", "Zope_Interface-1.0.zip", "1.0"),
        ("zope-interface", "zope-interface-1.0-beta1.tar.gz", "1.0b1"),
        ("zope-interface", "zope.interface-1.0-py3-none-any.whl", "1.0"),
        ("demo", "demo-1.0%2Blocal.tar.gz", "1.0+local"),
    ],
)
def test_index__names_and_versions_are_understood_as_they_are_written(
    name: str, file_name: str, version: str
) -> None:
    with asking(Project(name, File(name=file_name, content=b""))) as (_, index):
        assert [str(candidate.version) for candidate in index.find(name).usable] == [version]


def test_index__wheels_and_sdists_can_be_refused() -> None:
    files = (wheel("demo", "1.0"), sdist("demo", "1.0"))

    with serve(Project("demo", *files)) as server:
        everything, nothing = frozenset({":all:"}), frozenset[str]()
        for no_binary, only_binary, expected in (
            (everything, nothing, [files[1].name]),
            (nothing, everything, [files[0].name]),
            (everything, frozenset({"demo"}), [files[0].name]),
            (frozenset({"demo"}), nothing, [files[1].name]),
        ):
            with open_index(server, no_binary=no_binary, only_binary=only_binary) as index:
                assert names(index) == expected


# The cut-off


def test_index__what_is_newer_than_the_cut_off_or_undated_is_left_out_and_said() -> None:
    files = (
        dated(sdist("demo", "1"), "2020-01-01T00:00:00Z"),
        dated(sdist("demo", "2"), "2020-01-02T00:00:00.000001Z"),
        sdist("demo", "3"),
        dated(sdist("demo", "4"), "yesterday"),
    )
    cut_off = datetime(2020, 1, 2, tzinfo=UTC)

    with serve(Project("demo", *files)) as server, open_index(server, exclude_newer=cut_off) as one:
        found, newer = names(one), one.find("demo").late

    assert found == ["demo-1.tar.gz"]
    assert [candidate.file_name for candidate in newer] == ["demo-2.tar.gz"]
    assert one.notes == (
        (
            f"2 files of `demo` at `{server.url}` are without upload time,"
            " which the cut-off asks for"
        ),
    )


@pytest.mark.parametrize(
    ("uploaded", "cut_off", "count"),
    [
        ("2020-01-02T00:00:00Z", "2020-01-02T00:00:00Z", 0),
        ("2020-01-02T00:00:00Z", "2020-01-02T00:00:01Z", 1),
        ("2020-01-01T23:59:59", "2020-01-01T00:00:00", 0),
        ("2020-01-01T23:59:59", "2020-01-02T00:00:00", 1),
    ],
    ids=["that very time", "a second later", "without time zone", "a day later without"],
)
def test_cut_off__excludes_its_own_time_and_is_in_utc_without_a_time_zone(
    uploaded: str, cut_off: str, count: int
) -> None:
    file = dated(sdist("demo", "1"), uploaded)

    assert len(find_files(file, exclude_newer=datetime.fromisoformat(cut_off))) == count


# Pages


def test_index__a_page_is_read_as_a_browser_would() -> None:
    page = Manners(
        comment="<!-- <a href='demo-9.tar.gz'>no</a> -->"
        "<base href='/files/'><meta name='pypi:repository-version' content='1.3'>"
    )
    odd = File(name="demo-1.0.tar.gz", content=b"", url="demo-1.0.tar.gz", requires_python=">=3")

    with serve(Project("demo", odd), manners=page) as server, open_index(server) as index:
        (found,) = index.find("demo").usable

    assert found.url == f"{server.origin}/files/demo-1.0.tar.gz"
    assert found.requires_python == ">=3"


@pytest.mark.parametrize(
    ("kind", "page", "reason"),
    [
        (HTML, "<meta name='pypi:repository-version' content='2.0'>", None),
        (JSON, '{"meta": {"api-version": "2.0"}, "files": []}', None),
        (JSON, '{"meta": {}}', None),
        (JSON, "[]", None),
        (JSON, "<html>", None),
        (JSON, "[" * 100_000, None),
        ("text/plain", "", "answers with `text/plain`"),
        ("text/html", '<a "' * 20_000, "a tag without an end"),
    ],
)
def test_index__what_is_no_list_of_files_is_refused(
    kind: str, page: str, reason: str | None
) -> None:
    with raises("index-page-invalid", match=reason):
        parse_page(page.encode(), kind, "https://x/", "x")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://[", "javascript:x", "ftp://x/y"])
def test_index__a_server_cannot_make_us_read_something_else(url: str) -> None:
    odd = File(name="demo-1.0.tar.gz", content=b"", url=f"{url}/demo-1.0.tar.gz")

    assert [each for each in find_files(odd) if not each.url.startswith("http://[")] == []


def test_index__a_redirected_page_is_the_base_of_its_links() -> None:
    with serve(Project("demo", sdist("demo", "1.0"))) as second:
        moved = Project("demo", faults=[Redirect(to=f"{second.origin}{{here}}")])
        with serve(moved) as first, open_index(first) as index:
            (found,) = index.find("demo").usable

    assert found.url.startswith(second.origin)
    assert found.origin == first.url


def test_index__redirects_in_a_circle_end() -> None:
    circle = Project("demo", faults=[Redirect(to="{here}")] * 50)

    with asking(circle) as (_, index), raises("index-unreachable", match="in a circle"):
        index.find("demo")


# Several places


def test_index__unknown_name_is_an_error_that_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with (
        asking(find_links=(str(tmp_path),)) as (server, index),
        pytest.raises(PackageNotFoundError) as caught,
    ):
        index.find("no.such_thing")

    assert caught.value.name == "no-such-thing"
    assert caught.value.searched == (str(tmp_path), server.url)


def test_index__a_name_found_on_one_index_is_never_looked_for_on_the_next() -> None:
    with (
        serve(Project("demo", sdist("demo", "1.0"))) as private,
        serve(Project("demo", sdist("demo", "99.0")), Project("other")) as public,
        open_index(private, public) as index,
    ):
        found = names(index)
        index.find("other")

    assert found == ["demo-1.0.tar.gz"]
    assert public.count("demo") == 0
    assert private.count("other") == public.count("other") == 1


def test_index__an_index_on_this_disk_may_be_a_part_of_what_there_is(tmp_path: Path) -> None:
    page = tmp_path / "simple" / "demo" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text('<a href="demo-1.0.tar.gz">demo-1.0.tar.gz</a>', encoding="utf-8")
    uploaded = "2024-05-01T00:00:00Z"
    files = [dated(sdist("demo", version), uploaded) for version in ("1.0", "2.0")]

    with (
        serve(Project("demo", *files)) as server,
        open_index(index_urls=((tmp_path / "simple").as_uri(), server.url)) as index,
    ):
        found = index.find("demo").usable

    assert [str(file.version) for file in found] == ["2.0", "1.0"]
    assert found[1].url == (page.parent / "demo-1.0.tar.gz").as_uri()
    assert found[1].uploaded == found[0].uploaded


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Status(code=403), "index-refused"),
        (Status(code=401), "index-refused"),
        (Status(code=500), "index-unreachable"),
        (Status(code=418), "index-unreachable"),
    ],
)
def test_index__an_index_that_fails_is_no_reason_to_ask_the_next(fault: Status, code: str) -> None:
    broken = Project("demo", faults=[fault] * 9)

    with serve(broken) as private, serve(Project("demo", sdist("demo", "9"))) as public:
        with open_index(private, public) as index, raises(code):
            index.find("demo")

        assert public.asked == []


def test_index__files_at_hand_come_before_those_of_an_index(tmp_path: Path) -> None:
    for one in (wheel("demo", "1.0"), sdist("demo", "3.0"), sdist("other", "1.0")):
        (tmp_path / one.name).write_bytes(one.content)
    files = (wheel("demo", "1.0"), wheel("demo", "2.0"))

    with asking(Project("demo", *files), find_links=(str(tmp_path),)) as (server, index):
        found = index.find("demo").usable

    assert [(each.file_name, each.origin) for each in found] == [
        ("demo-3.0.tar.gz", str(tmp_path)),
        ("demo-2.0-py3-none-any.whl", server.url),
        ("demo-1.0-py3-none-any.whl", str(tmp_path)),
    ]


def test_index__without_index_only_the_files_at_hand_are_there(tmp_path: Path) -> None:
    (tmp_path / "demo-1.0.tar.gz").touch()
    (tmp_path / "page.html").write_text("<a href='sub%20dir/demo-2.0.tar.gz'>")

    project, links = Project("demo", sdist("demo", "3.0")), (tmp_path.as_uri(),)
    with asking(project, no_index=True, find_links=links) as (server, index):
        assert names(index) == ["demo-2.0.tar.gz", "demo-1.0.tar.gz"]
    assert server.asked == []


def test_index__links_can_be_a_remote_page_or_a_single_file() -> None:
    with (
        serve(Project("flat", sdist("demo", "1.0"), wheel("demo", "2.0"))) as server,
        open_index(
            no_index=True,
            find_links=(
                f"{server.url}flat/",
                f"{server.origin}/files/demo-3.0.tar.gz#x",
                f"{server.url}x/",
            ),
        ) as index,
    ):
        found = names(index)

    assert found == ["demo-3.0.tar.gz", "demo-2.0-py3-none-any.whl", "demo-1.0.tar.gz"]
    assert index.notes == (f"there is nothing at `{server.url}x/`",)


def test_index__places_on_disk_that_are_missing_are_a_note(tmp_path: Path) -> None:
    index_path = tmp_path / "index" / "demo"
    index_path.mkdir(parents=True)
    (index_path / "index.html").write_text("<a href='../../demo-1.0.tar.gz'>demo</a>")
    settings = IndexSettings(
        index_urls=((tmp_path / "absent").as_uri(), (tmp_path / "index").as_uri()),
        find_links=(str(tmp_path / "nothing"),),
    )

    with Index(settings, TAGS) as index:
        (found,) = index.find("demo").usable
        index.find("demo")

    assert found.url == (tmp_path / "demo-1.0.tar.gz").as_uri()
    assert found.hashes == {}
    assert len(index.notes) == 2


def test_index__an_index_without_encryption_is_left_out_unless_it_is_trusted() -> None:
    settings = IndexSettings(index_urls=("http://index.invalid/simple/",))

    with Index(settings, TAGS) as index, pytest.raises(PackageNotFoundError):
        index.find("demo")

    assert "neither https nor a trusted host" in index.notes[0]


# Several at once


def test_index__names_are_asked_for_once_however_often_they_are_wanted() -> None:
    projects = [Project(f"demo-{number}", sdist(f"demo-{number}", "1")) for number in range(20)]

    with serve(*projects) as server, open_index(server) as index:
        index.prefetch(project.name for project in projects)
        index.prefetch(project.name for project in projects)
        found = [len(index.find(project.name).usable) for project in projects * 2]

    assert found == [1] * 40
    assert server.count("/simple/") == 20


def test_index__prefetching_raises_nothing_and_finding_does() -> None:
    with serve() as server, open_index(server) as index:
        index.prefetch(["absent"])

        with pytest.raises(PackageNotFoundError):
            index.find("absent")


def test_index__no_server_is_said_after_all_attempts() -> None:
    settings = IndexSettings(index_urls=(free_port_url(),), retries=2)

    with (
        Index(settings, TAGS, sleep=lambda _: None) as index,
        raises("index-unreachable") as caught,
    ):
        index.find("demo")

    assert caught.value.attempts == 3


def test_index__importing_it_loads_no_http_library() -> None:
    code = (
        "import sys, wheelforge.index as i; i.Index(i.IndexSettings(), ()).close();"
        "print([m for m in ('urllib3', 'http.client', 'ssl', 'keyring') if m in sys.modules])"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


@pytest.mark.network
def test_index__the_real_index_is_understood(tmp_path: Path) -> None:
    with Index(IndexSettings(), TAGS) as index:
        best = index.find("hatchling").usable[0]
        metadata = index.read_metadata(best)
        index.fetch(best, str(tmp_path / best.file_name))

    assert best.is_wheel
    assert best.uploaded is not None
    assert any(line.startswith("pluggy") for line in metadata.requires)
    assert sha256((tmp_path / best.file_name).read_bytes()) == best.hashes["sha256"]
