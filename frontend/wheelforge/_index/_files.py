"""Which of the files that an index lists may be used, and which is better. Pure."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import datetime
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from wheelforge._index.models import Candidate, as_utc
from wheelforge_isolation.values import Value, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wheelforge._index.pages import Listed
    from wheelforge._index.settings import IndexSettings

_WHEEL, _SDISTS = ".whl", (".tar.gz", ".zip")
_WHEEL_PARTS = {5, 6}
_SDIST_RANK = 1 << 30
_BUILD = re.compile(r"(\d+)(.*)")
_ALL = ":all:"

OTHER_NAME = "of another name"
NO_ARCHIVE = "neither wheel nor sdist"
NO_VERSION = "without a valid version"
OTHER_PLATFORM = "wheels for other Pythons or platforms"
UNWANTED = "of a kind that is not wanted"
NEWER = "uploaded after the cut-off"
UNDATED = "without upload time, which the cut-off asks for"
TWO_FILES = "listed with two contradicting hashes"


class _Parts(NamedTuple):
    version: Version
    rank: int
    """Of the wheel's best tag; the smaller, the better."""
    build: tuple[int, str]


_Rated: TypeAlias = tuple[Candidate, tuple[bool, int, tuple[int, str], str]]
"""With what makes it better than others of its version, the most important first."""


class Selection(Value):
    """What of a list of files may be used, and why the rest may not."""

    candidates: Sequence[Candidate] = ()
    """Newest version first; of one version, the best file first."""
    newer: Sequence[Candidate] = ()
    """Those that only the cut-off date excludes, in the same order."""
    left_out: Counter[str] = field(default_factory=Counter[str])
    """How many files for which reason."""
    clashing: Sequence[str] = ()
    """Names of files that are listed with two contradicting hashes."""


class Selector:
    """Knows which wheels an interpreter takes, and what the settings leave out."""

    def __init__(self, settings: IndexSettings, tags: Sequence[str]) -> None:
        self._settings = settings
        self._ranks = {tag: rank for rank, tag in reversed(list(enumerate(tags)))}
        self._cut_off = as_utc(settings.exclude_newer)
        self._rank = cache(self._find_rank)
        self._version = cache(_parse_version)

    def select(self, name: str, listed: Iterable[Listed], origin: str) -> Selection:
        """Return what of ``listed`` may be used as ``name``."""
        left_out: Counter[str] = Counter()
        usable: dict[str, list[_Rated]] = {"": [], NEWER: []}
        files = {file.file_name: file for file in reversed(list(listed))}
        clashing = _find_clashes(listed)
        left_out[TWO_FILES] = len(clashing)
        for file in (file for key, file in files.items() if key not in clashing):
            parts = self._take_apart(file.file_name, name)
            reason = parts if isinstance(parts, str) else self._exclude(file)
            left_out[reason] += 1
            if not isinstance(parts, str) and reason in usable:
                usable[reason].append(_rate(parts, _make_candidate(name, parts, file, origin)))
        del left_out[""]
        return Selection(
            candidates=_in_order(usable[""]),
            newer=_in_order(usable[NEWER]),
            left_out=+left_out,
            clashing=clashing,
        )

    def _take_apart(self, file_name: str, name: str) -> _Parts | str:
        """Return what a file name says, or why such a file is of no use."""
        if file_name.endswith(_WHEEL):
            return self._take_wheel_apart(file_name, name)
        for suffix in _SDISTS:
            if file_name.endswith(suffix):
                return self._take_sdist_apart(file_name.removesuffix(suffix), name)
        return NO_ARCHIVE

    def _take_wheel_apart(self, file_name: str, name: str) -> _Parts | str:
        if not self._is_wanted(name, self._settings.no_binary, self._settings.only_binary):
            return UNWANTED
        words = file_name.removesuffix(_WHEEL).split("-", 5)
        if len(words) not in _WHEEL_PARTS:
            return NO_ARCHIVE
        project, stated, *build, python, abi, platform = words
        if project != name and canonicalize_name(project) != name:
            return OTHER_NAME
        version = self._version(stated)
        if version is None:
            return NO_VERSION
        rank = self._rank(f"{python}-{abi}-{platform}")
        if rank is None:
            return OTHER_PLATFORM
        number = _BUILD.match(build[0]) if build else None
        return _Parts(version, rank, (int(number[1]), number[2]) if number else (-1, ""))

    def _take_sdist_apart(self, stem: str, name: str) -> _Parts | str:
        if not self._is_wanted(name, self._settings.only_binary, self._settings.no_binary):
            return UNWANTED
        match = _sdist_pattern(name).match(stem)
        if match is None:
            return OTHER_NAME
        version = self._version(match[1])
        if version is None:
            return NO_VERSION
        return _Parts(version, _SDIST_RANK, (-1, ""))

    @staticmethod
    def _is_wanted(name: str, refused: frozenset[str], preferred: frozenset[str]) -> bool:
        return name not in refused and (_ALL not in refused or name in preferred)

    def _exclude(self, file: Listed) -> str:
        """Return why a file is excluded by its upload time, or nothing."""
        if self._cut_off is None:
            return ""
        uploaded = _parse_time(file.uploaded)
        if uploaded is None:
            return UNDATED
        return NEWER if uploaded > self._cut_off else ""

    def _find_rank(self, compressed: str) -> int | None:
        """Return the place of the best of a wheel's tags among the interpreter's."""
        sets = [part.split(".") for part in compressed.lower().split("-")]
        ranks = (self._ranks.get("-".join(tag)) for tag in product(*sets))
        return min((rank for rank in ranks if rank is not None), default=None)


