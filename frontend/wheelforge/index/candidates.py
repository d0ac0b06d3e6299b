"""Which of the files that an index lists may be used, and which is better. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from packaging.utils import canonicalize_name

from wheelforge.index.models import Candidate, as_utc
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import (
    OLD_SDIST_SUFFIXES,
    SDIST_SUFFIXES,
    WHEEL_SUFFIX,
    VersionError,
    find_rank,
    parse_sdist_name,
    parse_wheel_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packaging.version import Version

    from wheelforge.index.pages import Listed
    from wheelforge.index.settings import IndexSettings
    from wheelforge_isolation.formats.file_names import WheelName

_SDIST_RANK = 1 << 30
_ALL = ":all:"

OTHER_NAME = "of another name"
NO_ARCHIVE = "neither wheel nor sdist"
OLD_KIND = "archives of old kinds, as .tgz and .tar.bz2, which are not read"
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
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
        is_wheel = file_name.endswith(WHEEL_SUFFIX)
        if not is_wheel and not file_name.endswith(SDIST_SUFFIXES):
            return OLD_KIND if file_name.endswith(OLD_SDIST_SUFFIXES) else NO_ARCHIVE
        refused, preferred = self._settings.no_binary, self._settings.only_binary
        if not is_wheel:
            refused, preferred = preferred, refused
        if not self._is_wanted(name, refused, preferred):
            return UNWANTED
        try:
            if is_wheel:
                return self._rate_wheel(parse_wheel_name(file_name), name)
            version = parse_sdist_name(file_name, name).version
        except VersionError:
            return NO_VERSION if _is_called(file_name, name) else OTHER_NAME
        except FormatError:
            return NO_ARCHIVE
        return _Parts(version, _SDIST_RANK, (-1, ""))

    def _rate_wheel(self, wheel: WheelName, name: str) -> _Parts | str:
        if wheel.name != name:
            return OTHER_NAME
        rank = find_rank(wheel.tags, self._ranks)
        return OTHER_PLATFORM if rank is None else _Parts(wheel.version, rank, wheel.build_order)

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
        return NEWER if uploaded >= self._cut_off else ""


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


def _is_called(file_name: str, name: str) -> bool:
    """Return whether a file name begins with that of a project."""
    return f"{canonicalize_name(file_name)}-".startswith(f"{name}-")


def _parse_time(text: str) -> datetime | None:
    try:
        return as_utc(datetime.fromisoformat(text)) if text else None
    except ValueError:
        return None
