"""The rules W1 to W5: RECORD names every file, with its true hash and size, and no other.

Every file is read once: its SHA-256 is needed anyway, to recognise the file later.
A row that spells a path oddly is taken for the path that it means, and a path has one row.
"""

from __future__ import annotations

import base64
import csv
import hashlib
from typing import TYPE_CHECKING

from installer.records import Hash, InvalidRecordEntry, RecordEntry, parse_record_file

from wheelforge_isolation.archive import Note, RuleError
from wheelforge_isolation.errors import quoted

if TYPE_CHECKING:
    from wheelforge_isolation.archive import Member, WheelZip

_ALGORITHMS = {"sha256", "sha384", "sha512"}
_SHOWN = 12
"""How much of a hash a message shows."""
_MOST_DIGITS = 20


def check_record(archive: WheelZip, dist_info: str) -> tuple[dict[str, str], list[Note]]:
    """Return the SHA-256 of every file, once RECORD has been found to agree with all of them."""
    record = f"{dist_info}/RECORD"
    if record not in archive.files:
        raise RuleError("W1", f"the wheel has no {quoted(record)}")
    rows = _read_rows(archive, record)
    signatures = [f"{record}.jws", f"{record}.p7s"]
    missing = [path for path in rows if path not in archive.files]
    if missing:
        listed = f"{quoted(missing[0])}{_count_others(missing)}"
        raise RuleError("W2", f"RECORD lists {listed}, which the wheel does not have")
    unlisted = [path for path in archive.files if path not in rows and path not in signatures]
    if unlisted:
        reason = f"is in the wheel but not in RECORD{_count_others(unlisted)}"
        raise RuleError("W2", reason, archive.files[unlisted[0]])
    hashes: dict[str, str] = {}
    for path, member in archive.files.items():
        hashes[path] = archive.contents.digest(member).hex()
        row = rows.get(path)
        if row is not None and row.size not in {None, member.size}:
            reason = f"has {member.size:,} bytes, and RECORD says `{row.size}`"
            raise RuleError("W3", reason, member)
        if row is not None and row.hash_ is not None:
            _check_hash(archive, member, row.hash_)
        elif path not in {record, *signatures}:
            raise RuleError("W3", "has no hash in RECORD", member)
    return hashes, [
        Note(rule="W5", text=f"RECORD lists {quoted(path)}, a signature of itself")
        for path in signatures
        if path in rows
    ]


def _count_others(paths: list[str]) -> str:
    return f" (and {len(paths) - 1:,} more)" if len(paths) > 1 else ""


def _read_rows(archive: WheelZip, record: str) -> dict[str, RecordEntry]:
    """Return the rows of RECORD by the path that each means."""
    rows: dict[str, RecordEntry] = {}
    try:
        # Not at everything that Unicode calls a line: a row ends where csv says it does.
        lines = archive.read(record).decode("utf-8").split("\n")
        for elements in parse_record_file(line for line in lines if line.strip()):
            _add_row(rows, elements)
    except UnicodeDecodeError as error:
        raise RuleError("W4", "RECORD is not UTF-8") from error
    except csv.Error as error:
        raise RuleError("W4", f"RECORD is no table ({error})") from error
    except InvalidRecordEntry as error:
        row, issues = quoted(",".join(error.elements)), ", ".join(error.issues)
        reason = f": {issues}" if issues.isprintable() else ""
        raise RuleError("W4", f"RECORD has the row {row}{reason}") from error
    return rows


def _add_row(rows: dict[str, RecordEntry], elements: tuple[str, str, str]) -> None:
    size = elements[2]
    if size and not (size.isascii() and size.isdecimal() and len(size) <= _MOST_DIGITS):
        raise InvalidRecordEntry(elements, ["`size` is no plain number"])
    entry = RecordEntry.from_elements(*elements)
    parts = [part for part in entry.path.split("/") if part not in {"", "."}]
    path = "/".join(parts)
    if entry.path.startswith("/"):
        raise RuleError("W4", f"RECORD lists the absolute path {quoted(entry.path)}")
    if ".." in parts:
        raise RuleError("W4", f"RECORD lists {quoted(entry.path)}, with a '..' component")
    if path in rows:
        raise RuleError("W4", f"RECORD lists {quoted(path)} twice")
    rows[path] = entry


def _check_hash(archive: WheelZip, member: Member, stated: Hash) -> None:
    if stated.name not in _ALGORITHMS:
        raise RuleError("W3", f"has only a {quoted(stated.name)} hash in RECORD", member)
    found = archive.contents.digest(member)
    if stated.name != "sha256":
        digest = hashlib.new(stated.name)
        for chunk in archive.contents.chunks(member):
            digest.update(chunk)
        found = digest.digest()
    text = base64.urlsafe_b64encode(found).decode("ascii").rstrip("=")
    if text != stated.value.rstrip("="):
        shown = f"{stated.name} {text[:_SHOWN]}…, and RECORD says {quoted(stated.value[:_SHOWN])}…"
        raise RuleError("W3", f"has {shown}", member)
