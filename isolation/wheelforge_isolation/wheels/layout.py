"""The rules W6, W10, W11 and W15: which part of an environment each file is for.

What lies at the root goes to one of two schemes, what lies in the one ``.data`` directory to the
scheme that its subdirectory names. Both ways may lead to one path: purelib and platlib are one
directory in nearly every environment, so they are taken for one when it comes to clashes.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from wheelforge_isolation.archive import RuleError
from wheelforge_isolation.errors import quoted

if TYPE_CHECKING:
    from wheelforge_isolation.archive import WheelZip
    from wheelforge_isolation.formats.file_names import WheelName

_DIST_INFO, _DATA = ".dist-info", ".data"
_INTERPRETER = re.compile(
    r"(?:python|pypy|graalpy)[0-9.]*t?d?w?(?:\.exe|\.bat|\.cmd)?", re.IGNORECASE
)


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
