"""A plan becomes files: directories first, links last, so that no write can go through a link."""

from __future__ import annotations

import os
import posixpath
import time
from typing import TYPE_CHECKING

from wheelforge_isolation.errors import DiskFullError
from wheelforge_isolation.files import fs

if TYPE_CHECKING:
    from wheelforge_isolation.archive.members import Plan
    from wheelforge_isolation.archive.spool import Contents

_EARLIEST = 315619200.0
"""1980-01-02: a zip, and so a wheel, cannot hold an earlier time in every time zone."""
_SPARE = 1.05


def write_plan(plan: Plan, contents: Contents, directory: str) -> None:
    """Write ``plan`` into ``directory``, which must be private and hold nothing of that name.

    A plan without a top-level directory needs an empty one; after an error the caller removes it.
    """
    needed, free = int(plan.total_bytes * _SPARE), fs.free_bytes(directory)
    if needed > free:
        raise DiskFullError("unpack into", directory, f"{needed:,} bytes needed, {free:,} free")
    root = fs.long_path(directory) + os.sep
    if not plan.top:
        _write_below(plan, contents, root)
        return
    fs.create_directory(root + plan.top)
    try:
        _write_below(plan, contents, root)
    except BaseException:
        fs.remove_tree(root + plan.top)
        raise


def _write_below(plan: Plan, contents: Contents, root: str) -> None:
    now = time.time()
    for path in plan.directories:
        if path != plan.top:
            fs.create_directory(root + path.replace("/", os.sep))
    for path, member in plan.files.items():
        fs.create_file(
            root + path.replace("/", os.sep),
            contents.chunks(member),
            executable=member.executable,
            mtime=_clamp_time(member.mtime, now),
        )
    for path, text in plan.links.items():
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), text))
        place = root + path.replace("/", os.sep)
        fs.create_link(place, text, to_directory=target in plan.directories)
    for path in reversed(plan.directories):
        mtime = _clamp_time(plan.directories[path], now)
        fs.settle_directory(root + path.replace("/", os.sep), mtime)


def _clamp_time(mtime: float | None, now: float) -> int:
    """Return ``mtime`` in whole seconds, moved to between 1980 and ``now``."""
    return int(now if mtime is None else min(max(mtime, _EARLIEST), now))
