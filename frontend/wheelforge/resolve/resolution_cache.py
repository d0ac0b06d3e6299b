"""Remembered resolutions: nothing is fetched, parsed or imported to give one again.

Each is one small file, named by the digest of its request. A local file that an answer names has
to be as it was; an answer that needs a local directory is never remembered, as it may change.
"""

from __future__ import annotations

import re
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelforge.errors import OfflineError
from wheelforge.resolve.types import Pin, Resolution
from wheelforge_isolation import JsonCache
from wheelforge_isolation.formats.urls import local_path, without_credentials, without_secrets

if TYPE_CHECKING:
    from os import stat_result

    from wheelforge.resolve.types import ResolutionRequest

    Times = list[int | None]

_MAX_AGE_SECONDS = 600.0
_FORMAT = "3"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")


class ResolutionCache:
    """The answers below one directory."""

    def __init__(
        self,
        directory: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._answers = JsonCache(directory, f"pins{_FORMAT}")
        self.clock = clock

    def get_or_resolve(
        self,
        request: ResolutionRequest,
        resolve: Callable[[ResolutionRequest], Resolution],
        *,
        offline: bool = False,
        refresh: bool = False,
    ) -> Resolution:
        """Return the remembered answer, whatever its age if ``offline``; else ``resolve`` anew."""
        # Local directories can be asked at any time, and may have changed.
        offline = offline and not request.is_local
        found = self.load(request, any_age=offline) if offline or not refresh else None
        if found is not None:
            return found
        if offline:
            what = f"Python {request.python.version}"
            if request.exclude_newer is not None:
                what = f"{what} and what there was at {request.exclude_newer.isoformat()}"
            raise OfflineError("not-remembered", request.requirements, request.subject, what)
        # Before it is resolved: what comes in meanwhile may have been overlooked.
        places = _read_times(request.places)
        resolution = resolve(request)
        self._write(request, resolution, places)
        return resolution

    def load(self, request: ResolutionRequest, *, any_age: bool = False) -> Resolution | None:
        """Return the answer, if it is known and not too old."""
        facts = self._answers.read(request.digest)
        if facts is None or facts["files"] != _stamp_files(facts["pins"]):
            return None
        # A negative age means that the clock was set back, so that the age is not known.
        is_young = 0 <= self.clock() - facts["time"] < _MAX_AGE_SECONDS
        if not any_age and not (is_young and facts["places"] == _read_times(request.places)):
            return None
        urls, pins = _find_urls(request), list[Pin]()
        for values in facts["pins"]:
            url = urls.get(values["url"], values["url"])
            tuples = {name: tuple(values[name]) for name in ("requested_by", "accepted")}
            facts_of_pin: dict[str, Any] = {**values, **tuples, "url": url}
            pins.append(Pin(**facts_of_pin))
        return Resolution(pins=tuple(pins), notes=tuple(facts["notes"]))

    def store(self, request: ResolutionRequest, resolution: Resolution) -> None:
        """Keep ``resolution`` as the answer, or in the place of the one that it completes."""
        facts = self._answers.read(request.digest)
        places = _read_times(request.places) if facts is None else facts["places"]
        self._write(request, resolution, places)

    def drop(self, request: ResolutionRequest) -> None:
        """Have no answer any longer."""
        self._answers.remove(request.digest)

    def _write(self, request: ResolutionRequest, resolution: Resolution, places: Times) -> None:
        """Keep ``resolution`` as the answer, unless it may change unseen."""
        pins: list[dict[str, Any]] = [pin._asdict() for pin in resolution.pins]
        files = _stamp_files(pins)
        if None in files:
            return
        urls = _find_urls(request)
        for pin in pins:
            bare = without_secrets(pin["url"])
            if without_credentials(urls.get(bare, bare)) != without_credentials(pin["url"]):
                return  # without its signature, the file cannot be asked for again
            pin["url"] = bare
        facts = {"pins": pins, "notes": resolution.notes, "files": files, "places": places}
        self._answers.write({**facts, "time": self.clock()}, request.digest)


def _find_urls(request: ResolutionRequest) -> dict[str, str]:
    """Return the URLs in a request by what they are without credentials."""
    texts = (*request.requirements, *request.constraints)
    urls = [url for text in texts for url in _URL.findall(text)]
    every = (*urls, *(url.partition("#")[0] for url in urls))
    return {without_secrets(url): url for url in every}


def _read_times(places: Sequence[str]) -> Times:
    """Return when something was last put into each directory, or taken out."""
    statuses = map(_read_status, places)
    return [status and status.st_mtime_ns for status in statuses]


def _stamp_files(pins: Sequence[dict[str, Any]]) -> list[list[int] | None]:
    paths = (local_path(pin["url"]) for pin in pins)
    statuses = [_read_status(path) for path in paths if path is not None]
    return [
        [status.st_size, status.st_mtime_ns] if status and stat.S_ISREG(status.st_mode) else None
        for status in statuses
    ]


def _read_status(path: str) -> stat_result | None:
    try:
        return Path(path).stat()
    except OSError:
        return None
