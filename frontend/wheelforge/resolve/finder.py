"""The files that may be chosen in one resolution: what an index has, and what is at URLs.

Each name is looked up, each file is judged and each sdist is built once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.errors import PackageNotFoundError, RequirementInvalidError
from wheelforge.index import Candidate
from wheelforge.index.candidates import (
    NO_WHEEL,
    Candidates,
    FileRules,
    ProjectFiles,
    find_objection,
    fits_tags,
    own_hashes,
)
from wheelforge.resolve.fetch_plan import build_sdist
from wheelforge.resolve.requirements import ANY, read_constraints
from wheelforge_isolation.formats import FormatError, urls
from wheelforge_isolation.formats.file_names import WHEEL_SUFFIX, parse_version, parse_wheel_name
from wheelforge_isolation.formats.requirements import is_exact

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    from wheelforge.index import Index, Metadata
    from wheelforge.resolve.requirements import WantedPackage
    from wheelforge.resolve.types import Builder, ResolutionRequest

_ALGORITHMS = {"sha256", "sha384", "sha512"}
_UNKNOWN = parse_version("0")


class CandidateFinder:
    """Finds the candidates for one request, and reads their metadata."""

    def __init__(self, request: ResolutionRequest, index: Index, builder: Builder | None) -> None:
        self.index = index
        self._request = request
        self._constraints = read_constraints(request)
        self._builder = builder
        self._rules = FileRules(
            python_version=request.python.version,
            exclude_newer=request.exclude_newer,
            # A time that the user names is not meant for local files; that of a release is.
            dates_local=request.oldest,
            sdists=builder is not None,
        )
        self._projects: dict[str, ProjectFiles] = {}
        self._direct: dict[tuple[str, str], Candidate | str] = {}
        self._built: dict[str, Path] = {}
        self._barred: set[str] = set()
        self._picked: dict[tuple[str, frozenset[WantedPackage]], list[Candidate]] = {}

    def pick(self, name: str, wanted: Iterable[WantedPackage]) -> list[Candidate]:
        """Return the best file of each version that satisfies all, preferred ones first."""
        key = (name, frozenset(wanted))
        if key not in self._picked:
            found = self._pick(name, self.with_constraints(*key))
            self._picked[key] = [file for file in found if file.url not in self._barred]
        return self._picked[key]

    def bar(self, files: Iterable[Candidate]) -> None:
        """Offer ``files`` no longer."""
        self._barred |= {file.url for file in files}
        self._picked.clear()

    def with_constraints(self, name: str, wanted: Iterable[WantedPackage]) -> list[WantedPackage]:
        """Return ``wanted``, and what is demanded of the name by constraints."""
        return [*wanted, *self._constraints.get(name, ())]

    def _pick(self, name: str, wanted: Sequence[WantedPackage]) -> list[Candidate]:
        places = {each.url for each in wanted if each.url}
        if places:
            direct = [self.find_direct(name, url, wanted) for url in places]
            files = {file.url: file for file in direct if not isinstance(file, str)}
            if len(files) != 1 or any(isinstance(file, str) for file in direct):
                return []
            return [f for f in files.values() if all(each.is_satisfied_by(f) for each in wanted)]
        project, specifier = self.project(name), combine(wanted)
        objection = partial(self._object, wanted, may_be_yanked=is_exact(specifier))
        found = project.select(specifier, objection)
        if not found and self._request.oldest:
            found = project.select(specifier, objection, late=True)[::-1]
        if self._request.prefers_wheels:
            found.sort(key=lambda file: not file.is_wheel)
        return found

    def _object(
        self, wanted: Sequence[WantedPackage], file: Candidate, *, may_be_yanked: bool
    ) -> str:
        """Return why a file of the right version may not be chosen, or nothing."""
        if any(each.only is not None and each.only is not file for each in wanted):
            return "an extra goes with another version"
        refuses = self._request.refuses_wheel
        if refuses is not None and file.is_wheel and refuses(file.name, str(file.version)):
            return "the overrides have it built from source"
        return find_objection(
            file,
            stated_hashes(file, wanted),
            may_be_yanked=may_be_yanked,
            require_hashes=self._request.require_hashes,
        )

    # From the index

    def project(self, name: str) -> ProjectFiles:
        """Return the files that the index has of ``name``."""
        if name not in self._projects:
            try:
                found = self.index.find(name)
            except PackageNotFoundError:
                # Old versions may ask for what is gone; that must not spoil what is resolved
                # without them.
                found = Candidates()
            self._projects[name] = ProjectFiles(found, self._rules)
        return self._projects[name]

    def is_late(self, file: Candidate) -> bool:
        """Return whether a file was chosen although it came after the cut-off."""
        project = self._projects.get(file.name)
        late = project.late.get(file.version, ()) if project else ()
        return any(file is other for other in late)

    def explain_versions(self, name: str, wanted: Sequence[WantedPackage]) -> dict[Version, str]:
        """Return each version with why it is out whatever version is asked for, or nothing."""
        stated = [each for each in wanted if each.only is None]
        objection = partial(self._object, stated, may_be_yanked=is_exact(combine(wanted)))
        return self.project(name).explain(objection, late=self._request.oldest)

    def find_absence(self, name: str) -> PackageNotFoundError | None:
        """Return the error of a name that no index has, if it is one."""
        try:
            self.index.find(name)
        except PackageNotFoundError as error:
            return error
        return None

    def explain_left_out(self, name: str) -> str:
        """Return which files the index leaves out, and why."""
        left_out = self.index.find(name).explain()
        return f"of `{name}` the index leaves out {left_out}" if left_out else ""

    # At a URL

    def find_direct(self, name: str, url: str, wanted: Iterable[WantedPackage]) -> Candidate | str:
        """Return what is at ``url``, or why that is of no use."""
        located = _locate(name, url, self._request.subject)
        # Before anything is built: that would run an sdist without a hash that is stated.
        stated = [each for each in wanted if each.only is None]
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
        """Return what is at a URL with its version, or why it is of no use."""
        if located.is_wheel and not fits_tags(located.file_name, self._request.python.tags):
            return NO_WHEEL
        reason = self._rules.check(located)
        if reason:
            return reason
        try:
            file_name = located.file_name if located.is_wheel else self._build(located).name
            wheel = parse_wheel_name(file_name)
        except ValueError as error:
            return str(error)
        if wheel.name != located.name:
            return f"what is there is `{wheel.name}`"
        return replace(located, version=wheel.version)

    # Metadata

    def read_metadata(self, candidate: Candidate) -> Metadata:
        """Return the metadata of a wheel, or of the wheel that is built of an sdist.

        ValueError where what was built is not what was to be built.
        """
        if candidate.is_wheel:
            return self.index.read_metadata(candidate)
        path = self._build(candidate)
        wheel = parse_wheel_name(path.name)
        if (wheel.name, wheel.version) != (candidate.name, candidate.version):
            raise ValueError(f"what is built of it is `{path.name}`")
        built = Candidate(
            name=wheel.name,
            version=wheel.version,
            file_name=path.name,
            url=path.as_uri(),
            hashes={},
            is_wheel=True,
        )
        return self.index.read_metadata(built)

    def _build(self, sdist: Candidate) -> Path:
        if sdist.url not in self._built:
            self._built[sdist.url] = build_sdist(sdist, self._builder, self._request.chain)
        return self._built[sdist.url]


def stated_hashes(file: Candidate, wanted: Iterable[WantedPackage]) -> list[Collection[str]]:
    """Return the hashes that are stated for a file, by each requirement that states any."""
    stated: list[Collection[str]] = [each.hashes for each in wanted if each.hashes]
    if any(each.url for each in wanted) and file.hashes:
        stated.append(own_hashes(file))
    return stated


def combine(wanted: Iterable[WantedPackage]) -> SpecifierSet:
    """Return the versions that all of ``wanted`` admit."""
    combined = ANY
    for each in wanted:
        combined &= each.specifier
    return combined


def _locate(name: str, url: str, whose: str) -> Candidate:
    """Return the file at ``url``, without its version, as far as that can be said unseen."""
    problem = _judge_url(url)
    if problem:
        raise RequirementInvalidError(f"{name} @ {urls.redact(url)}", whose, problem)
    bare, file_name = urls.without_fragment(url), urls.file_name_of(url)
    is_wheel, fragment = file_name.endswith(WHEEL_SUFFIX), urls.fragment_of(url)
    return Candidate(
        name=name,
        version=_UNKNOWN,
        file_name=file_name,
        # The rest of the fragment, such as a subdirectory, is for the build.
        url=bare if is_wheel else url,
        hashes={key: value.lower() for key, value in fragment.items() if key in _ALGORITHMS},
        is_wheel=is_wheel,
        origin=urls.without_secrets(bare),
    )


def _judge_url(url: str) -> str:
    try:
        urls.check_url(url)
    except FormatError as error:
        return str(error)
    if urls.scheme_of(url) not in urls.FETCHED_SCHEMES:
        return "only `https:`, `http:` and `file:` URLs are"
    path = urls.local_path(url)
    if path is not None and not Path(path).exists():
        return f"there is no `{path}`"
    return "" if urls.file_name_of(url) else "it does not end with the name of a file"
