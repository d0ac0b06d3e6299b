"""What builds ask for and get while a lock is made."""

from __future__ import annotations

from collections import defaultdict
from threading import Lock as Mutex
from typing import TYPE_CHECKING

from wheelforge.errors import LockImpossibleError
from wheelforge.lockfile.model import Lock, LockedAnswer, LockedSource, describe_python
from wheelforge.lockfile.normalize import (
    is_standard,
    spell_label,
    spell_pin,
    spell_requirements,
)
from wheelforge_isolation.formats.urls import file_name_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wheelforge.lockfile.model import LockedPython, Source
    from wheelforge.resolve import Pin, Resolution
    from wheelforge_isolation import Interpreter

    Answers = dict[tuple[str, ...], tuple[Pin, ...]]
    Noted = dict[tuple[Source, LockedPython], Answers]


class Recorder:
    """Collects answers; to be used by any number of threads.

    What is built for a build is a source as well, by the name of its file: a lock that does not
    say what such a source needs would be of no use, and is not made.
    """

    def __init__(self) -> None:
        self._answers: Noted = defaultdict(dict)
        self._wanted: set[tuple[Source, LockedPython]] = set()
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
        """Note what ``source`` was given for ``requirements``, its hashes learned.

        What nobody wants for itself is locked only if something that is locked needs it: a
        resolver builds also what it then passes over, unless it remembers the answer.
        """
        key = source._replace(label=spell_label(source.label)), describe_python(python)
        asked = spell_requirements(requirements)
        with self._mutex:
            self._answers[key][asked] = resolution.pins
            if is_wanted:
                self._wanted.add(key)

    def lock(self) -> Lock:
        """Return all that was noted so far, or say why it cannot be locked."""
        with self._mutex:
            every = {key: dict(answers) for key, answers in self._answers.items()}
            noted = _keep_needed(every, self._wanted)
        finisher = _Finisher(noted.keys())
        return Lock(
            sources=tuple(
                LockedSource(
                    source=source,
                    python=python,
                    answers=tuple(
                        LockedAnswer(
                            requirements=asked,
                            pins=finisher.finish_all(pins, source, python),
                        )
                        for asked, pins in sorted(noted[source, python].items())
                    ),
                )
                for source, python in sorted(noted)
            )
        )


def _keep_needed(noted: Noted, wanted: Iterable[tuple[Source, LockedPython]]) -> Noted:
    """Return what is wanted, and what that is built with."""
    kept: Noted = {}
    pending = [*wanted]
    while pending:
        key = pending.pop()
        if key in kept:
            continue
        kept[key] = noted[key]
        pins = (pin for pins in noted[key].values() for pin in pins if not pin.is_wheel)
        pending += (each for pin in pins for each in noted if _is_of(each, pin, key[1]))
    return kept


def _is_of(noted: tuple[Source, LockedPython], pin: Pin, python: LockedPython) -> bool:
    """Return whether what was built may be the file that ``pin`` means."""
    source = noted[0]
    is_same = source.label == spell_label(pin.file_name) and noted[1] == python
    return is_same and source.sha256 == (pin.sha256 or source.sha256)


class _Finisher:
    """Makes of pins what can be written down and found again."""

    def __init__(self, noted: Iterable[tuple[Source, LockedPython]]) -> None:
        self._hashes: dict[tuple[str, LockedPython], set[str]] = defaultdict(set)
        for source, python in noted:
            self._hashes[source.label, python].add(source.sha256)
        self._firsts: dict[tuple[str, str], Pin] = {}

    def finish_all(
        self, pins: Iterable[Pin], source: Source, python: LockedPython
    ) -> tuple[Pin, ...]:
        """Return what is locked of ``pins``, by name."""
        finished = (self._finish(pin, source, python) for pin in pins)
        return tuple(sorted(finished, key=lambda pin: pin.name))

    def _finish(self, pin: Pin, source: Source, python: LockedPython) -> Pin:
        if not pin.is_wheel:
            pin = self._complete(pin, source, python)
        if not pin.sha256:
            raise LockImpossibleError(pin.file_name, source.label, "its hash is not known")
        spelled = spell_pin(pin)
        if not is_standard(pin) and file_name_of(spelled.url) != pin.file_name:
            raise LockImpossibleError(pin.file_name, source.label, "its URL has another name")
        # The same bytes from two places are one file, whichever place is asked.
        return self._firsts.setdefault((spelled.file_name, spelled.sha256), spelled)

    def _complete(self, pin: Pin, source: Source, python: LockedPython) -> Pin:
        """Return ``pin`` with the hash of what was built, if that is the one that is meant."""
        built = self._hashes[spell_label(pin.file_name), python] - {""}
        if not built:
            reason = "it is no archive that was built on the way"
            raise LockImpossibleError(pin.file_name, source.label, reason)
        if pin.sha256 and pin.sha256 not in built:
            raise LockImpossibleError(pin.file_name, source.label, "other bytes of it were built")
        return pin if pin.sha256 or len(built) > 1 else pin._replace(sha256=min(built))
