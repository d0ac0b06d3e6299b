"""A forge made ready: a Python found, a cache opened, an index known, or whatever was handed in."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge._build import Forge
from wheelforge._events import BuildEvent, ignore
from wheelforge._means import Means
from wheelforge._models import Policy
from wheelforge._runners import RunnerPool
from wheelforge_isolation import (
    Layout,
    default_layout,
    find_interpreter,
    open_cache,
    open_stage,
    remove_tree,
    stage_name,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from datetime import datetime

    from wheelforge._events import Reporter
    from wheelforge._index import Index
    from wheelforge._lockfile import Lock, Recorder
    from wheelforge._means import MakeRunner
    from wheelforge._models import Provider, Staging
    from wheelforge._provision import Installer, Provisioner
    from wheelforge._sources import Dating, FetchedSource
    from wheelforge_isolation import Cache, Event, Interpreter


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where things come from and under which rules; every one of them may be left out."""

    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """Those of the process, mostly: hooks get what is harmless of them, and pip's are honoured."""
    python: str | None = None
    """A path, or a version like 3.12; the running one unless given."""
    cache_dir: Path | None = None
    cache_max_bytes: int | None = None
    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    constraints: tuple[Path, ...] = ()
    require_hashes: bool = False
    exclude_newer: datetime | None = None
    offline: bool = False
    refresh: bool = False
    isolated: bool = True
    """Whether builds get environments of their own; if not, they get the Python as it is."""
    checked: bool = True
    """Whether that Python has to have what they need."""
    environment_dir: Path | None = None
    """Where the environment is made; absent or empty, and gone if all goes well."""
    lock: Lock | None = None
    """Builds get just what it says."""
    recorder: Recorder | None = None
    """Takes down what builds get."""
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What takes the place of what a forge would make for itself."""

    provider: Provider | None = None
    install: Installer | None = None
    make_runner: MakeRunner | None = None
    staging: Staging | None = None


@contextlib.contextmanager
def open_forge(
    settings: Settings, *, reporter: Reporter = ignore, parts: Parts | None = None
) -> Generator[Forge]:
    """Yield a forge; what it uses is given back at the end of the block."""
    parts = parts or Parts()
    with contextlib.ExitStack() as stack:
        report = partial(_pass_on, reporter)
        limit = settings.cache_max_bytes
        cache = stack.enter_context(open_cache(find_layout(settings), report, max_bytes=limit))
        python = find_python(settings, cache.layout)
        index = stack.enter_context(open_index(settings, python))
        provider = parts.provider
        if provider is None and not settings.isolated:
            provider = _make_host_provider(settings, python)
        if provider is None:
            name = stage_name("requirements", str(python.executable))
            workspace = stack.enter_context(open_stage(cache.layout.stages, name)).path
            provider = _make_provisioner(settings, cache, python, index, workspace)
            provider = replace(provider, install=parts.install)
        means = Means(
            provider=provider,
            staging=parts.staging or partial(open_stage, cache.layout.stages),
            pool=stack.enter_context(RunnerPool()),
            variables=settings.variables,
            logs=cache.layout.logs,
            python=python.version,
            policy=settings.policy,
            reporter=reporter,
            fetch=partial(_fetch, index),
            find_dating=partial(_find_dating, index),
            make_runner=parts.make_runner,
        )
        yield Forge(means=means)
    if settings.environment_dir is not None:
        remove_tree(str(settings.environment_dir))


def fetch_locked(settings: Settings, lock: Lock, *, reporter: Reporter = ignore) -> int:
    """Put every file that ``lock`` names into the cache, and return how many there are."""
    from wheelforge._provision import keep_pins

    report = partial(_pass_on, reporter)
    with open_cache(find_layout(settings), report) as cache:
        python = find_python(settings, cache.layout)
        with open_index(settings, python) as index:
            return keep_pins(lock.files(), index, cache, is_offline=settings.offline)


def find_layout(settings: Settings) -> Layout:
    """Return the cache that is meant."""
    return Layout(root=settings.cache_dir) if settings.cache_dir else default_layout()


def find_python(settings: Settings, layout: Layout) -> Interpreter:
    """Return the Python that is meant."""
    search = [Path(place) for place in _list_search_path(settings)]
    return find_interpreter(settings.python, search=search, memory=layout.interpreters)


def open_index(settings: Settings, python: Interpreter) -> Index:
    """Return what has files for ``python``; to be closed."""
    from wheelforge._index import Index, IndexOptions, find_index_settings, list_config_files

    said = IndexOptions(
        index_url=settings.index_url,
        extra_index_urls=settings.extra_index_urls,
        find_links=settings.find_links,
        no_index=settings.no_index,
        exclude_newer=settings.exclude_newer,
    )
    variables = settings.variables
    files = list_config_files(variables, sys.platform, sys.prefix)
    return Index(find_index_settings(variables, said, files), python.tags, python.version)


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
        search_path=os.pathsep.join(_list_search_path(settings)),
        constraints=read_constraints(settings.constraints),
        require_hashes=settings.require_hashes,
        exclude_newer=settings.exclude_newer,
        offline=settings.offline,
        refresh=settings.refresh,
        lock=settings.lock,
        recorder=settings.recorder,
        private=settings.environment_dir,
    )


def _make_host_provider(settings: Settings, python: Interpreter) -> Provider:
    from wheelforge._host import HostProvider

    search = [str(python.executable.parent), *_list_search_path(settings)]
    return HostProvider(
        python=python, search_path=os.pathsep.join(search), is_checked=settings.checked
    )


def _list_search_path(settings: Settings) -> list[str]:
    return os.get_exec_path(dict(settings.variables))


def _fetch(index: Index, text: str, place: Path) -> FetchedSource:
    from wheelforge._sources import fetch_source, parse_source

    return fetch_source(parse_source(text), index, place)


def _find_dating(index: Index, path: Path, sha256: str, newest: int | None) -> Dating | None:
    from wheelforge._sources import find_dating

    return find_dating(path, sha256, newest, index)


def _pass_on(reporter: Reporter, event: Event) -> None:
    """Tell what happened to the cache as a note that is about no build."""
    reporter(BuildEvent(kind="note", build="", text=f"{event.subject}: {event.reason}"))
