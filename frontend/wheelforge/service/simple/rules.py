"""The rules of the index: which sdists are built for a page, and whose projects. Pure."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.index.candidates import (
    FileRules,
    ProjectFiles,
    Selector,
    find_objection,
    merge,
)
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import (
    WHEEL_SUFFIX,
    normalize_name,
    parse_sdist_name,
    parse_wheel_name,
)
from wheelforge_isolation.formats.requirements import parse_specifier

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from packaging.version import Version

    from wheelforge.index import Candidate, IndexSettings
    from wheelforge.index.listing import Listing

POLICIES = ("overlay", "latest", "wanted", "source")
"""`overlay` builds nothing; `latest` the newest release that upstream has no wheel of; `wanted` the
releases of announced sets; `source` as both of them, and shows none of upstream's wheels."""
_RULE = re.compile(r"(?:(?P<target>[\w.-]+)?(?:/(?P<project>[\w.-]+))?=)?(?P<policy>\w+)")


class PolicyRule(NamedTuple):
    """A policy, and where it holds."""

    policy: str
    target: str = ""
    """Empty: all of them."""
    project: str = ""
    """Normalised; empty: all of them."""


class IndexRules(NamedTuple):
    """How the index is served."""

    settings: IndexSettings
    """Of the indexes upstream."""
    policies: Sequence[PolicyRule] = ()
    allowed: Sequence[str] = ()
    """Patterns of the names of projects that are built; empty: all of them."""
    is_open: bool = False
    """Whether clients need no token."""
    is_strict: bool = False
    """Whether an sdist that cannot be built is refused, with the reason."""
    proxies_files: bool = False
    repairs: Sequence[tuple[str, str]] = ()
    """Targets, or none for all of them, and the platforms that their Linux wheels are made fit for:
    ``manylinux_2_28``."""
    wait_seconds: float = 1200.0
    """After which a page is answered as it is then."""

    def find_policy(self, target: str, project: str) -> str:
        """Return the policy of the rule that says most of a project of a target; later ones win."""
        found = [
            rule
            for rule in self.policies
            if rule.target in {"", target} and rule.project in {"", project}
        ]
        best = max(
            reversed(found),
            key=lambda rule: (bool(rule.project), bool(rule.target)),
            default=PolicyRule("latest"),
        )
        return best.policy

    def find_repair(self, target: str) -> str:
        """Return the platform that Linux wheels of a target are made fit for; later ones win."""
        found = dict(self.repairs)
        return found.get(target, found.get("", ""))

    def allows(self, project: str) -> bool:
        """Return whether a project may be built."""
        patterns = [pattern.lower() for pattern in self.allowed]
        return not patterns or any(fnmatchcase(project, pattern) for pattern in patterns)


def parse_rule(text: str) -> PolicyRule | None:
    """Return the rule in ``latest``, ``py311=source`` or ``py311/numpy=overlay``, if it is one."""
    match = _RULE.fullmatch(text)
    if match is None or match["policy"] not in POLICIES:
        return None
    try:
        project = normalize_name(match["project"]) if match["project"] else ""
    except FormatError:
        return None
    return PolicyRule(match["policy"], match["target"] or "", project)


class Python(NamedTuple):
    """As much of an interpreter as files are chosen by."""

    tags: Sequence[str]
    version: str


class Chooser:
    """Chooses the sdists to build for the pages of one target."""

    def __init__(self, settings: IndexSettings, python: Python) -> None:
        self._selector = Selector(settings, python.tags)
        self._python = python

    def choose(
        self, name: str, listing: Listing, policy: str, wanted: Collection[Version] = ()
    ) -> list[Candidate]:
        """Return what the policy asks for of a project, with the versions that are wanted of it."""
        if policy == "overlay":
            return []
        files = [file.listed for file in listing.files]
        found = merge([self._selector.select(name, files, listing.origin)])
        takes_wheels = policy != "source"
        rules = FileRules(self._python.version, wheels=takes_wheels)
        best = ProjectFiles(found, rules).select(parse_specifier(""), _object_to_yanked)
        newest = [file for file in best if not file.version.is_prerelease] or best
        chosen = [] if policy == "wanted" else newest[:1]
        if wanted:
            every = ProjectFiles(found, rules).select(parse_specifier(""), lambda _: "")
            chosen += [file for file in every if file.version in wanted and file not in chosen]
        return [file for file in chosen if not file.is_wheel]

    def find_best(self, name: str, listing: Listing, specifier: str) -> Candidate | None:
        """Return the file that a requirement is most likely to be met by."""
        files = [file.listed for file in listing.files]
        found = merge([self._selector.select(name, files, listing.origin)])
        rules = FileRules(self._python.version)
        admitted = parse_specifier(specifier)
        best = ProjectFiles(found, rules).select(admitted, _object_to_yanked)
        released = [file for file in best if not file.version.is_prerelease]
        return next(iter(released or best), None)


def find_version(file_name: str, project: str) -> Version | None:
    """Return the version that a file of a project is of, if its name says one."""
    try:
        if file_name.endswith(WHEEL_SUFFIX):
            return parse_wheel_name(file_name).version
        return parse_sdist_name(file_name, project).version
    except FormatError:
        return None


def _object_to_yanked(file: Candidate) -> str:
    return find_objection(file, may_be_yanked=False)
