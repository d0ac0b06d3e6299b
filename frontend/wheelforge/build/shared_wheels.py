"""Built wheels in remote caches: found by the same keys as in the cache of this machine.

A key holds nothing of a machine but what a wheel may depend on. Values of variables that may be
secrets are in it as digests that no other machine can compute: such builds are not shared.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from wheelforge.build.key_document import encode_document, is_shareable
from wheelforge.hooks.sandbox.ladder import LEVELS
from wheelforge.models import Cause
from wheelforge.remote.record import MANIFEST, WHEEL, KeptFile, RemoteRecord
from wheelforge_isolation import ForgeError, WheelKey, open_new_file, remove_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from wheelforge.remote.cache import RemoteCaches
    from wheelforge.resolve import FetchPlan
    from wheelforge_isolation import BuiltWheel, Cache

    Document = dict[str, Any]
    Fetch = Callable[[WheelKey, str], None]

REMOTE = "remote"
"""The code of the cause of a wheel that was not built here."""
_KEPT = ("published", "backend", "notes", "companions", "requires")
"""The facts of a wheel that are so wherever it is used."""


class SharedWheels:
    """The built wheels of all remote caches, for all builds of one forge."""

    def __init__(self, caches: RemoteCaches, cache: Cache, least_sandbox: str) -> None:
        self._caches = caches
        self._cache = cache
        self._least_sandbox = least_sandbox
        self._told = False
        self._downloaded = set[WheelKey]()

    def find_manifest(self, known: Document, key: str) -> Document | None:
        """Return what an earlier build elsewhere was asked for, and was given."""
        if not is_shareable(known):
            return None
        found = self._caches.find(MANIFEST, key)
        if found is not None:
            self._caches.fill(found, {})
        return found and found.record.facts

    def find(self, key: str, document: Document, label: str) -> BuiltWheel | None:
        """Return the wheel of a build elsewhere that was the same, kept here from now on."""
        found = self._caches.find(WHEEL, key) if is_shareable(document) else None
        file = found and found.record.file
        if found is None or file is None:
            return None
        try:
            path = self._cache.wheels.keep_file(
                file.name, file.sha256, partial(self._fetch, file.sha256, file.size)
            )
            kept = {name: found.record.facts[name] for name in _KEPT}
            sentence = f"it was taken from the remote cache {found.place}"
            built = self._cache.built.store(
                key,
                path,
                {
                    **kept,
                    "document": document,
                    "cause": Cause(REMOTE, sentence)._asdict(),
                    "label": label,
                    "time": found.record.facts["time"],
                },
            )
        except (ForgeError, OSError, ValueError, KeyError):
            return None
        self._caches.fill(found, {file.sha256: path, key: encode_document(document)})
        notes = [*kept["notes"], f"taken from the remote cache {found.place}"]
        return built._replace(facts={**built.facts, "notes": notes})

    def share(
        self, key: str, built: BuiltWheel, manifest: RemoteRecord, sandbox: Mapping[str, object]
    ) -> None:
        """Have remote caches take a wheel that was just built in that ``sandbox``.

        The ``manifest`` has what its backend was asked for, under a key of its own.
        """
        document = built.facts["document"]
        if not self._caches.is_written or not is_shareable(document):
            return
        level = str(sandbox.get("level", "none"))
        if LEVELS.index(level) < LEVELS.index(self._least_sandbox):
            self._tell_of_sandbox(level)
            return
        wheel = built.key
        file = KeptFile(wheel.file_name, wheel.sha256, built.path.stat().st_size)
        facts = {name: built.facts[name] for name in (*_KEPT, "time")}
        self._caches.publish(
            RemoteRecord(WHEEL, key, {**facts, "sandbox": level}, file),
            {wheel.sha256: built.path, key: encode_document(document)},
        )
        self._caches.publish(manifest, {})

    def fetch(self, plan: FetchPlan, fetch: Fetch, key: WheelKey, path: str) -> None:
        """Fetch a wheel from a remote cache, or by ``fetch`` where none has it."""
        if not plan.is_downloaded(key):
            fetch(key, path)
            return
        try:
            self._fetch(key.sha256, 0, path)
        except OSError:
            remove_file(path)
            fetch(key, path)
            self._downloaded.add(key)

    def offer(self, keys: Iterable[WheelKey]) -> None:
        """Have remote caches take what was downloaded of these wheels, which are kept now."""
        for key in self._downloaded.intersection(keys) if self._caches.is_written else ():
            self._downloaded.discard(key)
            kept = self._cache.layout.file(key.sha256, key.file_name)
            self._caches.publish_file(key.sha256, kept)

    def _fetch(self, sha256: str, size: int, path: str) -> None:
        limits = (size,) if size else ()
        with os.fdopen(open_new_file(path), "wb") as output:
            if self._caches.fetch(sha256, output, *limits):
                return
        raise FileNotFoundError(path)

    def _tell_of_sandbox(self, level: str) -> None:
        if not self._told:
            self._told = True
            self._caches.note(
                "remote caches: wheels that were built in a sandbox of the level"
                f" `{level}` are not written to them (`--remote-sandbox {level}` has them written)"
            )
