"""The Y rules about what an sdist says of itself: directory, metadata, project files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wheelforge_isolation._archive._members import Note
from wheelforge_isolation._archive._refusal import RuleError
from wheelforge_isolation.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wheelforge_isolation._archive._members import Contents, Plan

_FIELD = re.compile(r"^(Metadata-Version|Name|Version|License-File): *(.*?) *$", re.MULTILINE)
_RELEASE = re.compile(r"(?P<name>.+?)-(?P<version>[0-9].*)")


def judge_sdist(plan: Plan, stem: str, contents: Contents) -> Iterator[Note]:
    """Hold the plan against the archive's name and against its own metadata."""
    if plan.top != stem and not _is_same_release(plan.top, stem):
        text = f"the top-level directory is {quoted(plan.top)}, not {quoted(stem)}"
        yield Note(rule="Y3", text=text)
    has_project = any(f"{plan.top}/{name}" in plan.files for name in ("pyproject.toml", "setup.py"))
    member = plan.files.get(f"{plan.top}/PKG-INFO")
    if member is None:
        yield Note(rule="Y5", text="the archive has no PKG-INFO")
    elif not has_project:
        raise RuleError("Y6", f"no pyproject.toml or setup.py in {quoted(plan.top)}")
    else:
        text = b"".join(contents.chunks(member)).decode("utf-8", "replace")
        yield from _judge_metadata(plan, stem, text.replace("\r\n", "\n").partition("\n\n")[0])
    if not has_project:
        yield Note(rule="Y6", text=f"no pyproject.toml or setup.py in {quoted(plan.top)}")


def _judge_metadata(plan: Plan, stem: str, header: str) -> Iterator[Note]:
    found = _FIELD.findall(header)
    fields = dict(found)
    version = _minor_version(fields.get("Metadata-Version", ""))
    release = "-".join(fields[key] for key in ("Name", "Version") if key in fields)
    if _RELEASE.fullmatch(stem) and release and not _is_same_release(release, stem):
        text = f"PKG-INFO is about {quoted(release)}"
        if version >= (2, 2):
            raise RuleError("Y4", text)
        yield Note(rule="Y4", text=text)
    for key, value in found if version >= (2, 4) else ():
        if key == "License-File" and f"{plan.top}/{value}" not in plan.files:
            yield Note(rule="Y8", text=f"the licence file {quoted(value)} is missing")


def _minor_version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdecimal())


def _is_same_release(one: str, other: str) -> bool:
    """Return whether two ``name-version`` texts mean one release of one project."""
    if one == other:
        return True
    return _split_release(one) == _split_release(other)


def _split_release(text: str) -> tuple[str, object]:
    from packaging.utils import canonicalize_name
    from packaging.version import InvalidVersion, Version

    match = _RELEASE.fullmatch(text)
    if match is None:
        return canonicalize_name(text), None
    name, version = match.group("name", "version")
    try:
        return canonicalize_name(name), Version(version)
    except InvalidVersion:
        return canonicalize_name(name), version
