"""Which dependency group of the standard stands for which answer.

Usually each source is one group, of the name that the source has. A group holds one file of a name
for each environment that markers can tell apart: where an answer contradicts what its source has
already, as for two builds of one Python that only tags tell apart, it gets a group of its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import chain, count, starmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wheelforge.lockfile.model import Lock, LockedAnswer, LockedPython, LockedSource, Source
    from wheelforge.resolve import Pin


class Groups:
    """The groups of one lock."""

    def __init__(self, lock: Lock) -> None:
        self._names: dict[tuple[LockedSource, LockedAnswer], str] = {}
        self._owners: dict[str, tuple[str, Source]] = {}
        self._sources: dict[str, str] = {}
        self._members: dict[str, dict[tuple[str, str], Pin]] = defaultdict(dict)
        self._environments: dict[str, set[str]] = defaultdict(set)
        self._uses: dict[Pin, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for locked in lock.sources:
            # The one that asks for most is the whole environment, and comes first.
            for answer in sorted(locked.answers, key=lambda one: -len(one.requirements)):
                self._join(locked, answer)

    @property
    def names(self) -> list[str]:
        """Every group."""
        return sorted(self._environments)

    @property
    def environments(self) -> list[str]:
        """A marker for each kind of Python."""
        return sorted(set[str]().union(*self._environments.values()))

    def find_name(self, locked: LockedSource, answer: LockedAnswer) -> str:
        """Return the group that has all of ``answer``."""
        return self._names[locked, answer]

    def find_marker(self, pin: Pin) -> str:
        """Return where a file is needed."""
        return " or ".join(starmap(self._restrict, sorted(self._uses[pin].items())))

    def find_user(self, pin: Pin) -> str:
        """Return the first source that needs a file."""
        return self._sources[min(self._uses[pin])]

    def _restrict(self, name: str, environments: set[str]) -> str:
        group = f"'{name}' in dependency_groups"
        if environments == self._environments[name]:
            return group
        alternatives = " or ".join(f"({each})" for each in sorted(environments))
        return f"({group} and ({alternatives}))"

    def _join(self, locked: LockedSource, answer: LockedAnswer) -> None:
        environment = find_environment(locked.python)
        fresh = {(environment, pin.name): pin for pin in answer.pins}
        name = next(name for name in self._suggest(locked.source) if self._fits(name, fresh))
        self._names[locked, answer] = name
        self._sources[name] = locked.source.label
        self._members[name].update(fresh)
        self._environments[name].add(environment)
        for pin in answer.pins:
            self._uses[pin][name].add(environment)

    def _suggest(self, source: Source) -> Iterator[str]:
        """Yield names that ``source`` may use, and installers can tell from those of others."""
        from packaging.utils import canonicalize_name

        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", source.label).strip("._-") or "source"
        for name in chain((stem,), (f"{stem}-{number}" for number in count(2))):
            owner = self._owners.setdefault(canonicalize_name(name), (name, source))
            if owner == (name, source):
                yield name

    def _fits(self, name: str, fresh: dict[tuple[str, str], Pin]) -> bool:
        members = self._members[name]
        return all(members.get(key, pin) == pin for key, pin in fresh.items())


def find_environment(python: LockedPython) -> str:
    """Return the marker that holds for ``python``, and for few others."""
    return (
        f"implementation_name == '{python.implementation}' "
        f"and python_version == '{python.version}' "
        f"and sys_platform == '{python.platform}' "
        f"and platform_machine == '{python.machine}'"
    )
