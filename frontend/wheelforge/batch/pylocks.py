"""A `pylock.toml` as inputs: `packaging` reads it, and selects as an installer would."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from packaging.pylock import (
    PackageArchive,
    PackageDirectory,
    PackageSdist,
    PackageVcs,
    Pylock,
    PylockSelectError,
    PylockValidationError,
)

from wheelforge.batch.locked_inputs import LockedInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.markers import Environment
    from packaging.pylock import Package, PackageWheel

    from wheelforge.batch.locked_inputs import Key, LockedFile

    Part = PackageVcs | PackageDirectory | PackageArchive | PackageWheel | PackageSdist

_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_NO_SDIST = PackageSdist(hashes={})
"""In the place of the sdist that a package does not have."""


def select(file: LockedFile, markers: Mapping[str, str]) -> list[LockedInput]:
    """Return what the lock has for a Python with these ``markers``."""
    try:
        lock = Pylock.from_dict(file.content)
    except PylockValidationError as error:
        place = error.context or ""
        key = [int(number) if number else name for number, name in _STEP.findall(place)]
        where = f"`{place}`: " if place else ""
        raise file.error(f"{where}{error.message}", *key) from error
    file.check_python(str(lock.requires_python or ""), markers)
    # Source is preferred, so no wheel is judged.
    packages = [
        replace(each, sdist=each.sdist or _NO_SDIST) if each.wheels else each
        for each in lock.packages
    ]
    numbers = {id(each): number for number, each in enumerate(packages)}
    try:
        chosen = replace(lock, packages=packages).select(
            environment=cast("Environment", markers),
            tags=(),
            prefer_sdist_predicate=lambda _: True,
        )
        return [
            _make_input(file, ("packages", numbers[id(package)]), package, part)
            for package, part in chosen
        ]
    except PylockSelectError as error:
        raise file.error(str(error)) from error


def _make_input(file: LockedFile, key: Key, package: Package, part: Part) -> LockedInput:
    name = f"{package.name} {package.version or ''}".strip()
    inside = getattr(part, "subdirectory", None) or ""
    if isinstance(part, PackageDirectory):
        return file.make_directory((*key, "directory"), name, part.path, inside)
    place = part.url or part.path or ""
    if isinstance(part, PackageVcs):
        if part.type != "git":
            reason = f"`{name}` is in a repository of `{part.type}`; only git is fetched"
            raise file.error(reason, *key, "vcs")
        return file.make_checkout((*key, "vcs"), name, place, part.commit_id, inside)
    if part is _NO_SDIST:
        return LockedInput(name)
    key = (*key, "archive" if isinstance(part, PackageArchive) else "sdist")
    hashes = [f"{algorithm}:{digest}" for algorithm, digest in part.hashes.items()]
    return file.make_archive(key, name, place, hashes, inside)
