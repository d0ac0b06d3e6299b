"""Building with what a Python has, without isolation."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelforge._models import Provision
from wheelforge.errors import RequirementsUnmetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wheelforge._models import Builder, Need
    from wheelforge_isolation import Interpreter

_SAY_PATH = "import json, sys; print(json.dumps(sys.path))"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEnvironment:
    """A Python as it is, with all that somebody has installed there."""

    python_executable: str
    search_path: str = ""

    def make_extra_environ(self) -> dict[str, str]:
        """Return the variables that a process needs."""
        return {"PATH": self.search_path} if self.search_path else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class HostProvider:
    """Gives everybody the same Python as it is."""

    python: Interpreter
    search_path: str = ""
    is_checked: bool = True
    """Whether what is needed has to be there."""

    def provide(self, need: Need, build: Builder) -> Provision:
        """Return the Python, if it has what is needed; nothing is built for it."""
        del build
        if self.is_checked:
            missing = _Installed(_list_places(self.python)).find_missing(need.requirements)
            if missing:
                raise RequirementsUnmetError(need.label, missing)
        environment = HostEnvironment(
            python_executable=str(self.python.executable), search_path=self.search_path
        )
        return Provision(environment=environment)


class _Installed:
    """What is installed below some directories; pypa/build's own check sees only this process."""

    def __init__(self, places: Sequence[str]) -> None:
        self._places = list(places)
        self._seen: set[str] = set()

    def find_missing(self, requirements: Sequence[str]) -> tuple[str, ...]:
        """Return what is not met, each as the path of requirements that leads to it."""
        return tuple(
            missing for text in requirements for missing in self._check(text, (), frozenset())
        )

    def _check(self, text: str, above: tuple[str, ...], extras: frozenset[str]) -> Iterator[str]:
        from importlib.metadata import distributions

        from packaging.requirements import Requirement

        requirement = Requirement(text)
        path, marker = (*above, str(requirement)), requirement.marker
        is_meant = marker is None or any(marker.evaluate({"extra": e}) for e in ("", *extras))
        if not is_meant or str(requirement) in self._seen:
            return
        self._seen.add(str(requirement))
        found = next(iter(distributions(name=requirement.name, path=self._places)), None)
        if found is None or not requirement.specifier.contains(found.version, prereleases=True):
            yield " -> ".join(path)
            return
        for other in found.requires or ():
            yield from self._check(other, path, frozenset(requirement.extras))


def _list_places(python: Interpreter) -> list[str]:
    from subprocess import check_output

    if str(python.executable) == sys.executable:
        return sys.path
    places: list[str] = json.loads(check_output([str(python.executable), "-c", _SAY_PATH]))
    return places
