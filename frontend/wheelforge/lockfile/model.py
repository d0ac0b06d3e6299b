"""A lock and its answers: the locked files for a source, its requirements and a Python."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.errors import (
    LockError,
)
from wheelforge.resolve import Pin, Resolution
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import parse_sdist_name, parse_wheel_name
from wheelforge_isolation.formats.requirements import find_requirement
from wheelforge_isolation.formats.urls import local_path, redact, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wheelforge_isolation import Interpreter

DEFAULT_NAME = "pylock.build.toml"
FORMAT = 1
"""Of the table ``tool.wheelforge``."""
SUBDIRECTORY = "subdirectory="
"""The part of a fragment that says more than the hash does."""


class Source(NamedTuple):
    """A thing that is built: an archive or a directory."""

    label: str
    """The file name of an archive, the name of a project in a directory."""
    sha256: str = ""
    """Of the archive; empty for a directory, whose content may change."""
    commit: str = ""
    """Of a repository."""

    @property
    def digest(self) -> str:
        """The hash or commit by which its content is known, if that cannot change."""
        return self.sha256 or self.commit


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
    overrides: tuple[str, ...] = ()
    """The entries that were in force, for people: `requirements` have what they change."""
    archive: Pin | None = None
    """The sdist, if the source is a release or a URL, which does not say where its bytes are."""


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

    def find_commit(self, label: str) -> str:
        """Return the commit of the repository that is called so, if there is one."""
        commits = {each.source.commit for each in self.sources if each.source.label == label}
        return commits.pop() if len(commits) == 1 else ""

    def find_archive(self, label: str, python: Interpreter) -> Pin | None:
        """Return the sdist of the release or URL that is called so, if there is one."""
        label, wanted = normalize_label(label), describe_python(python)
        found = {
            each.archive
            for each in self.sources
            if each.source.label == label and each.python == wanted
        }
        return found.pop() if len(found) == 1 else None

    def files(self) -> tuple[Pin, ...]:
        """Return every file that the builds require, each once, by name."""
        answers = (answer for locked in self.sources for answer in locked.answers)
        found = {pin for answer in answers for pin in answer.pins}
        return tuple(sorted(found, key=lambda pin: (pin.name, pin.file_name, pin.sha256)))

    def archives(self) -> tuple[Pin, ...]:
        """Return the sdists of releases and URLs, each once, by name."""
        found = {each.archive for each in self.sources if each.archive is not None}
        return tuple(sorted(found, key=lambda pin: (pin.file_name, pin.sha256)))

    def _find(self, source: Source, python: Interpreter) -> LockedSource:
        named = [each for each in self.sources if each.source.label == source.label]
        if not named:
            raise LockError("lock-lacks", self.name, source.label)
        same = [each for each in named if each.source == source]
        if not same:
            locked = dict.fromkeys(each.source.digest for each in named)
            raise LockError(
                "lock-source-changed", self.name, source.label, tuple(locked), source.digest
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


# Normal forms: the same for equal things, and nothing secret or local


def refer(pin: Pin) -> str:
    """Return the reference to a file in the answers."""
    return f"{pin.file_name}#sha256={pin.sha256}"


def normalize_label(label: str) -> str:
    """Return a name that can be written, whatever the file system made of it."""
    return label.encode("utf-8", "backslashreplace").decode()


def normalize_requirements(requirements: Iterable[str]) -> tuple[str, ...]:
    """Return requirements sorted, in the spelling that equal ones share."""
    return tuple(sorted({_normalize_requirement(text) for text in requirements}))


def _normalize_requirement(text: str) -> str:
    from packaging.utils import canonicalize_name

    plain = normalize_label(" ".join(text.split()))
    requirement = find_requirement(plain)
    if requirement is None:
        return redact(plain)
    requirement.name = canonicalize_name(requirement.name)
    requirement.extras = {canonicalize_name(extra) for extra in requirement.extras}
    requirement.url = requirement.url and without_secrets(requirement.url)
    return str(requirement)


def normalize_pin(pin: Pin) -> Pin:
    """Return ``pin`` as it is locked."""
    path = local_path(pin.url)
    bare, _, fragment = without_secrets(pin.url).partition("#")
    inside = [pair for pair in fragment.split("&") if pair.startswith(SUBDIRECTORY)]
    if path is not None:
        bare = Path(path).as_uri()
    is_index = path is None and "://" in pin.origin and not is_direct(pin)
    origin = without_secrets(pin.origin) if is_index else ""
    if is_direct(pin) or not (origin or is_standard(pin)):
        origin = bare
    return pin._replace(
        url="#".join((bare, *inside[:1])),
        origin=origin,
        requested_by=(),
        accepted=(f"sha256:{pin.sha256}",),
        uploaded="",
    )


def make_archive_pin(file_name: str, url: str, sha256: str, index: str = "") -> Pin:
    """Return the pin of a source, which its file alone identifies; ``index`` if one lists it."""
    return normalize_pin(
        Pin(
            name="",
            version="0",
            file_name=file_name,
            url=url,
            sha256=sha256,
            origin=index or url,
            is_wheel=False,
        )
    )


def is_direct(pin: Pin) -> bool:
    """Return whether a requirement named the file itself, and no index lists it."""
    return without_secrets(pin.origin) == without_secrets(pin.url).partition("#")[0]


def is_standard(pin: Pin) -> bool:
    """Return whether a file name states the name and the version in the standard form."""
    try:
        found = (parse_wheel_name if pin.is_wheel else parse_sdist_name)(pin.file_name)
    except FormatError:
        return False
    return (found.name, str(found.version)) == (pin.name, pin.version)


def merge_locks(locks: Iterable[Lock]) -> Lock:
    """Return one lock with the answers of all, each once."""
    found: dict[tuple[Source, LockedPython], LockedSource] = {}
    for locked in (each for lock in locks for each in lock.sources):
        key = locked.source, locked.python
        same = (*(found[key].answers if key in found else ()), *locked.answers)
        answers = {answer.requirements: answer for answer in same}
        found[key] = locked._replace(answers=tuple(answers[asked] for asked in sorted(answers)))
    return Lock(sources=tuple(found[key] for key in sorted(found)))
