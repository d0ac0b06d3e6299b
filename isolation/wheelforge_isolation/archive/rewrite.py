"""A wheel with other files in its .dist-info directory: all else stays, and RECORD is renewed."""

from __future__ import annotations

import base64
import csv
import functools
import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from wheelforge_isolation.files import fs

_CHUNK = 1 << 20


def change_wheel(wheel: Path, changes: Mapping[str, bytes]) -> None:
    """Give files in the ``.dist-info`` of a ``wheel``, which was found to be sound, these contents.

    Files that are new stand before RECORD, and have its time, mode and compression.
    """
    draft = wheel.with_name(f"{wheel.name}.{fs.new_name()}")
    with fs.raising_file_errors("write", str(wheel)), fs.spool(str(wheel.parent)) as spool:
        with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(spool, "w") as new:
            _copy(old, new, changes)
        spool.seek(0)
        fs.create_file(str(draft), iter(functools.partial(spool.read, _CHUNK), b""))
        fs.move(str(draft), str(wheel))


def _copy(old: zipfile.ZipFile, new: zipfile.ZipFile, changes: Mapping[str, bytes]) -> None:
    (record,) = (name for name in old.namelist() if name.endswith(".dist-info/RECORD"))
    directory = record.removesuffix("RECORD")
    changed = {f"{directory}{name}": content for name, content in changes.items()}
    added = [path for path in changed if path not in old.namelist()]
    signatures = {f"{record}.jws", f"{record}.p7s"}
    for info in old.infolist():
        if info.filename in signatures:
            continue  # of a RECORD that is no more
        content = changed.get(info.filename)
        if info.filename == record:
            for path in added:
                new.writestr(_like(info, path), changed[path])
            content = _renew_record(old.read(info), changed, signatures)
        new.writestr(info, old.read(info) if content is None else content)


def _like(info: zipfile.ZipInfo, path: str) -> zipfile.ZipInfo:
    """Return the header of a file beside ``info``."""
    made = zipfile.ZipInfo(path, info.date_time)
    made.compress_type, made.create_system = info.compress_type, info.create_system
    made.external_attr = info.external_attr
    return made


def _renew_record(record: bytes, changed: Mapping[str, bytes], signatures: set[str]) -> bytes:
    lines = csv.reader(io.StringIO(record.decode()))
    rows = {row[0]: row for row in lines if row and row[0] not in signatures}
    own = next((rows.pop(path) for path in [*rows] if path.endswith(".dist-info/RECORD")), None)
    for path, content in changed.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        rows[path] = [path, f"sha256={digest}", str(len(content))]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([*rows.values(), *filter(None, [own])])
    return text.getvalue().encode()
