"""From a request to its source on this machine: a path, or what is fetched for the build."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.build.sources import (
    GitSource,
    GitTerms,
    RequirementSource,
    describe_path,
    fetch_source,
    make_source_error,
    parse_source,
)
from wheelforge.errors import OfflineError, UsageError
from wheelforge.models import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from wheelforge.build.context import BuildContext
    from wheelforge.build.sources import FetchedSource, UrlSource
    from wheelforge.models import BuildRequest


def prepare_source(
    context: BuildContext,
    request: BuildRequest,
    place: Path,
    *,
    is_cancelled: Callable[[], bool] | None = None,
    commit: str = "",
) -> FetchedSource:
    """Return the source as a path, fetched into ``place`` if it is none, with its hash checked.

    Of a repository ``commit`` is fetched, or that of a lock, if there is one.
    """
    if isinstance(request.source, Path):
        fetched = describe_path(request.source)
    else:
        source, usual = parse_source(request.source), context.settings
        if isinstance(source, GitSource):
            terms = GitTerms(
                variables=usual.variables if request.variables is None else request.variables,
                is_cancelled=is_cancelled or context.pool.cancellation.is_cancelled,
                commit=commit,
                is_offline=usual.offline,
            )
            fetched = _fetch_repository(context, request, source, place, terms)
        else:
            fetched = _fetch_archive(context, request, source, place)
    _check_hashes(request, fetched)
    if Kind.EDITABLE in request.kinds:
        _refuse_editable(request, fetched)
    return fetched


def _fetch_archive(
    context: BuildContext,
    request: BuildRequest,
    source: RequirementSource | UrlSource,
    place: Path,
) -> FetchedSource:
    """Return the sdist of a release or a URL: the locked one, if a lock says which that is."""
    settings, target = context.settings, context.targets.find(request.python)
    lock, recorder, label = settings.lock, settings.recorder, request.label
    locked = None if lock is None else lock.find_archive(label, target.python)
    if locked is not None:
        from wheelforge.build.locked_files import keep_source

        offline = settings.offline
        return keep_source(source, locked, target.index, context.cache, is_offline=offline)
    is_listed = isinstance(source, RequirementSource) and target.index.is_local
    if settings.offline and not (source.is_local or is_listed):
        raise OfflineError("offline", str(source), "this build")
    fetched = fetch_source(source, target.index, place, python_version=target.python.version)
    if recorder is not None:
        from wheelforge.lockfile import Source

        known, name = Source(label, fetched.sha256), fetched.path.name
        recorder.name_archive(known, target.python, name, fetched.url, fetched.index_url)
    return fetched


def _fetch_repository(
    context: BuildContext,
    request: BuildRequest,
    source: GitSource,
    place: Path,
    terms: GitTerms,
) -> FetchedSource:
    settings = context.settings
    if settings.offline and not source.is_local:
        raise OfflineError("offline", str(source), "this build")
    if settings.lock is not None:
        terms = terms._replace(commit=terms.commit or settings.lock.find_commit(request.label))
    return fetch_source(source, context.targets.find(request.python).index, place, terms)


def _check_hashes(request: BuildRequest, fetched: FetchedSource) -> None:
    if request.hashes and not fetched.sha256:
        what = "a commit" if fetched.commit else "a directory"
        raise make_source_error(str(request.source), f"{what} has no hash")
    if request.hashes:
        from wheelforge.resolve import check_hashes

        check_hashes(fetched.path, request.hashes)


def _refuse_editable(request: BuildRequest, fetched: FetchedSource) -> None:
    """Refuse an editable wheel of what is there for the build only."""
    if fetched.commit:
        reason = "a repository is fetched for the build only; clone it, and name the directory"
        raise UsageError("option-invalid", "--editable", reason)
    if fetched.sha256 and request.tree is None:
        reason = "an sdist is unpacked for the build only; keep it with `--sdist-extract-dir`"
        raise UsageError("option-invalid", "--editable", reason)
