"""The forge: builds, one after another or many at once, under one set of settings.

`open_forge` makes it ready: a Python is found, a cache opened, an index known, or whatever was
handed in instead.
"""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from wheelforge.build.context import BuildContext
from wheelforge.build.session import BuildSession
from wheelforge.build.targets import (
    Targets,
    find_layout,
    find_python,
    open_index,
    read_index_settings,
)
from wheelforge.errors import UsageError
from wheelforge.events import BuildEvent, ignore
from wheelforge.hooks.pool import RunnerPool
from wheelforge.hooks.sandbox.settings import SandboxSettings
from wheelforge.models import BuildRequest, EnvironmentRequest, Outcome, Reuse
from wheelforge.settings import Settings
from wheelforge_isolation import open_cache, open_stage, stage_name

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from wheelforge.build.environments import EnvironmentManager, Installer
    from wheelforge.build.reuse import WheelReuse
    from wheelforge.build.shared_wheels import SharedWheels
    from wheelforge.events import Reporter
    from wheelforge.hooks.runner import HookOptions
    from wheelforge.hooks.sandbox.ladder import Sandbox
    from wheelforge.lockfile import Lock
    from wheelforge.models import BuildEnvironment, EnvironmentProvider, Runner, Staging
    from wheelforge_isolation import Cache, Event, Layout

    MakeRunner = Callable[[HookOptions], AbstractContextManager[Runner]]


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
    settings.check()
    with contextlib.ExitStack() as stack:
        cache = stack.enter_context(_open_cache(settings, reporter))
        targets = stack.enter_context(contextlib.closing(Targets(settings, cache.layout)))
        python = targets.find().python
        sandbox = _find_sandbox(settings, components, cache.layout)
        provider, tidy = components.provider, None
        reuse: WheelReuse | None = None
        if provider is None and not settings.isolated:
            from wheelforge.build.host_environment import HostProvider

            provider = HostProvider(targets, checks=settings.checked)
        if provider is None:
            from wheelforge.build.environments import EnvironmentManager

            name = stage_name("requirements", str(python.executable))
            workspace = stack.enter_context(open_stage(cache.layout.stages, name)).path
            provider = EnvironmentManager(settings, cache, targets, workspace, components.install)
            tidy = provider.discard_private
            provider.shared = _open_shared(settings, cache, reporter, stack)
            reuse = provider.reuse = _open_reuse(provider, components, sandbox)
        _check_provenance(settings, provider)
        context = BuildContext(
            settings=settings,
            components=components,
            cache=cache,
            layout=cache.layout,
            targets=targets,
            provider=provider,
            pool=components.pool or stack.enter_context(RunnerPool()),
            reporter=reporter,
            tidy=tidy,
            compiler_cache=_find_compiler_cache(settings, sandbox),
            sandbox=sandbox,
            reuse=reuse,
        )
        forge = Forge(context)
        try:
            yield forge
        except BaseException:
            forge.close(cancels=True)
            raise
        forge.close()


def _open_cache(settings: Settings, reporter: Reporter) -> contextlib.AbstractContextManager[Cache]:
    layout = find_layout(settings.cache_dir, settings.stage_dir)
    return open_cache(layout, partial(pass_on, reporter), max_bytes=settings.cache_max_bytes)


def _check_provenance(settings: Settings, provider: EnvironmentProvider) -> None:
    wanted = settings.provenance
    if wanted.is_wanted and getattr(provider, "attestor", None) is None:
        reason = "of environments that another provider makes, the files are not known"
        if not settings.isolated:
            reason = (
                "`--no-isolation` uses what is installed, of which no files or hashes are known"
            )
        option = "--provenance" if wanted.statements else "--sbom"
        raise UsageError("option-invalid", option, reason)


def _find_sandbox(settings: Settings, components: Components, layout: Layout) -> Sandbox | None:
    if settings.sandbox == SandboxSettings():
        return None
    from wheelforge.build.confine import find_sandbox

    if components.make_runner is not None:
        raise UsageError("option-invalid", "--sandbox", "the runner of the hooks is not ours")
    return find_sandbox(settings.sandbox, settings.variables, layout)


def _open_reuse(
    manager: EnvironmentManager, components: Components, sandbox: Sandbox | None
) -> WheelReuse | None:
    """Return what finds the wheels of earlier builds, if all that a build depends on is known."""
    settings = manager.settings
    is_own = components.make_runner or components.install or settings.environment_dir
    if is_own or settings.policy.reuse is Reuse.OFF:
        return None
    from wheelforge.build.reuse import WheelReuse

    return WheelReuse(manager, sandbox)


def _open_shared(
    settings: Settings, cache: Cache, reporter: Reporter, stack: contextlib.ExitStack
) -> SharedWheels | None:
    """Return the wheels of remote caches, if any are named."""
    if not settings.remote.urls:
        return None
    from wheelforge.build.shared_wheels import SharedWheels
    from wheelforge.remote.cache import RemoteCaches

    def note(text: str) -> None:
        reporter(BuildEvent(kind="note", build="", text=text))

    caches = RemoteCaches(settings.remote, read_index_settings(settings), note)
    return SharedWheels(stack.enter_context(caches), cache, settings.remote.least_sandbox)


def _find_compiler_cache(settings: Settings, sandbox: Sandbox | None) -> str:
    wanted = settings.policy.compiler_cache
    if wanted == "off":
        return ""
    from wheelforge.build.compiler_cache import find_compiler_cache

    if sandbox is not None and wanted in {"auto", "sccache"}:
        if wanted == "sccache":
            reason = "the server of sccache is out of reach in a sandbox; ccache can be used"
            raise UsageError("option-invalid", "--compiler-cache", reason)
        with contextlib.suppress(UsageError):
            return find_compiler_cache("ccache", settings.variables)
        return ""
    return find_compiler_cache(wanted, settings.variables)


