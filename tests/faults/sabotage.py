"""Protocols that are wrong on purpose: a sweep that finds nothing in them proves nothing."""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from wheelforge_isolation import Unpacked, read_wheel_key, unpack_archive
from wheelforge_isolation.archive import unpack
from wheelforge_isolation.cache import built_wheels, trees
from wheelforge_isolation.cache.built_wheels import BuiltStore, BuiltWheel
from wheelforge_isolation.cache.layout import CacheBucket
from wheelforge_isolation.cache.records import Record
from wheelforge_isolation.files import atomic
from wheelforge_isolation.files.fs import ensure_directory

Facts: TypeAlias = "Mapping[str, object] | None"


def _write_records_in_place() -> None:
    """Give a record its name before it has its bytes."""

    _replace(trees, "publish", _publish_in_place)


def _publish_in_place(record: Record, bucket: CacheBucket, *_: object) -> None:
    path, content = bucket.record(record.key), record.to_bytes()
    ensure_directory(str(path.parent))
    with path.open("wb", buffering=0) as file:
        file.write(content[:100])
        file.write(content[100:])


def _write_built_records_in_place() -> None:
    """Do the same with the records of built wheels."""
    _replace(built_wheels, "publish", _publish_in_place)


def _write_built_records_first() -> None:
    """Let a record name a wheel that is not here yet."""
    store = BuiltStore.store

    def store_late(self: BuiltStore, key: str, wheel: Path, facts: Facts = None) -> BuiltWheel:
        own, its = vars(built_wheels), vars(self)
        about = {**asdict(read_wheel_key(wheel)), "facts": dict(facts or {})}
        record = Record(
            key=own["_name"](key), tree="", boot="", about=about, entries={}, digests=""
        )
        trees.publish(record, its["_layout"].built, its["_layout"], its["_lease"])
        return store(self, key, wheel, facts)

    _replace(BuiltStore, "store", store_late)


def _unpack_in_place() -> None:
    """Unpack where others look already."""

    def unpack_there(archive: Path, workspace: Path, **_: object) -> Unpacked:
        return unpack_archive(archive, workspace.parent.parent)

    def stay(*_: object) -> None:
        """Leave it where it is."""

    class Door:
        """Creates what it is asked to, and moves nothing."""

        def __getattr__(self, name: str) -> object:
            from wheelforge_isolation.files import fs

            found: object = getattr(fs, name)
            return stay if name == "move" else found

    _replace(unpack, "unpack_archive", unpack_there)
    _replace(unpack, "fs", Door())


def _deliver_in_place() -> None:
    """Let others see a file that is not all there."""

    def publish(path: Path, write: Callable[[int], None]) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        write(descriptor)
        os.close(descriptor)

    _replace(atomic, "_publish", publish)


def _replace(module: ModuleType | type, name: str, value: object) -> None:
    assert hasattr(module, name)
    setattr(module, name, value)


SABOTAGES: dict[str, Callable[[], None]] = {
    "records of built wheels in place": _write_built_records_in_place,
    "records before built wheels": _write_built_records_first,
    "records in place": _write_records_in_place,
    "unpacking in place": _unpack_in_place,
    "deliveries in place": _deliver_in_place,
}
