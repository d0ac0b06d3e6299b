"""Signed statements: real keys, envelopes that others can read, and hooks that see no key."""

from __future__ import annotations

import base64
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.support.builds import Ground, write_sdist
from tests.support.codes import raises
from tests.support.forge import Place
from wheelforge.errors import ProvenanceError
from wheelforge.provenance.envelope import (
    check_signature,
    open_envelope,
    read_signer,
    write_public_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Key = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey

KINDS: dict[str, Callable[[], Key]] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
}
STATEMENT = b'{"subject": []}\n'


def write_key(path: Path, key: Any, encryption: Any = None) -> Path:  # ruff: ignore[any-type]
    way = encryption or NoEncryption()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, way))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_envelope__is_one_of_dsse_that_its_key_has_signed(tmp_path: Path, kind: str) -> None:
    key = KINDS[kind]()
    signer = read_signer(write_key(tmp_path / "key", key), "--sign-key")

    envelope = json.loads(signer.sign(STATEMENT))

    (signature,) = envelope["signatures"]
    assert base64.b64decode(envelope["payload"]) == STATEMENT
    signed = b"DSSEv1 28 application/vnd.in-toto+json 16 " + STATEMENT
    if isinstance(key, ed25519.Ed25519PrivateKey):
        key.public_key().verify(base64.b64decode(signature["sig"]), signed)
    else:
        key.public_key().verify(base64.b64decode(signature["sig"]), signed, ec.ECDSA(SHA256()))


@pytest.mark.parametrize("kind", KINDS)
def test_signature__of_another_key_or_statement_is_found(tmp_path: Path, kind: str) -> None:
    key, other = KINDS[kind](), KINDS["ed25519"]()
    content = read_signer(write_key(tmp_path / "key", key), "--sign-key").sign(STATEMENT)
    statement, signatures = open_envelope("file", content)

    both = [other.public_key(), key.public_key()]
    assert check_signature("file", statement, signatures, both) == signatures[0][1]
    with pytest.raises(ProvenanceError, match="none of the trusted keys"):
        check_signature("file", statement, signatures, both[:1])
    with pytest.raises(ProvenanceError, match="the statement was changed"):
        check_signature("file", STATEMENT.replace(b"[]", b"{}"), signatures, both)
    with pytest.raises(ProvenanceError, match="there is none"):
        check_signature("file", statement, [], both)


