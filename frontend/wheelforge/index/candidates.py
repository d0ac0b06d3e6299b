"""Which files of a project may be used, which is best, and why the others may not. Pure.

This is the only judge of files. `Selector` judges what an index lists by what never changes: name,
kind, version, tags, and the settings of the index. `ProjectFiles` judges the rest for one request:
its Python, its cut-off, whether sdists or wheels are of use to it. `find_objection` adds what the
requirements state: yanked files, hashes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from packaging.utils import canonicalize_name

from wheelforge.index.models import Candidate, as_utc
from wheelforge_isolation.formats import FormatError, file_names
from wheelforge_isolation.formats.requirements import admits_python
from wheelforge_isolation.formats.urls import local_path

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    from wheelforge.index.pages import Listed
    from wheelforge.index.settings import IndexSettings

    Objection: TypeAlias = Callable[[Candidate], str]
    """Why a file that is of use may still not be taken, or nothing."""

_ALL = ":all:"
MOST_SHOWN = 5

# Why an index's files are left out, as a count of them is told
OTHER_NAME = "of another name"
NO_ARCHIVE = "neither wheel nor sdist"
OLD_KIND = "archives of old kinds, as .tgz and .tar.bz2, which are not read"
NO_VERSION = "without a valid version"
OTHER_PLATFORM = "wheels for other Pythons or platforms"
UNWANTED = "of a kind that is not wanted"
NEWER = "uploaded after the cut-off"
UNDATED = "without upload time, which the cut-off asks for"
TWO_FILES = "listed with two contradicting hashes"

# Why a version cannot be taken
NO_WHEEL = "no wheel of it fits this Python"
NO_BUILD = "its sdist is not built here"
NO_SDIST = "there are only wheels of it"
NO_HASH = "it has none of the hashes that are stated"
NOT_VOUCHED = "an sdist is built only with a hash that is stated"


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidates:
    """The files of one project: which may be used, and why the rest may not."""

    usable: Sequence[Candidate] = ()
    """Newest version first; of one version, the best file first."""
    late: Sequence[Candidate] = ()
    """Those that only the cut-off of the index excludes, in the same order."""
    elsewhere: frozenset[Version] = frozenset()
    """Versions with wheels for other Pythons or platforms."""
    left_out: Counter[str] = field(default_factory=Counter[str])
    """How many files for which reason."""
    clashing: Sequence[str] = ()
    """Names of files that are listed with two contradicting hashes."""

    def explain(self) -> str:
        """Return how many files were left out for which reason; nothing if none was."""
        return ", ".join(f"{count} {reason}" for reason, count in self.left_out.most_common())


# Files as an index lists them


class Selector:
    """Knows which wheels an interpreter takes, and what the settings leave out."""

    def __init__(self, settings: IndexSettings, tags: Sequence[str]) -> None:
        self._settings = settings
        self._ranks = {tag: rank for rank, tag in reversed(list(enumerate(tags)))}
        self._cut_off = as_utc(settings.exclude_newer)

    def select(self, name: str, listed: Iterable[Listed], origin: str) -> Candidates:
        """Return what of ``listed`` may be used as ``name``, in any order."""
        files = {file.file_name: file for file in reversed(list(listed))}
        clashing = _find_clashes(listed)
        left_out = Counter({TWO_FILES: len(clashing)})
        found: dict[str, list[Candidate]] = {"": [], NEWER: []}
        elsewhere: set[Version] = set()
        for file in (file for key, file in files.items() if key not in clashing):
            judged = self._judge_name(file, name, origin)
            if isinstance(judged, Candidate):
                reason = self._judge_time(judged.uploaded)
                found.setdefault(reason, []).append(judged)
            elif isinstance(judged, str):
                reason = judged
            else:
                reason = OTHER_PLATFORM
                elsewhere.add(judged)
            left_out[reason] += 1
        del left_out[""]
        return Candidates(
            usable=found[""],
            late=found[NEWER],
            elsewhere=frozenset(elsewhere),
            left_out=+left_out,
            clashing=clashing,
        )

    def _judge_name(self, file: Listed, name: str, origin: str) -> Candidate | Version | str:
        """Return what a file is by its name, or its version if it is for others, or the reason."""
        file_name = file.file_name
        reason = self._judge_kind(file_name, name)
        if reason:
            return reason
        try:
            if not file_name.endswith(file_names.WHEEL_SUFFIX):
                return _make_candidate(file, origin, file_names.parse_sdist_name(file_name, name))
            wheel = file_names.parse_wheel_name(file_name)
        except file_names.VersionError:
            is_called = f"{canonicalize_name(file_name)}-".startswith(f"{name}-")
            return NO_VERSION if is_called else OTHER_NAME
        except FormatError:
            return NO_ARCHIVE
        if wheel.name != name:
            return OTHER_NAME
        rank = file_names.find_rank(wheel.tags, self._ranks)
        return wheel.version if rank is None else _make_candidate(file, origin, wheel, rank)

    def _judge_kind(self, file_name: str, name: str) -> str:
        refused, preferred = self._settings.no_binary, self._settings.only_binary
        if not file_name.endswith(file_names.WHEEL_SUFFIX):
            if not file_name.endswith(file_names.SDIST_SUFFIXES):
                return OLD_KIND if file_name.endswith(file_names.OLD_SDIST_SUFFIXES) else NO_ARCHIVE
            refused, preferred = preferred, refused
        is_wanted = name not in refused and (_ALL not in refused or name in preferred)
        return "" if is_wanted else UNWANTED

    def _judge_time(self, uploaded: datetime | None) -> str:
        if self._cut_off is None:
            return ""
        if uploaded is None:
            return UNDATED
        return NEWER if uploaded >= self._cut_off else ""


def merge(found: Sequence[Candidates]) -> Candidates:
    """Return all in order; of files that share a name the first stays, dated by any of them."""
    return Candidates(
        usable=_in_order([file for each in found for file in each.usable]),
        late=_in_order([file for each in found for file in each.late]),
        elsewhere=frozenset(version for each in found for version in each.elsewhere),
        left_out=sum((each.left_out for each in found), Counter[str]()),
        clashing=[name for each in found for name in each.clashing],
    )


def _in_order(files: Sequence[Candidate]) -> Sequence[Candidate]:
    firsts: dict[str, Candidate] = {}
    for file in files:
        first = firsts.setdefault(file.file_name, file)
        if first.uploaded is None and file.uploaded is not None:
            firsts[file.file_name] = replace(first, uploaded=file.uploaded)
    # Comparing versions is slow, and most versions have several files: compare each version once.
    versions = sorted({file.version for file in firsts.values()})
    places = {version: place for place, version in enumerate(versions)}

    def merits(file: Candidate) -> tuple[object, ...]:
        is_tar = not file.is_wheel and file.file_name.endswith(file_names.SDIST_SUFFIXES[0])
        kind = (file.is_wheel, -file.rank, file.build, is_tar)
        return places[file.version], file.yanked is None, *kind, file.file_name

    return sorted(firsts.values(), key=merits, reverse=True)


def _find_clashes(listed: Iterable[Listed]) -> list[str]:
    seen: dict[tuple[str, str], str] = {}
    clashing: dict[str, None] = {}
    for file in listed:
        for algorithm, digest in file.hashes.items():
            if seen.setdefault((file.file_name, algorithm), digest) != digest:
                clashing[file.file_name] = None
    return list(clashing)


def _make_candidate(
    file: Listed, origin: str, parsed: file_names.SdistName | file_names.WheelName, rank: int = 0
) -> Candidate:
    return Candidate(
        name=parsed.name,
        version=parsed.version,
        file_name=file.file_name,
        url=file.url,
        hashes=file.hashes,
        is_wheel=isinstance(parsed, file_names.WheelName),
        rank=rank,
        build=parsed.build_order if isinstance(parsed, file_names.WheelName) else (-1, ""),
        origin=origin,
        requires_python=file.requires_python,
        yanked=file.yanked,
        uploaded=_parse_time(file.uploaded),
        metadata_hashes=file.metadata_hashes,
        size_bytes=file.size_bytes,
    )


def _parse_time(text: str) -> datetime | None:
    try:
        return as_utc(datetime.fromisoformat(text)) if text else None
    except ValueError:
        return None


# Files as one request sees them


class FileRules(NamedTuple):
    """The files that are of use to one request, whichever project and version it needs."""

    python_version: str = ""
    """Empty if a file for any Python will do."""
    exclude_newer: datetime | None = None
    dates_local: bool = False
    """Whether the cut-off holds for local files too, which have no upload time."""
    wheels: bool = True
    sdists: bool = True

    def check(self, file: Candidate) -> str:
        """Return why a file is of no use, whenever it was published, or nothing."""
        if file.is_wheel and not self.wheels:
            return NO_SDIST
        if not file.is_wheel and not self.sdists:
            return NO_BUILD
        return check_python(file.requires_python, self.python_version)

    def is_timely(self, file: Candidate) -> bool:
        """Return whether a file was there in time."""
        if self.exclude_newer is None or (not self.dates_local and local_path(file.url)):
            return True
        return file.uploaded is not None and file.uploaded < self.exclude_newer


class ProjectFiles:
    """The files of one project by version, the best first, as one request sees them."""

    def __init__(self, found: Candidates, rules: FileRules) -> None:
        self._rules = rules
        self.timely: dict[Version, list[Candidate]] = {}
        self.late: dict[Version, list[Candidate]] = {}
        """Files that would do, had they been published before the cut-off."""
        self._useless: dict[Version, list[str]] = {}
        """Why other files are of no use."""
        self._elsewhere = found.elsewhere
        for file in found.usable:
            self._place(file, self.timely if rules.is_timely(file) else self.late)
        for file in found.late:
            self._place(file, self.late)

    def __bool__(self) -> bool:
        return bool(self.timely or self.late or self._useless or self._elsewhere)

    def select(
        self, specifier: SpecifierSet, objection: Objection, *, late: bool = False
    ) -> list[Candidate]:
        """Return the best file of each version that may be taken, newest first."""
        files = self.late if late else self.timely
        found = {
            version: file
            for version in specifier.filter(files, prereleases=True)
            if (file := next((file for file in files[version] if not objection(file)), None))
        }
        # Last, as pre-releases count only where nothing else is left.
        return [found[version] for version in sorted(specifier.filter(found), reverse=True)]

    def explain(self, objection: Objection, *, late: bool = False) -> dict[Version, str]:
        """Return each version, newest first, with why it cannot be taken, or nothing."""
        every = {*self.timely, *self.late, *self._useless, *self._elsewhere}
        return {
            version: self._explain(version, objection, late=late)
            for version in sorted(every, reverse=True)
        }

    def _explain(self, version: Version, objection: Objection, *, late: bool) -> str:
        files = [*self.timely.get(version, ()), *(self.late.get(version, ()) if late else ())]
        reasons = dict.fromkeys(map(objection, files))
        if "" in reasons:
            return ""
        if not late and version in self.late:
            moment = self._rules.exclude_newer
            when = moment.isoformat() if moment else "the cut-off"
            return f"not known to have been published before {when}"
        wheels = self._rules.wheels
        is_missing = not any(file.is_wheel == wheels for file in files)
        if version in self._elsewhere and is_missing:
            reasons[NO_WHEEL if wheels else NO_SDIST] = None
        return " and ".join(dict.fromkeys([*reasons, *self._useless.get(version, ())]))

    def _place(self, file: Candidate, place: dict[Version, list[Candidate]]) -> None:
        reason = self._rules.check(file)
        if reason:
            self._useless.setdefault(file.version, []).append(reason)
        else:
            place.setdefault(file.version, []).append(file)


def group_by_reason(
    reasons: Mapping[Version, str], specifiers: Sequence[SpecifierSet]
) -> Iterator[tuple[str, str]]:
    """Yield each reason with its versions that one of ``specifiers`` admits: others are out."""
    groups: dict[str, list[Version]] = {}
    for version, reason in reasons.items():
        if reason and any(each.contains(version, prereleases=True) for each in specifiers):
            groups.setdefault(reason, []).append(version)
    for reason, versions in groups.items():
        yield reason, list_versions(versions)


def list_versions(versions: Sequence[Version]) -> str:
    """Return some versions for a message."""
    shown = ", ".join(map(str, versions[:MOST_SHOWN]))
    more = len(versions) - MOST_SHOWN
    return f"{shown} and {more} older" if more > 0 else shown


def check_python(requires_python: str, version: str) -> str:
    """Return why a Python is not one of those that something is for, or nothing."""
    if not version or admits_python(requires_python, version):
        return ""
    return f"it is for Python {requires_python}"


def fits_tags(file_name: str, tags: Collection[str]) -> bool:
    """Return whether a wheel is for an interpreter that takes ``tags``."""
    try:
        return not set(file_names.parse_wheel_name(file_name).tags).isdisjoint(tags)
    except FormatError:
        return False


# Yanked files and hashes


def find_objection(
    file: Candidate,
    stated: Sequence[Collection[str]] = (),
    *,
    may_be_yanked: bool,
    require_hashes: bool = False,
) -> str:
    """Return why a file may not be taken by those who state these hashes, or nothing."""
    if file.yanked is not None and not may_be_yanked:
        return f"yanked: {file.yanked}" if file.yanked else "yanked"
    if not all(has_hash(file, hashes) for hashes in stated):
        return NO_HASH
    # A wheel without one is reported with all others, but an sdist would be run by then.
    if require_hashes and not (file.is_wheel or accepted_hashes(file, stated)):
        return NOT_VOUCHED
    return ""


def has_hash(file: Candidate, stated: Collection[str]) -> bool:
    """Return whether a file may have one of the hashes that are stated, as ``sha256:...``."""
    pairs = [text.partition(":")[::2] for text in stated]
    known = [(algorithm, digest) for algorithm, digest in pairs if file.hashes.get(algorithm)]
    if not known:
        # Unsaid by the index: a wheel is compared when it is there, an sdist would be run by then.
        return file.is_wheel or not pairs
    return any(file.hashes[algorithm].lower() == digest for algorithm, digest in known)


def own_hashes(file: Candidate) -> set[str]:
    """Return the hashes of a file, as ``sha256:...``."""
    return {f"{algorithm}:{digest.lower()}" for algorithm, digest in file.hashes.items()}


def accepted_hashes(file: Candidate, stated: Iterable[Collection[str]]) -> tuple[str, ...]:
    """Return the hashes that a file may have by all of those who state any."""
    every = [set(hashes) for hashes in stated if hashes]
    common = set[str].intersection(*every) if every else set[str]()
    return tuple(sorted(common & own_hashes(file) or common))
