"""What a directory's file system can hold, found out by trying, once, and only when asked.

Trying beats knowing: NTFS and exFAT can be mounted on Linux, Linux directories can fold names, and
the right to make links on Windows depends on the user.
"""

from __future__ import annotations

import contextlib
import functools
import os
from typing import TYPE_CHECKING

from wheelforge_isolation.errors import FileAccessError
from wheelforge_isolation.files import fs

if TYPE_CHECKING:
    from collections.abc import Callable

_ON_WINDOWS = os.name == "nt"


def _create_empty(path: str) -> None:
    fs.create_file(path, ())


class FilesystemCapabilities:
    """The file system under ``directory``, which must be private and writable."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    @functools.cached_property
    def has_links(self) -> bool:
        """Whether links are kept here: never on Windows, where it would depend on the user."""
        return not _ON_WINDOWS and self._can_link()

    def _can_link(self) -> bool:
        return self._takes("probe-link", lambda path: fs.create_link(path, "x", to_directory=False))

    @functools.cached_property
    def folds_names(self) -> bool:
        """Whether names that differ only in case are one."""
        path = os.path.join(self._directory, "probe-case")
        try:
            fs.create_file(path, ())
            return os.path.exists(os.path.join(self._directory, "PROBE-CASE"))
        finally:
            fs.remove_file(path)

    @functools.cached_property
    def has_windows_names(self) -> bool:
        """Whether Windows' reserved names and characters are refused."""
        return _ON_WINDOWS or not self._takes("probe:name")

    @functools.cached_property
    def takes_raw_names(self) -> bool:
        """Whether a name may be any bytes, valid UTF-8 or not."""
        return self._takes("probe-\udcff")

    def _takes(self, name: str, create: Callable[[str], None] = _create_empty) -> bool:
        path = os.path.join(self._directory, name)
        try:
            create(path)
        except FileAccessError:
            # What is refused as a name cannot be removed by it either; what was begun has to go.
            with contextlib.suppress(FileAccessError):
                fs.remove_file(path)
            return False
        fs.remove_file(path)
        return True
