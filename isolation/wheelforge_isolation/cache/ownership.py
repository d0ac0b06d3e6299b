"""The owner of a cache: one that another user can change is never used.

A cache says which programs run next, so write access to it is as good as running programs as its
user. Before anything in it is believed, its root is looked at:

| the root belongs to | and | so the cache is |
|---|---|---|
| this user | its mode lets others in | made private, then used |
| this user | it is set up for a group (setgid, writable) | refused: caches are private |
| root | nobody else may write to it | read, and never written |
| anybody else, or root | others may write to it | not used |

Directories in it that somebody else made before it was private, and links in their places, which
may lead anywhere, are set aside. Where there are no owners, nothing is asked.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge_isolation.cache.layout import FOREIGN
from wheelforge_isolation.cache.records import parse_record, read_record
from wheelforge_isolation.errors import (
    CacheForeignError,
    CacheSharedError,
    CacheUnavailableError,
    FileAccessError,
    StageRootSharedError,
)
from wheelforge_isolation.files import fs
from wheelforge_isolation.files.staging import collect_stages

if TYPE_CHECKING:
    from collections.abc import Callable

    from wheelforge_isolation.cache.layout import Layout

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OWN_NAME = re.compile(r"leases|locks|[a-z]+-v\d+")
"""The directories that `Layout` names, in this release or another one."""
_GROUP_SHARED = stat.S_ISGID | stat.S_IWGRP
_visits = set[tuple[int, str]]()
"""Processes, and the directories of stages that they have visited."""


def claim_cache(layout: Layout, report: Callable[[str, str], None] | None = None) -> bool:
    """Make the cache ready, and return whether it may be written to.

    ``report`` is told of each entry that was set aside, and why. Raises `CacheForeignError` for a
    cache of another user and `CacheSharedError` for one that is set up for a group.
    """
    root = str(layout.root)
    status = _examine(root)
    if status is None:
        try:
            fs.ensure_private_directories(root)
        except FileAccessError as error:
            if type(error) is not FileAccessError:  # such as a full disk, which says it better
                raise
            raise CacheUnavailableError(root, error.problem) from error
    elif not _is_ours(status):
        if status.st_uid or status.st_mode & _OTHERS_WRITE:
            raise CacheForeignError(root, _name_of(status.st_uid), _name_of(os.geteuid()))
        return False
    elif not os.access(root, os.W_OK):  # a mount that can only be read
        return False
    elif hasattr(os, "geteuid"):
        _make_private(root, stat.S_IMODE(status.st_mode), report)
    layout.prepare()
    return True


def claim_stages(layout: Layout) -> None:
    """Make stages outside of the cache ready, and remove what dead processes left in them.

    Nothing else visits them: memory would stay full of what was left. Once in a process is enough,
    however often it opens the cache.
    """
    root = layout.stage_root
    if root is None:
        return
    fs.ensure_private_directories(str(root))
    status = _examine(str(root))
    if status is None or not _is_closed(status):
        raise StageRootSharedError(str(root))
    # A fork is a process of its own.
    if (visit := (os.getpid(), str(root))) not in _visits:
        _visits.add(visit)
        collect_stages(layout.stages)


def is_trusted(layout: Layout) -> bool:
    """Return whether what the cache says may be believed as it stands."""
    status = _examine(str(layout.root))
    return status is not None and _is_closed(status)


def is_recorded_program(layout: Layout, program: str) -> bool:
    """Return whether ``program`` is a file of an environment whose record is sound."""
    bucket = layout.environments
    try:
        shard, name, *inside = Path(program).relative_to(bucket.root / "trees").parts
    except ValueError:
        return False
    record = parse_record(read_record(bucket.record(name.partition(".")[0])))
    if record is None or record.tree != name or not name.startswith(shard):
        return False
    return os.sep.join(inside) in record.entries


def _examine(path: str) -> os.stat_result | None:
    with fs.raising_file_errors("examine", path):
        try:
            return os.stat(path)
        except FileNotFoundError:
            return None


def _is_ours(status: os.stat_result) -> bool:
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()


def _is_closed(status: os.stat_result) -> bool:
    is_open = hasattr(os, "geteuid") and status.st_mode & _OTHERS_WRITE
    return _is_ours(status) and not is_open


def _make_private(root: str, mode: int, report: Callable[[str, str], None] | None) -> None:
    """Close the cache to others, and set aside what they may have put there before."""
    if mode & _GROUP_SHARED == _GROUP_SHARED:
        raise CacheSharedError(root)
    if mode != fs.PRIVATE_MODE:
        fs.ensure_private_directory(root)
    with fs.raising_file_errors("examine", root), os.scandir(root) as entries:
        found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    for name, status in found:
        is_link = stat.S_ISLNK(status.st_mode)
        if not _OWN_NAME.fullmatch(name) or (_is_ours(status) and not is_link):
            continue
        reason = "it is a link" if is_link else f"it belongs to {_name_of(status.st_uid)}"
        path = os.path.join(root, name)
        # It may be another user's directory: that can be renamed where it is, and not removed.
        with contextlib.suppress(FileAccessError):
            fs.move(path, os.path.join(root, f"{FOREIGN}{name}-{fs.new_name()}"))
            if report is not None:
                report(path, f"{reason}; it was set aside")


def _name_of(user: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
