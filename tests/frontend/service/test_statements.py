"""A server that signs what it builds: over its API, on pages, with a key that no hook can read."""

# ruff: file-ignore[any-type]

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.builds import Ground, write_sdist
from tests.support.far import serving_far
from tests.support.index import File, Manners, Project, serve
from tests.support.on_demand import OnDemand, facts_of, on_demand, on_demand_of, sdist_of, spelled
from tests.support.service import PLAIN, finish, serving, start_client
from wheelforge.hooks.sandbox.ladder import choose_sandbox
from wheelforge.provenance.envelope import check_signature, open_envelope

if TYPE_CHECKING:
    from collections.abc import Callable

    Key = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey

KINDS: dict[str, Callable[[], Any]] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
}


def write_key(path: Path, kind: str) -> Key:
    key: Key = KINDS[kind]()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


def test_api__lists_the_signed_statement_beside_its_wheel(own: Ground, tmp_path: Path) -> None:
    key = write_key(tmp_path / "keys" / "key", "ed25519")
    sdist = write_sdist(tmp_path, own=True)
    words = ("--provenance", "--sign-key", tmp_path / "keys" / "key", "--sbom", "sidecar")

    with serving(own, *words) as service:
        built = service.wait(service.build(sdist, output=str(tmp_path / "out")))
        (wheel,) = built["artifacts"]
        beside = {each["name"]: each for each in wheel["beside"]}
        name = f"{wheel['name']}.provenance.json"
        _, _, content = service.fetch("GET", beside[name]["url"])

    assert set(beside) == {name, f"{wheel['name']}.cdx.json"}
    statement, signatures = open_envelope(name, content)
    assert check_signature(name, statement, signatures, [key.public_key()])
    assert json.loads(statement)["subject"] == [
        {"name": wheel["name"], "digest": {"sha256": wheel["sha256"]}}
    ]
    assert (tmp_path / "out" / name).read_bytes() == content


def test_remote_client__writes_what_the_server_has_beside_the_wheel(
    own: Ground, tmp_path: Path
) -> None:
    write_key(tmp_path / "keys" / "key", "ed25519")
    sdist, out = write_sdist(tmp_path, own=True), tmp_path / "out"
    words = ("--provenance", "--sign-key", str(tmp_path / "keys" / "key"), "--sbom", "sidecar")

    with serving_far(own, tmp_path, *words) as far:
        done = far.run(sdist, "-o", out)
        build = far.service.ask("GET", "/api/v1/builds")[1]["builds"][0]
        page = far.service.fetch("GET", f"/builds/{build['id']}", Accept="text/html")[2]

    (wheel,) = build["artifacts"]
    hashes = {each["name"]: each["sha256"] for each in (wheel, *wheel["beside"])}
    written = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir()}
    assert written == hashes, done.err
    assert len(hashes) == 3
    assert all(f'href="/api/v1/artifacts/{each}"'.encode() in page for each in hashes.values())


