"""Building with what a Python has, without isolation."""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import Distribution, distributions
from subprocess import run
from typing import TYPE_CHECKING, NamedTuple

from build import check_dependency

from wheelforge.errors import RequirementInvalidError, RequirementsError
from wheelforge.hooks.environ import compose_environment
from wheelforge.models import PreparedEnvironment
from wheelforge_isolation.errors import InterpreterUnusableError
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.requirements import applies, find_requirement, parse_requirement
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.requirements import Requirement

    from wheelforge.build.targets import Targets
    from wheelforge.models import Builder, EnvironmentRequest
    from wheelforge_isolation import Interpreter

_SAY_PATH = "import json, sys; print(json.dumps(sys.path))"


class HostEnvironment(NamedTuple):
    """A Python as it is, with all that is installed there."""

    python_executable: str
    search_path: str = ""

    def make_extra_environ(self) -> dict[str, str]:
        """Return the variables that a process needs."""
        return {"PATH": self.search_path} if self.search_path else {}


class HostProvider:
    """Gives each build its Python as it is; nothing is installed.

    If it ``checks``, that Python must have the requirements of the build.
    """

    def __init__(self, targets: Targets, *, checks: bool) -> None:
        self._targets = targets
        self._checks = checks

    def prepare(self, request: EnvironmentRequest, build: Builder) -> PreparedEnvironment:
        """Return the Python, if it has the requirements; nothing is built for it."""
        del build
        python = self._targets.find(request.python).python
        own = str(python.executable.parent)
        search_path = os.pathsep.join([own, *os.get_exec_path(dict(request.variables))])
        environment = HostEnvironment(str(python.executable), search_path)
        if self._checks:
            missing = _find_missing(request, python, environment)
            if missing:
                raise RequirementsError("requirements-unmet", request.label, missing)
        return PreparedEnvironment(environment=environment)


def _find_missing(
    request: EnvironmentRequest, python: Interpreter, environment: HostEnvironment
) -> tuple[str, ...]:
    """Return the requirements that are not met, each as the path of requirements to it."""
    requirements: list[Requirement] = []
    for text in request.requirements:
        try:
            requirements.append(parse_requirement(text))
        except FormatError as error:
            raise RequirementInvalidError(redact(text), request.label, str(error)) from error
    if str(python.executable) == sys.executable:
        found = {unmet for text in request.requirements for unmet in check_dependency(text)}
        return tuple(sorted(" -> ".join(unmet) for unmet in found))
    # Another Python need not have pypa/build: its distributions are looked at from here, where a
    # hook would find them, which the running Python may not know.
    environ = compose_environment(request.variables, environment.make_extra_environ())
    places = _ask_path(str(python.executable), environ)
    installed = _Installed([place for place in places if place], python.markers)
    return tuple(missing for each in requirements for missing in installed.find_missing(each))


def _ask_path(python: str, environ: Mapping[str, str]) -> list[str]:
    """Return the directories where a Python with these variables looks for distributions."""
    try:
        done = run([python, "-c", _SAY_PATH], env=environ, capture_output=True, check=False)
    except OSError as error:
        raise InterpreterUnusableError(python, error.strerror or str(error)) from error
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise InterpreterUnusableError(python, f"it exited with code {done.returncode}")
    return list(json.loads(lines[-1]))  # its start may print more


class _Installed:
    """Distributions below some directories; pypa/build's own check sees only this process."""

    def __init__(self, places: list[str], markers: Mapping[str, str]) -> None:
        self._places = places
        self._markers = dict(markers)
        self._seen: set[tuple[str, frozenset[str]]] = set()

    def find_missing(
        self,
        requirement: Requirement,
        above: tuple[str, ...] = (),
        extras: frozenset[str] = frozenset(),
    ) -> Iterator[str]:
        """Yield what is not met, each as the path of requirements that leads to it."""
        key = (str(requirement), extras)
        if key in self._seen or not self._is_meant(requirement, extras):
            return
        self._seen.add(key)
        requirement.marker = None  # as it holds
        path = (*above, str(requirement))
        found = next(iter(distributions(name=requirement.name, path=self._places)), None)
        version = _read_version(found) if found else ""
        if not version or not requirement.specifier.contains(version, prereleases=True):
            yield " -> ".join(path)
            return
        # pip has ignored a requirement that cannot be parsed when it installed this.
        others = map(find_requirement, (found and found.requires) or ())
        for other in filter(None, others):
            yield from self.find_missing(other, path, frozenset(requirement.extras))

    def _is_meant(self, requirement: Requirement, extras: frozenset[str]) -> bool:
        try:
            return any(applies(requirement, self._markers, extra) for extra in ("", *extras))
        except FormatError:
            return True  # of a marker that cannot be evaluated, the requirement may be needed


def _read_version(found: Distribution) -> str:
    """Return the version of a distribution; nothing if its installation is broken.

    There may be no more than a directory. The `importlib_metadata` of the index, where something
    has imported it, answers here too, and raises an error then.
    """
    try:
        versions: list[str] = found.metadata.get_all("Version") or [""]
    except FileNotFoundError:
        return ""
    return versions[0]
