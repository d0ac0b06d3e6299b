"""Proxies and an index as others have written them, over TLS and without."""

import contextlib
import importlib.util
import sys
from collections.abc import Generator
from pathlib import Path
from shutil import which

import pytest

import tests.support.index
from tests.support.codes import raises
from tests.support.index import Project, serve, wheel
from tests.support.indexes import asking, open_index
from tests.support.servers import make_certificate, running
from wheelforge.errors import PackageIndexError

DEMO = wheel("demo", "1.0", "b")
BOTH = pytest.mark.parametrize("is_secure", [False, True], ids=["http", "https"])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@contextlib.contextmanager
def origin(certificate: Path, *, is_secure: bool) -> Generator[tests.support.index.Index]:
    with serve(Project("demo", DEMO), certificate=certificate if is_secure else None) as server:
        yield server


@pytest.fixture(scope="module")
def proxy_py() -> Generator[str]:
    """Return the address of a proxy that wants a login."""
    pytest.importorskip("proxy")
    words = "-m proxy --hostname 127.0.0.1 --port PORT --num-workers 1 --basic-auth me:s@cret"
    with running(sys.executable, *words.split()) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def tinyproxy(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """Return the address of a proxy that wants no login, and goes on after an answer."""
    program = which("tinyproxy")
    if program is None:
        pytest.skip("needs tinyproxy")
    place = tmp_path_factory.mktemp("tinyproxy") / "tinyproxy.conf"
    script = 'sed "s/NUMBER/$1/" "$2" > "$2.ready" && exec "$0" -d -c "$2.ready"'
    place.write_text("Port NUMBER\nListen 127.0.0.1\nTimeout 60\nAllow 127.0.0.1\n")
    with running("sh", "-c", script, program, "PORT", place) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def microsocks() -> Generator[str]:
    """Return the address of a SOCKS proxy that wants a login."""
    pytest.importorskip("socks")
    program = which("microsocks")
    if program is None:
        pytest.skip("needs microsocks")
    with running(program, *["-i", "127.0.0.1", "-p", "PORT", "-u", "me", "-P", "secret"]) as port:
        yield f"127.0.0.1:{port}"


def fetch(server: tests.support.index.Index, path: Path, **more: object) -> bytes:
    """Find, read and fetch the one wheel."""
    with open_index(server, **more) as index:  # type: ignore[arg-type]
        (found,) = index.find("demo").usable
        assert index.read_metadata(found).requires == ("b",)
        index.fetch(found, str(path))
    return path.read_bytes()


@BOTH
def test_proxy__with_a_login_is_asked(
    proxy_py: str, certificate: Path, tmp_path: Path, *, is_secure: bool
) -> None:
    proxy = f"http://me:s%40cret@{proxy_py}"
    with origin(certificate, is_secure=is_secure) as server:
        content = fetch(server, tmp_path / "file", proxy=proxy, ca_bundle=str(certificate))

        # Without a tunnel, it is the proxy that hands the header on.
        headers = [asked.headers for asked in server.asked if is_secure]
    assert content == DEMO.content
    assert all("proxy-authorization" not in each for each in headers)


@BOTH
def test_proxy__that_refuses_the_login_is_asked_once(
    proxy_py: str, certificate: Path, *, is_secure: bool
) -> None:
    proxy = f"http://me:wrong@{proxy_py}"
    with (
        origin(certificate, is_secure=is_secure) as server,
        open_index(server, proxy=proxy, ca_bundle=str(certificate)) as index,
        pytest.raises((PackageIndexError, PackageIndexError), match="407") as caught,
    ):
        index.find("demo")

    assert getattr(caught.value, "attempts", 1) == 1
    assert "wrong" not in str(caught.value)
    assert server.asked == []


@BOTH
def test_proxy__without_a_login_is_asked(
    tinyproxy: str, certificate: Path, tmp_path: Path, *, is_secure: bool
) -> None:
    with origin(certificate, is_secure=is_secure) as server:
        content = fetch(server, tmp_path / "file", proxy=tinyproxy, ca_bundle=str(certificate))

    assert content == DEMO.content


@BOTH
def test_proxy__may_speak_tls(certificate: Path, tmp_path: Path, *, is_secure: bool) -> None:
    pytest.importorskip("proxy")
    words = "-m proxy --hostname 127.0.0.1 --port PORT --num-workers 1 --cert-file"
    key = ("--key-file", certificate.with_name("key.pem"))
    with (
        running(sys.executable, *words.split(), certificate, *key) as port,
        origin(certificate, is_secure=is_secure) as server,
    ):
        proxy = f"https://localhost:{port}"
        content = fetch(server, tmp_path / "file", proxy=proxy, ca_bundle=str(certificate))

        with open_index(server, proxy=proxy) as index, raises("index-unreachable"):
            index.find("demo")
    assert content == DEMO.content


def test_proxy__does_not_vouch_for_a_server(tinyproxy: str, certificate: Path) -> None:
    with (
        origin(certificate, is_secure=True) as server,
        open_index(server, proxy=tinyproxy) as index,
        raises("index-unreachable", match="CERTIFICATE_VERIFY_FAILED") as caught,
    ):
        index.find("demo")

    assert caught.value.attempts == 1


def test_proxy__is_asked_for_a_trusted_host_too(tinyproxy: str, certificate: Path) -> None:
    with (
        origin(certificate, is_secure=True) as server,
        open_index(server, proxy=tinyproxy, trusted_hosts=("localhost",)) as index,
    ):
        assert len(index.find("demo").usable) == 1


def test_proxy__that_cannot_reach_a_server_is_named(tinyproxy: str) -> None:
    urls = ("https://index.invalid/simple/",)
    with (
        open_index(index_urls=urls, proxy=tinyproxy, retries=0) as index,
        raises("index-unreachable", match="Tunnel connection failed"),
    ):
        index.find("demo")


@BOTH
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks_proxy__is_asked(
    microsocks: str, certificate: Path, tmp_path: Path, scheme: str, *, is_secure: bool
) -> None:
    proxy = f"{scheme}://me:secret@{microsocks}"
    with origin(certificate, is_secure=is_secure) as server:
        content = fetch(server, tmp_path / "file", proxy=proxy, ca_bundle=str(certificate))

    assert content == DEMO.content


def test_socks_proxy__that_refuses_the_login_is_an_error(microsocks: str) -> None:
    with (
        asking(Project("demo", DEMO), proxy=f"socks5://me:wrong@{microsocks}", retries=0) as (
            _,
            index,
        ),
        raises("index-unreachable") as caught,
    ):
        index.find("demo")

    assert "wrong" not in str(caught.value)


def test_socks_proxy__without_pysocks_is_refused_with_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "socks", None)  # as Python itself marks an absent module
    with (
        open_index(index_urls=("http://localhost:1/",), proxy="socks5://me:pw@proxy:1") as index,
        raises("index-settings-invalid", match="PySocks") as caught,
    ):
        index.find("demo")

    assert caught.value.source == "socks5://proxy:1"


def test_index__of_pypiserver_is_understood(tmp_path: Path) -> None:
    # Not imported here: it brings an importer of its own into the process that does.
    if importlib.util.find_spec("pypiserver") is None:
        pytest.skip("needs pypiserver")
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / DEMO.name).write_bytes(DEMO.content)
    words = "-m pypiserver run -i 127.0.0.1 -p PORT --disable-fallback"
    with (
        running(sys.executable, *words.split(), packages) as port,
        open_index(index_urls=(f"http://127.0.0.1:{port}/simple/",)) as index,
    ):
        (found,) = index.find("demo").usable
        index.fetch(found, str(tmp_path / "file"))
        assert index.read_metadata(found).requires == ("b",)

    assert found.hashes.keys() == {"sha256"}
    assert (tmp_path / "file").read_bytes() == DEMO.content
