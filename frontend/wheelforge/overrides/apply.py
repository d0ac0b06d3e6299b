"""Overrides at work: on a tree that was just unpacked, and on the wheel that was built of it."""

from __future__ import annotations

import contextlib
import re
import tomllib
from typing import TYPE_CHECKING, Any

from wheelforge.overrides.patches import apply_patch
from wheelforge_isolation import change_tree, read_tree_file
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import normalize_name, parse_sdist_name, parse_version
from wheelforge_isolation.formats.metadata import all_values, only_value, parse_fields
from wheelforge_isolation.formats.requirements import find_requirement, is_exact

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from wheelforge.overrides.model import Override, Overrides

_PATCHES, _DELETE = ("patches",), ("delete",)
_REQUIRES = ("metadata", "requires-dist")
_FIELDS = {
    "requires-dist": "Requires-Dist",
    "requires-python": "Requires-Python",
    "summary": "Summary",
    "classifiers": "Classifier",
    "provides-extra": "Provides-Extra",
}


def change_source(
    overrides: Overrides, root: Path, metadata: bytes, markers: Mapping[str, str], *, is_sdist: bool
) -> tuple[Override, list[str]]:
    """Return what is in force for a source, applied to its tree, and what is to be said of it.

    ``metadata`` is its PKG-INFO, if it has one. A directory is built where it is, and its files
    are left alone.
    """
    name, version = identify(root, metadata)
    override = overrides.find(name, version, markers)
    if override.value("build") == "never":
        raise override.fail("it is never built", "build")
    notes = list(map(str, override.list_applied()))
    files = [key for key in (_PATCHES, _DELETE) if key in override.values]
    if is_sdist:
        notes += _change_files(override, root) if files else []
    elif any(not override.forgives(*key) for key in files):
        raise override.fail("the files of a directory are not changed, only an sdist's", *files[0])
    return override, notes


def identify(root: Path, metadata: bytes) -> tuple[str, str]:
    """Return the release that a source is of: by PKG-INFO, `[project]` or the directory's name."""
    fields = parse_fields(metadata)
    name, version = only_value(fields, "Name"), only_value(fields, "Version")
    if not name:
        project = _read_project(read_tree_file(root, "pyproject.toml"))[0]
        name, version = (str(project.get(key, "")) for key in ("name", "version"))
    with contextlib.suppress(FormatError):
        if name:
            return normalize_name(name), str(parse_version(version)) if version else ""
        found = parse_sdist_name(f"{root.name}.tar.gz")
        return found.name, str(found.version)
    return "", ""


def identify_source(source: Path | str, label: str) -> tuple[str, str]:
    """Return the release that a source is of, as far as its name or project tells."""
    if not isinstance(source, str) and source.is_dir():
        return identify(source, b"")
    with contextlib.suppress(FormatError):
        found = parse_sdist_name(label)
        return found.name, str(found.version)
    requirement = find_requirement(label)
    if requirement is None:
        return "", ""
    exact = [each.version for each in requirement.specifier if is_exact(requirement.specifier)]
    with contextlib.suppress(FormatError):
        return normalize_name(requirement.name), str(parse_version(exact[0])) if exact else ""
    return "", ""


def _change_files(override: Override, root: Path) -> list[str]:
    """Apply patches to a fresh tree and delete files; return what is odd about that."""
    changes: dict[str, bytes | None] = {}

    def read(name: str) -> bytes | None:
        return changes[name] if name in changes else read_tree_file(root, name)

    with _explained(override, _PATCHES):
        patched = override.values.get(_PATCHES)
        for content in patched.setting.contents if patched else ():
            changes |= apply_patch(content, read)
    with _explained(override, _DELETE):
        for name in override.texts(*_DELETE):
            if read(name) is not None:
                changes[name] = None
            elif not override.forgives(*_DELETE):
                raise ValueError(f"there is no file `{name}`")
    before = _read_project(read_tree_file(root, "pyproject.toml"))
    notes = _warn(before, changes.get("pyproject.toml"), root)
    with _explained(override, _PATCHES if patched else _DELETE):
        change_tree(root, changes)
    return notes


@contextlib.contextmanager
def _explained(override: Override, key: tuple[str, ...]) -> Generator[None]:
    try:
        yield
    except ValueError as error:
        raise override.fail(str(error), *key) from error


def _warn(before: tuple[dict[str, object], str], content: bytes | None, root: Path) -> list[str]:
    """Return a note about a change of metadata that hatchling would not heed."""
    if content is None or not (root / "PKG-INFO").exists():
        return []
    table, backend = _read_project(content)
    if table == before[0] or not backend.startswith("hatchling"):
        return []
    taken = "a patch changes `[project]` in pyproject.toml, and hatchling reads PKG-INFO instead"
    return [f"{taken}: use `metadata` of the overrides, or delete PKG-INFO too"]


def _read_project(content: bytes | None) -> tuple[dict[str, object], str]:
    """Return the table `[project]` of a pyproject.toml, and the name of the backend."""
    try:
        tables: dict[str, Any] = tomllib.loads((content or b"").decode())
        backend = tables.get("build-system", {}).get("build-backend", "")
        return dict(tables.get("project", {})), str(backend)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}, ""


def change_metadata(override: Override, metadata: bytes) -> bytes:
    """Return the METADATA of a wheel with some of its fields changed; all else stays as it is."""
    fields = parse_fields(metadata)
    for key, field in _FIELDS.items():
        path, before = ("metadata", key), all_values(fields, field)
        if not any(each[:2] == path for each in override.values):
            continue
        if path == _REQUIRES:
            override.check_used(before, (), *path)
            kept = override.change(before, *path)
            after = [text for text in before if text in kept] + sorted(kept - {*before})
        elif path in override.values:
            after = [str(override.value(*path))]
            if after == before and not override.forgives(*path):
                raise override.fail("the metadata has just that", *path)
        else:
            after = _change_list(override, before, path)
        metadata = _put(metadata, field, after)
    return metadata


def _change_list(override: Override, before: list[str], path: tuple[str, ...]) -> list[str]:
    added, removed = (override.texts(*path, name) for name in ("add", "remove"))
    useless = {"add": {*added} & {*before}, "remove": {*removed} - {*before}}
    for name, texts in useless.items():
        for text in sorted(texts):
            if not override.forgives(*path, name):
                is_there = "has" if name == "add" else "has no"
                raise override.fail(f"the metadata {is_there} `{text}`", *path, name)
    return [text for text in dict.fromkeys([*before, *added]) if text not in removed]


def _put(metadata: bytes, field: str, values: list[str]) -> bytes:
    """Return metadata that has these values of a field and no others."""
    head, separator, body = metadata.replace(b"\r\n", b"\n").partition(b"\n\n")
    pattern = rf"(?im)^{field}:.*\n(?:[ \t].*\n)*".encode()
    fields = re.sub(pattern, b"", head.rstrip(b"\n") + b"\n")
    added = "".join(f"{field}: {text}\n" for text in values).encode()
    return fields + added + separator[1:] + body
