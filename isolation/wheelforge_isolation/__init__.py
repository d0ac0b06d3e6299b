"""Staging, archives, wheel cache and environments: what a build stands on.

An installer with a resolver of its own uses this package alone. Everything public is named here;
importing the package imports nothing else until a name is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wheelforge_isolation._built import BuiltStore
    from wheelforge_isolation._cache import Cache, open_cache
    from wheelforge_isolation._drafts import deliver_file, replace_file
    from wheelforge_isolation._environment import Environment, EnvironmentStore, adopt_environment
    from wheelforge_isolation._fs import (
        copy_file,
        digest,
        ensure_directory,
        move,
        remove_tree,
        temporary_directory,
        translated,
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
    from wheelforge_isolation._turns import Holder, wait_for_turn
    from wheelforge_isolation._unpack import unpack
    from wheelforge_isolation._verification import Problem
    from wheelforge_isolation._wheels import InspectedWheel, inspect_wheel, load_readers
    from wheelforge_isolation.archive import (
        InspectedSdist,
        Limits,
        Links,
        Note,
        Unpacked,
        inspect_sdist,
        unpack_archive,
    )
    from wheelforge_isolation.errors import ArchiveError, ForgeError, IsolationError

__all__ = [
    "ArchiveError",
    "Bounds",
    "BuiltStore",
    "Cache",
    "Collected",
    "Collection",
    "Entry",
    "Environment",
    "EnvironmentStore",
    "Event",
    "ForgeError",
    "Holder",
    "InspectedSdist",
    "InspectedWheel",
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
    "digest",
    "ensure_directory",
    "find_interpreter",
    "inspect_sdist",
    "inspect_wheel",
    "list_entries",
    "load_readers",
    "measure_disk",
    "move",
    "open_cache",
    "open_stage",
    "read_wheel_key",
    "remove_tree",
    "replace_file",
    "stage_name",
    "temporary_directory",
    "translated",
    "unpack",
    "unpack_archive",
    "wait_for_turn",
]

_ROOMS = {
    "archive": (
        "InspectedSdist",
        "Limits",
        "Links",
        "Note",
        "Unpacked",
        "inspect_sdist",
        "unpack_archive",
    ),
    "_built": ("BuiltStore",),
    "_cache": ("Cache", "open_cache"),
    "_drafts": ("deliver_file", "replace_file"),
    "_environment": ("Environment", "EnvironmentStore", "adopt_environment"),
    "_fs": (
        "copy_file",
        "digest",
        "ensure_directory",
        "move",
        "remove_tree",
        "temporary_directory",
        "translated",
    ),
    "_housekeeping": ("Bounds", "Collected", "collect_garbage"),
    "_interpreter": ("Interpreter", "find_interpreter"),
    "_inventory": ("Entry", "list_entries", "measure_disk"),
    "_layout": ("Layout", "default_layout"),
    "_shelf": ("Event",),
    "_staging": ("Collection", "Stage", "collect_stages", "open_stage", "stage_name"),
    "_store": ("StoredWheel", "WheelKey", "WheelStore", "read_wheel_key"),
    "_turns": ("Holder", "wait_for_turn"),
    "_unpack": ("unpack",),
    "_verification": ("Problem",),
    "_wheels": ("InspectedWheel", "inspect_wheel", "load_readers"),
    "errors": ("ArchiveError", "ForgeError", "IsolationError"),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
