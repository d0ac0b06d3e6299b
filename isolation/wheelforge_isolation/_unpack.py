"""An archive into a directory of the user's: there in one piece, or not at all.

The archive is unpacked into a stage inside the destination and moved up by one rename. A killed
process leaves only that stage, which the next attempt recognises by its free lock and removes.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from wheelforge_isolation import _fs
from wheelforge_isolation._archive import DEFAULT_LIMITS, Limits, Links, Unpacked, unpack_archive
from wheelforge_isolation._staging import collect_stages, open_stage
from wheelforge_isolation.errors import DestinationNotEmptyError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_STAGE = ".wheelforge-unpacking"


def unpack(
    archive: Path,
    destination: Path,
    *,
    links: Links | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Unpacked:
    """Unpack ``archive`` into ``destination``, which must be absent or empty.

    Afterwards it holds the archive's one top-level directory; after an error it is as it was.
    """
    with _destination(destination), open_stage(destination, _STAGE) as stage:
        unpacked = unpack_archive(archive, stage.path, links=links, limits=limits)
        root = destination / unpacked.root.name
        _fs.move(str(unpacked.root), str(root))
    return replace(unpacked, root=root)


@contextlib.contextmanager
def _destination(path: Path) -> Generator[None]:
    """Make sure that ``path`` is an empty directory; remove on error what was made for it."""
    made = [parent for parent in (path, *path.parents) if not os.path.lexists(parent)]
    try:
        for parent in reversed(made):
            _fs.ensure_directory(str(parent))
        _refuse_full(path)
        yield
    except BaseException:
        for parent in made:
            _fs.remove_empty_directory(str(parent))
        raise


def _refuse_full(path: Path) -> None:
    if not path.is_dir():
        raise DestinationNotEmptyError(str(path))
    with _fs.translated("examine", str(path)):
        names = os.listdir(path)
    if not all(name.startswith(_STAGE) for name in names):
        raise DestinationNotEmptyError(str(path))
    collect_stages(path, _STAGE, kept_days=0)
