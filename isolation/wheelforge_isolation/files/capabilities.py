"""Capabilities of a file system and of this process, found out by trying, and only when asked.

Trying beats knowing: NTFS and exFAT can be mounted on Linux, Linux directories can fold names, and
the right to make links on Windows depends on the user.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat
import sys
from collections.abc import Callable

from wheelforge_isolation.errors import FileAccessError, file_access_error
from wheelforge_isolation.files import fs

_ON_WINDOWS = os.name == "nt"
_FICLONE = 0x40049409
"""Linux' request to share the blocks of a file."""


class FilesystemCapabilities:
    """The file system under ``directory``, which must be private and writable."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    @functools.cached_property
    def has_links(self) -> bool:
        """Whether links are kept here: never on Windows, where it would depend on the user."""
        if _ON_WINDOWS:
            return False
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

    @functools.cached_property
    def sharing(self) -> str:
        """How a file gets a second place here: by ``reflink``, ``hard link`` or ``copy``."""
        paths = [os.path.join(self._directory, f"probe-share-{number}") for number in "12"]
        cloner = FileCloner()
        try:
            fs.create_file(paths[0], [b"x"])
            cloner(*paths)
        finally:
            for path in paths:
                fs.remove_file(path)
        return cloner.way

    def _takes(
        self, name: str, create: Callable[[str], None] = lambda path: fs.create_file(path, ())
    ) -> bool:
        path = os.path.join(self._directory, name)
        try:
            create(path)
        except FileAccessError:
            # The name may be invalid for unlink too; remove the file if it exists.
            with contextlib.suppress(FileAccessError):
                fs.remove_file(path)
            return False
        fs.remove_file(path)
        return True


class FileCloner:
    """Gives files a second place in the cheapest way that the file system has.

    Unless ``shares``, writing to one place never changes the other.
    """

    def __init__(self, *, shares: bool = True) -> None:
        self._ways: list[Callable[[str, str], None]] = [_clone_file, *[os.link] * shares]

    @property
    def way(self) -> str:
        """The cheapest way that has not failed so far."""
        if not self._ways:
            return "copy"
        return "reflink" if self._ways[0] is _clone_file else "hard link"

    def __call__(self, source: str, destination: str) -> None:
        """Put the file ``source`` to the new place ``destination`` as well."""
        while self._ways:
            try:
                return self._ways[0](source, destination)
            except FileExistsError as error:
                raise file_access_error("write", destination, error) from error
            except OSError as error:
                if error.errno == errno.EMLINK:
                    break  # of this one file there are as many links as there can be
                self._ways.pop(0)
        is_program = bool(os.stat(source).st_mode & stat.S_IXUSR)
        return fs.copy_file(source, destination, executable=is_program)


def _clone_file(source: str, destination: str) -> None:
    """Make a file that shares the blocks of ``source`` until one of the two is written to."""
    if sys.platform != "linux":
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    import fcntl

    with open(source, "rb") as file:
        descriptor = fs.open_new_file(destination)
        try:
            fcntl.ioctl(descriptor, _FICLONE, file.fileno())
            fs.copy_mode(source, descriptor)
        except OSError:
            os.unlink(destination)
            raise
        finally:
            os.close(descriptor)


def read_umask() -> int:
    """Return the permissions that new files of this process do not get."""
    errors = contextlib.suppress(OSError, StopIteration)
    with errors, open("/proc/self/status", "rb") as file:
        return int(next(line for line in file if line.startswith(b"Umask:")).split()[1], 8)
    # To ask the system is to change it, for all threads: a new file tells as well.
    with fs.temporary_directory() as place:
        descriptor = os.open(os.path.join(place, "file"), os.O_WRONLY | os.O_CREAT, 0o777)
        try:
            return 0o777 & ~os.fstat(descriptor).st_mode
        finally:
            os.close(descriptor)
