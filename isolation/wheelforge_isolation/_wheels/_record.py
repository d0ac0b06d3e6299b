"""The rules W1 to W5: RECORD names every file, with its true hash and size, and no other.

Every file is read once: its SHA-256 is needed anyway, to recognise the file later.
A row that spells a path oddly is taken for the path that it means, and a path has one row.
"""

from __future__ import annotations

import base64
import csv
import hashlib
from typing import TYPE_CHECKING, NamedTuple

from wheelforge_isolation.archive import Note, RuleError
from wheelforge_isolation.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wheelforge_isolation.archive import Member, WheelZip

_ALGORITHMS = {"sha256", "sha384", "sha512"}
_SHOWN = 12
"""How much of a hash a message shows."""
_COLUMNS = 3
_MOST_DIGITS = 20


class Row(NamedTuple):
    """What RECORD says of one file."""

    path: str
    algorithm: str
    """Empty if there is no hash."""
    digest: str
    size: int | None


def check_record(
    plain: WheelZip, dist_info: str, *, accept_unlisted: bool
) -> tuple[dict[str, str], list[Note]]:
    """Return the SHA-256 of every file, once RECORD has been found to agree with all of them."""
    record = f"{dist_info}/RECORD"
    if record not in plain.files:
        raise RuleError("W1", f"the wheel has no {quoted(record)}")
    rows = _read_rows(plain, record)
    signatures = [f"{record}.jws", f"{record}.p7s"]
    notes = [_describe_signature(path) for path in signatures if path in rows]
    unhashed = {record, *signatures}
    missing = [path for path in rows if path not in plain.files]
    if missing:
        raise RuleError("W2", f"RECORD lists {_count(missing)}, which the wheel does not have")
    unlisted = [path for path in plain.files if path not in rows and path not in signatures]
    if unlisted and not accept_unlisted:
        first = plain.files[unlisted[0]]
        raise RuleError("W2", f"is in the wheel but not in RECORD{_others(unlisted)}", first)
    notes += [
        Note(rule="W2", text=f"{plain.files[path]} is in the wheel but not in RECORD")
        for path in unlisted
    ]
    return dict(_check_files(plain, rows, unhashed)), notes


def _describe_signature(path: str) -> Note:
    return Note(rule="W5", text=f"RECORD lists {quoted(path)}, a signature of itself")


def _count(paths: list[str]) -> str:
    return f"{quoted(paths[0])}{_others(paths)}"


def _others(paths: list[str]) -> str:
    return f" (and {len(paths) - 1:,} more)" if len(paths) > 1 else ""


def _read_rows(plain: WheelZip, record: str) -> dict[str, Row]:
    """Return the rows of RECORD by the path that each means."""
    try:
        # Not at everything that Unicode calls a line: a row ends where csv says it does.
        lines = plain.read(record).decode("utf-8").split("\n")
        return _collect(map(_parse_row, csv.reader(line for line in lines if line.strip())))
    except UnicodeDecodeError as error:
        raise RuleError("W4", "RECORD is not UTF-8") from error
    except csv.Error as error:
        raise RuleError("W4", f"RECORD is no table ({error})") from error


def _parse_row(columns: list[str]) -> Row:
    if len(columns) != _COLUMNS:
        raise _odd_row(columns, f"it has {len(columns)} columns, not {_COLUMNS}")
    path, stated, size = columns
    algorithm, equals, digest = stated.partition("=")
    problem = ""
    if not path:
        problem = "it has no path"
    elif stated and not equals:
        problem = "its hash is not of the form algorithm=digest"
    elif stated and algorithm not in hashlib.algorithms_available:
        problem = f"nobody knows the algorithm {quoted(algorithm)}"
    elif size and not (size.isascii() and size.isdecimal() and len(size) <= _MOST_DIGITS):
        problem = "its size is no number"
    if problem:
        raise _odd_row(columns, problem)
    # Some have been written on Windows.
    return Row(path.replace("\\", "/"), algorithm, digest, int(size) if size else None)


def _odd_row(columns: list[str], problem: str) -> RuleError:
    return RuleError("W4", f"RECORD has the row {quoted(','.join(columns))}: {problem}")


def _collect(entries: Iterable[Row]) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for entry in entries:
        parts = [part for part in entry.path.split("/") if part not in {"", "."}]
        path = "/".join(parts)
        if entry.path.startswith("/"):
            raise RuleError("W4", f"RECORD lists the absolute path {quoted(entry.path)}")
        if ".." in parts:
            raise RuleError("W4", f"RECORD lists {quoted(entry.path)}, with a '..' component")
        if path in rows:
            raise RuleError("W4", f"RECORD lists {quoted(path)} twice")
        rows[path] = entry
    return rows


def _check_files(
    plain: WheelZip, rows: dict[str, Row], unhashed: set[str]
) -> Iterator[tuple[str, str]]:
    for path, member in plain.files.items():
        row = rows.get(path)
        if row is None:
            yield path, plain.contents.digest(member).hex()
        elif not row.algorithm and path not in unhashed:
            raise RuleError("W3", "has no hash in RECORD", member)
        else:
            yield path, _check_file(plain, member, row)


def _check_file(plain: WheelZip, member: Member, row: Row) -> str:
    if row.size not in {None, member.size}:
        says = f"and RECORD says {quoted(str(row.size))}"
        raise RuleError("W3", f"has {member.size:,} bytes, {says}", member)
    sha256 = found = plain.contents.digest(member)
    if not row.algorithm:
        return sha256.hex()
    if row.algorithm not in _ALGORITHMS:
        raise RuleError("W3", f"has only a {quoted(row.algorithm)} hash in RECORD", member)
    if row.algorithm != "sha256":
        found = _hash(plain, member, row.algorithm)
    text = base64.urlsafe_b64encode(found).decode("ascii").rstrip("=")
    if text != row.digest.rstrip("="):
        says = f"{row.algorithm} {text[:_SHOWN]}…, and RECORD says "
        raise RuleError("W3", f"has {says}{quoted(row.digest[:_SHOWN])}…", member)
    return sha256.hex()


def _hash(plain: WheelZip, member: Member, algorithm: str) -> bytes:
    digest = hashlib.new(algorithm)
    for chunk in plain.contents.chunks(member):
        digest.update(chunk)
    return digest.digest()