def fetch_locked(settings: Settings, lock: Lock, *, reporter: Reporter = ignore) -> int:
    """Put every file that ``lock`` names into the cache, and return how many there are."""
    from wheelforge.build.locked_files import keep_pins

    with open_cache(find_layout(settings.cache_dir), partial(pass_on, reporter)) as cache:
        python = find_python(settings, cache.layout)
        with open_index(settings, python) as index:
            # A build requirement may be a source as well.
            pins = {(pin.file_name, pin.sha256): pin for pin in (*lock.archives(), *lock.files())}
            return keep_pins([*pins.values()], index, cache, is_offline=settings.offline)


def pass_on(reporter: Reporter, event: Event) -> None:
    """Tell what happened to the cache as a note that is about no build."""
    reporter(BuildEvent(kind="note", build="", text=f"{event.subject}: {event.reason}"))


class Forge:
    """Builds whatever is asked for; any number of threads may ask at once.

    `open_forge` makes it. Builds of one directory take turns; others do not wait for each other.
    It changes nothing of the process it is in, and prints nothing.
    """

    def __init__(self, context: BuildContext) -> None:
        self.context = context
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._running: set[Future[Outcome]] = set()
        self._is_closed = False

    def build(self, request: BuildRequest) -> Outcome:
        """Build what ``request`` asks for; each artifact is delivered whole, as soon as it is.

        Raises the leaf of `ForgeError` that says why something could not be built.
        """
        outcome = self.try_build(request)
        if outcome.error is not None:
            raise outcome.error
        return outcome

    def try_build(self, request: BuildRequest) -> Outcome:
        """Do the same, and return how it went even if it went wrong."""
        self._check(request)
        return BuildSession(self.context, request).run()

    def start(self, request: BuildRequest) -> RunningBuild:
        """Build in a thread of the forge; the result is the outcome, as of `try_build`.

        As many builds run at once as `concurrent.futures` has threads by default; others wait for
        them. The end of the `open_forge` block waits for all, or cancels them after an exception.
        """
        with self._lock:
            self._check(request)
            if self._threads is None:
                self._threads = ThreadPoolExecutor(thread_name_prefix="wheelforge-build")
            build = RunningBuild(BuildSession(self.context, request))
            self._running.add(build)
            build.add_done_callback(self._forget)
            self._threads.submit(build.run)
        return build

    def prepare_environment(
        self,
        requirements: Iterable[str],
        *,
        label: str = "requirements",
        python: str | None = None,
        constraints: Iterable[Path] = (),
        cutoff: datetime | None = None,
    ) -> BuildEnvironment:
        """Return an environment that has ``requirements``, for callers that run hooks themselves.

        It is made, or found in the cache, as one for a build; do not change it. It is there until
        the forge is closed. ``label`` names the requirements in messages; the rest is as in
        `BuildRequest`. Raises the leaf of `ForgeError` that says why there is none.
        """
        self._check()
        if isinstance(requirements, str):  # a text is a sequence of texts, too
            raise UsageError(
                "request-invalid", f"`requirements` must be several, not `{requirements!r}`"
            )
        request = EnvironmentRequest(
            requirements=tuple(requirements),
            label=label,
            python=python,
            constraints=tuple(constraints),
            cutoff=cutoff,
            variables=self.context.settings.variables,
        )
        return self.context.provider.prepare(request, self.build).environment

    def cancel(self) -> None:
        """End every build as soon as possible; for any thread, does not wait.

        Hooks are ended with all that they have started, waiting for a turn ends, and no hook starts
        any more: this cannot be taken back. Builds end with an error whose exit code is 130.
        """
        self.context.pool.cancel()

    def close(self, *, cancels: bool = False) -> None:
        """Refuse new builds, and wait for those that were started; `open_forge` calls it."""
        with self._lock:
            self._is_closed = True
            builds, threads = list(self._running), self._threads
        for build in builds if cancels else ():
            build.cancel()
        if threads is not None:
            threads.shutdown()

    def _forget(self, build: Future[Outcome]) -> None:
        with self._lock:
            self._running.discard(build)

    def _check(self, request: object = None) -> None:
        if self._is_closed:
            raise UsageError("forge-closed")
        if request is not None and not isinstance(request, BuildRequest):
            raise UsageError("request-invalid", f"it is no `BuildRequest` but `{request!r}`")


class RunningBuild(Future[Outcome]):
    """A build that `Forge.start` has started: a future of `concurrent.futures`.

    `result` waits for the outcome, which has the error of a build that did not go well. In
    asyncio, `asyncio.wrap_future` makes it awaitable: cancelling the task cancels the build.
    """

    def __init__(self, session: BuildSession) -> None:
        super().__init__()
        self._session = session

    @property
    def request(self) -> BuildRequest:
        """The request that it builds."""
        return self._session.request

    def cancel(self) -> bool:
        """End this build and no other, as soon as possible; does not wait.

        Returns whether it was not over yet. A build that has begun has an outcome nevertheless:
        its error says that it was cancelled. Its hooks end with all that they have started.
        """
        if super().cancel():
            return True
        self._session.cancellation.cancel()
        return not self.done()

    def run(self) -> None:
        """Build, unless it was cancelled before; for a thread of the forge."""
        if not self.set_running_or_notify_cancel():
            return
        try:
            outcome = self._session.run()
        except BaseException as error:  # ruff: ignore[blind-except]
            self.set_exception(error)
        else:
            self.set_result(outcome)
