"""Which files of a name may be chosen, best first, and why the others may not."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from wheelforge.errors import PackageNotFoundError
from wheelforge.resolve.requirements import ANY
from wheelforge.resolve.supply import locate
from wheelforge_isolation.formats.file_names import find_rank, parse_wheel_name
from wheelforge_isolation.formats.requirements import admits_python, is_exact
from wheelforge_isolation.formats.urls import local_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    from wheelforge.index import Candidate
    from wheelforge.resolve.requirements import Wish
    from wheelforge.resolve.supply import Supply
    from wheelforge.resolve.types import Question

_WORST = 1 << 30
_NO_WHEEL = "no wheel of it fits this Python"
_NO_BUILD = "its sdist is not built here"
_NO_HASH = "it has none of the hashes that are stated"
_NOT_VOUCHED = "an sdist is built only with a hash that is stated"

Files = dict["Version", list["Candidate"]]


class ProjectCandidates:
    """The files of one name, by version, best first."""

    def __init__(self) -> None:
        self.timely: Files = {}
        self.late: Files = {}
        """Files that would do, had they been published before the cut-off."""
        self.refused: dict[Version, list[str]] = {}
        """Why files were not even considered."""


class Catalogue:
    """All files, as one Python sees them; each name is looked up, and judged, once."""

    def __init__(
        self, question: Question, constraints: Mapping[str, list[Wish]], supply: Supply
    ) -> None:
        self._question = question
        self._constraints = constraints
        self._supply = supply
        self._ranks = {tag: rank for rank, tag in enumerate(question.python.tags)}
        self._can_build = question.may_build and supply.can_build
        self._shelves: dict[str, ProjectCandidates] = {}
        self._direct: dict[tuple[str, str], Candidate | str] = {}
        self._barred: set[str] = set()
        self._picked: dict[tuple[str, frozenset[Wish]], list[Candidate]] = {}

    def pick(self, name: str, wishes: Iterable[Wish]) -> list[Candidate]:
        """Return the best file of each version that satisfies ``wishes``, preferred ones first."""
        key = (name, frozenset(wishes))
        if key not in self._picked:
            found = self._pick(name, self.all_wishes(*key))
            self._picked[key] = [file for file in found if file.url not in self._barred]
        return self._picked[key]

    def bar(self, files: Iterable[Candidate]) -> None:
        """Offer ``files`` no longer."""
        self._barred |= {file.url for file in files}
        self._picked.clear()

    def all_wishes(self, name: str, wishes: Iterable[Wish]) -> list[Wish]:
        """Return ``wishes``, and what is demanded of the name by constraints."""
        return [*wishes, *self._constraints.get(name, ())]

    def _pick(self, name: str, wishes: Sequence[Wish]) -> list[Candidate]:
        if {wish.url for wish in wishes if wish.url}:
            return self._pick_direct(name, wishes)
        shelf = self.shelf(name)
        found = self._select(shelf.timely, wishes)
        if not found and self._question.oldest:
            return self._select(shelf.late, wishes)[::-1]
        return found

    def _select(self, files: Files, wishes: Sequence[Wish]) -> list[Candidate]:
        specifier = combine(wishes)
        found = dict(self._find_usable(files, wishes, specifier))
        # Last, as pre-releases count only where nothing else is left.
        best = [found[version] for version in sorted(specifier.filter(found), reverse=True)]
        if self._question.prefers_wheels:
            best.sort(key=lambda file: not file.is_wheel)
        return best

    def _find_usable(
        self, files: Files, wishes: Sequence[Wish], specifier: SpecifierSet
    ) -> Iterator[tuple[Version, Candidate]]:
        may_be_yanked = is_exact(specifier)
        for version in specifier.filter(files, prereleases=True):
            for file in files[version]:
                if not self.refuse(file, wishes, may_be_yanked=may_be_yanked):
                    yield version, file
                    break

    def refuse(self, file: Candidate, wishes: Iterable[Wish], *, may_be_yanked: bool) -> str:
        """Return why those who wish may not have a file of the right version, or nothing."""
        wishes = [*wishes]
        if file.yanked is not None and not may_be_yanked:
            return f"yanked: {file.yanked}" if file.yanked else "yanked"
        if not all(accepts(wish, file) for wish in wishes):
            return _NO_HASH
        if any(wish.only is not None and wish.only is not file for wish in wishes):
            return "an extra goes with another version"
        # A wheel without one is reported with all others, but an sdist would be run by then.
        if self._question.require_hashes and not (file.is_wheel or accepted_hashes(file, wishes)):
            return _NOT_VOUCHED
        return ""

    def _pick_direct(self, name: str, wishes: Sequence[Wish]) -> list[Candidate]:
        urls = {wish.url for wish in wishes if wish.url}
        found = [self.find_direct(name, url, wishes) for url in urls]
        files = {file.url: file for file in found if not isinstance(file, str)}
        if len(files) != 1 or any(isinstance(file, str) for file in found):
            return []
        return [file for file in files.values() if all(is_satisfied(w, file) for w in wishes)]

    def find_direct(self, name: str, url: str, wishes: Iterable[Wish]) -> Candidate | str:
        """Return what is at ``url``, or why that is of no use."""
        located = locate(name, url, self._question.subject)
        # Before anything is built: that would run what nobody has vouched for.
        stated = [wish for wish in wishes if wish.only is None]
        reason = self.refuse(located, stated, may_be_yanked=True)
        if reason:
            return reason
        key = (name, url)
        if key not in self._direct:
            self._direct[key] = self._inspect(located)
        return self._direct[key]

    def is_at(self, file: Candidate, url: str) -> bool:
        """Return whether ``file`` is what was found at ``url``."""
        return self._direct.get((file.name, url)) is file

    def _inspect(self, located: Candidate) -> Candidate | str:
        try:
            return self._judge(located) or self._supply.complete(located)
        except ValueError as error:
            return str(error)

    def shelf(self, name: str) -> ProjectCandidates:
        """Return the files that the index has of ``name``."""
        if name not in self._shelves:
            self._shelves[name] = self._fill(name)
        return self._shelves[name]

    def _fill(self, name: str) -> ProjectCandidates:
        shelf = ProjectCandidates()
        index = self._supply.index
        # Old versions may ask for what is gone; that must not spoil what is resolved without them.
        with contextlib.suppress(PackageNotFoundError):
            found = [(file, self._is_timely(file)) for file in index.find(name)]
            found += [(file, False) for file in index.find_newer(name)]
            found.sort(key=lambda pair: self._sort_key(pair[0]), reverse=True)
            for file, is_timely in found:
                self._place(file, shelf.timely if is_timely else shelf.late, shelf)
        return shelf

    def _place(self, file: Candidate, place: Files, shelf: ProjectCandidates) -> None:
        reason = self._judge(file)
        if reason:
            shelf.refused.setdefault(file.version, []).append(reason)
        else:
            place.setdefault(file.version, []).append(file)

    def _sort_key(self, file: Candidate) -> tuple[object, ...]:
        # The index may list files in any order; the same files have to give the same answer.
        rank, build = self._rank(file)
        return file.version, file.is_wheel, -rank, build, file.file_name, file.url

    def _rank(self, file: Candidate) -> tuple[int, tuple[int, str]]:
        """Return how well a wheel fits, of which 0 is best, and its build number."""
        if not file.is_wheel:
            return 0, (0, "")
        wheel = parse_wheel_name(file.file_name)
        rank = find_rank(wheel.tags, self._ranks)
        return _WORST if rank is None else rank, wheel.build_order

    def _judge(self, file: Candidate) -> str:
        """Return why a file is of no use to this Python whoever asks for it, or nothing."""
        if not file.is_wheel and not self._can_build:
            return _NO_BUILD
        if file.is_wheel and self._rank(file)[0] == _WORST:
            return _NO_WHEEL
        return judge_python(file.requires_python, self._question.python.version)

    def _is_timely(self, file: Candidate) -> bool:
        cutoff = self._question.exclude_newer
        if cutoff is None:
            return True
        # Whoever names a time still wants what is here; an era wants nothing from another one.
        if not self._question.oldest and local_path(file.url):
            return True
        return file.uploaded is not None and file.uploaded < cutoff

    def is_late(self, file: Candidate) -> bool:
        """Return whether a file was taken although it came after the cut-off."""
        shelf = self._shelves.get(file.name, ProjectCandidates())
        return any(file is other for other in shelf.late.get(file.version, ()))

    def is_known(self, name: str) -> bool:
        """Return whether the index has any file of ``name`` that could be of use to somebody."""
        shelf = self.shelf(name)
        return bool(shelf.timely or shelf.late or shelf.refused)

    def explain(self, name: str) -> str:
        """Return what the index keeps to itself, and why, or why it has nothing at all."""
        try:
            left_out = self._supply.index.explain(name)
        except PackageNotFoundError as error:
            return str(error)
        return f"of `{name}` the index leaves out {left_out}" if left_out else ""


def judge_python(requires_python: str, version: str) -> str:
    """Return why a Python is not one of those that something is for, or nothing."""
    if admits_python(requires_python, version):
        return ""
    return f"it is for Python {requires_python}"


def accepted_hashes(file: Candidate, wishes: Iterable[Wish]) -> tuple[str, ...]:
    """Return the hashes that are stated for a file, by each who states any."""
    stated = [set(wish.hashes) for wish in wishes if wish.hashes]
    if any(wish.url for wish in wishes) and file.hashes:
        stated.append({f"{algorithm}:{digest}" for algorithm, digest in file.hashes.items()})
    common = set[str].intersection(*stated) if stated else set[str]()
    own = {f"{algorithm}:{digest.lower()}" for algorithm, digest in file.hashes.items()}
    return tuple(sorted(common & own or common))


def is_satisfied(wish: Wish, file: Candidate) -> bool:
    """Return whether a file of the right name is what ``wish`` wants, if it may be used."""
    if wish.only is not None:
        return wish.only is file
    return wish.specifier.contains(file.version, prereleases=True) and accepts(wish, file)


def accepts(wish: Wish, file: Candidate) -> bool:
    """Return whether a file may have one of the hashes stated in ``wish``."""
    stated = [text.partition(":")[::2] for text in wish.hashes]
    known = [(algorithm, digest) for algorithm, digest in stated if file.hashes.get(algorithm)]
    if not known:
        # Unsaid by the index: a wheel is compared when it is there, an sdist would be run by then.
        return file.is_wheel or not stated
    return any(file.hashes[algorithm].lower() == digest for algorithm, digest in known)


def combine(wishes: Iterable[Wish]) -> SpecifierSet:
    """Return what all of ``wishes`` say of the version."""
    combined = ANY
    for wish in wishes:
        combined &= wish.specifier
    return combined
