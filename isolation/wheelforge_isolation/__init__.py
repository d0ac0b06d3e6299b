"""Staging, archives, wheel cache and environments: what a build stands on.

An installer with a resolver of its own uses this package alone. Everything public is named here;
importing the package imports nothing else until a name is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wheelforge_isolation._archive import Limits, Links, Note, Unpacked, unpack_archive
    from wheelforge_isolation._fs import deliver_file
    from wheelforge_isolation._layout import Layout, default_layout
    from wheelforge_isolation._staging import (
        Collection,
        Stage,
        collect_stages,
        open_stage,
        stage_name,
    )
    from wheelforge_isolation._unpack import unpack
    from wheelforge_isolation.errors import ForgeError, IsolationError

__all__ = [
    "Collection",
    "ForgeError",
    "IsolationError",
    "Layout",
    "Limits",
    "Links",
    "Note",
    "Stage",
    "Unpacked",
    "collect_stages",
    "default_layout",
    "deliver_file",
    "open_stage",
    "stage_name",
    "unpack",
    "unpack_archive",
]

_ROOMS = {
    "_archive": ("Limits", "Links", "Note", "Unpacked", "unpack_archive"),
    "_fs": ("deliver_file",),
    "_layout": ("Layout", "default_layout"),
    "_staging": ("Collection", "Stage", "collect_stages", "open_stage", "stage_name"),
    "_unpack": ("unpack",),
    "errors": ("ForgeError", "IsolationError"),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
