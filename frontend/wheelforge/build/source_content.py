"""The bytes that a wheel is built from, as key documents have them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from wheelforge_isolation import digest
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import parse_sdist_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wheelforge.build.sources import FetchedSource


class SourceContent(Protocol):
    """The bytes that a wheel is built from."""

    @property
    def names(self) -> Iterable[str]:
        """The files, if it is a directory."""
        ...

    def describe(self, *, with_history: bool) -> dict[str, Any]:
        """Return what a key document has of them, and of the history of their repository."""
        ...

    def is_unchanged(self) -> bool:
        """Return whether they are still the same."""
        ...


class SdistContent(NamedTuple):
    """An sdist, known by its hash."""

    fetched: FetchedSource

    @property
    def names(self) -> Iterable[str]:
        """Nothing: they are looked at where it is unpacked."""
        return ()

    def describe(self, *, with_history: bool) -> dict[str, Any]:
        """Return what a key document has of it, which is of no repository."""
        del with_history
        return {"sha256": self.fetched.sha256}

    def is_unchanged(self) -> bool:
        """Return whether no other file has taken its place since it was hashed."""
        try:
            return digest(self.fetched.path) == self.fetched.sha256
        except OSError:
            return False


def find_project(fetched: FetchedSource) -> str:
    """Return the name of the project, normalised, as far as it is known before a build."""
    if not fetched.sha256:
        from wheelforge.overrides.apply import identify

        return identify(fetched.path, b"")[0]
    with contextlib.suppress(FormatError):
        return fetched.name or parse_sdist_name(fetched.path.name).name
    return ""
