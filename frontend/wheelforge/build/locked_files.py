"""The files of a lock: all of them fetched before they are needed, and sources among them."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from wheelforge.build.environments import raise_offline
from wheelforge.build.sources import FetchedSource, UrlSource
from wheelforge.resolve import candidate_of
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import normalize_name, parse_sdist_name
from wheelforge_isolation.formats.urls import local_path, without_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wheelforge.build.sources import RequirementSource
    from wheelforge.index import Index
    from wheelforge.resolve import Pin
    from wheelforge_isolation import Cache

_FETCHERS = 8


def keep_pins(pins: Sequence[Pin], index: Index, cache: Cache, *, is_offline: bool = False) -> int:
    """Put the files of ``pins`` into the cache, several at a time; return how many there are."""
    keep = partial(_keep, index, cache, is_offline=is_offline)
    with ThreadPoolExecutor(_FETCHERS) as pool:
        list(pool.map(keep, pins))
    return len(pins)


def keep_source(
    source: RequirementSource | UrlSource,
    pin: Pin,
    index: Index,
    cache: Cache,
    *,
    is_offline: bool = False,
) -> FetchedSource:
    """Return the locked sdist of ``source``; it stays in the cache while this process uses that."""
    if isinstance(source, UrlSource):
        pin = pin._replace(url=source.url)  # the lock has no credentials
    path = _keep(index, cache, pin, is_offline=is_offline)
    name, version = source.name and normalize_name(source.name), ""
    if not isinstance(source, UrlSource):
        with contextlib.suppress(FormatError):
            version = str(parse_sdist_name(pin.file_name, name).version)
    return FetchedSource(
        path=path,
        sha256=pin.sha256,
        url=without_secrets(pin.url),
        name=name,
        version=version,
    )


def _keep(index: Index, cache: Cache, pin: Pin, *, is_offline: bool) -> Path:
    """Put one file into the cache, unless it is there; return where it is."""
    fetch = partial(index.fetch, candidate_of(pin))
    if is_offline and local_path(pin.url) is None:
        fetch = partial(raise_offline, "the lock", pin.file_name)
    return cache.wheels.keep_file(pin.file_name, pin.sha256, fetch)
