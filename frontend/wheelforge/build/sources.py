"""From a path, a URL or a requirement to what can be built: a directory, or an sdist that is here.

What comes from an index is chosen as a resolver would choose it, among sdists alone.
"""

from __future__ import annotations

import contextlib
import re
import stat
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.errors import SourceError
from wheelforge_isolation import ArchiveError, digest, ensure_directory
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import (
    OLD_SDIST,
    OLD_SDIST_SUFFIXES,
    SDIST_SUFFIXES,
    WHEEL_SUFFIX,
    parse_sdist_name,
    parse_version,
)
from wheelforge_isolation.formats.requirements import find_requirement, guess_requirement, is_exact
from wheelforge_isolation.formats.urls import (
    FETCHED_SCHEMES,
    check_url,
    file_name_of,
    fragment_of,
    redact,
    scheme_of,
    without_fragment,
    without_secrets,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from packaging.specifiers import SpecifierSet

    from wheelforge.index import Candidate, Index
    from wheelforge_isolation.formats.git_urls import GitUrl

    Source: TypeAlias = "RequirementSource | UrlSource | GitSource"

_URL = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)
"""More than one letter, as one is a drive of Windows."""
_VERSION_AFTER_COLON = re.compile(r"(?!file:)[\w.-]+:v?[0-9][\w.]*", re.IGNORECASE)
"""As in `six:1.0`, which is meant as a requirement."""
_ARCHIVES = (*SDIST_SUFFIXES, *OLD_SDIST_SUFFIXES, WHEEL_SUFFIX)
_ALGORITHMS = {"md5", "sha1", "sha224", "sha256", "sha384", "sha512"}
_RELATIVE = "a path has to be absolute"
_NOTHING = "there is no such file or directory, and it is neither a requirement nor a URL"
_DAY_SECONDS = 86400


class RequirementSource(NamedTuple):
    """The sdist of a release that an index has."""

    name: str
    specifier: SpecifierSet

    @property
    def is_local(self) -> bool:
        """Whether it is had without a network."""
        return False

    def __str__(self) -> str:
        return f"{self.name}{self.specifier}"


class UrlSource(NamedTuple):
    """The archive at a URL."""

    url: str
    """Without a fragment."""
    file_name: str
    name: str = ""
    """Of the project, if that was said."""
    hashes: Mapping[str, str] = {}

    @property
    def is_local(self) -> bool:
        """Whether it is had without a network."""
        return self.url.lower().startswith("file:")

    def __str__(self) -> str:
        return redact(self.url)


class GitSource(NamedTuple):
    """A revision of a git repository."""

    url: GitUrl
    name: str = ""
    """Of the project, if that was said."""

    @property
    def is_local(self) -> bool:
        """Whether it is had without a network."""
        return self.url.url.startswith("file:")

    def __str__(self) -> str:
        return redact(self.url.url)


class GitTerms(NamedTuple):
    """How a repository is fetched."""

    variables: Mapping[str, str] = {}
    is_cancelled: Callable[[], bool] = bool
    commit: str = ""
    """The one to fetch, if it is known, whatever the revision means now."""
    is_offline: bool = False
    """Whether submodules come from this machine as well."""


class FetchedSource(NamedTuple):
    """A directory or an sdist, and what is known of it."""

    path: Path
    sha256: str = ""
    """Unless it is a directory."""
    commit: str = ""
    """If it is a directory that was fetched from a repository."""
    committed: int | None = None
    """When that commit was made, in seconds since 1970."""
    uploaded: datetime | None = None
    url: str = ""
    """Where it is from, without credentials."""
    index_url: str = ""
    """The index that lists it."""
    name: str = ""
    """Normalised, as is the version: the release that it has to be of, if one was stated."""
    version: str = ""


class Dating(NamedTuple):
    """When an sdist was published, as far as that can be told."""

    moment: datetime
    """In UTC."""
    origin: str
    """How that is known."""


# From text to a source


