"""Scenarios: each test project of other packages, and each pinned sdist, times what is built of it.

``fixtures/foreign.json`` pins the sdists whose test projects are taken, and the sdists that are
built as they are, by file name and SHA-256; ``fixtures/sdists.json`` pins forty more of these.
"""

import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.support.corpus import FIXTURES, SDISTS, Listed, fetch_missing, parse_name
from tests.support.source import ROOT

HOME = ROOT / ".foreign"
_LOCK = json.loads((FIXTURES / "foreign.json").read_text(encoding="utf-8"))
BEFORE: str = _LOCK["before"]
"""Nothing published later is seen by any program, so that a table stays true."""
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
USUAL = "3.11"
REAL = "sdists"
"""The suite of the sdists that are built as they are."""


class Kind(StrEnum):
    """The kind of a build that is requested of a frontend."""

    BOTH = "both"
    """An sdist, and a wheel from that sdist."""
    WHEEL = "wheel"
    METADATA = "metadata"
    EDITABLE = "editable"
    HERE = "here"
    """A wheel, without isolation, in an environment that has the usual backends."""
    CALL = "call"
    """Another program builds, or a suite of another package runs."""


_KINDS = (Kind.BOTH, Kind.WHEEL, Kind.METADATA, Kind.EDITABLE, Kind.HERE)


class Foreign(Listed):
    """A pinned sdist, kept apart: other tests look for backends among the downloads."""

    __slots__ = ()

    @property
    def path(self) -> Path:
        return HOME / "downloads" / self.file


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite(Foreign):
    """An sdist that holds test projects, and the patterns of their directories."""

    projects: Sequence[str]

    @property
    def name(self) -> str:
        return parse_name(self.file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One kind of build of one source with one Python."""

    suite: str
    name: str
    source: Path
    kind: Kind
    python: str

    @property
    def id(self) -> str:
        return f"{self.suite}/{self.name}/{self.kind}/{self.python}"


SUITES = [Suite(**facts) for facts in _LOCK["suites"]]
REAL_SDISTS: Sequence[Listed] = [*SDISTS, *(Foreign(**facts) for facts in _LOCK["sdists"])]


def fetch_sources() -> None:
    """Fetch the sdists of all suites, and those that are built as they are."""
    problems = fetch_missing([*SUITES, *REAL_SDISTS])
    if problems:
        raise SystemExit("\n".join(problems))


def list_scenarios(pythons: Sequence[str] = ()) -> list[Scenario]:
    """Return all scenarios with these Pythons; if none are named, projects are built with one."""
    found = [
        Scenario(suite=suite.name, name=path.name, source=path, kind=kind, python=python)
        for suite in SUITES
        for path in _find_projects(suite)
        for kind in _KINDS
        for python in pythons or [USUAL]
    ]
    for listed in REAL_SDISTS:
        asked = [(Kind.WHEEL, python) for python in pythons or PYTHONS]
        name = listed.file.removesuffix(".tar.gz")
        found += [
            Scenario(suite=REAL, name=name, source=listed.path, kind=kind, python=python)
            for kind, python in [*asked, (Kind.METADATA, (pythons or [USUAL])[0])]
        ]
    return found


def unpack_suite(suite: Suite) -> Path:
    """Return the directory of the sdist, unpacked once."""
    place = HOME / "suites" / suite.sha256[:16]
    if not place.is_dir():
        part = place.with_name(f"{place.name}.{os.getpid()}")
        with tarfile.open(suite.path) as archive:
            archive.extractall(part, filter="data")
        part.rename(place)
    return next(place.iterdir())


def _find_projects(suite: Suite) -> Iterator[Path]:
    top, seen = unpack_suite(suite), set[str]()
    for pattern in suite.projects:
        for path in sorted(top.glob(pattern)):
            is_project = any((path / name).is_file() for name in ("pyproject.toml", "setup.py"))
            if is_project and path.name not in seen:
                seen.add(path.name)
                yield path
