"""The signed record of what a remote cache has under one key.

Servers are not trusted: the signature is over the key as well, so that a record is good under no
other key, and over the SHA-256 of the file, so that no other bytes are good.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge.provenance.envelope import check_signature, open_envelope
from wheelforge.remote.action_result import OutputFile, decode_action, encode_action
from wheelforge_isolation.formats.tables import as_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wheelforge.provenance.envelope import PublicKey, Signer

WHEEL, MANIFEST = "wheel", "manifest"
"""Kinds of records: a wheel that was built, and the questions of the backend that has built it."""
PAYLOAD_TYPE = "application/vnd.wheelforge.cache+json"
RECORD, DOCUMENT = "record.json", "document.json"
_SCHEMA = 1


class UntrustedError(Exception):
    """A record is not to be used, for the reason that this says."""


class KeptFile(NamedTuple):
    """The file that a record is about."""

    name: str
    sha256: str
    size: int


class RemoteRecord(NamedTuple):
    """Something that a remote cache has."""

    kind: str
    key: str
    facts: dict[str, Any]
    file: KeptFile | None = None


def locate(kind: str, key: str) -> str:
    """Return the path of the action under ``key``."""
    return f"ac/{hashlib.sha256(f'wheelforge {_SCHEMA} {kind} {key}'.encode()).hexdigest()}"


def seal(record: RemoteRecord, signer: Signer, sizes: Mapping[str, int]) -> bytes:
    """Return the body of the action that has ``record``, signed; ``sizes`` are those of its files.

    A server may drop the action once it has dropped one of these files, which go by their hashes.
    """
    payload = {"schema": _SCHEMA, **record._asdict()}
    payload["file"] = record.file and record.file._asdict()
    envelope = signer.sign(json.dumps(payload, sort_keys=True).encode(), PAYLOAD_TYPE)
    digest = hashlib.sha256(envelope).hexdigest()
    name = {record.file.sha256: record.file.name} if record.file else {}
    return encode_action({
        RECORD: OutputFile(digest, len(envelope), envelope),
        **{name.get(each, DOCUMENT): OutputFile(each, size) for each, size in sizes.items()},
    })


def unseal(body: bytes, kind: str, key: str, trusted: Sequence[PublicKey]) -> RemoteRecord:
    """Return the record in an action; UntrustedError unless a trusted key has signed it."""
    from wheelforge_isolation import ForgeError

    try:
        envelope = decode_action(body)[RECORD].contents
        content, signatures = open_envelope(RECORD, envelope, PAYLOAD_TYPE)
    except (ForgeError, ValueError, LookupError) as error:
        raise UntrustedError("it has no record of wheelforge") from error
    if not signatures:
        raise UntrustedError("its record is not signed")
    try:
        check_signature(RECORD, content, signatures, trusted, kind=PAYLOAD_TYPE)
    except ForgeError as error:
        signers = ", ".join(sorted({key_id[:16] for _, key_id in signatures}))
        raise UntrustedError(f"no trusted key has signed its record, but `{signers}`") from error
    try:
        return _read(json.loads(content), kind, key)
    except (ValueError, TypeError, KeyError) as error:
        raise UntrustedError("its record is of another version of wheelforge") from error


def _read(payload: dict[str, Any], kind: str, key: str) -> RemoteRecord:
    if payload["schema"] != _SCHEMA:
        raise ValueError(payload["schema"])
    if (payload["kind"], payload["key"]) != (kind, key):
        raise UntrustedError("its record is about another build")
    file = KeptFile(**payload["file"]) if payload["file"] else None
    return RemoteRecord(kind, key, as_table(payload["facts"]), file)
