"""The files of a lock, all of them fetched before they are needed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from wheelforge.build.environments import raise_offline
from wheelforge.resolve import candidate_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelforge.index import Index
    from wheelforge.resolve import Pin
    from wheelforge_isolation import Cache

_FETCHERS = 8


def keep_pins(pins: Sequence[Pin], index: Index, cache: Cache, *, is_offline: bool = False) -> int:
    """Put the files of ``pins`` into the cache, several at a time; return how many there are."""

    def keep(pin: Pin) -> None:
        fetch = partial(index.fetch, candidate_of(pin))
        if is_offline:
            fetch = partial(raise_offline, "the lock", pin.file_name)
        cache.wheels.keep_file(pin.file_name, pin.sha256, fetch)

    with ThreadPoolExecutor(_FETCHERS) as pool:
        list(pool.map(keep, pins))
    return len(pins)
