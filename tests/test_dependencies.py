"""The bounds of dependencies are what the environment `oldest` runs with."""

import itertools
import tomllib

from packaging.requirements import Requirement
from packaging.version import Version

from tests.support.source import ROOT

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def read(texts: list[str], operator: str) -> dict[str, Version]:
    """Return the version that each requirement has after ``operator``, by name."""
    requirements = map(Requirement, texts)
    return {each.name: _version(each, operator) for each in requirements}


def _version(requirement: Requirement, operator: str) -> Version:
    (version,) = (each.version for each in requirement.specifier if each.operator == operator)
    return Version(version)


def test_oldest__has_every_dependency_at_its_lower_bound() -> None:
    pinned = read(_PROJECT["tool"]["tox"]["env"]["oldest"]["deps"], "==")

    extras = _PROJECT["project"]["optional-dependencies"]
    # It wants a newer cryptography than we do; `test` runs with the one that is released last.
    others = [extras[name] for name in extras if name != "attestations"]
    bounds = [*_PROJECT["project"]["dependencies"], *itertools.chain(*others)]
    assert pinned == read(bounds, ">=")
