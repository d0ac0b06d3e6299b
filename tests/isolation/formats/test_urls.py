"""URLs: what they name, and what of them is shown or written down."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.urls import (
    check_url,
    file_name_of,
    fragment_of,
    is_url,
    local_path,
    local_place,
    redact,
    without_credentials,
    without_secrets,
)

SECRETS = st.text("abc:@%+&=;,~'()!$*[]", min_size=1, max_size=12).map("S3CRET{}T0KEN".format)
PIECES = ("a", "/", "..", "%2f", "%5C", "%00", "\\", ":", "?", "#", "%1b", " ", "é", "@", ".whl")


@pytest.mark.parametrize(
    ("url", "posix", "windows"),
    [
        ("file:///a/b%20c", "/a/b c", r"\a\b c"),
        ("FILE:///a/../b", "/a/../b", r"\a\..\b"),
        ("file:///C:/a/b", "/C:/a/b", r"C:\a\b"),
        ("file://server/share/a", "/share/a", r"\\server\share\a"),
        ("file://localhost/C:/a", "/C:/a", r"C:\a"),
        ("https://host/a", None, None),
    ],
)
def test_local_path__is_what_a_file_url_names(
    url: str, posix: str | None, windows: str | None
) -> None:
    assert (local_path(url, "posix"), local_path(url, "nt")) == (posix, windows)


def test_local_place__is_a_path_as_it_is() -> None:
    assert local_place("some/dir@x") == "some/dir@x"
    assert local_place(r"C:\dir") == r"C:\dir"
    assert local_place("file:///a") == local_path("file:///a")
    assert local_place("https://host/a") is None
    assert not is_url("file.txt")


@pytest.mark.parametrize("url", ["https://[x/", "https://host:port/", "file:///a%00b"])
def test_url__that_cannot_be_taken_apart_is_refused(url: str) -> None:
    with pytest.raises(FormatError):
        check_url(url)


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_file_name__never_is_a_path(rest: str) -> None:
    name = file_name_of(f"https://host/{rest}")

    assert name.isprintable()
    assert name not in {".", ".."}
    assert not set(name) & set("/\\:")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://host/x/demo-1.0.zip?a=/b#c=/d", "demo-1.0.zip"),
        ("https://host/x/demo%2B1.zip/", "demo+1.zip"),
        ("https://host", ""),
        ("https://host/..", ""),
        ("https://host/..%2f..%2fx.whl", ""),
    ],
)
def test_file_name__is_the_last_part_of_the_path(url: str, name: str) -> None:
    assert file_name_of(url) == name


def test_fragment__is_read_as_pairs() -> None:
    assert fragment_of("https://host/a#sha256=00&egg=demo") == {"sha256": "00", "egg": "demo"}


@given(user=SECRETS, password=SECRETS, token=SECRETS)
def test_url__loses_every_part_of_its_secrets(user: str, password: str, token: str) -> None:
    signature = quote(token, safe="@:'()!$*,;")
    url = f"https://{user}:{password}@host/a.whl?b=1&X-Amz-Signature={signature}&c=2#sha256=00"

    bare = without_credentials(url)

    assert bare == f"https://host/a.whl?b=1&X-Amz-Signature={signature}&c=2#sha256=00"
    assert without_secrets(url) == "https://host/a.whl?b=1&c=2#sha256=00"
    assert redact(f"`{url}`, no; a @ {url}") == (
        "`https://host/a.whl#sha256=00`, no; a @ https://host/a.whl#sha256=00"
    )


@pytest.mark.parametrize(
    "text",
    [
        *("https://host:80/a@b", "https://[::1]/a@b", "https://host:/a@b", "https://host: a@b"),
        *(
            "https://host/a@b",
            "me@example.org",
            "a @ file:///x",
            "dir@x",
            "see https://host, a@b",
            "",
        ),
    ],
)
def test_text__without_secrets_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("password", ["a/b", "a#b", "a?b", "a/b@c", "1a/2", "%2F/"])
def test_url__loses_a_password_that_should_have_been_encoded(password: str) -> None:
    url = f"https://user:{password}@host/a"

    assert without_credentials(url) == without_secrets(url) == "https://host/a"
    assert redact(f"`{url}`, {url}") == "`https://host/a`, https://host/a"
    with pytest.raises(FormatError, match=r"^its host or its port is invalid; in a password"):
        check_url(url)


@pytest.mark.parametrize("url", ["https://host/a@b?x=1", "file:///x@y", "dir@x", ""])
def test_url__without_secrets_stays_as_it_is(url: str) -> None:
    assert without_secrets(url) == url
