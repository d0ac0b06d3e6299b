"""The order in which a directory lists its entries, which is another one on another file system."""

from __future__ import annotations

import os

from wheelforge_isolation.files import fs

_ASIDE = ".in-another-order"


def reorder_entries(root: str) -> bool:
    """Have ``root`` and all directories below it list their entries in another order.

    Many file systems list entries in the order, or against the order, in which they came. Others
    do not: then nothing changes. Return whether anything has; files and times stay as they are.
    """
    is_other = False
    with fs.raising_file_errors("order", root):
        for directory, _, _ in os.walk(root):
            status, before = os.stat(directory), os.listdir(directory)
            for names in (before[::-1], before):
                _add_again(directory, names)
                if os.listdir(directory) != before:
                    is_other = True
                    break
            os.utime(directory, ns=(status.st_atime_ns, status.st_mtime_ns))
    return is_other


def _add_again(directory: str, names: list[str]) -> None:
    aside = os.path.join(directory, _ASIDE)
    os.mkdir(aside)
    for name in names:
        os.rename(os.path.join(directory, name), os.path.join(aside, name))
    for name in names:
        os.rename(os.path.join(aside, name), os.path.join(directory, name))
    os.rmdir(aside)