def test_attestation__is_one_that_its_key_has_signed(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    signer = read_signer(write_key(tmp_path / "key", key), "--sign-key")

    content = signer.attest(STATEMENT)

    attestation = json.loads(content)
    material, envelope = attestation["verification_material"], attestation["envelope"]
    certificate = x509.load_der_x509_certificate(base64.b64decode(material["certificate"]))
    assert (attestation["version"], material["transparency_entries"]) == (1, [])
    certificate.verify_directly_issued_by(certificate)
    signed = b"DSSEv1 28 application/vnd.in-toto+json 16 " + STATEMENT
    public = certificate.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(base64.b64decode(envelope["signature"]), signed, ec.ECDSA(SHA256()))
    statement, signatures = open_envelope("file", content)
    assert check_signature("file", statement, signatures, [key.public_key()]) == signer.key_id


def test_attestation__that_was_changed_is_found(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    attestation = json.loads(read_signer(write_key(tmp_path / "key", key)).attest(STATEMENT))
    attestation["envelope"]["statement"] = base64.b64encode(b"{}").decode()

    statement, signatures = open_envelope("file", json.dumps(attestation).encode())

    with raises("signature-invalid"):
        check_signature("file", statement, signatures, [key.public_key()])


def test_attestation__is_refused_by_those_who_want_an_entry_in_a_log(tmp_path: Path) -> None:
    models = pytest.importorskip("pypi_attestations", reason="pypi-attestations is not installed")
    key = ec.generate_private_key(ec.SECP256R1())
    content = read_signer(write_key(tmp_path / "key", key)).attest(STATEMENT)

    with pytest.raises(ValueError, match="at least 1 item") as caught:
        models.Attestation.model_validate_json(content)

    assert str(caught.value).startswith("1 validation error")


def test_verify__reads_attestation_objects(tmp_path: Path) -> None:
    ground, place = Ground.make(tmp_path), Place(path=tmp_path)
    key = ec.generate_private_key(ec.SECP256R1())
    path, policy = write_key(tmp_path / "key", key), tmp_path / "policy.toml"
    (tmp_path / "key.pub").write_bytes(write_public_key(key.public_key()))
    policy.write_text('trusted-keys = ["key.pub"]\n', encoding="utf-8")
    words = ground.words(write_sdist(tmp_path), "-o", tmp_path / "out", "--provenance")
    (wheel,) = place.run(*words, "--sign-key", path, "--statement-form", "pep740").paths

    done = place.run("verify", wheel, "--no-rebuild", "--policy", policy)

    assert (done.code, done.out) == (0, f"checked {wheel}\n"), done.err
    assert "verification_material" in Path(f"{wheel}.provenance.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"envelope": 1}',
        b'{"envelope": {"statement": "e30=", "signature": "?"}}',
        b'{"payload": 1, "payloadType": "text/plain", "signatures": []}',
        b'{"payload": 1, "payloadType": "application/vnd.in-toto+json", "signatures": []}',
        b'{"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": [1]}',
        b'{"payload": "e30=", "payloadType": "application/vnd.in-toto+json"}',
    ],
)
def test_envelope__that_is_none_is_refused(content: bytes) -> None:
    with raises("provenance-invalid"):
        open_envelope("file", content)


@pytest.mark.parametrize(
    ("key", "encryption"),
    [
        (rsa.generate_private_key(65537, 2048), None),
        (ec.generate_private_key(ec.SECP384R1()), None),
        (ed25519.Ed25519PrivateKey.generate(), BestAvailableEncryption(b"secret")),
    ],
)
def test_key__of_another_kind_is_refused(tmp_path: Path, key: object, encryption: object) -> None:
    with raises("option-invalid", match="--sign-key"):
        read_signer(write_key(tmp_path / "key", key, encryption), "--sign-key")


def test_key__that_is_not_there_is_told_before_anything_is_built(tmp_path: Path) -> None:
    place, source = Place(path=tmp_path), write_sdist(tmp_path)

    missing = place.run(source, "--provenance", "--sign-key", tmp_path / "key")
    useless = place.run(source, "--sign-key", write_key(tmp_path / "key", KINDS["p256"]()))

    assert [missing.error, useless.error] == ["option-invalid"] * 2
    assert "there is nothing to sign without `--provenance`" in useless.err
    assert not (tmp_path / "cache" / "stage-v1").exists()


@pytest.mark.parametrize("way", ["option", "variable"])
def test_key__is_not_shown_to_hooks(tmp_path: Path, way: str) -> None:
    ground, key = Ground.make(tmp_path), write_key(tmp_path / "hidden", KINDS["ed25519"]())
    place = Place(path=tmp_path)
    looks = "import gc, sys; files['seen'] = repr([sys.argv, sys.orig_argv, state])"
    source = write_sdist(tmp_path, build_wheel=looks)

    words = ground.words(source, "-o", tmp_path / "out", "--provenance")
    given = {"WHEELFORGE_SIGN_KEY": str(key)} if way == "variable" else {}
    more = ["--sign-key", str(key)] if way == "option" else []
    (wheel,) = place.run(*words, *more, **given).paths

    _, signatures = open_envelope("file", Path(f"{wheel}.provenance.json").read_bytes())
    with zipfile.ZipFile(wheel) as archive:
        seen = archive.read("seen") + archive.read("willing_facts.json")
    assert len(signatures) == 1
    assert b"hidden" not in seen
    assert b"SIGN_KEY" not in seen
