"""What a backend has made is looked at before anybody gets it.

What is merely odd in an archive from elsewhere is a fault in one that was just made: whoever could
mend it is near. How large it is does not matter, as nothing of it is written.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.models import Artifact, Kind
from wheelforge_isolation import ArchiveError, Limits, inspect_sdist, inspect_wheel
from wheelforge_isolation.errors import quoted
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import normalize_name, parse_version, read_releases
from wheelforge_isolation.formats.metadata import only_value, parse_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wheelforge.errors import ResultInvalidError
    from wheelforge_isolation import Note

_SUFFIXES = {
    Kind.SDIST: ".tar.gz",
    Kind.WHEEL: ".whl",
    Kind.EDITABLE: ".whl",
    Kind.METADATA: ".dist-info",
}
_FAULTS = {"W9", "Y2", "Y3", "Y5", "Y9"}
"""Notes about tags that contradict each other, and about more or less than one directory."""
_LONGEST_NAME = 255
_ANY_SIZE = Limits(
    total_bytes=sys.maxsize, member_bytes=sys.maxsize, members=sys.maxsize, ratio=sys.maxsize
)


class Result(NamedTuple):
    """What was made, and found to be what it should be."""

    artifact: Artifact
    """Of metadata: the file METADATA."""
    notes: tuple[str, ...] = ()
    """What is odd about it and was let pass."""


def check_result(
    kind: Kind, returned: object, directory: Path, *, name: str = "", version: str = ""
) -> Result:
    """Return what a hook has left in ``directory``, where it is whole and what was to be made.

    ``name`` and ``version`` are those of the source, as far as they are known.
    """
    path = check_built_name(kind, returned, directory)
    result = _inspect(kind, path)
    artifact = result.artifact
    if not _is_same_release(artifact, name, version):
        wanted = " ".join(filter(None, (name, version)))
        found = f"it is {artifact.name} {artifact.version}"
        raise _invalid(path.name, f"{found}, and the source is {wanted}")
    return result


def check_built_name(kind: Kind, returned: object, directory: Path) -> Path:
    """Return the path of what a hook says that it has left in ``directory``."""
    if not isinstance(returned, str) or PureWindowsPath(returned).name != returned:
        raise _invalid(repr(returned)[:_LONGEST_NAME], "that is no name of a file")
    suffix = _SUFFIXES[kind]
    if not returned.endswith(suffix):
        raise _invalid(returned[:_LONGEST_NAME], f"the name does not end in {suffix}")
    path = directory / returned
    is_there = os.path.isdir if kind is Kind.METADATA else os.path.isfile
    if not is_there(path):
        raise _invalid(returned[:_LONGEST_NAME], "there is nothing of that name and kind")
    return path


def read_release(content: bytes) -> tuple[str, str]:
    """Return the name and the version that a PKG-INFO states, or nothing if that fails."""
    from wheelforge.errors import ResultInvalidError

    try:
        return _read_release(content, "PKG-INFO", "the sdist")
    except ResultInvalidError:
        return "", ""


def read_metadata(wheel: Path) -> bytes:
    """Return the core metadata of the wheel in that file."""
    return inspect_wheel(wheel, _ANY_SIZE).metadata


def _inspect(kind: Kind, path: Path) -> Result:
    if kind is Kind.METADATA:
        return _inspect_metadata(path)
    try:
        return _inspect_sdist(path) if kind is Kind.SDIST else _inspect_wheel(kind, path)
    except ArchiveError as error:
        raise _invalid(path.name, f"{error.reason} [{error.rule}]") from error


def _inspect_wheel(kind: Kind, path: Path) -> Result:
    wheel = inspect_wheel(path, _ANY_SIZE)
    artifact = Artifact(
        kind=kind,
        path=path,
        name=wheel.name,
        version=wheel.version,
        size_bytes=wheel.size_bytes,
        sha256=wheel.sha256,
    )
    return Result(artifact=artifact, notes=tuple(_refuse_faults(path, wheel.notes)))


def _inspect_sdist(path: Path) -> Result:
    sdist = inspect_sdist(path, _ANY_SIZE)
    notes = _refuse_faults(path, sdist.notes)
    if sdist.metadata is None:
        raise _invalid(path.name, "its PKG-INFO is no file")
    name, version = _read_release(sdist.metadata, "PKG-INFO", path.name)
    artifact = Artifact(
        kind=Kind.SDIST,
        path=path,
        name=name,
        version=version,
        size_bytes=sdist.size_bytes,
        sha256=sdist.sha256,
    )
    notes += _judge_sdist_name(artifact)
    return Result(artifact=artifact, notes=tuple(notes))


def _judge_sdist_name(artifact: Artifact) -> Iterator[str]:
    """Refuse the name of another release; tell of one that is spelled as in olden times."""
    found = artifact.path.name
    stem = found.removesuffix(_SUFFIXES[Kind.SDIST])
    # Old backends leave hyphens in the name, and even in the version.
    releases = read_releases(stem)
    if not any(_is_same_release(artifact, name, str(version)) for name, version in releases):
        reason = f"its PKG-INFO is about {artifact.name} {artifact.version}"
        raise _invalid(found, reason)
    modern = f"{artifact.name.replace('-', '_')}-{artifact.version}{_SUFFIXES[Kind.SDIST]}"
    if found != modern:
        yield f"`{found}` should be called `{modern}`"


def _inspect_metadata(dist_info: Path) -> Result:
    from hashlib import sha256

    path = dist_info / "METADATA"
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = f"its METADATA cannot be read: {error.strerror}"
        raise _invalid(dist_info.name, reason) from error
    name, version = _read_release(content, "METADATA", dist_info.name)
    artifact = Artifact(
        kind=Kind.METADATA,
        path=path,
        name=name,
        version=version,
        size_bytes=len(content),
        sha256=sha256(content).hexdigest(),
    )
    return Result(artifact=artifact)


def _refuse_faults(path: Path, notes: Iterable[Note]) -> list[str]:
    """Return what may be told and no more."""
    for note in notes:
        if note.rule in _FAULTS:
            raise _invalid(path.name, str(note))
    return [str(note) for note in notes if note.is_warning]


def _read_release(content: bytes, file: str, result: str) -> tuple[str, str]:
    """Return the name and the version that core metadata states, in normal form."""
    fields = parse_fields(content)
    name, version = only_value(fields, "Name") or "", only_value(fields, "Version") or ""
    try:
        return normalize_name(name), str(parse_version(version))
    except FormatError as error:
        reason = f"its {file} states the name {quoted(name)} and the version {quoted(version)}"
        raise _invalid(result, reason) from error


def _is_same_release(artifact: Artifact, name: str, version: str) -> bool:
    try:
        if name and normalize_name(name) != artifact.name:
            return False
        wanted = parse_version(version or artifact.version)
    except FormatError:
        return False
    found = parse_version(artifact.version)
    # Some say in the version of a wheel what it was compiled for.
    return found == wanted or (wanted.local is None and parse_version(found.public) == wanted)


def _invalid(result: str, reason: str) -> ResultInvalidError:
    from wheelforge.errors import ResultInvalidError

    return ResultInvalidError(result, reason)