def merge(selections: Iterable[Selection]) -> Selection:
    """Return one selection; of files that share a name the first stays, dated by any of them."""
    every = list(selections)
    return Selection(
        candidates=_merge_candidates([each.candidates for each in every]),
        newer=_merge_candidates([each.newer for each in every]),
        left_out=sum((each.left_out for each in every), Counter[str]()),
        clashing=[name for each in every for name in each.clashing],
    )


def _merge_candidates(lists: list[Sequence[Candidate]]) -> Sequence[Candidate]:
    found = [candidates for candidates in lists if candidates]
    if len(found) < 2:  # ruff: ignore[magic-value-comparison]
        return found[0] if found else []
    firsts: dict[str, Candidate] = {}
    for candidates in found:
        for candidate in candidates:
            first = firsts.setdefault(candidate.file_name, candidate)
            if first.uploaded is None and candidate.uploaded is not None:
                firsts[candidate.file_name] = replace(first, uploaded=candidate.uploaded)
    # Stable, so of one version the earlier list's files come before, in their own order.
    return sorted(firsts.values(), key=lambda one: (one.version, one.is_wheel), reverse=True)


def _find_clashes(listed: Iterable[Listed]) -> list[str]:
    """Return the names of the files of which nobody can tell what they should be."""
    seen: dict[tuple[str, str], str] = {}
    clashing: dict[str, None] = {}
    for file in listed:
        for algorithm, digest in file.hashes.items():
            if seen.setdefault((file.file_name, algorithm), digest) != digest:
                clashing[file.file_name] = None
    return list(clashing)


def _make_candidate(name: str, parts: _Parts, file: Listed, origin: str) -> Candidate:
    return Candidate(
        name=name,
        version=parts.version,
        file_name=file.file_name,
        url=file.url,
        hashes=file.hashes,
        requires_python=file.requires_python,
        yanked=file.yanked,
        uploaded=_parse_time(file.uploaded),
        is_wheel=parts.rank < _SDIST_RANK,
        origin=origin,
        metadata_hashes=file.metadata_hashes,
        size_bytes=file.size_bytes,
    )


def _rate(parts: _Parts, candidate: Candidate) -> _Rated:
    merits = (candidate.yanked is None, -parts.rank, parts.build, candidate.file_name)
    return candidate, merits


def _in_order(rated: list[_Rated]) -> list[Candidate]:
    # Comparing versions is slow, and most versions have several files: compare each version once.
    versions = sorted(dict.fromkeys(candidate.version for candidate, _ in rated))
    places = {version: place for place, version in enumerate(versions)}
    best = sorted(rated, key=lambda one: (places[one[0].version], one[1]), reverse=True)
    return [candidate for candidate, _ in best]


@cache
def _sdist_pattern(name: str) -> re.Pattern[str]:
    # The name may hold dashes, and so may a version from before there was a standard for it.
    words = r"[-_.]+".join(map(re.escape, name.split("-")))
    return re.compile(rf"{words}[-_](.+)", re.IGNORECASE)


def _parse_version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _parse_time(text: str) -> datetime | None:
    try:
        return as_utc(datetime.fromisoformat(text)) if text else None
    except ValueError:
        return None
