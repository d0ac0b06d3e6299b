"""Lock files: the files that builds needed, written down, and given again.

One lock holds any number of sources, each for any number of Pythons: one file serves the builds for
several. A source that a lock has for another Python is refused by name.

The file is a PEP 751 one. Each source is a dependency group of it, so that any installer that
knows the standard can make the environment of one source; two sources may need two versions of one
package. What the standard has no place for is in the table ``tool.wheelforge``: which requirements
were asked, those of the hooks included, and which files answered.

Neither credentials nor absolute paths get into it, nor anything that differs between two runs with
the same answers. Importing this package loads no parser.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge.lockfile.difference import list_differences
from wheelforge.lockfile.model import (
    Lock,
    LockedAnswer,
    LockedPython,
    LockedSource,
    Source,
    describe_python,
    merge_locks,
)
from wheelforge.lockfile.recorder import Recorder

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "Lock",
    "LockedAnswer",
    "LockedPython",
    "LockedSource",
    "Recorder",
    "Source",
    "check_lock_name",
    "describe_python",
    "list_differences",
    "merge_locks",
    "read_lock",
    "write_lock",
]


def check_lock_name(path: Path) -> None:
    """Refuse a path that no lock can be written to, as the standard names them."""
    from wheelforge.lockfile.writing import check_name

    check_name(path)


def read_lock(path: Path) -> Lock:
    """Return the lock in the file ``path``, which is absolute."""
    from wheelforge.lockfile.reading import read

    return read(path)


def write_lock(lock: Lock, path: Path) -> None:
    """Put ``lock`` into the file ``path``, which is absolute: all of it at once, or nothing."""
    from wheelforge.lockfile.writing import write

    write(lock, path)
