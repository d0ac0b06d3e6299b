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


@pytest.mark.parametrize("way", ["named", "in a directory", "trusted host", "with one of ours"])
def test_index__certificate_is_accepted(certificate: Path, tmp_path: Path, way: str) -> None:
    words = ["openssl", "x509", "-noout", "-hash", "-in", str(certificate)]
    name = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    copy(certificate, tmp_path / f"{name}.0")
    own = str(certificate)
    settings: dict[str, dict[str, object]] = {
        "named": {"ca_bundle": own},
        "in a directory": {"ca_bundle": str(tmp_path)},
        "trusted host": {"trusted_hosts": ("localhost",)},
        "with one of ours": {"ca_bundle": own, "client_certificate": own},
    }

    with asking(DEMO, certificate=certificate, **settings[way]) as (_, index):  # type: ignore[arg-type]
        assert len(index.find("demo").usable) == 1


def test_index__a_certificate_that_has_no_stated_hash_is_refused_at_once(certificate: Path) -> None:
    with asking(DEMO, certificate=certificate) as (_, index), raises("index-unreachable") as caught:
        index.find("demo")

    assert caught.value.attempts == 1
    assert "PIP_CERT" in caught.value.hint


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


def test_index__a_bundle_of_certificates_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "absent.pem"

    with (
        open_index(index_urls=("https://index.invalid/simple/",), ca_bundle=str(path)) as index,
        raises("index-unreachable", match=r"absent\.pem.*unusable certificates"),
    ):
        index.find("demo")


@pytest.mark.parametrize(
    ("target", "is_secure"),
    [("http://index.invalid/{here}", True), ("file:///etc/passwd", False), ("ftp://x/y", False)],
)
def test_index__a_redirect_does_not_lead_to_an_unsafe_place(
    certificate: Path, target: str, *, is_secure: bool
) -> None:
    away = Project("demo", faults=[Redirect(to=target)])
    own = certificate if is_secure else None

    with (
        asking(away, certificate=own, ca_bundle=str(certificate)) as (_, index),
        raises("index-unreachable", match="is not safe"),
    ):
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
