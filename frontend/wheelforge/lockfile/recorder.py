"""The answers that builds get while a lock is made."""

from __future__ import annotations

from collections import defaultdict
from threading import Lock as Mutex
from typing import TYPE_CHECKING

from wheelforge.errors import LockError
from wheelforge.lockfile.model import (
    Lock,
    LockedAnswer,
    LockedSource,
    describe_python,
    is_standard,
    make_archive_pin,
    normalize_label,
    normalize_pin,
    normalize_requirements,
)
from wheelforge_isolation.formats.file_names import is_plain_file_name
from wheelforge_isolation.formats.urls import file_name_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wheelforge.lockfile.model import LockedPython, Source
    from wheelforge.resolve import Pin, Resolution
    from wheelforge_isolation import Interpreter

    Build = tuple[Source, LockedPython]
    Answers = dict[tuple[str, ...], tuple[Pin, ...]]


class Recorder:
    """Collects answers; to be used by any number of threads.

    Anything that is built for a build is a source as well, by the name of its file: a lock that
    does not say what such a source needs would be of no use, and is not made.
    """

    def __init__(self) -> None:
        self._answers: dict[Build, Answers] = defaultdict(dict)
        self._overrides: dict[Build, tuple[str, ...]] = {}
        self._archives: dict[Build, Pin] = {}
        self._wanted: set[Build] = set()
        self._mutex = Mutex()

    def record(
        self,
        source: Source,
        python: Interpreter,
        requirements: Iterable[str],
        resolution: Resolution,
        *,
        is_wanted: bool = True,
    ) -> None:
        """Note the answer to ``requirements`` of ``source``, its hashes learned.

        Builds made only during resolution, which are not wanted for themselves, are locked only if
        a locked source needs them.
        """
        key = source._replace(label=normalize_label(source.label)), describe_python(python)
        asked = normalize_requirements(requirements)
        with self._mutex:
            self._answers[key][asked] = resolution.pins
            if is_wanted:
                self._wanted.add(key)

    def name_overrides(
        self, source: Source, python: Interpreter, overrides: Iterable[object]
    ) -> None:
        """Note the entries of overrides that are in force for ``source``."""
        key = source._replace(label=normalize_label(source.label)), describe_python(python)
        with self._mutex:
            self._overrides[key] = tuple(map(str, overrides))

    def name_archive(
        self, source: Source, python: Interpreter, file_name: str, url: str, index: str
    ) -> None:
        """Note from where the sdist of ``source`` was fetched, which is a release or a URL."""
        if not is_plain_file_name(file_name):  # such a lock would not be read
            return
        key = source._replace(label=normalize_label(source.label)), describe_python(python)
        with self._mutex:
            self._archives[key] = make_archive_pin(file_name, url, source.sha256, index)

    def drop(self, source: Source, python: str) -> None:
        """Leave out a build that has failed with that version: not all that it needs is noted."""
        named = source._replace(label=normalize_label(source.label))
        with self._mutex:
            self._wanted = {
                (other, kind)
                for other, kind in self._wanted
                if other != named or not python.startswith(f"{kind.version}.")
            }

    def lock(self) -> Lock:
        """Return all that was noted so far, or say why it cannot be locked."""
        with self._mutex:
            every = {key: dict(answers) for key, answers in self._answers.items()}
            noted = _keep_needed(every, self._wanted)
        finisher = _PinFinisher(noted)
        sources: list[LockedSource] = []
        for build in sorted(noted):
            answers = [
                LockedAnswer(asked, finisher.finish(pins, build))
                for asked, pins in sorted(noted[build].items())
            ]
            overrides, archive = self._overrides.get(build, ()), self._archives.get(build)
            sources.append(LockedSource(*build, tuple(answers), overrides, archive))
        return Lock(sources=tuple(sources))


def _keep_needed(noted: dict[Build, Answers], wanted: Iterable[Build]) -> dict[Build, Answers]:
    """Return the wanted builds, and those that made their build requirements."""
    kept: dict[Build, Answers] = {}
    pending = [*wanted]
    while pending:
        key = pending.pop()
        if key in kept:
            continue
        kept[key] = noted[key]
        pins = [pin for pins in noted[key].values() for pin in pins if not pin.is_wheel]
        for other in noted:
            source, python = other
            is_needed = python == key[1] and any(
                source.label == normalize_label(pin.file_name)
                and source.sha256 == (pin.sha256 or source.sha256)
                for pin in pins
            )
            pending += [other] if is_needed else []
    return kept


class _PinFinisher:
    """Completes pins, so that they can be written down and found again."""

    def __init__(self, noted: Iterable[Build]) -> None:
        self._hashes: dict[tuple[str, LockedPython], set[str]] = defaultdict(set)
        for source, python in noted:
            self._hashes[source.label, python].add(source.sha256)
        self._firsts: dict[tuple[str, str], Pin] = {}

    def finish(self, pins: Iterable[Pin], build: Build) -> tuple[Pin, ...]:
        """Return what is locked of ``pins``, by name."""
        finished: list[Pin] = []
        for pin in sorted(pins, key=lambda pin: pin.name):
            found = pin if pin.is_wheel else self._complete(pin, build)
            label = build[0].label
            if not found.sha256:
                raise LockError("lock-impossible", found.file_name, label, "its hash is not known")
            locked = normalize_pin(found)
            if not is_standard(found) and file_name_of(locked.url) != found.file_name:
                raise LockError(
                    "lock-impossible", found.file_name, label, "its URL has another name"
                )
            # The same bytes from two places are one file, whichever place is asked.
            finished.append(self._firsts.setdefault((locked.file_name, locked.sha256), locked))
        return tuple(finished)

    def _complete(self, pin: Pin, build: Build) -> Pin:
        """Return the pin of an sdist with the hash of the archive that was built."""
        source, python = build
        built = self._hashes[normalize_label(pin.file_name), python] - {""}
        if not built:
            reason = "it is no archive that was built on the way"
            raise LockError("lock-impossible", pin.file_name, source.label, reason)
        if pin.sha256 and pin.sha256 not in built:
            raise LockError(
                "lock-impossible", pin.file_name, source.label, "other bytes of it were built"
            )
        return pin if pin.sha256 or len(built) > 1 else pin._replace(sha256=min(built))
