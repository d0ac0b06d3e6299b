"""A lock and its answers: the locked files for a source, its requirements and a Python."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.errors import (
    LockError,
)
from wheelforge.lockfile.normalize import normalize_label, normalize_requirements
from wheelforge.resolve import Resolution

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wheelforge.resolve import Pin
    from wheelforge_isolation import Interpreter

DEFAULT_NAME = "pylock.build.toml"


class Source(NamedTuple):
    """A thing that is built: an archive or a directory."""

    label: str
    """The file name of an archive, the name of a project in a directory."""
    sha256: str = ""
    """Of the archive; empty for a directory, whose content may change."""


class LockedPython(NamedTuple):
    """A kind of Python for which the same files serve; patch releases do not matter."""

    implementation: str
    version: str
    """Without the patch release."""
    abi: str
    platform: str
    machine: str

    def __str__(self) -> str:
        return (
            f"{self.implementation} {self.version} ({self.abi}) on {self.platform} {self.machine}"
        )


def describe_python(python: Interpreter) -> LockedPython:
    """Return ``python`` as a lock names it."""
    markers = python.markers
    return LockedPython(
        implementation=markers["implementation_name"],
        version=markers["python_version"],
        abi=python.tags[0].split("-")[1],
        platform=markers["sys_platform"],
        machine=markers["platform_machine"],
    )


class LockedAnswer(NamedTuple):
    """Requirements, and the files that they were resolved to."""

    requirements: tuple[str, ...]
    """Sorted, in the spelling that equal ones share."""
    pins: tuple[Pin, ...]
    """Sorted by name; each name once, each with the hash of its file."""


class LockedSource(NamedTuple):
    """The answers for one source that is built by one Python."""

    source: Source
    python: LockedPython
    answers: tuple[LockedAnswer, ...]
    """Sorted by requirements: what the project declares, and that with what its hooks ask for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """The answers for each source and Python."""

    sources: tuple[LockedSource, ...]
    """Sorted by source and Python; each pair once."""
    name: str = field(default=DEFAULT_NAME, compare=False)
    """For messages."""

    @property
    def digest(self) -> str:
        """The same for two locks that give the same answers."""
        return hashlib.sha256(repr(self.sources).encode()).hexdigest()

    def answer(
        self, source: Source, requirements: Iterable[str], python: Interpreter
    ) -> Resolution:
        """Return the locked answer to these requirements of ``source``, or say what differs."""
        locked = self._find(source._replace(label=normalize_label(source.label)), python)
        asked = normalize_requirements(requirements)
        for answer in locked.answers:
            if answer.requirements == asked:
                return self._give(locked, answer, python)
        nearest = min(locked.answers, key=lambda each: len({*each.requirements} ^ {*asked}))
        raise LockError(
            "lock-stale",
            self.name,
            locked.source.label,
            tuple(sorted({*asked} - {*nearest.requirements})),
            tuple(sorted({*nearest.requirements} - {*asked})),
        )

    def files(self) -> tuple[Pin, ...]:
        """Return every file that any build needs, each once, by name."""
        answers = (answer for locked in self.sources for answer in locked.answers)
        found = {pin for answer in answers for pin in answer.pins}
        return tuple(sorted(found, key=lambda pin: (pin.name, pin.file_name, pin.sha256)))

    def _find(self, source: Source, python: Interpreter) -> LockedSource:
        named = [each for each in self.sources if each.source.label == source.label]
        if not named:
            raise LockError("lock-lacks", self.name, source.label)
        same = [each for each in named if each.source == source]
        if not same:
            hashes = dict.fromkeys(each.source.sha256 for each in named)
            raise LockError(
                "lock-source-changed", self.name, source.label, tuple(hashes), source.sha256
            )
        wanted = describe_python(python)
        for each in same:
            if each.python == wanted:
                return each
        known = tuple(str(each.python) for each in same)
        raise LockError("lock-other-python", self.name, source.label, known, str(wanted))

    def _give(self, locked: LockedSource, answer: LockedAnswer, python: Interpreter) -> Resolution:
        from wheelforge.index.candidates import fits_tags

        # The same Python on another system may have an older C library, or another one.
        foreign = [
            f"`{pin.file_name}`"
            for pin in answer.pins
            if pin.is_wheel and not fits_tags(pin.file_name, python.tags)
        ]
        if foreign:
            this = f"{locked.python}, which takes no such file"
            raise LockError(
                "lock-other-python", self.name, locked.source.label, tuple(foreign), this
            )
        # A hash mismatch is then reported against the lock file.
        pins = tuple(pin._replace(origin=self.name) for pin in answer.pins)
        return Resolution(pins=pins)
