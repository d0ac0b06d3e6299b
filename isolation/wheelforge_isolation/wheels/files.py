"""The files of a wheel: the rules W1 to W6 about RECORD, and W6, W10, W11 and W15 about places.

RECORD names every file, with its true hash and size, and no other. Every file is read once: its
SHA-256 is needed anyway, to recognise the file later. A row that spells a path oddly is taken for
the path that it means, and a path has one row.

What lies at the root goes to one of two schemes, what lies in the one ``.data`` directory to the
scheme that its subdirectory names. Both ways may lead to one path: purelib and platlib are one
directory in nearly every environment, so they are taken for one when it comes to clashes.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import re
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from installer.records import Hash, InvalidRecordEntry, RecordEntry, parse_record_file

from wheelforge_isolation.archive.members import Member, Note, RuleError
from wheelforge_isolation.errors import quoted

if TYPE_CHECKING:
    from wheelforge_isolation.archive.wheel import WheelZip
    from wheelforge_isolation.formats.file_names import WheelName

_DIST_INFO, _DATA = ".dist-info", ".data"
_INTERPRETER = re.compile(
    r"(?:python|pypy|graalpy)[0-9.]*t?d?w?(?:\.exe|\.bat|\.cmd)?", re.IGNORECASE
)
_ALGORITHMS = {"sha256", "sha384", "sha512"}
_SHOWN = 12
"""How much of a hash a message shows."""
_MOST_DIGITS = 20


class Scheme(StrEnum):
    """Where in an environment a file goes."""

    PURELIB = "purelib"
    PLATLIB = "platlib"
    HEADERS = "headers"
    SCRIPTS = "scripts"
    DATA = "data"


_SITE = {Scheme.PURELIB, Scheme.PLATLIB}


class WheelFile(NamedTuple):
    """One file of a wheel: what it is, and where it goes."""

    size: int
    sha256: str
    executable: bool
    scheme: Scheme
    destination: str
    """The path below the scheme's directory, with forward slashes."""


def is_interpreter(name: str) -> bool:
    """Return whether a script of that name would stand in for the environment's interpreter."""
    return _INTERPRETER.fullmatch(name) is not None


def find_dist_info(archive: WheelZip, name: WheelName) -> str:
    """Return the one ``.dist-info`` directory, which must be about what the file name says."""
    tops = sorted({path.partition("/")[0] for path in (*archive.files, *archive.plan.directories)})
    # Tools that list installed distributions ignore case, so a second one in capitals counts.
    found = [top for top in tops if top.lower().endswith(_DIST_INFO)]
    if len(found) != 1:
        listed = ", ".join(map(quoted, found[:5])) or "none"
        raise RuleError("W6", f"expected one .dist-info directory, found {listed}")
    (dist_info,) = found
    if dist_info in archive.files:
        raise RuleError("W6", "is a file, not a directory", archive.files[dist_info])
    project, _, version = dist_info.removesuffix(_DIST_INFO).rpartition("-")
    if not name.is_release(project, version):
        raise RuleError("W6", f"{quoted(dist_info)} is not of {name.name} {name.version}")
    return dist_info


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


def lay_out_files(
    archive: WheelZip, hashes: dict[str, str], dist_info: str, root: Scheme
) -> dict[str, WheelFile]:
    """Return every file with its destination, when no two of them contend for one."""
    data = dist_info.removesuffix(_DIST_INFO) + _DATA
    _check_data_directories(archive, data)
    files: dict[str, WheelFile] = {}
    for path, member in archive.files.items():
        scheme, destination = root, path
        if path.startswith(f"{data}/"):
            _, key, *below = path.split("/", 2)
            if not below:
                raise RuleError("W10", "lies in .data and in no scheme", member)
            scheme, destination = Scheme(key), below[0]
        files[path] = WheelFile(member.size, hashes[path], member.executable, scheme, destination)
    if any(path != file.destination for path, file in files.items()):
        _check_foreign_names(archive, files, dist_info)
        _check_clashes(archive, files)
    return files


def _check_data_directories(archive: WheelZip, data: str) -> None:
    for path in archive.plan.directories:
        top, _, below = path.partition("/")
        if not top.endswith(_DATA):
            continue
        if top != data:
            raise RuleError("W10", f"{quoted(path)} is a .data directory that is not `{data}`")
        key, _, inner = below.partition("/")
        if key and key not in set(Scheme):
            raise RuleError("W10", f"{quoted(path)} is no scheme that a wheel may fill")
        if key == Scheme.SCRIPTS and inner:
            raise RuleError("W11", f"{quoted(path)} is a directory among the scripts")


def _check_foreign_names(archive: WheelZip, files: dict[str, WheelFile], dist_info: str) -> None:
    """Refuse what would become something else than files of this wheel once it is installed."""
    for path, file in files.items():
        top, _, rest = file.destination.partition("/")
        if file.scheme in _SITE and top.lower().endswith(_DIST_INFO) and top != dist_info:
            raise RuleError("W6", "would be installed as another distribution", archive.files[path])
        is_script = file.scheme is Scheme.SCRIPTS
        is_program = file.scheme is Scheme.DATA and top.lower() in {"bin", "scripts"}
        if is_interpreter(rest if is_program else top) and (is_script or is_program):
            raise RuleError("W13", "has the name of an interpreter", archive.files[path])


def _check_clashes(archive: WheelZip, files: dict[str, WheelFile]) -> None:
    """Refuse two contents for one path, and a path that is file and directory at once."""
    taken: dict[str, str] = {}
    for path, file in files.items():
        if file.scheme not in _SITE:
            continue
        twin = taken.setdefault(file.destination, path)
        if files[twin].sha256 != file.sha256 or files[twin].executable != file.executable:
            reason = f"and {archive.files[twin]} go to one place with different content"
            raise RuleError("W15", reason, archive.files[path])
    for destination, path in taken.items():
        for parent in PurePosixPath(destination).parents:
            other = taken.get(str(parent))
            if other is not None:
                reason = f"goes below {archive.files[other]}, which is a file"
                raise RuleError("W15", reason, archive.files[path])
