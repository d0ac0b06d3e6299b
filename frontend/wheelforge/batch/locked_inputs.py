"""Locks of projects as inputs: `pylock.toml` (PEP 751) and `uv.lock`.

All that a lock would install and of which there is source is built, with the hashes that it states;
markers, groups and `requires-python` count as they do for an installer. Of a package that has
nothing but wheels there is nothing to build.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.build.sources import parse_source
from wheelforge.errors import SourceError
from wheelforge.overrides.toml_file import TomlFile
from wheelforge_isolation.formats.file_names import WHEEL_SUFFIX
from wheelforge_isolation.formats.requirements import admits_python
from wheelforge_isolation.formats.urls import local_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Key = tuple[str | int, ...]

_NAME = re.compile(r"uv\.lock|pylock\.([^.]+\.)?toml")
_HASHES = ("sha256:", "sha384:", "sha512:")


class LockedInput(NamedTuple):
    """A package of a lock, and what it is built from."""

    name: str
    """With its version, if that is stated."""
    source: Path | str | None = None
    """None: there are only wheels of it."""
    hashes: tuple[str, ...] = ()


def is_locked_file(path: Path) -> bool:
    """Return whether a file is, by its name, the lock of a project."""
    return _NAME.fullmatch(path.name) is not None


class LockedFile(TomlFile):
    """The file of such a lock."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "requirement-file-invalid")

    def select(self, markers: Mapping[str, str]) -> list[LockedInput]:
        """Return what the lock has for a Python with these ``markers``."""
        if self.path.name == "uv.lock":
            from wheelforge.batch.uv_locks import select
        else:
            from wheelforge.batch.pylocks import select
        return select(self, markers)

    def check_python(self, requires_python: str, markers: Mapping[str, str]) -> None:
        """Refuse a Python that the lock is not for."""
        version = markers["python_full_version"]
        if not admits_python(requires_python, version):
            reason = f"it is for Python {requires_python}, and this is {version}"
            raise self.error(reason, "requires-python")

    def make_archive(
        self, key: Key, name: str, place: str, hashes: Iterable[str], inside: str = ""
    ) -> LockedInput:
        """Return an archive at a URL or a path; ``inside`` it is the project."""
        if place.endswith(WHEEL_SUFFIX):
            return LockedInput(name)
        if inside:
            raise self.error(f"`{name}` is a part of an archive, which is not built", *key)
        known = tuple(text.lower() for text in hashes if text.lower().startswith(_HASHES))
        local = local_place(place)
        if local is not None:
            path = self._find(local)
            if not path.is_file():
                raise self.error(f"there is no file `{path}` for `{name}`", *key)
            return LockedInput(name, path, known)
        if not known:
            raise self.error(f"no SHA-256, SHA-384 or SHA-512 is stated of `{name}`", *key)
        return LockedInput(name, self._check(key, f"{name.split(maxsplit=1)[0]} @ {place}"), known)

    def make_directory(self, key: Key, name: str, *parts: str) -> LockedInput:
        """Return the directory of a project."""
        path = self._find(*parts)
        if not path.is_dir():
            raise self.error(f"there is no directory `{path}` for `{name}`", *key)
        return LockedInput(name, path)

    def make_checkout(
        self, key: Key, name: str, url: str, commit: str, subdirectory: str
    ) -> LockedInput:
        """Return a commit of a git repository, whose URL may be a path."""
        place = url if "://" in url else self._find(url).as_uri()
        inside = f"#subdirectory={subdirectory}" if subdirectory else ""
        text = f"{name.split(maxsplit=1)[0]} @ git+{place}@{commit}{inside}"
        return LockedInput(name, self._check(key, text))

    def _find(self, *parts: str) -> Path:
        return Path(os.path.normpath(self.path.parent.joinpath(*parts)))

    def _check(self, key: Key, text: str) -> str:
        try:
            parse_source(text)
        except SourceError as error:
            raise self.error(str(error), *key) from error
        return text
