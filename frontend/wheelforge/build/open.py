"""A forge made ready: a Python found, a cache opened, an index known, or whatever was handed in."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from wheelforge.build.context import BuildContext
from wheelforge.build.forge import Forge
from wheelforge.build.locations import find_layout, find_python, open_index
from wheelforge.build.prestart import Prestarter
from wheelforge.build.targets import Targets
from wheelforge.events import BuildEvent, ignore
from wheelforge.hooks.pool import RunnerPool
from wheelforge.settings import Settings
from wheelforge_isolation import (
    JsonCache,
    open_cache,
    open_stage,
    stage_name,
)

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from wheelforge.build.context import MakeRunner
    from wheelforge.build.environments import EnvironmentManager, Installer
    from wheelforge.events import Reporter
    from wheelforge.lockfile import Lock
    from wheelforge.models import EnvironmentProvider, Staging
    from wheelforge_isolation import Cache, Event


@dataclass(frozen=True, kw_only=True, slots=True)
class Components:
    """Replacements for parts that a forge would make for itself.

    All of them are called from the threads that build, several at once. What they raise comes out
    of the forge as it is, unless it is a `ForgeError`: then it is the error of the build.
    """

    provider: EnvironmentProvider | None = None
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
    settings: Settings | None = None,
    *,
    reporter: Reporter = ignore,
    components: Components | None = None,
) -> Generator[Forge]:
    """Yield a forge; what it uses is given back at the end of the block.

    ``reporter`` is called with each event, ``components`` replace what would be made here. Open
    one forge for many builds: it keeps backends imported, and holds its cache against collectors.
    Any thread may use it. The end of the block waits for builds that `Forge.start` has started;
    an exception cancels them. Raises a `ForgeError` if there is no such Python, the cache cannot
    be used, or the settings make no sense.
    """
    settings, components = settings or Settings(), components or Components()
    with contextlib.ExitStack() as stack:
        report = partial(pass_on, reporter)
        layout, limit = find_layout(settings.cache_dir), settings.cache_max_bytes
        cache = stack.enter_context(open_cache(layout, report, max_bytes=limit))
        targets = stack.enter_context(contextlib.closing(Targets(settings, cache.layout)))
        python = targets.find().python
        provider, tidy = components.provider, None
        if provider is None and not settings.isolated:
            provider = _make_host_provider(settings, targets)
        if provider is None:
            name = stage_name("requirements", str(python.executable))
            workspace = stack.enter_context(open_stage(cache.layout.stages, name)).path
            provider = _make_provider(settings, cache, targets, workspace, components.install)
            tidy = provider.discard_private
        context = BuildContext(
            settings=settings,
            targets=targets,
            provider=provider,
            staging=components.staging or partial(open_stage, cache.layout.stages),
            pool=components.pool or stack.enter_context(RunnerPool()),
            logs=cache.layout.logs,
            reporter=reporter,
            prestarter=Prestarter(cache.layout.root, settings.python),
            unforked=JsonCache(cache.layout.guesses, "unforked"),
            make_runner=components.make_runner,
            tidy=tidy,
        )
        with _closing(Forge(context)) as forge:
            yield forge


@contextlib.contextmanager
def _closing(forge: Forge) -> Generator[Forge]:
    """Close ``forge`` at the end; an exception cancels the builds that it has started."""
    try:
        yield forge
    except BaseException:
        forge.close(cancels=True)
        raise
    forge.close()


def fetch_locked(settings: Settings, lock: Lock, *, reporter: Reporter = ignore) -> int:
    """Put every file that ``lock`` names into the cache, and return how many there are."""
    from wheelforge.build.environments import keep_pins

    report = partial(pass_on, reporter)
    with open_cache(find_layout(settings.cache_dir), report) as cache:
        python = find_python(settings, cache.layout)
        with open_index(settings, python) as index:
            return keep_pins(lock.files(), index, cache, is_offline=settings.offline)


def _make_provider(
    settings: Settings,
    cache: Cache,
    targets: Targets,
    workspace: Path,
    install: Installer | None,
) -> EnvironmentManager:
    from wheelforge.build.environments import EnvironmentManager

    return EnvironmentManager(settings, cache, targets, workspace, install)


def _make_host_provider(settings: Settings, targets: Targets) -> EnvironmentProvider:
    from wheelforge.build.host_environment import HostProvider

    return HostProvider(targets, checks=settings.checked)


def pass_on(reporter: Reporter, event: Event) -> None:
    """Tell what happened to the cache as a note that is about no build."""
    reporter(BuildEvent(kind="note", build="", text=f"{event.subject}: {event.reason}"))