@pytest.mark.skipif(
    choose_sandbox("auto", PLAIN["PATH"]).level != "strict", reason="there is no strict sandbox"
)
@pytest.mark.xdist_group("users")
def test_hook__cannot_read_the_key_wherever_it_is(own: Ground, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    (tools / "bin").mkdir(parents=True)
    write_key(tools / "key", "p256")
    (tools / "other").write_text("anybody's", encoding="utf-8")
    (tools / "linked").symlink_to("key")
    look = f"""
for each in ("key", "other"):
    try:
        files[each] = open({str(tools)!r} + "/" + each).read()
    except OSError:
        files[each] = ""
"""
    sdist = write_sdist(tmp_path, own=True, build_wheel=look)
    variables = {**PLAIN, "PATH": f"{tools / 'bin'}:{PLAIN['PATH']}"}
    words = ("--sandbox", "auto", "--provenance", "--sign-key", tools / "linked")

    with serving(own, *words) as service:
        number = service.build(sdist, output=str(tmp_path / "out"), variables=variables)
        built = service.wait(number)

    assert built["verdict"] == "built", built["error"]
    (wheel,) = (tmp_path / "out").glob("*.whl")
    assert read_member(wheel, "other") == b"anybody's"
    assert read_member(wheel, "key") == b""


def read_member(wheel: Path, name: str) -> bytes:
    import zipfile

    with zipfile.ZipFile(wheel) as archive:
        return archive.read(name)


def test_server__warns_of_a_key_that_hooks_can_read(own: Ground, tmp_path: Path) -> None:
    write_key(tmp_path / "key", "ed25519")
    words = ("--provenance", "--sign-key", tmp_path / "key", "--sandbox", "none")

    done = finish(start_client(own, "serve", *words, "--idle", "0.1"))

    assert "warning: hooks can read the key that statements are signed with" in done.err


@pytest.mark.parametrize(
    ("kind", "words", "reason"),
    [
        ("", ("--provenance",), "No such file"),
        ("ed25519", (), "nothing to sign without `--provenance`"),
        ("ed25519", ("--provenance", "--statement-form", "pep740"), "ECDSA on P-256"),
    ],
)
def test_server__key_that_is_none_is_told_at_once(
    own: Ground, tmp_path: Path, kind: str, words: tuple[str, ...], reason: str
) -> None:
    if kind:
        write_key(tmp_path / "key", kind)

    done = finish(start_client(own, "serve", *words, "--sign-key", tmp_path / "key"))

    assert (done.code, done.error) == (2, "option-invalid")
    assert reason in done.err


def show_wheel(site: OnDemand) -> Any:
    return site.show("quick").find(".whl")


def test_page__has_the_provenance_of_a_wheel_of_ours(tmp_path: Path) -> None:
    key = write_key(tmp_path / "keys" / "key", "p256")
    sdist = sdist_of(tmp_path, "quick")
    signing = ("--provenance", "--sign-key", str(tmp_path / "keys" / "key"))
    words = (*signing, "--statement-form", "pep740")

    with on_demand(tmp_path, Project("quick", sdist), words=words) as site:
        wheel = show_wheel(site)
        assert wheel["provenance"].startswith(f"{site.url}/files/{wheel['hashes']['sha256']}/")
        answer = site.get(wheel["provenance"].removeprefix(site.url))
        plain = site.follow("quick", wheel["_wheelforge"]["statement"])
        html = site.show("quick", Accept="text/html").body.decode()

    assert answer.headers["Content-Type"] == "application/vnd.pypi.integrity.v1+json"
    (bundle,) = json.loads(answer.body)["attestation_bundles"]
    (attestation,) = bundle["attestations"]
    assert attestation == json.loads(plain.body)
    assert f'data-provenance="{wheel["provenance"]}"' in html
    _check_attestation(attestation, key, wheel)


def _check_attestation(attestation: Any, key: Any, wheel: Any) -> None:
    """Check it as somebody does who knows no more of it than PEP 740."""
    material, envelope = attestation["verification_material"], attestation["envelope"]
    statement = base64.b64decode(envelope["statement"])
    certificate = x509.load_der_x509_certificate(base64.b64decode(material["certificate"]))
    assert certificate.public_key() == key.public_key()
    assert material["transparency_entries"] == []
    signed = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(statement), statement)
    signature = base64.b64decode(envelope["signature"])
    key.public_key().verify(signature, signed, ec.ECDSA(SHA256()))
    (subject,) = json.loads(statement)["subject"]
    assert subject == {"name": wheel["filename"], "digest": wheel["hashes"]}


def test_page__names_a_statement_in_another_form_by_a_key_of_its_own(tmp_path: Path) -> None:
    write_key(tmp_path / "keys" / "key", "ed25519")
    sdist = sdist_of(tmp_path, "quick")
    words = ("--provenance", "--sign-key", str(tmp_path / "keys" / "key"))

    with on_demand(tmp_path, Project("quick", sdist), words=words) as site:
        wheel = show_wheel(site)
        found = site.follow("quick", wheel["_wheelforge"]["statement"])
        path = f"/files/{wheel['hashes']['sha256']}/{wheel['filename']}"
        missing = [site.get(f"{path}{end}").status for end in (".provenance", ".more")]

    assert "provenance" not in wheel
    assert json.loads(found.body)["payloadType"] == "application/vnd.in-toto+json"
    assert missing == [404, 404]


def test_page__has_no_statement_unless_one_is_made(tmp_path: Path) -> None:
    with on_demand(tmp_path, Project("quick", sdist_of(tmp_path, "quick"))) as site:
        wheel = show_wheel(site)

    assert not {"provenance", "statement"} & {*wheel, *wheel["_wheelforge"]}


def attest(sdist: File, page: str) -> tuple[Project, Project, bytes]:
    """Return a project whose page names a provenance object, a project with that, and its bytes."""
    content = json.dumps({"version": 1, "attestation_bundles": [{"of": sdist.name}]}).encode()
    url = f"{page}/files/{sdist.name}.provenance"
    document = {"meta": {"api-version": "1.3"}, "files": [facts_of(sdist, provenance=url)]}
    beside = Project("beside", File(name=f"{sdist.name}.provenance", content=content))
    return spelled(Project("quick", sdist), document), beside, content


@pytest.mark.parametrize("words", [(), ("--proxy-files",)])
def test_page__passes_on_the_provenance_of_an_sdist(tmp_path: Path, words: tuple[str, ...]) -> None:
    sdist = sdist_of(tmp_path, "quick")
    with serve(manners=Manners(json=True)) as upstream:
        project, beside, content = attest(sdist, upstream.origin)
        upstream.put(project)
        upstream.put(beside)
        with on_demand_of(tmp_path, upstream, words=words) as site:
            shown = site.show("quick").find(".tar.gz")
            html = site.show("quick", Accept="text/html").body.decode()
            url, place = site.url, f"/upstream/quick/{sdist.name}.provenance"
            found, missing = site.get(place), site.get(f"{place}.provenance")

    assert f'data-provenance="{shown["provenance"]}"' in html
    assert missing.status == 404
    if words:
        assert shown["provenance"] == f"{url}{place}"
        assert found.headers["Content-Type"] == "application/vnd.pypi.integrity.v1+json"
        assert found.body == content
    else:  # clients fetch from the index by themselves
        assert shown["provenance"] == f"{upstream.origin}/files/{sdist.name}.provenance"
        assert found.status == 404
