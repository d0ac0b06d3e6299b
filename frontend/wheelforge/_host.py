"""Building with what a Python has, without isolation."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from wheelforge._models import Provision
from wheelforge._runners import compose_environment
from wheelforge.errors import RequirementInvalidError, RequirementsUnmetError
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.requirements import applies, find_requirement, parse_requirement
from wheelforge_isolation.formats.urls import redact
from wheelforge_isolation.values import Value, field

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from importlib.metadata import Distribution

    from packaging.requirements import Requirement

    from wheelforge._models import Builder, Need
    from wheelforge_isolation import Interpreter

_SAY_PATH = "import json, sys; print(json.dumps(sys.path))"


class HostEnvironment(Value):
    """A Python as it is, with all that somebody has installed there."""

    python_executable: str
    search_path: str = ""

    def make_extra_environ(self) -> dict[str, str]:
        """Return the variables that a process needs."""
        return {"PATH": self.search_path} if self.search_path else {}


class HostProvider(Value):
    """Gives everybody the same Python as it is."""

    python: Interpreter
    variables: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    search_path: str = ""
    is_checked: bool = True
    """Whether what is needed has to be there."""

    def provide(self, need: Need, build: Builder) -> Provision:
        """Return the Python, if it has what is needed; nothing is built for it."""
        del build
        environment = HostEnvironment(
            python_executable=str(self.python.executable), search_path=self.search_path
        )
        if self.is_checked:
            missing = self._find_missing(need)
            if missing:
                raise RequirementsUnmetError(need.label, missing)
        return Provision(environment=environment)

    def _find_missing(self, need: Need) -> tuple[str, ...]:
        requirements = [_parse(text, need.label) for text in need.requirements]
        if str(self.python.executable) == sys.executable:
            from build import check_dependency

            found = {unmet for text in need.requirements for unmet in check_dependency(text)}
            return tuple(sorted(" -> ".join(unmet) for unmet in found))
        # Another Python need not have pypa/build: its distributions are looked at from here.
        path = {"PATH": self.search_path} if self.search_path else {}
        places = _list_places(self.python, compose_environment(self.variables, path))
        installed = _Installed(places, self.python.markers)
        return tuple(missing for each in requirements for missing in installed.find_missing(each))


class _Installed:
    """Distributions below some directories; pypa/build's own check sees only this process."""

    def __init__(self, places: Sequence[str], markers: Mapping[str, str]) -> None:
        self._places = list(places)
        self._markers = dict(markers)
        self._seen: set[tuple[str, frozenset[str]]] = set()

    def find_missing(self, requirement: Requirement) -> Iterator[str]:
        """Yield what is not met, each as the path of requirements that leads to it."""
        yield from self._check(requirement, (), frozenset())

    def _check(
        self, requirement: Requirement, above: tuple[str, ...], extras: frozenset[str]
    ) -> Iterator[str]:
        from importlib.metadata import distributions

        key = (str(requirement), extras)
        if key in self._seen or not self._is_meant(requirement, extras):
            return
        self._seen.add(key)
        requirement.marker = None  # as it holds
        path = (*above, str(requirement))
        found = next(iter(distributions(name=requirement.name, path=self._places)), None)
        # Of a broken installation there may be no more than a directory.
        version = _read_version(found) if found else ""
        if not version or not requirement.specifier.contains(version, prereleases=True):
            yield " -> ".join(path)
            return
        # What nothing can parse, pip has installed without.
        others = map(find_requirement, (found.requires if found else None) or ())
        for other in filter(None, others):
            yield from self._check(other, path, frozenset(requirement.extras))

    def _is_meant(self, requirement: Requirement, extras: frozenset[str]) -> bool:
        try:
            return any(applies(requirement, self._markers, extra) for extra in ("", *extras))
        except FormatError:
            return True  # of a marker that cannot be evaluated, the requirement may be needed


def _parse(text: str, whose: str) -> Requirement:
    try:
        return parse_requirement(text)
    except FormatError as error:
        raise RequirementInvalidError(redact(text), whose, str(error)) from error


def _read_version(found: Distribution) -> str:
    """Return the version, if there is one: to ask for one that is not there is deprecated."""
    return next(iter(found.metadata.get_all("Version") or ()), "")


def _list_places(python: Interpreter, world: Mapping[str, str]) -> list[str]:
    """Return where a hook would find modules, which the running Python may not know."""
    from subprocess import check_output

    words = [str(python.executable), "-c", _SAY_PATH]
    places: list[str] = json.loads(check_output(words, env=dict(world)))
    return [place for place in places if place]
