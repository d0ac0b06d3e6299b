"""Checks of what a backend has made, before it is delivered.

An oddity of an archive from elsewhere is a fault in one that was just made, as it can still be
mended. The size does not matter: nothing of it is written.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.errors import ResultInvalidError
from wheelforge.models import Artifact, Kind
from wheelforge_isolation import (
    UNLIMITED,
    ArchiveError,
    change_wheel,
    inspect_sdist,
    inspect_wheel,
    replace_file,
)
from wheelforge_isolation.errors import quoted
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import normalize_name, parse_version, read_releases
from wheelforge_isolation.formats.metadata import all_values, only_value, parse_fields
from wheelforge_isolation.formats.requirements import find_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wheelforge.build.attest import Attestor
    from wheelforge.overrides.model import Override
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


class Result(NamedTuple):
    """An artifact that is what it should be."""

    artifact: Artifact
    """Of metadata: the file METADATA."""
    notes: tuple[str, ...] = ()
    """Oddities that were let pass."""
    requires: tuple[str, ...] = ()
    """The names of what a wheel requires at run time, with extras and on any system."""


def check_result(
    kind: Kind, returned: object, directory: Path, *, name: str = "", version: str = ""
) -> Result:
    """Return what a hook has left in ``directory``, where it is whole and what was to be made.

    ``name`` and ``version`` are those of the source, as far as they are known.
    """
    path = check_built_name(kind, returned, directory)
    try:
        result = _inspect(kind, path)
    except ArchiveError as error:
        raise ResultInvalidError(path.name, f"{error.reason} [{error.rule}]") from error
    artifact = result.artifact
    if not _is_same_release(artifact, name, version):
        wanted = " ".join(filter(None, (name, version)))
        found = f"it is {artifact.name} {artifact.version}"
        raise ResultInvalidError(path.name, f"{found}, and the source is {wanted}")
    return result


def check_built_name(kind: Kind, returned: object, directory: Path) -> Path:
    """Return the path of what a hook says that it has left in ``directory``."""
    if not isinstance(returned, str) or PureWindowsPath(returned).name != returned:
        raise ResultInvalidError(repr(returned)[:_LONGEST_NAME], "that is no name of a file")
    suffix = _SUFFIXES[kind]
    if not returned.endswith(suffix):
        raise ResultInvalidError(returned[:_LONGEST_NAME], f"the name does not end in {suffix}")
    path = directory / returned
    is_there = os.path.isdir if kind is Kind.METADATA else os.path.isfile
    if not is_there(path):
        raise ResultInvalidError(returned[:_LONGEST_NAME], "there is nothing of that name and kind")
    return path


def read_release(content: bytes) -> tuple[str, str]:
    """Return the name and the version that a PKG-INFO states, or nothing if that fails."""
    try:
        return _read_release(content, "PKG-INFO", "the sdist")
    except ResultInvalidError:
        return "", ""


def read_metadata(wheel: Path) -> bytes:
    """Return the core metadata of the wheel in that file."""
    return inspect_wheel(wheel, UNLIMITED).metadata


def change_result(artifact: Artifact, override: Override | None, attestor: Attestor | None) -> bool:
    """Change an artifact as overrides and options have it; return whether they did."""
    is_changed = override is not None and _change_metadata(artifact, override)
    return (attestor is not None and attestor.embed(artifact)) or is_changed


def _change_metadata(artifact: Artifact, override: Override) -> bool:
    if artifact.kind is Kind.SDIST:
        return False
    from wheelforge.overrides.apply import change_metadata

    path, is_wheel = artifact.path, artifact.kind is not Kind.METADATA
    before = read_metadata(path) if is_wheel else path.read_bytes()
    after = change_metadata(override, before)
    if after == before:
        return False
    if is_wheel:
        change_wheel(path, {"METADATA": after})
    else:
        replace_file(str(path), after)
    return True


def _inspect(kind: Kind, path: Path) -> Result:
    if kind is Kind.SDIST:
        return _inspect_sdist(path)
    if kind is Kind.METADATA:
        return _inspect_metadata(path)
    wheel = inspect_wheel(path, UNLIMITED)
    release = (wheel.name, wheel.version)
    artifact = _make_artifact(kind, path, release, wheel.size_bytes, wheel.sha256)
    texts = all_values(parse_fields(wheel.metadata), "Requires-Dist")
    requires = tuple(sorted({*map(find_name, texts)} - {""}))
    return Result(artifact, tuple(_refuse_faults(path, wheel.notes)), requires)


def _make_artifact(
    kind: Kind, path: Path, release: tuple[str, str], size_bytes: int, sha256: str
) -> Artifact:
    name, version = release
    return Artifact(
        kind=kind, path=path, name=name, version=version, size_bytes=size_bytes, sha256=sha256
    )


def _inspect_sdist(path: Path) -> Result:
    sdist = inspect_sdist(path, UNLIMITED)
    notes = _refuse_faults(path, sdist.notes)
    if sdist.metadata is None:
        raise ResultInvalidError(path.name, "its PKG-INFO is no file")
    name, version = release = _read_release(sdist.metadata, "PKG-INFO", path.name)
    artifact = _make_artifact(Kind.SDIST, path, release, sdist.size_bytes, sdist.sha256)
    # Old backends leave hyphens in the name, and even in the version.
    releases = read_releases(path.name.removesuffix(_SUFFIXES[Kind.SDIST]))
    if not any(_is_same_release(artifact, other, str(number)) for other, number in releases):
        raise ResultInvalidError(path.name, f"its PKG-INFO is about {name} {version}")
    modern = f"{name.replace('-', '_')}-{version}{_SUFFIXES[Kind.SDIST]}"
    if path.name != modern:
        notes.append(f"`{path.name}` should be called `{modern}`")
    return Result(artifact=artifact, notes=tuple(notes))


def _inspect_metadata(dist_info: Path) -> Result:
    path = dist_info / "METADATA"
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = f"its METADATA cannot be read: {error.strerror}"
        raise ResultInvalidError(dist_info.name, reason) from error
    release = _read_release(content, "METADATA", dist_info.name)
    sha256 = hashlib.sha256(content).hexdigest()
    return Result(_make_artifact(Kind.METADATA, path, release, len(content), sha256))


def _refuse_faults(path: Path, notes: Iterable[Note]) -> list[str]:
    """Return what may be told and no more."""
    for note in notes:
        if note.rule in _FAULTS:
            raise ResultInvalidError(path.name, str(note))
    return [str(note) for note in notes if note.is_warning]


def _read_release(content: bytes, file: str, result: str) -> tuple[str, str]:
    fields = parse_fields(content)
    name, version = only_value(fields, "Name") or "", only_value(fields, "Version") or ""
    try:
        return normalize_name(name), str(parse_version(version))
    except FormatError as error:
        reason = f"its {file} states the name {quoted(name)} and the version {quoted(version)}"
        raise ResultInvalidError(result, reason) from error


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
