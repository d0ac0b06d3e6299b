"""Connections that nobody can listen to or change: certificates, trusted hosts, redirects."""

from __future__ import annotations

import ssl
import subprocess
from shutil import copy, which
from typing import TYPE_CHECKING

import pytest

from tests.index import Project, Redirect, sdist, serve
from tests.indexes import TAGS, open_index
from wheelforge._index import Index, IndexSettings, _certificates
from wheelforge.errors import IndexUnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEMO = Project("demo", sdist("demo", "1.0"))
WORDS = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj /CN=localhost"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a certificate of ``localhost`` that signs itself, and its key."""
    openssl = which("openssl")
    if openssl is None:
        pytest.skip("needs openssl")
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    key = path.with_name("key.pem")
    more = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(path)]
    subprocess.run([openssl, *WORDS.split(), *more], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


def test_a_certificate_that_is_named_is_trusted(certificate: Path) -> None:
    with (
        serve(DEMO, certificate=certificate) as server,
        open_index(server, ca_bundle=str(certificate)) as index,
    ):
        assert len(index.find("demo")) == 1


def test_a_certificate_that_nobody_vouches_for_is_refused_at_once(certificate: Path) -> None:
    with (
        serve(DEMO, certificate=certificate) as server,
        open_index(server) as index,
        pytest.raises(IndexUnreachableError) as caught,
    ):
        index.find("demo")

    assert caught.value.attempts == 1
    assert "PIP_CERT" in caught.value.hint


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return where a machine keeps the certificates it believes: one by one, and all in a file."""
    one_by_one, whole = tmp_path / "certs", tmp_path / "all.pem"
    one_by_one.mkdir()
    (one_by_one / "01234567.0").touch()
    paths = ssl.DefaultVerifyPaths("", "", "", str(whole), "", str(one_by_one))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    forgetting = (_certificates._open_certificates, _certificates.complete_certificates)
    for known in forgetting:
        known.cache_clear()
    yield tmp_path
    for known in forgetting:
        known.cache_clear()


def find_hash(certificate: Path) -> str:
    words = ["openssl", "x509", "-noout", "-hash", "-in", str(certificate)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def test_a_certificate_is_looked_up_and_no_other_is_read(certificate: Path, machine: Path) -> None:
    copy(certificate, machine / "certs" / f"{find_hash(certificate)}.0")
    (machine / "all.pem").write_text("whoever reads this fails", encoding="utf-8")

    with serve(DEMO, certificate=certificate) as server, open_index(server) as index:
        assert len(index.find("demo")) == 1


def test_what_is_not_found_by_name_is_looked_for_in_the_whole_lot(
    certificate: Path, machine: Path
) -> None:
    copy(certificate, machine / "all.pem")

    with serve(DEMO, certificate=certificate) as server, open_index(server, retries=0) as index:
        assert len(index.find("demo")) == 1


def test_whoever_is_in_neither_is_not_believed(certificate: Path, machine: Path) -> None:
    assert not (machine / "all.pem").exists()

    with (
        serve(DEMO, certificate=certificate) as server,
        open_index(server) as index,
        pytest.raises(IndexUnreachableError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        index.find("demo")


def test_the_certificate_of_a_trusted_host_does_not_matter(certificate: Path) -> None:
    with (
        serve(DEMO, certificate=certificate) as server,
        open_index(server, trusted_hosts=("localhost",)) as index,
    ):
        assert len(index.find("demo")) == 1


def test_we_can_show_a_certificate_of_our_own(certificate: Path) -> None:
    own = str(certificate)

    with (
        serve(DEMO, certificate=certificate) as server,
        open_index(server, ca_bundle=own, client_certificate=own) as index,
    ):
        assert len(index.find("demo")) == 1


def test_a_bundle_of_certificates_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "absent.pem"

    with (
        serve(DEMO) as server,
        open_index(server, ca_bundle=str(path)) as index,
        pytest.raises(IndexUnreachableError, match=r"absent\.pem.*unusable certificates"),
    ):
        index.find("demo")


def test_a_safe_connection_does_not_lead_to_an_unsafe_one(certificate: Path) -> None:
    away = Project("demo", faults=[Redirect(to="http://index.invalid/{here}")])

    with (
        serve(away, certificate=certificate) as server,
        open_index(server, ca_bundle=str(certificate)) as index,
        pytest.raises(IndexUnreachableError, match="is not safe"),
    ):
        index.find("demo")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://x/y"])
def test_a_redirect_leads_to_no_other_kind_of_place(target: str) -> None:
    away = Project("demo", faults=[Redirect(to=target)])

    with (
        serve(away) as server,
        open_index(server) as index,
        pytest.raises(IndexUnreachableError, match="is not safe"),
    ):
        index.find("demo")


def test_a_trusted_host_is_asked_through_the_proxy_too() -> None:
    with serve(DEMO) as server:
        settings = IndexSettings(
            index_urls=("http://index.invalid/simple/",),
            proxy=server.origin,
            trusted_hosts=("index.invalid",),
        )
        with Index(settings, TAGS, "3.11") as index:
            assert len(index.find("demo")) == 1


@pytest.mark.parametrize("url", ["gopher://x/simple/", "https://x:port/"])
def test_a_url_that_cannot_be_asked_is_an_error_at_once(url: str) -> None:
    with open_index(index_urls=(url,)) as index, pytest.raises(IndexUnreachableError) as caught:
        index.find("demo")

    assert caught.value.attempts == 1