def parse_source(text: str) -> Source:
    """Return what ``text`` means if it is no path."""
    if _URL.match(text) and not _VERSION_AFTER_COLON.fullmatch(text):
        return _parse_url(text, "")
    requirement = find_requirement(text)
    # To the grammar of requirements, `demo-1.0.tar.gz` is a name.
    is_like_a_path = "/" in text or "\\" in text or text.lower().endswith(_ARCHIVES)
    if requirement is None or (is_like_a_path and not requirement.url):
        raise make_source_error(text, _RELATIVE if is_like_a_path else _explain_mistake(text))
    if requirement.extras or requirement.marker:
        what = "an extra" if requirement.extras else "a marker"
        raise make_source_error(text, f"{what} means nothing where a project is built")
    if requirement.url and not _URL.match(requirement.url):
        raise make_source_error(
            text, f"a version follows `==`: `{requirement.name}=={requirement.url}`"
        )
    if requirement.url:
        return _parse_url(requirement.url, requirement.name)
    return RequirementSource(name=requirement.name, specifier=requirement.specifier)


def _explain_mistake(text: str) -> str:
    """Return why ``text`` states no requirement, and the one that it may mean."""
    meant = guess_requirement(text)
    if meant:
        return f"it is no valid requirement; did you mean `{meant}`?"
    is_tried = any(operator in text for operator in ("=", "<", ">", "~"))
    return "it is no valid requirement, which is like `NAME==VERSION`" if is_tried else _NOTHING


def _parse_url(text: str, name: str) -> UrlSource | GitSource:
    try:
        check_url(text)
    except FormatError as error:
        raise make_source_error(text, str(error)) from error
    if scheme_of(text).startswith("git+"):
        from wheelforge_isolation.formats.git_urls import parse_git_url

        try:
            return GitSource(url=parse_git_url(text), name=name)
        except FormatError as error:
            raise make_source_error(text, str(error)) from error
    scheme, facts = scheme_of(text), fragment_of(text)
    url, file_name = without_fragment(text), file_name_of(text)
    problem = _judge_url(scheme, file_name, facts)
    if problem:
        raise make_source_error(text, problem)
    hashes = {key: value.lower() for key, value in facts.items() if key in _ALGORITHMS}
    return UrlSource(url=url, file_name=file_name, name=name, hashes=hashes)


def _judge_url(scheme: str, file_name: str, facts: Mapping[str, str]) -> str:
    """Return why a URL is of no use, or nothing."""
    if "+" in scheme:
        return "only repositories of git are fetched; clone it, and name the directory"
    if scheme not in FETCHED_SCHEMES:
        return "only `https:`, `http:` and `file:` URLs are fetched"
    if "subdirectory" in facts:
        return "a part of an archive is not built; unpack it, and name the directory"
    if not file_name.lower().endswith(SDIST_SUFFIXES):
        if file_name.lower().endswith(OLD_SDIST_SUFFIXES):
            return OLD_SDIST
        return "it does not end with the name of a .tar.gz or .zip file"
    return ""


def make_source_error(text: str, reason: str) -> SourceError:
    """Return the error that ``text`` is no usable source, without the secrets in it."""
    return SourceError("source-invalid", redact(text), reason)


# From a source to a path


def describe_path(path: Path) -> FetchedSource:
    """Return what is known of a file or a directory."""
    check_path(path)
    try:
        return FetchedSource(path=path, sha256="" if path.is_dir() else digest(path))
    except OSError as error:
        raise make_source_error(str(path), error.strerror or str(error)) from error


