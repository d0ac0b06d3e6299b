"""Sources that can be built, and when each was published."""

import contextlib
import hashlib
import pickle
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.index
from tests.support.archives import zip_sdist
from tests.support.codes import raises
from tests.support.index import Manners, Project, Status, sdist, serve, sha256, wheel
from tests.support.indexes import open_index
from wheelforge.build.sources import (
    Dating,
    FetchedSource,
    RequirementSource,
    UrlSource,
    describe_path,
    fetch_source,
    find_dating,
    find_upload,
    parse_source,
)
from wheelforge.cli.argument_types import read_source
from wheelforge.errors import DownloadMismatchError, PackageNotFoundError, SourceError

UPLOADED = "2024-05-01T12:00:00Z"
MOMENT = datetime(2024, 5, 1, 12, tzinfo=UTC)
NOON = 1_700_049_600
"""Of a day in 2023."""


def demo(version: str, **more: object) -> tests.support.index.File:
    return replace(sdist("demo", version), **more)  # type: ignore[arg-type]  # a wrong field fails


def fetch(
    text: str, place: Path, *files: tests.support.index.File, **settings: object
) -> FetchedSource:
    """Return what ``text`` stands for where an index has ``files`` of `demo`."""
    with serve(Project("demo", *files)) as server, open_index(server, **settings) as index:  # type: ignore[arg-type]  # a wrong setting fails
        return fetch_source(parse_source(text), index, place / "in")


def refuse(
    text: str, place: Path, *files: tests.support.index.File, **settings: object
) -> SourceError:
    with raises("source-not-found") as caught:
        fetch(text, place, *files, **settings)

    assert not (place / "in").exists()
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # ruff: ignore[suspicious-pickle-usage]
    assert caught.value.exit_code == 3
    error: SourceError = caught.value
    return error


# Parsing


@pytest.mark.parametrize("text", ["demo", "demo-1.0.tar.gz", "demo==1.0", "https:", "./demo", "."])
def test_source__what_exists_is_meant_before_anything_else(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / text).mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path)

    assert read_source(text) == tmp_path / text


def test_source__a_path_may_be_absolute(tmp_path: Path) -> None:
    assert read_source(str(tmp_path)) == tmp_path


def test_source__a_link_that_leads_nowhere_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo").symlink_to("nowhere")
    monkeypatch.chdir(tmp_path)
    source = read_source("demo")
    assert isinstance(source, Path)

    with raises("source-invalid") as caught:
        describe_path(source)

    assert "No such file" in str(caught.value)


def test_source__a_directory_that_is_named_by_dots_keeps_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)

    assert read_source("..") == tmp_path.resolve()


def test_source__a_link_is_called_by_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "0123abc").write_bytes(b"")
    (tmp_path / "demo-1.0.tar.gz").symlink_to("0123abc")
    monkeypatch.chdir(tmp_path)

    assert read_source("demo-1.0.tar.gz") == tmp_path / "demo-1.0.tar.gz"


@pytest.mark.parametrize(
    ("text", "name", "specifier"),
    [
        ("demo", "demo", ""),
        ("Demo.Project == 1.0", "Demo.Project", "==1.0"),
        ("demo>=1,<2", "demo", "<2,>=1"),
        ("demo===1.0-weird", "demo", "===1.0-weird"),
    ],
)
def test_source__a_requirement_is_meant_where_nothing_is_there(
    text: str, name: str, specifier: str
) -> None:
    source = parse_source(text)

    assert isinstance(source, RequirementSource)
    assert (source.name, str(source.specifier)) == (name, specifier)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (
            "https://example.org/a/demo-1.0.tar.gz",
            UrlSource(url="https://example.org/a/demo-1.0.tar.gz", file_name="demo-1.0.tar.gz"),
        ),
        (
            "demo @ https://example.org/v1.zip?raw=1#sha256=ABC&egg=demo",
            UrlSource(
                url="https://example.org/v1.zip?raw=1",
                file_name="v1.zip",
                name="demo",
                hashes={"sha256": "abc"},
            ),
        ),
        (
            "file:///a%20b/demo-1.0%2Bx.tar.gz",
            UrlSource(url="file:///a%20b/demo-1.0%2Bx.tar.gz", file_name="demo-1.0+x.tar.gz"),
        ),
        (
            "HTTP://localhost/x/../demo.TAR.GZ",
            UrlSource(url="HTTP://localhost/x/../demo.TAR.GZ", file_name="demo.TAR.GZ"),
        ),
    ],
)  # fmt: skip
def test_source__a_url_is_taken_apart(text: str, source: UrlSource) -> None:
    assert parse_source(text) == source


