"""Remembered answers: nothing is fetched, parsed or imported to give one again.

Each is one small file, named by the digest of its question. A local file that an answer names has
to be as it was; an answer that needs a local directory is never remembered, as it may change.
"""

from __future__ import annotations

import re
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from wheelforge.errors import OfflineError
from wheelforge.resolve.types import Pin, Resolution
from wheelforge_isolation import JsonCache
from wheelforge_isolation.formats.urls import local_path, without_credentials, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wheelforge.resolve.types import Question

MAX_AGE_SECONDS = 600.0
_FORMAT = "2"
_TUPLES = ("requested_by", "accepted")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")

Stamps: TypeAlias = "list[int | None]"


class Memory:
    """The answers below one directory."""

    def __init__(
        self,
        directory: Path,
        max_age_seconds: float = MAX_AGE_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._answers = JsonCache(directory, f"pins{_FORMAT}")
        self.max_age_seconds = max_age_seconds
        self.clock = clock

    def answer(
        self,
        question: Question,
        ask: Callable[[Question], Resolution],
        *,
        offline: bool = False,
        refresh: bool = False,
    ) -> Resolution:
        """Return the remembered answer, whatever its age if ``offline``; else ``ask`` for one."""
        found = None
        # What is on this machine can be asked at any time, and may know better by now.
        offline = offline and not question.is_local
        if offline or not refresh:
            found = self.recall(question, any_age=offline)
        if found is None and offline:
            raise OfflineError(
                "not-remembered",
                question.requirements,
                question.subject,
                _describe(question),
            )
        if found is not None:
            return found
        # Before it is asked: what comes in meanwhile may have been overlooked.
        places = _stamp_places(question.places)
        resolution = ask(question)
        self._write(question, resolution, places)
        return resolution

    def recall(self, question: Question, *, any_age: bool = False) -> Resolution | None:
        """Return the answer, if it is known and not too old."""
        facts = self._answers.read(question.digest)
        if facts is None or facts["files"] != _stamp_files(facts["pins"]):
            return None
        if not any_age and not self._is_fresh(facts, question):
            return None
        urls = _find_urls(question)
        pins = tuple(_revive(pin, urls) for pin in facts["pins"])
        return Resolution(pins=pins, notes=tuple(facts["notes"]))

    def remember(self, question: Question, resolution: Resolution) -> None:
        """Keep ``resolution`` as the answer, or in the place of the one that it completes."""
        facts = self._answers.read(question.digest)
        places = _stamp_places(question.places) if facts is None else facts["places"]
        self._write(question, resolution, places)

    def forget(self, question: Question) -> None:
        """Have no answer any longer."""
        self._answers.remove(question.digest)

    def _is_fresh(self, facts: dict[str, Any], question: Question) -> bool:
        # A negative age means that the clock was set back, so that the age is not known.
        is_young = 0 <= self.clock() - facts["time"] < self.max_age_seconds
        is_same: bool = facts["places"] == _stamp_places(question.places)
        return is_young and is_same

    def _write(self, question: Question, resolution: Resolution, places: Stamps) -> None:
        """Keep ``resolution`` as the answer, unless it may change unseen."""
        facts: dict[str, Any] = {
            "pins": [pin._asdict() for pin in resolution.pins],
            "notes": resolution.notes,
        }
        files = _stamp_files(facts["pins"])
        if None in files:
            return
        urls = _find_urls(question)
        for pin in facts["pins"]:
            bare = without_secrets(pin["url"])
            if without_credentials(urls.get(bare, bare)) != without_credentials(pin["url"]):
                return  # without its signature, the file cannot be asked for again
            pin["url"] = bare
        more = {"time": self.clock(), "files": files, "places": places}
        self._answers.write({**facts, **more}, question.digest)


def _revive(facts: dict[str, Any], urls: Mapping[str, str]) -> Pin:
    values: dict[str, Any] = {**facts, **{name: tuple(facts[name]) for name in _TUPLES}}
    values["url"] = urls.get(facts["url"], facts["url"])
    return Pin(**values)


def _find_urls(question: Question) -> dict[str, str]:
    """Return the URLs in a question by what they are without credentials."""
    texts = (*question.requirements, *question.constraints)
    urls = [url for text in texts for url in _URL.findall(text)]
    every = (*urls, *(url.partition("#")[0] for url in urls))
    return {without_secrets(url): url for url in every}


def _stamp_places(places: Sequence[str]) -> Stamps:
    """Return when something was last put into each directory, or taken out."""
    return [_read_time(place) for place in places]


def _read_time(path: str) -> int | None:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return None


def _stamp_files(pins: Sequence[dict[str, Any]]) -> list[list[int] | None]:
    """Return the size and time of each local file among ``pins``, nothing for what is none."""
    paths = (local_path(pin["url"]) for pin in pins)
    return [_stamp(path) for path in paths if path is not None]


def _stamp(path: str) -> list[int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns] if stat.S_ISREG(status.st_mode) else None


def _describe(question: Question) -> str:
    """Return what the answer would have had to be for."""
    python = f"Python {question.python.version}"
    cutoff = question.exclude_newer
    return python if cutoff is None else f"{python} and what there was at {cutoff.isoformat()}"
