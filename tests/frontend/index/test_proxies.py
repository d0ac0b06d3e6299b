"""Through which proxy a server is asked, and where files of other hosts are."""

import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.codes import raises
from tests.support.forge import Place
from tests.support.index import Project, serve, wheel
from tests.support.indexes import TAGS
from tests.support.maker import maker, mark_of, write_thing
from wheelforge.index import Index, IndexSettings, find_index_settings
from wheelforge.index.proxies import find_proxy, read_system_proxies

PROXY = "http://proxy:3128"


def proxy_for(url: str, **variables: str) -> str | None:
    settings = find_index_settings(variables)
    return settings.proxy or find_proxy(url, settings.proxies, settings.direct_hosts)


@pytest.mark.parametrize(
    ("variables", "url", "expected"),
    [
        ({}, "https://a/", None),
        ({"HTTPS_PROXY": PROXY}, "https://a/", PROXY),
        ({"HTTPS_PROXY": PROXY}, "http://a/", None),
        ({"https_proxy": "proxy:3128"}, "https://a/", PROXY),
        ({"HTTPS_PROXY": "http://other", "https_proxy": PROXY}, "https://a/", PROXY),
        ({"HTTPS_PROXY": PROXY, "https_proxy": ""}, "https://a/", None),
        ({"ALL_PROXY": PROXY}, "http://a/", PROXY),
        ({"ALL_PROXY": "http://other", "HTTP_PROXY": PROXY}, "http://a/", PROXY),
        ({"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}, "http://a/", None),
        ({"http_proxy": PROXY, "REQUEST_METHOD": "GET"}, "http://a/", PROXY),
        ({"HTTPS_PROXY": "http://other", "PIP_PROXY": PROXY}, "https://a/", PROXY),
        ({"NO_PROXY": "a", "PIP_PROXY": PROXY}, "https://a/", PROXY),
    ],
)
def test_proxy__variables_say_which_proxy_is_asked(
    variables: dict[str, str], url: str, expected: str | None
) -> None:
    assert proxy_for(url, **variables) == expected


@pytest.mark.parametrize(
    ("exempt", "host", "is_direct"),
    [
        ("index.test", "index.test", True),
        ("index.test", "INDEX.test", True),
        ("index.test", "files.index.test", True),
        (".index.test", "index.test", True),
        (".index.test", "files.index.test", True),
        ("*.index.test", "files.index.test", True),
        ("index.test", "myindex.test", False),
        ("one, index.test ,two", "index.test", True),
        ("*", "index.test", True),
        ("", "index.test", False),
        (",", "index.test", False),
        ("index.test:8080", "index.test:8080", True),
        ("index.test:8080", "index.test", False),
        ("index.test:443", "index.test", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "index.test", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("nonsense/8", "10.1.2.3", False),
        ("::1", "[::1]", True),
        ("[::1]", "[::1]", True),
    ],
)
def test_proxy__hosts_can_be_exempt(exempt: str, host: str, *, is_direct: bool) -> None:
    found = proxy_for(f"https://{host}/simple/", ALL_PROXY=PROXY, NO_PROXY=exempt)

    assert found == (None if is_direct else PROXY)


@given(exempt=st.text(), host=st.from_regex(r"[a-z]{1,9}(\.[a-z]{1,9})?", fullmatch=True))
def test_proxy__whatever_is_exempt_there_is_an_answer(exempt: str, host: str) -> None:
    assert proxy_for(f"https://{host}/", https_proxy=PROXY, no_proxy=exempt) in {None, PROXY}


@pytest.mark.parametrize("system", ["getproxies_registry", "getproxies_macosx_sysconf"])
def test_proxy__a_system_may_know_proxies_of_its_own(
    monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    known = {"https": "proxy:3128", "ftp": "other"}
    monkeypatch.setattr(urllib.request, system, lambda: known, raising=False)

    assert read_system_proxies() == {"https": PROXY}


def test_proxy__a_proxy_of_the_process_is_none_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with (
        serve(Project("demo", wheel("demo", "1.0"))) as server,
        Index(IndexSettings(index_urls=(server.url,), retries=0), TAGS) as index,
    ):
        assert len(index.find("demo").usable) == 1


def test_proxy__a_proxy_that_makes_no_sense_is_named() -> None:
    settings = IndexSettings(index_urls=("http://localhost:1/",), proxy="gopher://me:pw@proxy")
    with Index(settings, TAGS) as index, raises("index-settings-invalid") as caught:
        index.find("demo")

    assert caught.value.source == "gopher://proxy"


def test_proxy__a_build_asks_the_proxy_that_its_variables_name(tmp_path: Path) -> None:
    source = write_thing(tmp_path)
    place = Place(path=tmp_path, variables={"PIP_RETRIES": "0"})
    with serve(Project("maker", maker())) as proxy:
        words = (source, "-o", tmp_path / "out", "-i", "http://localhost:1/simple/")
        through = place.run(*words, HTTP_PROXY=proxy.origin)
        around = place.run(*words, "--refresh", HTTP_PROXY=proxy.origin, NO_PROXY="localhost")

        asked = [request.path for request in proxy.asked]
    assert mark_of(through) == "good"
    assert asked[0] == "http://localhost:1/simple/maker/"
    assert around.error == "index-unreachable"