GIT = "only `git+https:`, `git+ssh:` and `git+file:` repositories are fetched"
HG = "only repositories of git are fetched; clone it, and name the directory"
RELATIVE = "a path has to be absolute"
OLD = "only .tar.gz and .zip are read: rename a .tgz, and repack others"
NOTHING = "there is no such file or directory, and it is neither a requirement nor a URL"
MEANT = "it is no valid requirement; did you mean `{}`?"
END = "it does not end with the name of a .tar.gz or .zip file"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hg+https://example.org/demo", HG),
        ("demo @ git+http://example.org/demo.git", GIT),
        ("git+https://example.org", "it is not like `git+https://host/name.git`"),
        ("ftp://x.org/demo-1.0.tar.gz", "only `https:`, `http:` and `file:` URLs are fetched"),
        ("https://example.org/demo-1.0-py3-none-any.whl", END),
        ("https://example.org/tar.gz/v1", END),
        ("https://example.org/", END),
        ("https://example.org/..%5Cevil.tar.gz", END),
        ("https://example.org/C%3Aevil.tar.gz", END),
        ("https://example.org/a%00.tar.gz", "it has a null character"),
        ("https://example.org/x.zip#subdirectory=sub",
         "a part of an archive is not built; unpack it, and name the directory"),
        ("https://[oops/demo-1.0.tar.gz", "Invalid IPv6 URL"),
        ("./demo", RELATIVE),
        ("demo-1.0.tar.gz", RELATIVE),
        ("demo-1.0-py3-none-any.whl", RELATIVE),
        ("sub/demo", RELATIVE),
        ("C:\\demo", RELATIVE),
        ("demo = 1.0", MEANT.format("demo==1.0")),
        ("demo=1.0", MEANT.format("demo==1.0")),
        ("demo=>1,=<2", MEANT.format("demo<=2,>=1")),
        ("demo~1.0", MEANT.format("demo~=1.0")),
        ("demo==", MEANT.format("demo")),
        ("demo>1,<", MEANT.format("demo>1")),
        ("demo==latest", MEANT.format("demo")),
        ("demo 1.0", MEANT.format("demo==1.0")),
        ("demo==1==2", "it is no valid requirement, which is like `NAME==VERSION`"),
        ("==1.0", "it is no valid requirement, which is like `NAME==VERSION`"),
        ("demo\0", NOTHING),
        ("x" * 5000 + "/", RELATIVE),
        ("demo-1.0.tar.xz", RELATIVE),
        ("https://example.org/demo-1.0.tgz", OLD),
        ("https://example.org/demo-1.0.tar.bz2", OLD),
        ("demo@1.0", "a version follows `==`: `demo==1.0`"),
        ("https:///demo-1.0.zip", "it names no host"),
        ("demo[fast]==1", "an extra means nothing where a project is built"),
        ("demo; python_version<'3'", "a marker means nothing where a project is built"),
    ],
)  # fmt: skip
def test_source__what_means_nothing_is_refused_with_the_reason(text: str, reason: str) -> None:
    with raises("source-invalid") as caught:
        parse_source(text)

    shown = text.removeprefix("demo @ ")
    assert str(caught.value) == f"`{shown}` cannot be built: {reason}"
    assert caught.value.exit_code == 2


def test_source__a_password_is_not_repeated() -> None:
    with raises("source-invalid") as caught:
        parse_source("demo @ https://me:secret@example.org/demo")

    assert "secret" not in str(caught.value)
    assert "me" not in caught.value.source.split("//")[1].split("/")[0].split(".")


