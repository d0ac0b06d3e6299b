"""What a source tree says of how it is built."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from wheelforge.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LEGACY_REQUIRES = ("setuptools >= 40.8.0",)
_LEGACY_BACKEND = "setuptools.build_meta:__legacy__"
_KEYS = ("requires", "build-backend", "backend-path")
_OBJECT = re.compile(r"\w+(\.\w+)*(:\w+(\.\w+)*)?")
_ALIKE = 0.8


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
    notes: tuple[str, ...] = ()
    """What is odd about it."""


def read_project(root: Path) -> Project:
    """Return what the tree at ``root`` says; one that says nothing is built as in olden times."""
    content = _read_table(root)
    static = _as_table(content.get("project"))
    name, version = str(static.get("name", "")), str(static.get("version", ""))
    if "build-system" not in content:
        notes = _note_lookalike(content)
        return Project(root=root, name=name, version=version, notes=notes)
    table = _as_table(content["build-system"])
    _refuse_unknown(root, table)
    _validate(root)
    backend = table.get("build-backend", _LEGACY_BACKEND)
    if not _OBJECT.fullmatch(backend):
        raise _wrong(root, f"[build-system] `build-backend` names no module: {backend!r}")
    return Project(
        root=root,
        requires=tuple(table["requires"]),
        backend=backend,
        backend_path=tuple(table.get("backend-path", ())),
        name=name,
        version=version,
    )


def _validate(root: Path) -> None:
    """Have pypa/build look at ``[build-system]``."""
    from build import BuildException, ProjectBuilder

    try:
        ProjectBuilder(root)
    except (BuildException, ValueError) as error:
        # Of a backend's path pyproject-hooks says only that it is wrong.
        where = "`backend-path`: " if isinstance(error, ValueError) else ""
        raise _wrong(root, f"[build-system] {where}{error.args[0]}") from error


def _read_table(root: Path) -> dict[str, Any]:
    import tomllib

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


def _as_table(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _refuse_unknown(root: Path, table: dict[str, Any]) -> None:
    for key in sorted(table.keys() - set(_KEYS)):
        meant = _find_meant(key, _KEYS)
        reason = f", and `{meant}` was probably meant" if meant else ""
        raise _wrong(root, f"[build-system] `{key}` means nothing{reason}")


def _note_lookalike(content: dict[str, Any]) -> tuple[str, ...]:
    found = next((name for name in content if _find_meant(name, ["build-system"])), "")
    note = f"`[{found}]` in pyproject.toml is not read; `[build-system]` was probably meant"
    return (note,) if found else ()


def _find_meant(name: str, names: Sequence[str]) -> str:
    """Return the one of ``names`` that ``name`` may be a misspelling of, or nothing."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, names, n=1, cutoff=_ALIKE)), "")


def _wrong(root: Path, reason: str) -> SourceError:
    return SourceError("project-invalid", str(root / "pyproject.toml"), reason)
