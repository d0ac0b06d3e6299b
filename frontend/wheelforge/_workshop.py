"""A forge made ready: a Python found, a cache opened, an index known, or whatever was handed in."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from wheelforge._build import Forge
from wheelforge._events import BuildEvent, ignore
from wheelforge._foresight import make_foresight
from wheelforge._means import Means
from wheelforge._places import find_layout, find_python, list_search_path, open_index
from wheelforge._records import Records
from wheelforge._runners import RunnerPool
from wheelforge.errors import OfflineError
from wheelforge_isolation import (
    open_cache,
    open_stage,
    stage_name,
)

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from wheelforge._events import Reporter
    from wheelforge._index import Index
    from wheelforge._lockfile import Lock
    from wheelforge._means import MakeRunner
    from wheelforge._models import Provider, Staging
    from wheelforge._provision import Installer, Provisioner
    from wheelforge._settings import Settings
    from wheelforge._sources import Dating, FetchedSource
    from wheelforge_isolation import Cache, Event, Interpreter


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What takes the place of what a forge would make for itself.

    All of them are called from the threads that build, several at once. What they raise comes out
    of the forge as it is, unless it is a `ForgeError`: then it is the error of the build.
    """

    provider: Provider | None = None
    """Makes environments; nothing is resolved, fetched or installed by the forge then."""
    install: Installer | None = None
    """Makes an environment of wheels that were chosen, fetched and checked; not with `provider`.

    It is given the interpreter, and each wheel's key and path, and returns the environment.
    """
    make_runner: MakeRunner | None = None
    """Opens a runner for the hooks of one build, and is told on which terms they run."""
    pool: RunnerPool | None = None
    """Runs hooks for several forges; closed by whoever has made it, after them."""
    staging: Staging | None = None
    """Opens the directory a build works in, given a name; the same source has the same name."""


@contextlib.contextmanager
def open_forge(
    settings: Settings, *, reporter: Reporter = ignore, parts: Parts | None = None
) -> Generator[Forge]:
    """Yield a forge; what it uses is given back at the end of the block.

    ``reporter`` hears what happens, ``parts`` take the place of what would be made here. Open one
    for many builds: it keeps backends imported, and holds its cache against collectors. Any
    thread may use it; no build may still run at the end of the block. Raises a `ForgeError` if
    there is no such Python, the cache cannot be used, or the settings make no sense.
    """
    parts = parts or Parts()
    with contextlib.ExitStack() as stack:
        report = partial(pass_on, reporter)
        layout, limit = find_layout(settings.cache_dir), settings.cache_max_bytes
        cache = stack.enter_context(open_cache(layout, report, max_bytes=limit))
        python = find_python(settings, cache.layout)
        index = stack.enter_context(open_index(settings, python))
        provider, tidy = parts.provider, None
        if provider is None and not settings.isolated:
            provider = _make_host_provider(settings, python)
        if provider is None:
            name = stage_name("requirements", str(python.executable))
            workspace = stack.enter_context(open_stage(cache.layout.stages, name)).path
            provisioner = _make_provisioner(settings, cache, python, index, workspace)
            provider = replace(provisioner, install=parts.install)
            tidy = provider.discard_private
        means = Means(
            provider=provider,
            staging=parts.staging or partial(open_stage, cache.layout.stages),
            pool=parts.pool or stack.enter_context(RunnerPool()),
            foresight=make_foresight(settings, cache.layout),
            unforked=Records(directory=cache.layout.guesses, kind="unforked"),
            variables=settings.variables,
            logs=cache.layout.logs,
            python=python.version,
            policy=settings.policy,
            reporter=reporter,
            fetch=partial(_fetch, index, is_offline=settings.offline),
            find_dating=partial(_find_dating, index),
            tidy=tidy,
            make_runner=parts.make_runner,
        )
        yield Forge(means=means)


def fetch_locked(settings: Settings, lock: Lock, *, reporter: Reporter = ignore) -> int:
    """Put every file that ``lock`` names into the cache, and return how many there are."""
    from wheelforge._provision import keep_pins

    report = partial(pass_on, reporter)
    with open_cache(find_layout(settings.cache_dir), report) as cache:
        python = find_python(settings, cache.layout)
        with open_index(settings, python) as index:
            return keep_pins(lock.files(), index, cache, is_offline=settings.offline)


def _make_provisioner(
    settings: Settings, cache: Cache, python: Interpreter, index: Index, workspace: Path
) -> Provisioner:
    from wheelforge._provision import Provisioner
    from wheelforge._resolve import Memory, read_constraints

    return Provisioner(
        cache=cache,
        python=python,
        index=index,
        memory=Memory(directory=cache.layout.resolutions),
        workspace=workspace,
        search_path=os.pathsep.join(list_search_path(settings)),
        constraints=read_constraints((*settings.constraints, *index.settings.build_constraints)),
        require_hashes=settings.require_hashes,
        exclude_newer=settings.exclude_newer,
        offline=settings.offline,
        refresh=settings.refresh,
        lock=settings.lock,
        recorder=settings.recorder,
        private=settings.environment_dir and settings.environment_dir.resolve(),
    )


def _make_host_provider(settings: Settings, python: Interpreter) -> Provider:
    from wheelforge._host import HostProvider

    search = [str(python.executable.parent), *list_search_path(settings)]
    return HostProvider(
        python=python,
        variables=settings.variables,
        search_path=os.pathsep.join(search),
        is_checked=settings.checked,
    )


def _fetch(index: Index, text: str, place: Path, *, is_offline: bool) -> FetchedSource:
    from wheelforge._sources import UrlSource, fetch_source, parse_source

    source = parse_source(text)
    is_file = isinstance(source, UrlSource) and source.url.startswith("file:")
    if is_offline and not (is_file or index.is_local):
        raise OfflineError(str(source), "this build")
    return fetch_source(source, index, place)


def _find_dating(index: Index, path: Path, sha256: str, newest: int | None) -> Dating | None:
    from wheelforge._sources import find_dating

    return find_dating(path, sha256, newest, index)


def pass_on(reporter: Reporter, event: Event) -> None:
    """Tell what happened to the cache as a note that is about no build."""
    reporter(BuildEvent(kind="note", build="", text=f"{event.subject}: {event.reason}"))