@given(st.text() | st.from_regex(r"[a-z+]{2,8}:(//)?[a-z:@\[\]%.#/=]*", fullmatch=True))
def test_source__no_words_lead_to_another_error(text: str) -> None:
    with contextlib.suppress(SourceError):
        source = parse_source(text)

        assert not isinstance(source, UrlSource) or source.file_name


# Having it


def test_source__a_directory_is_here_already(tmp_path: Path) -> None:
    assert describe_path(tmp_path) == FetchedSource(path=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_source__an_archive_that_is_here_stays_where_it_is(tmp_path: Path) -> None:
    path = archive(tmp_path)

    found = describe_path(path)

    assert found == FetchedSource(path=path, sha256=hashlib.sha256(b"demo").hexdigest())


def test_source__the_newest_sdist_is_fetched_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    newest = demo("2.0", uploaded=UPLOADED)

    found = fetch("Demo", tmp_path, demo("1.0"), newest, wheel("demo", "2.1"), demo("3.0a1"))

    assert found.path == tmp_path / "in" / "demo-2.0.tar.gz"
    assert found.path.read_bytes() == newest.content
    assert (found.sha256, found.uploaded) == (sha256(newest.content), MOMENT)
    assert found.url.endswith("/files/demo-2.0.tar.gz")
    assert (found.name, found.version) == ("demo", "2.0")


FOUR = [demo(each) for each in ("1.0", "1.5", "2.0", "3.0a1")]
ZIPPED = demo("1.0", name="demo-1.0.zip")
DAMAGED = replace(demo("1.0"), content=demo("1.0").content[:-9], hashes={})
YANKED = [demo("1.0"), demo("2.0", yanked="broken")]
FETCHED = {
    "below a limit": ("demo<2", FOUR, "demo-1.5.tar.gz"),
    "exactly that": ("demo==1.0", FOUR, "demo-1.0.tar.gz"),
    "that begins so": ("demo==1.*", FOUR, "demo-1.5.tar.gz"),
    "as new as a pre-release": ("demo>=3.0a0", FOUR, "demo-3.0a1.tar.gz"),
    "exactly a pre-release": ("demo==3.0a1", FOUR, "demo-3.0a1.tar.gz"),
    "a pre-release where nothing else fits": ("demo>2,<4", FOUR, "demo-3.0a1.tar.gz"),
    "of that very spelling": ("demo===1.5", FOUR, "demo-1.5.tar.gz"),
    "for another Python": ("demo", [demo("1.0", requires_python=">=99")], "demo-1.0.tar.gz"),
    "of the kind that is still made": (
        "demo",
        [ZIPPED, demo("1.0"), demo("0.9", name="demo-0.9.zip")],
        "demo-1.0.tar.gz",
    ),
    "a zip where there is nothing else": ("demo", [ZIPPED], "demo-1.0.zip"),
    "that can be read": (
        "demo",
        [DAMAGED, replace(ZIPPED, content=zip_sdist(), hashes={})],
        "demo-1.0.zip",
    ),
    "that is damaged, where there is no other": ("demo", [DAMAGED], "demo-1.0.tar.gz"),
    "that is not yanked": ("demo", YANKED, "demo-1.0.tar.gz"),
    "that is yanked, by its version": ("demo==2.0", YANKED, "demo-2.0.tar.gz"),
}


@pytest.mark.parametrize(("text", "files", "name"), FETCHED.values(), ids=FETCHED)
def test_source__newest_sdist_is_fetched(
    text: str, files: list[tests.support.index.File], name: str, tmp_path: Path
) -> None:
    found = fetch(text, tmp_path, *files)

    assert found.path.name == name
    assert name.startswith(f"demo-{found.version}.")


@pytest.mark.parametrize(
    ("text", "version"), [("demo", "1.0"), ("demo>=2", "2.0"), ("demo==2.0", "2.0")]
)
def test_source__of_a_requirement_is_the_newest_one_for_this_python(
    text: str, version: str, tmp_path: Path
) -> None:
    files = demo("1.0", requires_python=">=3.9"), demo("2.0", requires_python=">=3.99")
    with serve(Project("demo", *files)) as server, open_index(server) as index:
        source = parse_source(text)
        found = fetch_source(source, index, tmp_path / "in", python_version="3.11.7")

    assert found.version == version


def test_source__an_sdist_without_a_hash_gets_one(tmp_path: Path) -> None:
    one = demo("1.0", hashes={})

    assert fetch("demo", tmp_path, one).sha256 == sha256(one.content)


def test_source__what_was_uploaded_after_the_cut_off_is_not_fetched(tmp_path: Path) -> None:
    files = demo("1.0", uploaded="2024-01-01T00:00:00Z"), demo("2.0", uploaded=UPLOADED)
    cutoff = datetime(2024, 3, 1, tzinfo=UTC)

    assert fetch("demo", tmp_path, *files, exclude_newer=cutoff).version == "1.0"
    error = refuse("demo==2.0", tmp_path / "other", *files, exclude_newer=cutoff)
    assert "2.0: not known to have been published before the cut-off" in str(error)


OLD_KINDS = "left out are 2 archives of old kinds, as .tgz and .tar.bz2, which are not read"
ONLY_WHEELS = "there are only wheels of it"
MISSING = {
    "only wheels": (
        *("demo>=2", [demo("1.0"), wheel("demo", "2.0"), wheel("demo", "3.0")]),
        *(f"`demo>=2`: 3.0, 2.0: {ONLY_WHEELS}", "there are sdists of 1.0"),
    ),
    "wheels for other platforms": (
        *("demo", [wheel("demo", "2.0", tag="cp27-cp27m-win32")]),
        f"`demo`: 2.0: {ONLY_WHEELS}; left out are 1 wheels for other Pythons or platforms",
        "",
    ),
    "no version that fits": (
        *("demo>20", [demo(f"{each}.0") for each in range(12)], "`demo>20`: no version fits"),
        f"there are sdists of {', '.join(f'{each}.0' for each in range(11, 1, -1))}, …",
    ),
    "archives of old kinds": (
        *("demo", [demo("1.0", name="demo-1.0.tar.bz2"), demo("0.9", name="demo-0.9.tgz")]),
        f"`demo`: {OLD_KINDS}",
        "",
    ),
    "a yanked one": (
        "demo>=2",
        YANKED,
        "`demo>=2`: 2.0: yanked: broken",
        "there are sdists of 1.0",
    ),
}


@pytest.mark.parametrize(("text", "files", "said", "hint"), MISSING.values(), ids=MISSING)
def test_source__what_there_is_instead_is_said(
    tmp_path: Path, text: str, files: list[tests.support.index.File], said: str, hint: str
) -> None:
    error = refuse(text, tmp_path, *files)

    assert str(error) == f"there is no sdist for {said}"
    assert error.hint == hint


def test_source__a_name_that_is_not_known_is_the_index_s_to_report(tmp_path: Path) -> None:
    with pytest.raises(PackageNotFoundError):
        fetch("other", tmp_path, demo("1.0"))


def test_source__a_file_is_fetched_from_its_url(tmp_path: Path) -> None:
    one = demo("1.0")

    with serve(Project("demo", one)) as server, open_index(server) as index:
        url = f"{server.origin}/files/{one.name}"
        found = fetch_source(parse_source(f"Demo @ {url}"), index, tmp_path)

    assert found == FetchedSource(
        path=tmp_path / one.name, sha256=sha256(one.content), url=url, name="demo"
    )
    assert found.path.read_bytes() == one.content


def test_source__a_file_is_fetched_from_a_local_url(tmp_path: Path) -> None:
    path = tmp_path / "a b-1.0.tar.gz"
    path.write_bytes(b"demo")

    with open_index(no_index=True) as index:
        found = fetch_source(parse_source(path.as_uri()), index, tmp_path / "in")

    assert (found.path.name, found.path.read_bytes(), found.name) == (path.name, b"demo", "")


@pytest.mark.parametrize("algorithm", ["md5", "sha256", "sha512"])
def test_source__a_hash_in_a_url_holds(algorithm: str, tmp_path: Path) -> None:
    path = archive(tmp_path)
    digest = hashlib.new(algorithm, b"demo").hexdigest()
    right, wrong = f"{path.as_uri()}#{algorithm}={digest}", f"{path.as_uri()}#{algorithm}=00"

    with open_index(no_index=True) as index:
        found = fetch_source(parse_source(right), index, tmp_path / "in")
        with pytest.raises(DownloadMismatchError):
            fetch_source(parse_source(wrong), index, tmp_path / "out")

    assert found.sha256 == hashlib.sha256(b"demo").hexdigest()
    assert list((tmp_path / "out").iterdir()) == []


def test_source__credentials_are_used_and_not_told(tmp_path: Path) -> None:
    one = demo("1.0")

    with (
        serve(Project("demo", one), manners=Manners(login=("me", "secret"))) as server,
        open_index(server) as index,
    ):
        url = f"{server.url_as('me', 'secret').removesuffix('simple/')}files/{one.name}"
        found = fetch_source(parse_source(url), index, tmp_path)

    assert found.path.read_bytes() == one.content
    assert found.url == f"{server.origin}/files/{one.name}"


def test_source__what_is_not_there_is_an_error_of_the_index(tmp_path: Path) -> None:
    with serve() as server, open_index(server) as index:
        with raises("index-unreachable", match="HTTP 404") as caught:
            fetch_source(parse_source(f"{server.origin}/files/demo-1.0.tar.gz"), index, tmp_path)

        assert caught.value.hint == "check the URL"


# When it was published


def archive(place: Path, content: bytes = b"demo") -> Path:
    path = place / "demo-1.0.tar.gz"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("cutoff", [None, datetime(2020, 1, 1, tzinfo=UTC)])
def test_source__an_sdist_that_is_here_is_recognised_by_the_index(cutoff: datetime | None) -> None:
    one = demo("1.0", uploaded=UPLOADED)

    with (
        serve(Project("demo", demo("0.9"), one)) as server,
        open_index(server, exclude_newer=cutoff) as index,
    ):
        dating = find_dating(Path("demo-1.0.tar.gz"), sha256(one.content), NOON, index)

    assert dating == Dating(moment=MOMENT, origin="the index")


@pytest.mark.parametrize(
    "one",
    [
        demo("1.0", uploaded=UPLOADED, content=b"another"),
        demo("1.0", uploaded=UPLOADED, hashes={}),
        demo("1.0", uploaded=""),
        demo("1.0", uploaded=UPLOADED, name="demo-1.0.zip"),
        demo("1.1", uploaded=UPLOADED),
    ],
    ids=["another content", "unknown content", "unknown time", "another kind", "another version"],
)
def test_source__only_the_very_same_file_is_recognised(one: tests.support.index.File) -> None:
    digest = sha256(demo("1.0").content)

    with serve(Project("demo", one)) as server, open_index(server) as index:
        dating = find_dating(Path("demo-1.0.tar.gz"), digest, NOON, index)

    assert dating == Dating(
        moment=datetime(2023, 11, 15, 12, tzinfo=UTC), origin="the newest file in the archive"
    )


@pytest.mark.parametrize("name", ["private-1.0.tar.gz", "v1.tar.gz", "demo-new.zip"])
def test_source__a_name_that_the_index_does_not_know_does_no_harm(name: str) -> None:
    with serve(Project("demo", demo("1.0"))) as server, open_index(server) as index:
        assert find_upload(name, "", index) is None


def test_source__an_index_that_cannot_be_asked_is_an_error() -> None:
    with serve() as server, open_index(server, retries=0) as index:
        server.put(Project("demo", faults=[Status(code=503)]))

        with raises("index-unreachable"):
            find_dating(Path("demo-1.0.tar.gz"), "", NOON, index)


def test_source__without_an_index_the_newest_file_counts() -> None:
    dating = find_dating(Path("demo-1.0.tar.gz"), "", NOON, None)

    assert dating is not None
    assert dating.moment.timestamp() == NOON


@pytest.mark.parametrize("newest", [None, 1_580_601_600])
def test_source__a_time_that_a_backend_gives_to_every_file_says_nothing(newest: int | None) -> None:
    assert find_dating(Path("demo-1.0.tar.gz"), "", newest, None) is None
