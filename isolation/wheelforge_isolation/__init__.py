"""Staging, archives, wheel cache and environments: what a build stands on.

An installer with a resolver of its own uses this package alone. Everything public is named here;
importing the package imports nothing else until a name is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wheelforge_isolation._archive import Limits, Links, Note, Unpacked, unpack_archive
    from wheelforge_isolation._cache import Cache, open_cache
    from wheelforge_isolation._environment import Environment, EnvironmentStore, adopt_environment
    from wheelforge_isolation._fs import (
        copy_file,
        deliver_file,
        ensure_directory,
        replace_file,
    )
    from wheelforge_isolation._housekeeping import Bounds, Collected, collect_garbage
    from wheelforge_isolation._interpreter import Interpreter, find_interpreter
    from wheelforge_isolation._inventory import Entry, list_entries, measure_disk
    from wheelforge_isolation._layout import Layout, default_layout
    from wheelforge_isolation._shelf import Event
    from wheelforge_isolation._staging import (
        Collection,
        Stage,
        collect_stages,
        open_stage,
        stage_name,
    )
    from wheelforge_isolation._store import StoredWheel, WheelKey, WheelStore, read_wheel_key
    from wheelforge_isolation._unpack import unpack
    from wheelforge_isolation._verification import Problem
    from wheelforge_isolation.errors import ForgeError, IsolationError

__all__ = [
    "Bounds",
    "Cache",
    "Collected",
    "Collection",
    "Entry",
    "Environment",
    "EnvironmentStore",
    "Event",
    "ForgeError",
    "Interpreter",
    "IsolationError",
    "Layout",
    "Limits",
    "Links",
    "Note",
    "Problem",
    "Stage",
    "StoredWheel",
    "Unpacked",
    "WheelKey",
    "WheelStore",
    "adopt_environment",
    "collect_garbage",
    "collect_stages",
    "copy_file",
    "default_layout",
    "deliver_file",
    "ensure_directory",
    "find_interpreter",
    "list_entries",
    "measure_disk",
    "open_cache",
    "open_stage",
    "read_wheel_key",
    "replace_file",
    "stage_name",
    "unpack",
    "unpack_archive",
]

_ROOMS = {
    "_archive": ("Limits", "Links", "Note", "Unpacked", "unpack_archive"),
    "_cache": ("Cache", "open_cache"),
    "_environment": ("Environment", "EnvironmentStore", "adopt_environment"),
    "_fs": ("copy_file", "deliver_file", "ensure_directory", "replace_file"),
    "_housekeeping": ("Bounds", "Collected", "collect_garbage"),
    "_interpreter": ("Interpreter", "find_interpreter"),
    "_inventory": ("Entry", "list_entries", "measure_disk"),
    "_layout": ("Layout", "default_layout"),
    "_shelf": ("Event",),
    "_staging": ("Collection", "Stage", "collect_stages", "open_stage", "stage_name"),
    "_store": ("StoredWheel", "WheelKey", "WheelStore", "read_wheel_key"),
    "_unpack": ("unpack",),
    "_verification": ("Problem",),
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
