"""Which files of a name may be chosen, best first, and why the others may not."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wheelforge.errors import PackageNotFoundError
from wheelforge.index.candidates import (
    NO_WHEEL,
    Candidates,
    FileRules,
    ProjectFiles,
    find_objection,
    fits_tags,
    has_hash,
    own_hashes,
)
from wheelforge.resolve.requirements import ANY
from wheelforge.resolve.supply import locate
from wheelforge_isolation.formats.requirements import is_exact

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    from wheelforge.index import Candidate
    from wheelforge.resolve.requirements import Wish
    from wheelforge.resolve.supply import Supply
    from wheelforge.resolve.types import Question


class Catalogue:
    """All files, as one Python sees them; each name is looked up, and judged, once."""

    def __init__(
        self, question: Question, constraints: Mapping[str, list[Wish]], supply: Supply
    ) -> None:
        self._question = question
        self._constraints = constraints
        self._supply = supply
        self._rules = FileRules(
            python_version=question.python.version,
            exclude_newer=question.exclude_newer,
            # Whoever names a time still wants local files; the state of another time has none.
            dates_local=question.oldest,
            sdists=supply.can_build,
        )
        self._projects: dict[str, ProjectFiles] = {}
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
        urls = {wish.url for wish in wishes if wish.url}
        if urls:
            direct = [self.find_direct(name, url, wishes) for url in urls]
            files = {file.url: file for file in direct if not isinstance(file, str)}
            if len(files) != 1 or any(isinstance(file, str) for file in direct):
                return []
            return [file for file in files.values() if all(is_satisfied(w, file) for w in wishes)]
        project, specifier = self.project(name), combine(wishes)
        objection = partial(self._object, wishes, may_be_yanked=is_exact(specifier))
        found = project.select(specifier, objection)
        if not found and self._question.oldest:
            found = project.select(specifier, objection, late=True)[::-1]
        if self._question.prefers_wheels:
            found.sort(key=lambda file: not file.is_wheel)
        return found

    def _object(self, wishes: Sequence[Wish], file: Candidate, *, may_be_yanked: bool) -> str:
        """Return why those who wish may not have a file of the right version, or nothing."""
        if any(wish.only is not None and wish.only is not file for wish in wishes):
            return "an extra goes with another version"
        return find_objection(
            file,
            stated_hashes(file, wishes),
            may_be_yanked=may_be_yanked,
            require_hashes=self._question.require_hashes,
        )

    def find_direct(self, name: str, url: str, wishes: Iterable[Wish]) -> Candidate | str:
        """Return what is at ``url``, or why that is of no use."""
        located = locate(name, url, self._question.subject)
        # Before anything is built: that would run what nobody has vouched for.
        stated = [wish for wish in wishes if wish.only is None]
        reason = self._object(stated, located, may_be_yanked=True)
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
        if located.is_wheel and not fits_tags(located.file_name, self._question.python.tags):
            return NO_WHEEL
        try:
            return self._rules.judge(located) or self._supply.complete(located)
        except ValueError as error:
            return str(error)

    def project(self, name: str) -> ProjectFiles:
        """Return the files that the index has of ``name``."""
        if name not in self._projects:
            try:
                found = self._supply.index.find(name)
            except PackageNotFoundError:
                # Old versions may ask for what is gone; that must not spoil what is resolved
                # without them.
                found = Candidates()
            self._projects[name] = ProjectFiles(found, self._rules)
        return self._projects[name]

    def is_late(self, file: Candidate) -> bool:
        """Return whether a file was taken although it came after the cut-off."""
        project = self._projects.get(file.name)
        late = project.late.get(file.version, ()) if project else ()
        return any(file is other for other in late)

    def explain_versions(self, name: str, wishes: Sequence[Wish]) -> dict[Version, str]:
        """Return each version with why it is out whatever version is asked for, or nothing."""
        stated = [wish for wish in wishes if wish.only is None]
        may_be_yanked = is_exact(combine(wishes))
        objection = partial(self._object, stated, may_be_yanked=may_be_yanked)
        return self.project(name).explain(objection, late=self._question.oldest)

    def explain(self, name: str) -> str:
        """Return what the index keeps to itself, and why, or why it has nothing at all."""
        try:
            left_out = self._supply.index.find(name).explain()
        except PackageNotFoundError as error:
            return str(error)
        return f"of `{name}` the index leaves out {left_out}" if left_out else ""


def stated_hashes(file: Candidate, wishes: Iterable[Wish]) -> list[Collection[str]]:
    """Return the hashes that are stated for a file, by each who states any."""
    stated: list[Collection[str]] = [wish.hashes for wish in wishes if wish.hashes]
    if any(wish.url for wish in wishes) and file.hashes:
        stated.append(own_hashes(file))
    return stated


def is_satisfied(wish: Wish, file: Candidate) -> bool:
    """Return whether a file of the right name is what ``wish`` wants, if it may be used."""
    if wish.only is not None:
        return wish.only is file
    return wish.specifier.contains(file.version, prereleases=True) and has_hash(file, wish.hashes)


def combine(wishes: Iterable[Wish]) -> SpecifierSet:
    """Return what all of ``wishes`` say of the version."""
    combined = ANY
    for wish in wishes:
        combined &= wish.specifier
    return combined
