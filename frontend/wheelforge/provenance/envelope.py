"""Signed statements: DSSE envelopes, with keys of Ed25519 or of ECDSA on P-256.

With a key on P-256 they may have the form of attestation objects (PEP 740) as well. These want an
entry in a public log, which a key alone cannot make: the list of entries is empty.

The key is read before anything is built, and stays in the process that delivers artifacts: no hook
runs in it. `cryptography` does all that is cryptography, and comes with the extra `sign`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from wheelforge.errors import ProvenanceError, UsageError
from wheelforge.provenance.statement import parse_object

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    PrivateKey: TypeAlias = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
    PublicKey: TypeAlias = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_CURVE = "secp256r1"
_WANTED = "it is no key of Ed25519, or of ECDSA on P-256"


class Signer:
    """Signs statements with one private key."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key
        self.key_id = identify(key.public_key())

    def __repr__(self) -> str:
        return f"Signer({self.key_id!r})"

    @property
    def public_key(self) -> PublicKey:
        """The key by which its signatures are checked."""
        return self._key.public_key()

    def sign(self, statement: bytes, kind: str = PAYLOAD_TYPE) -> bytes:
        """Return an envelope around a statement, or around something of another ``kind``."""
        signature = self._sign(statement, kind)
        envelope = {
            "payload": _to_text(statement),
            "payloadType": kind,
            "signatures": [{"keyid": self.key_id, "sig": _to_text(signature)}],
        }
        return json.dumps(envelope, indent=1).encode() + b"\n"

    def attest(self, statement: bytes) -> bytes:
        """Return a statement as an attestation object; the certificate is the key's own."""
        attestation: dict[str, object] = {
            "version": 1,
            "verification_material": {
                "certificate": _to_text(self._certificate),
                "transparency_entries": [],
            },
            "envelope": {
                "statement": _to_text(statement),
                "signature": _to_text(self._sign(statement)),
            },
        }
        return json.dumps(attestation, indent=1).encode() + b"\n"

    @cached_property
    def can_attest(self) -> bool:
        """Whether the key is one that attestation objects can be signed with."""
        from cryptography.hazmat.primitives.asymmetric import ec

        return isinstance(self._key, ec.EllipticCurvePrivateKey)

    @cached_property
    def _certificate(self) -> bytes:
        """The certificate of the key by itself, which says no more than that there is the key."""
        from cryptography import x509
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import Encoding

        name = x509.Name([
            x509.NameAttribute(x509.NameOID.COMMON_NAME, f"wheelforge {self.key_id[:16]}")
        ])
        builder = x509.CertificateBuilder(
            issuer_name=name,
            subject_name=name,
            public_key=self._key.public_key(),
            serial_number=int(self.key_id[:16], 16) or 1,
            not_valid_before=datetime(2020, 1, 1, tzinfo=UTC),
            not_valid_after=datetime(9999, 12, 31, tzinfo=UTC),
        )
        return builder.sign(self._key, SHA256()).public_bytes(Encoding.DER)

    def _sign(self, statement: bytes, kind: str = PAYLOAD_TYPE) -> bytes:
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519
        from cryptography.hazmat.primitives.hashes import SHA256

        signed = _encode(kind, statement)
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(signed)
        return self._key.sign(signed, ec.ECDSA(SHA256()))


def read_signer(path: Path, option: str = "sign_key") -> Signer:
    """Return the signer with the key in a PEM file; errors name the ``option`` that it is from."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise UsageError("option-invalid", option, f"`{path}`: {error.strerror}") from error
    except (ValueError, TypeError) as error:  # the latter if a password is needed
        reason = f"`{path}` is no private key in PEM without a password"
        raise UsageError("option-invalid", option, reason) from error
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return Signer(key)
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == _CURVE:
        return Signer(key)
    raise UsageError("option-invalid", option, f"`{path}`: {_WANTED}")


def read_public_key(path: Path) -> PublicKey:
    """Return the public key in a PEM file, or of the private key there."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise ProvenanceError("provenance-invalid", str(path), error.strerror) from error
    except ValueError as error:
        reason = "it is no public key in PEM"
        raise ProvenanceError("provenance-invalid", str(path), reason) from error
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == _CURVE:
        return key
    raise ProvenanceError("provenance-invalid", str(path), _WANTED)


def make_key() -> tuple[bytes, PublicKey]:
    """Return a new private key of Ed25519 in PEM, and its public key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return secret, key.public_key()


def write_public_key(key: PublicKey) -> bytes:
    """Return a public key in PEM."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def open_envelope(
    name: str, content: bytes, kind: str = PAYLOAD_TYPE
) -> tuple[bytes, list[tuple[bytes, str]]]:
    """Return the statement in a file called ``name``, and its signatures with their key ids.

    A statement that is not signed has none.
    """
    found = parse_object(name, content)
    if "payload" not in found and "envelope" not in found:
        return content, []
    form = "DSSE envelope" if "payload" in found else "attestation object"
    if "payload" in found and found.get("payloadType") != kind:
        raise ProvenanceError("provenance-invalid", name, "it is an envelope of something else")
    try:
        if "payload" in found:
            payload = _from_text(found["payload"])
            return payload, [_read_signature(each) for each in found["signatures"]]
        envelope = found["envelope"]
        return _from_text(envelope["statement"]), [(_from_text(envelope["signature"]), "")]
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise ProvenanceError("provenance-invalid", name, f"it is no {form}") from error


def check_signature(
    name: str,
    statement: bytes,
    signatures: Iterable[tuple[bytes, str]],
    trusted: Iterable[PublicKey],
    *,
    kind: str = PAYLOAD_TYPE,
) -> str:
    """Return the id of a trusted key by which the statement in ``name`` is signed."""
    signed, keys, reason = _encode(kind, statement), list(trusted), "there is none"
    for signature, _ in signatures:
        reason = "it was made with none of the trusted keys, or the statement was changed"
        for key in keys:
            if _verifies(key, signature, signed):
                return identify(key)
    raise ProvenanceError("signature-invalid", name, reason)


def identify(key: PublicKey) -> str:
    """Return the id of a key: the SHA-256 of it in DER."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    content = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(content).hexdigest()


def _verifies(key: PublicKey, signature: bytes, signed: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, signed)
        else:
            key.verify(signature, signed, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _read_signature(found: dict[str, Any]) -> tuple[bytes, str]:
    return _from_text(found["sig"]), str(found.get("keyid", ""))


def _to_text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _from_text(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _encode(kind: str, payload: bytes) -> bytes:
    """Return what is signed: the type and the payload, each with its length before it."""
    name = kind.encode()
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(payload), payload)
