"""TLS as real servers speak it: certificates, trusted hosts, redirects."""

import subprocess
from os import utime
from pathlib import Path
from shutil import copy

import pytest

from tests.support.codes import raises
from tests.support.index import Project, Redirect, sdist, serve
from tests.support.indexes import TAGS, asking, open_index
from tests.support.servers import make_certificate
from wheelforge.index import Index, IndexSettings, find_index_settings, tls

DEMO = Project("demo", sdist("demo", "1.0"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


def test_index__a_certificate_that_is_named_is_trusted(certificate: Path) -> None:
    with (
        serve(DEMO, certificate=certificate) as server,
        open_index(server, ca_bundle=str(certificate)) as index,
    ):
        assert len(index.find("demo").usable) == 1


def test_index__a_certificate_that_has_no_stated_hash_is_refused_at_once(certificate: Path) -> None:
    with (
        serve(DEMO, certificate=certificate) as server,
        open_index(server) as index,
        raises("index-unreachable") as caught,
    ):
        index.find("demo")

    assert caught.value.attempts == 1
    assert "PIP_CERT" in caught.value.hint


def test_certificates__may_be_a_directory(certificate: Path, tmp_path: Path) -> None:
    copy(certificate, tmp_path / f"{find_hash(certificate)}.0")

    with (
        serve(DEMO, certificate=certificate) as server,
        open_index(server, ca_bundle=str(tmp_path)) as index,
    ):
        assert len(index.find("demo").usable) == 1


def find_hash(certificate: Path) -> str:
    words = ["openssl", "x509", "-noout", "-hash", "-in", str(certificate)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def test_certificates__that_change_are_read_again(certificate: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(b"")
    settings = IndexSettings(ca_bundle=str(bundle))
    with raises("index-unreachable"):
        tls.load_certificates(settings)

    copy(certificate, bundle)
    first = tls.load_certificates(settings)

    assert tls.load_certificates(settings) is first
    utime(bundle, (1, 1))
    assert tls.load_certificates(settings) is not first


def test_certificates__are_those_of_truststore_where_pip_uses_it() -> None:
    truststore = pytest.importorskip("truststore")

    settings = find_index_settings({"PIP_USE_FEATURE": "truststore"})

    assert isinstance(tls.load_certificates(settings), truststore.SSLContext)
    assert not isinstance(tls.load_certificates(IndexSettings()), truststore.SSLContext)


@pytest.mark.parametrize("variable", ["PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_certificates__are_named_by_variables(certificate: Path, variable: str) -> None:
    with serve(DEMO, certificate=certificate) as server:
        settings = find_index_settings({
            variable: str(certificate),
            "PIP_INDEX_URL": server.url,
            "PIP_RETRIES": "0",
        })
        with Index(settings, TAGS) as index:
            assert len(index.find("demo").usable) == 1


def test_index__the_certificate_of_a_trusted_host_does_not_matter(certificate: Path) -> None:
    with (
        serve(DEMO, certificate=certificate) as server,
        open_index(server, trusted_hosts=("localhost",)) as index,
    ):
        assert len(index.find("demo").usable) == 1


def test_index__we_can_show_a_certificate_of_our_own(certificate: Path) -> None:
    own = str(certificate)

    with (
        serve(DEMO, certificate=certificate) as server,
        open_index(server, ca_bundle=own, client_certificate=own) as index,
    ):
        assert len(index.find("demo").usable) == 1


def test_index__a_bundle_of_certificates_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "absent.pem"

    with (
        open_index(index_urls=("https://index.invalid/simple/",), ca_bundle=str(path)) as index,
        raises("index-unreachable", match=r"absent\.pem.*unusable certificates"),
    ):
        index.find("demo")


def test_index__a_safe_connection_does_not_lead_to_an_unsafe_one(certificate: Path) -> None:
    away = Project("demo", faults=[Redirect(to="http://index.invalid/{here}")])

    with (
        serve(away, certificate=certificate) as server,
        open_index(server, ca_bundle=str(certificate)) as index,
        raises("index-unreachable", match="is not safe"),
    ):
        index.find("demo")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://x/y"])
def test_index__a_redirect_leads_to_no_other_kind_of_place(target: str) -> None:
    away = Project("demo", faults=[Redirect(to=target)])

    with asking(away) as (_, index), raises("index-unreachable", match="is not safe"):
        index.find("demo")


def test_index__a_trusted_host_is_asked_through_the_proxy_too() -> None:
    with serve(DEMO) as server:
        settings = IndexSettings(
            index_urls=("http://index.invalid/simple/",),
            proxy=server.origin,
            trusted_hosts=("index.invalid",),
        )
        with Index(settings, TAGS) as index:
            assert len(index.find("demo").usable) == 1


def test_index__a_url_that_cannot_be_asked_is_an_error_at_once() -> None:
    with (
        open_index(index_urls=("gopher://x/simple/",)) as index,
        raises("index-unreachable") as caught,
    ):
        index.find("demo")

    assert caught.value.attempts == 1
