"""A source tree: unpacked if it comes from an sdist, and how its pyproject.toml has it built."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple

from build import BuildException, ProjectBuilder

from wheelforge.errors import SourceError
from wheelforge_isolation import move, remove_tree, unpack
from wheelforge_isolation.formats.metadata import first_value, parse_fields
from wheelforge_isolation.formats.requirements import admits_python
from wheelforge_isolation.formats.tables import as_table
from wheelforge_isolation.formats.text import find_meant

if TYPE_CHECKING:
    from pathlib import Path

    from wheelforge.build.sources import FetchedSource
    from wheelforge.events import EventLog
    from wheelforge.models import BuildRequest

_LEGACY_REQUIRES = ("setuptools >= 40.8.0",)
_LEGACY_BACKEND = "setuptools.build_meta:__legacy__"
_KEYS = ("requires", "build-backend", "backend-path")
_OBJECT = re.compile(r"\w+(\.\w+)*(:\w+(\.\w+)*)?")
_ALIKE = 0.8
_DRAFT = ".wheelforge-unpacking"


class SourceTree(NamedTuple):
    """A directory to build, and what is known of the sdist that it comes from."""

    root: Path
    fetched: FetchedSource
    newest: int | None = None
    """The time of its newest file, if that is known and makes sense."""
    metadata: bytes = b""
    """The metadata in the archive; a hook may write over the file."""


def unpack_source(
    sdist: FetchedSource, place: Path, request: BuildRequest, events: EventLog
) -> SourceTree:
    """Return what is in ``sdist``, unpacked where the request wants it, or else in ``place``."""
    draft = place / "src" if request.tree is None else request.tree / _DRAFT
    with events.phase("unpack"):
        remove_tree(str(draft))
        unpacked = unpack(sdist.path, draft, links=request.links)
        root = unpacked.root
        if request.tree is not None:
            # Out of the draft, in the place of an older one of its name.
            root = request.tree / root.name
            remove_tree(str(root))
            move(str(unpacked.root), str(root))
            remove_tree(str(draft))
    events.note(*(str(note) for note in unpacked.notes if note.is_warning))
    try:
        metadata = (root / "PKG-INFO").read_bytes()
    except OSError:
        metadata = b""
    return SourceTree(root, sdist, unpacked.newest, metadata)


class Project(NamedTuple):
    """A source tree, and the `[build-system]` table of its pyproject.toml."""

    root: Path
    requires: tuple[str, ...] = _LEGACY_REQUIRES
    backend: str = _LEGACY_BACKEND
    backend_path: tuple[str, ...] = ()
    """Directories of the tree itself, where the backend is one of its own."""
    name: str = ""
    """As far as the table `[project]` says."""
    version: str = ""
    requires_python: str = ""
    """As that table says, too."""
    notes: tuple[str, ...] = ()
    """Oddities, for the user."""


def read_project(root: Path, label: str = "") -> Project:
    """Return what the tree at ``root`` says; one that says nothing is built as in olden times.

    With a ``label`` the tree is there for the build only, and errors have no path of it.
    """
    try:
        return _read_project(root)
    except SourceError as error:
        code, source, reason = error.args
        if not label:
            raise
        is_file = source != str(root)
        raise SourceError(
            code, label, f"pyproject.toml: {reason}" if is_file else reason
        ) from error


def _read_project(root: Path) -> Project:
    content = _read_pyproject(root)
    static = as_table(content.get("project"))
    name, version, python = (
        str(static.get(key, "")) for key in ("name", "version", "requires-python")
    )
    if "build-system" not in content:
        alike = [name for name in content if find_meant(name, ["build-system"], _ALIKE)][:1]
        note = "`[{}]` in pyproject.toml is not read; `[build-system]` was probably meant"
        notes = tuple(map(note.format, alike))
        return Project(root=root, name=name, version=version, requires_python=python, notes=notes)
    table = _check_build_system(root, as_table(content["build-system"]))
    return Project(
        root=root,
        requires=tuple(table["requires"]),
        backend=table.get("build-backend", _LEGACY_BACKEND),
        backend_path=tuple(table.get("backend-path", ())),
        name=name,
        version=version,
        requires_python=python,
    )


def check_python(project: Project, metadata: bytes, label: str, version: str) -> None:
    """Refuse a Python that the project, or the PKG-INFO of its sdist, does not admit."""
    wanted = project.requires_python or first_value(parse_fields(metadata), "Requires-Python")
    if wanted and not admits_python(wanted, version):
        raise SourceError("python-unsupported", label, wanted, version)


def _check_build_system(root: Path, table: dict[str, Any]) -> dict[str, Any]:
    """Return the table once pypa/build has looked at it, and we have at the rest."""
    for key in sorted(table.keys() - set(_KEYS)):
        meant = find_meant(key, _KEYS, _ALIKE)
        reason = f", and `{meant}` was probably meant" if meant else ""
        raise _wrong(root, f"[build-system] `{key}` means nothing{reason}")
    try:
        ProjectBuilder(root)
    except (BuildException, ValueError) as error:
        # Of a backend's path pyproject-hooks says only that it is wrong.
        where = "`backend-path`: " if isinstance(error, ValueError) else ""
        raise _wrong(root, f"[build-system] {where}{error.args[0]}") from error
    backend = table.get("build-backend", _LEGACY_BACKEND)
    if not _OBJECT.fullmatch(backend):
        raise _wrong(root, f"[build-system] `build-backend` names no module: {backend!r}")
    return table


def _read_pyproject(root: Path) -> dict[str, Any]:
    path = root / "pyproject.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not (root / "setup.py").is_file():
            raise SourceError(
                "project-invalid", str(root), "it has neither a `pyproject.toml` nor a `setup.py`"
            ) from None
        return {}
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _wrong(root, f"it cannot be read: {reason}") from error


def _wrong(root: Path, reason: str) -> SourceError:
    return SourceError("project-invalid", str(root / "pyproject.toml"), reason)