def check_path(path: Path) -> None:
    """Refuse a path where there is neither a file nor a directory."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        reason = error.strerror or str(error)
        if isinstance(error, FileNotFoundError) and "*" in str(path):  # the shell found nothing
            reason = "no file or directory matches it"
        raise make_source_error(str(path), reason) from error
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):  # to read a pipe may never end
        raise make_source_error(str(path), "it is neither a file nor a directory")


def fetch_source(
    source: Source,
    index: Index,
    directory: Path,
    terms: GitTerms | None = None,
    python_version: str = "",
) -> FetchedSource:
    """Put the archive of ``source`` into ``directory``, or what is in a repository.

    Of a requirement it is the newest release that is for ``python_version``.
    """
    if isinstance(source, GitSource):
        return _check_out(source, directory, terms or GitTerms())
    if isinstance(source, UrlSource):
        from packaging.utils import canonicalize_name

        from wheelforge.index import Candidate

        located = Candidate(
            name=canonicalize_name(source.name),
            version=parse_version("0"),  # which is not known, and not needed to fetch it
            file_name=source.file_name,
            url=source.url,
            hashes=source.hashes,
            is_wheel=False,
            origin=str(source),
        )
        return _fetch(located, "", index, directory)
    from wheelforge_isolation import inspect_sdist

    *others, last = _choose(source, index, python_version)
    for candidate in others:
        found = _fetch(candidate, str(candidate.version), index, directory)
        with contextlib.suppress(ArchiveError):
            inspect_sdist(found.path)
            return found
    return _fetch(last, str(last.version), index, directory)


def _fetch(candidate: Candidate, version: str, index: Index, directory: Path) -> FetchedSource:
    ensure_directory(str(directory))
    path = directory / candidate.file_name
    index.fetch(candidate, str(path))
    return FetchedSource(
        path=path,
        sha256=candidate.hashes.get("sha256") or digest(path),
        uploaded=candidate.uploaded,
        url=without_secrets(candidate.url),
        index_url=candidate.origin if version else "",
        name=candidate.name,
        version=version,
    )


def _choose(source: RequirementSource, index: Index, python_version: str) -> list[Candidate]:
    """Return the sdists of the newest version that fits, best first; a yanked one only by name."""
    from wheelforge.index.candidates import (
        FileRules,
        ProjectFiles,
        find_objection,
        group_by_reason,
    )

    found, specifier = index.find(source.name), source.specifier
    objection = partial(find_objection, may_be_yanked=is_exact(specifier))
    files = ProjectFiles(found, FileRules(wheels=False))
    fitting = ProjectFiles(found, FileRules(python_version, wheels=False))
    # Where none is for this Python, or just one is asked for, the build is what says so.
    best = [] if is_exact(specifier) else fitting.select(specifier, objection)
    chosen = best or files.select(specifier, objection)
    if chosen:
        return [file for file in files.timely[chosen[0].version] if not objection(file)]
    versions = files.explain(objection)
    reasons = [f"{each}: {reason}" for reason, each in group_by_reason(versions, [specifier])]
    left_out = found.explain()
    if left_out:
        reasons.append(f"left out are {left_out}")
    free = tuple(str(version) for version, reason in versions.items() if not reason)
    raise SourceError("source-not-found", str(source), tuple(reasons or ["no version fits"]), free)


# When it was published


def find_dating(
    archive: Path, sha256: str, newest: int | None, index: Index | None
) -> Dating | None:
    """Return when an sdist was published: what the index says, else what is inside.

    ``newest`` is the latest time that was found when it was unpacked.
    """
    uploaded = None if index is None else find_upload(archive.name, sha256, index)
    if uploaded is not None:
        return Dating(moment=uploaded, origin="the index")
    # At midnight sharp no file was written: that is what some backends give to all of them.
    if newest is None or newest % _DAY_SECONDS == 0:
        return None
    moment = datetime.fromtimestamp(newest, UTC)
    return Dating(moment=moment, origin="the newest file in the archive")


def find_upload(file_name: str, sha256: str, index: Index) -> datetime | None:
    """Return when the file of that name and content was uploaded, if the index has that one."""
    from wheelforge.errors import OfflineError, PackageNotFoundError

    try:
        found = index.find(parse_sdist_name(file_name).name)
    except (FormatError, OfflineError, PackageNotFoundError):
        return None
    same = (file for file in (*found.usable, *found.late) if file.file_name == file_name)
    return next((file.uploaded for file in same if file.hashes.get("sha256") == sha256), None)


def _check_out(source: GitSource, place: Path, terms: GitTerms) -> FetchedSource:
    from packaging.utils import canonicalize_name

    from wheelforge.build.git import check_out

    found = check_out(source.url, place / source.url.name, terms)
    return FetchedSource(
        path=found.root,
        commit=found.commit,
        committed=found.time,
        url=without_secrets(source.url.url),
        name=canonicalize_name(source.name),
    )
