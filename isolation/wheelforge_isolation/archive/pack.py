"""Files of a directory into an archive: the same files give the same bytes."""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
from collections.abc import Iterable
from pathlib import Path

from wheelforge_isolation.files import fs

_LEVEL = 6


def pack_files(root: Path, paths: Iterable[Path], archive: Path, top: str) -> None:
    """Write a new ``archive`` with the files, links and directories ``paths`` below ``root``.

    They are below ``top`` in it, a `.tar.gz` file, with modes and times, but without owners.
    """
    with (
        fs.raising_file_errors("write", str(archive)),
        os.fdopen(fs.open_new_file(str(archive)), "wb") as file,
        gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed,
        tarfile.TarFile(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as members,
    ):
        for path in paths:
            name = f"{top}/{path.relative_to(root).as_posix()}"
            _add(members, path, name)


def _add(members: tarfile.TarFile, path: Path, name: str) -> None:
    status, info = path.lstat(), tarfile.TarInfo(name)
    info.mode, info.mtime = stat.S_IMODE(status.st_mode), int(status.st_mtime)
    if stat.S_ISLNK(status.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, path.readlink().as_posix()
    elif stat.S_ISDIR(status.st_mode):
        info.type = tarfile.DIRTYPE
    else:
        with path.open("rb") as content:
            info.size = os.fstat(content.fileno()).st_size
            members.addfile(info, content)
        return
    members.addfile(info)
