"""A wheel with another METADATA: every other member stays as it is, and RECORD is renewed."""

from __future__ import annotations

import base64
import csv
import functools
import hashlib
import io
import zipfile
from pathlib import Path

from wheelforge_isolation.files import fs

_CHUNK = 1 << 20


def replace_wheel_metadata(wheel: Path, metadata: bytes) -> None:
    """Give a ``wheel``, which was found to be sound, that METADATA."""
    draft = wheel.with_name(f"{wheel.name}.{fs.new_name()}")
    with fs.raising_file_errors("write", str(wheel)), fs.spool(str(wheel.parent)) as spool:
        with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(spool, "w") as new:
            (record,) = (name for name in old.namelist() if name.endswith(".dist-info/RECORD"))
            path = f"{record.removesuffix('RECORD')}METADATA"
            signatures = {f"{record}.jws", f"{record}.p7s"}
            for info in old.infolist():
                if info.filename in signatures:
                    continue  # of a RECORD that is no more
                content = old.read(info)
                if info.filename == path:
                    content = metadata
                elif info.filename == record:
                    content = _renew_record(content, path, metadata, signatures)
                new.writestr(info, content)
        spool.seek(0)
        fs.create_file(str(draft), iter(functools.partial(spool.read, _CHUNK), b""))
        fs.move(str(draft), str(wheel))


def _renew_record(record: bytes, path: str, content: bytes, signatures: set[str]) -> bytes:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    rows = [
        row for row in csv.reader(io.StringIO(record.decode())) if row and row[0] not in signatures
    ]
    renewed = [
        [path, f"sha256={digest}", str(len(content))] if row[0] == path else row for row in rows
    ]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(renewed)
    return text.getvalue().encode()
