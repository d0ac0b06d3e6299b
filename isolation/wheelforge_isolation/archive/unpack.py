"""An archive into a directory of the user's: there in one piece, or not at all.

The archive is unpacked into a stage inside the destination and moved up by one rename. A killed
process leaves only that stage, which the next attempt recognises by its free lock and removes.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge_isolation.archive import DEFAULT_LIMITS, Unpacked, unpack_archive
from wheelforge_isolation.errors import DestinationNotEmptyError
from wheelforge_isolation.files import fs
from wheelforge_isolation.files.staging import collect_stages, open_stage

if TYPE_CHECKING:
    from wheelforge_isolation.archive.members import Limits, Links

_STAGE = ".wheelforge-unpacking-"
_LEFTOVER = re.compile(re.escape(_STAGE) + "[0-9a-f]{32}")


def unpack(
    archive: Path, destination: Path, *, links: Links | None = None, limits: Limits = DEFAULT_LIMITS
) -> Unpacked:
    """Unpack ``archive`` into ``destination``, which must be absent or empty.

    Afterwards it holds the archive's one top-level directory; after an error it is as it was.
    """
    name = _STAGE + fs.new_name()
    with _destination(destination), open_stage(destination, name) as stage:
        # The archive names its directory as it likes, even like the lock of our stage.
        workspace = stage.path / "tree"
        fs.create_directory(str(workspace), mode=fs.PRIVATE_MODE)
        unpacked = unpack_archive(archive, workspace, links=links, limits=limits)
        root = destination / unpacked.root.name
        fs.move(str(unpacked.root), str(root))
    return replace(unpacked, root=root)


@contextlib.contextmanager
def _destination(path: Path) -> Generator[None]:
    """Make sure that ``path`` is an empty directory; remove on error what was made for it."""
    made = [parent for parent in (path, *path.parents) if not os.path.lexists(parent)]
    try:
        for parent in reversed(made):
            fs.ensure_directory(str(parent))
        _raise_if_not_empty(path)
        yield
    except BaseException:
        for parent in made:
            fs.remove_empty_directory(str(parent))
        raise


def _raise_if_not_empty(path: Path) -> None:
    with fs.raising_file_errors("examine", str(path)):
        if not path.is_dir():
            raise DestinationNotEmptyError(str(path))
        names = os.listdir(path)
    # First of all: a process killed when its tree was up, and its stage not yet gone, left both.
    for name in filter(_LEFTOVER.fullmatch, names):
        collect_stages(path, name)
    if not all(map(_LEFTOVER.fullmatch, names)):
        raise DestinationNotEmptyError(str(path))
