"""The story of one build: its turn, its stage and log, an attempt, and a second one if it helps."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.build import retry
from wheelforge.build.prepare import prepare_source
from wheelforge.build.result import BuildResult
from wheelforge.errors import BuildCancelledError, BuildError
from wheelforge.events import EventLog
from wheelforge.hooks.protocol import Cancellation
from wheelforge.models import BuildAttempt, Era, Keep, Outcome
from wheelforge_isolation import (
    ForgeError,
    ensure_directory,
    open_new_file,
    open_stage,
    raising_file_errors,
    remove_file,
    stage_name,
    wait_for_turn,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from datetime import datetime
    from typing import BinaryIO

    from wheelforge.build.attempt import Attempt
    from wheelforge.build.context import BuildContext
    from wheelforge.build.project import SourceTree
    from wheelforge.build.sources import FetchedSource
    from wheelforge.build.wheel_build import WheelBuild
    from wheelforge.models import AppliedOverride, BuildRequest, Runner
    from wheelforge.overrides.model import Override
    from wheelforge_isolation import LockOwner, Stage


class BuildSession:
    """One build, from its request to its outcome."""

    def __init__(
        self,
        context: BuildContext,
        request: BuildRequest,
        fetched: FetchedSource | None = None,
        *,
        cancellation: Cancellation | None = None,
        id: str = "",  # ruff: ignore[builtin-argument-shadowing]
    ) -> None:
        self.context = context
        self.request = request
        self.cancellation = cancellation or Cancellation(above=context.pool.cancellation)
        self.id = id or str(next(context.numbers))
        self.events = EventLog(request.label, context.reporter, self.id)
        self._numbers = itertools.count(1)
        self._attempts: list[BuildAttempt] = []
        self._peak_bytes = 0
        self._cpu_seconds = 0.0
        self._compiler_counts = [0, 0]
        self._result = BuildResult()
        self.override: Override | None = None
        """The differences that are in force for the release, once it is known."""
        self._applied: tuple[AppliedOverride, ...] = ()
        self._fetched = fetched
        self.wheel: WheelBuild | None = None
        """The wheel as earlier and later builds know it, if they may use it."""
        self._python = ""
        self._log: Path | None = None
        self._era: datetime | None = None

    @property
    def variables(self) -> Mapping[str, str]:
        """All variables of the build, of which hooks get the harmless ones."""
        own = self.request.variables
        return self.context.settings.variables if own is None else own

    @property
    def hook_variables(self) -> Mapping[str, str]:
        """The same with those that overrides set for this release, and for none that it needs."""
        own = {} if self.override is None else self.override.variables
        return {**self.variables, **own}

    def run(self) -> Outcome:
        """Build, and return how it went."""
        error: ForgeError | None = None
        try:
            self._python = self.context.targets.find(self.request.python).python.version
            with self.events.phase(""), self._take_turns(), self._open_stage() as (stage, log):
                self._build_in(stage, log)
            if self.context.tidy is not None and not self.request.chain:
                self.context.tidy()
        except ForgeError as failure:
            error = failure
            # Wherever a build is cancelled, the error is the same one.
            if (
                error.exit_code == BuildCancelledError.exit_code
                and self.cancellation.is_cancelled()
            ):
                error = BuildCancelledError(self.request.label)
                error.__cause__ = failure
        return Outcome(
            request=self.request,
            python=self._python,
            artifacts=tuple(self._result.artifacts),
            error=error,
            metadata=self._result.metadata,
            sha256="" if self._fetched is None else self._fetched.sha256,
            commit="" if self._fetched is None else self._fetched.commit,
            phases=tuple(self.events.phases),
            wheels=tuple(self._result.wheels),
            environments_found=self._result.environments_found,
            environments_made=self._result.environments_made,
            compiler_hits=self._compiler_counts[0],
            compiler_misses=self._compiler_counts[1],
            notes=tuple(self.events.notes),
            remarks=tuple(self.events.remarks),
            era=self._era,
            overrides=self._applied,
            peak_bytes=self._peak_bytes,
            cpu_seconds=self._cpu_seconds,
            log=self._log,
            id=self.id,
            is_reused=self._result.is_reused,
            cause=self._result.cause,
            backend=self._result.backend[1],
            sandbox=self._result.sandbox,
            attempts=tuple(self._attempts),
        )

    def cancelling(self, runner: Runner) -> contextlib.AbstractContextManager[None]:
        """Let a cancellation end what ``runner`` runs meanwhile, if it is one that can be told."""
        end: Callable[[], None] | None = getattr(runner, "cancel", None)
        return contextlib.nullcontext() if end is None else self.cancellation.reaching(end)

    def build_requirement(self, request: BuildRequest) -> Outcome:
        """Build something that this build requires: cancelled with it, and in the same way."""
        own = self.request
        request = replace(
            request,
            python=request.python or own.python,
            variables=own.variables if request.variables is None else request.variables,
            constraints=request.constraints or own.constraints,
            timeout_seconds=request.timeout_seconds or own.timeout_seconds,
            set_versions=request.set_versions or own.set_versions,
        )
        number = f"{self.id}.{next(self._numbers)}"
        session = BuildSession(self.context, request, cancellation=self.cancellation, id=number)
        outcome = session.run()
        if outcome.error is not None:
            raise outcome.error
        return outcome

    @contextlib.contextmanager
    def _take_turns(self) -> Generator[None]:
        """Wait until nobody else builds in the same directories: backends write into them."""
        source, tree = self.request.source, self.request.tree
        shared = {source.resolve()} if isinstance(source, Path) and source.is_dir() else set[Path]()
        if tree is not None:
            ensure_directory(str(tree))
            shared.add(tree.resolve())
        with contextlib.ExitStack() as stack:
            for directory in sorted(shared):  # always in the same order
                with self.events.phase("wait"):
                    turn = wait_for_turn(
                        directory,
                        self._tell_holder,
                        label=self.request.label,
                        is_cancelled=self.cancellation.is_cancelled,
                    )
                    note = stack.enter_context(turn)
                self.events.note(*filter(None, [note]))
            yield

    def _tell_holder(self, holder: LockOwner) -> None:
        who = f"process {holder.pid}" if holder.pid else "another process"
        self.events.note(f"waiting for {who}, which builds {holder.label or 'it'} just now")

    @contextlib.contextmanager
    def _open_stage(self) -> Generator[tuple[Stage, BinaryIO]]:
        """Yield a stage and a log; the stage stays if that is wished for."""
        keep, logs = self.context.settings.policy.keep, self.context.layout.logs
        name = stage_name(self.request.label, str(self.request.source))
        ensure_directory(str(logs))
        staging = self.context.components.staging
        opened = staging(name) if staging else open_stage(self.context.layout.stages, name)
        with opened as stage:
            self._log = logs / f"{stage.path.name}-py{self._python}.log"
            try:
                with raising_file_errors("build in", str(stage.path)):
                    remove_file(str(self._log))  # a link is never written through
                    with open(self._log, "wb", opener=lambda name, _: open_new_file(name)) as log:
                        yield stage, log
            except ForgeError:
                stage.check()  # the project is not at fault if its files were taken away
                if keep is not Keep.NEVER:
                    self._keep(stage)
                raise
            if keep is Keep.ALWAYS:
                self._keep(stage)

    def _keep(self, stage: Stage) -> None:
        stage.keep()
        script = stage.path / "retry.py"
        again = f"; `python {script}` runs the failed hook again" if script.exists() else ""
        # A build requirement has no outcome that is told.
        tell = self.events.note if self.request.chain else self.events.remark
        tell(f"kept: {stage.path}{again}")

    def _build_in(self, stage: Stage, log: BinaryIO) -> None:
        """Build as of now or of then, and once more as of then if that may help."""
        place = stage.path
        fetched = self.fetch(place)
        if self._is_reused(fetched, log):
            return
        tree = self.lay_out(fetched, place)
        lines = [f"-- overrides: {each} --\n" for each in self._applied]
        log.write("".join(lines).encode(errors="replace"))
        if self._is_reused(fetched, log, tree.root):
            return
        try:
            self._run(self.open_attempt(tree, place, log), fetched)
            if self.wheel is not None:
                self.wheel.store(self._result, place)
        except BuildError as error:
            is_hopeful = self._find_era() is Era.FALLBACK and bool(fetched.sha256)
            if not is_hopeful or self.request.cutoff or not retry.is_of_its_time(error):
                raise
            stage.check()
            with self.events.holding_notes() as held:
                is_built = self._is_built_as_of_then(fetched, place / "era", log, tree.newest)
            if not is_built:
                raise
            self.events.note(f"with what there is today it fails: {error.code}", *held)

    def fetch(self, place: Path) -> FetchedSource:
        """Return the source, which is put below ``place`` unless it is on this machine."""
        if self._fetched is None:
            is_path = isinstance(self.request.source, Path)
            with contextlib.nullcontext() if is_path else self.events.phase("fetch"):
                self._fetched = self._fetch(place)
        return self._fetched

    def _find_era(self) -> Era:
        era = self.context.settings.policy.era
        return era if self.override is None else Era(self.override.value("era") or era)

    def open_attempt(self, tree: SourceTree, place: Path, log: BinaryIO) -> Attempt:
        """Return the first attempt: with what there is now, or was at the time asked for."""
        cutoff, fetched = self.request.cutoff, tree.fetched
        if self._find_era() is Era.ALWAYS and cutoff is None and fetched.sha256:
            cutoff, then = retry.find_publication(self.context, self.request, fetched, tree.newest)
            self.events.note(then if cutoff is None else f"built with {then}")
        return self._prepare(tree, place, log, cutoff)

    def _is_reused(self, fetched: FetchedSource, log: BinaryIO, root: Path | None = None) -> bool:
        """Deliver the wheel of an earlier build; its source may be unpacked below ``root``."""
        reuse = self.context.reuse
        if reuse is None or self.wheel is not None:
            return False
        self.wheel = reuse.open(self.request, fetched, self.override, root)
        # A build requirement was looked for before its sdist was fetched.
        if self.wheel is None or (reuse.shared is None if root else self.request.chain):
            return False
        found = self.wheel.find(self.build_requirement)
        self._result.reuse(found, self.events, self.request)
        if found is not None:
            self._era = found.era
            log.write(b"nothing was run: the wheel is one of an earlier build\n")
            self._applied = self.wheel.override.list_applied() if self.wheel.override else ()
        return self._result.is_reused

    def _fetch(self, place: Path, commit: str = "") -> FetchedSource:
        place, watch = place / "fetched", self.cancellation.is_cancelled
        context, request = self.context, self.request
        fetched = prepare_source(context, request, place, is_cancelled=watch, commit=commit)
        if fetched.commit:
            self.events.note(f"built from the commit {fetched.commit}")
        return fetched

    def lay_out(self, fetched: FetchedSource, place: Path) -> SourceTree:
        """Return a pristine tree of the source, with the overrides that are in force."""
        from wheelforge.build.project import SourceTree, unpack_source

        tree = SourceTree(fetched.path, fetched, fetched.committed)
        if fetched.sha256:
            tree = unpack_source(fetched, place, self.request, self.events)
        if self.context.settings.overrides is not None:
            from wheelforge.overrides.apply import change_source

            python = self.context.targets.find(self.request.python).python
            self.override, notes = change_source(
                self.context.settings.overrides,
                tree.root,
                tree.metadata,
                python.markers,
                is_sdist=bool(fetched.sha256),
            )
            self._applied = self.override.list_applied()
            self.events.note(*notes)
        return tree

    def _prepare(
        self, tree: SourceTree, place: Path, log: BinaryIO, cutoff: datetime | None
    ) -> Attempt:
        from wheelforge.build.attempt import Attempt

        self._era = cutoff
        attempt = Attempt(self, tree, place, log, cutoff)
        self._result = attempt.result
        self.events.artifacts = self._result.artifacts
        return attempt

    def _try(self, attempt: Attempt) -> None:
        """Make one attempt, and note how it went."""
        begin = sum(len(each.phases) for each in self._attempts)
        start, error = attempt.log.tell(), None
        try:
            attempt.run()
        except ForgeError as failure:
            error = failure
            raise
        except retry.NothingNew:
            attempt.log.write(b"it is the same, so it is not built once more\n")
            raise
        finally:
            self._peak_bytes = max(self._peak_bytes, attempt.result.peak_bytes)
            self._cpu_seconds += attempt.result.cpu_seconds
            counts = zip(self._compiler_counts, attempt.count_compilations(), strict=True)
            self._compiler_counts = [before + more for before, more in counts]
            phases, span = tuple(self.events.phases[begin:]), (start, attempt.log.tell())
            self._attempts.append(BuildAttempt(attempt.reason, attempt.cutoff, phases, error, span))

    def _run(self, attempt: Attempt, fetched: FetchedSource) -> None:
        """Build; what fails in a forked process is tried once more in fresh ones."""
        try:
            self._try(attempt)
        except BuildError as error:
            if not self._result.is_forked or not retry.may_come_of_forking(error):
                raise
        else:
            return
        backend = self._result.backend
        _part(attempt.log, "in processes that are not forked")
        if fetched.commit:  # a backend writes into what it is built from
            fetched = self._fetch(attempt.place, fetched.commit)
        tree = self.lay_out(fetched, attempt.place)
        again = self._prepare(tree, attempt.place, attempt.log, attempt.cutoff)
        again.forks, again.reason = False, "unforked"
        self._try(again)
        self.context.unforked.write({}, *backend)
        self.events.note(
            f"`{backend[1]}` has failed in a forked process, and not in a fresh one: it is not"
            f" forked in this environment from now on; please report that, with `{self._log}`"
        )

    def _is_built_as_of_then(
        self, fetched: FetchedSource, place: Path, log: BinaryIO, newest: int | None
    ) -> bool:
        """Build with what there was when the sdist was made, unless that is the same."""
        cutoff, then = retry.find_publication(self.context, self.request, fetched, newest)
        if cutoff is None:
            self.events.remark(then)
            return False
        failed = self._result
        try:
            ensure_directory(str(place))
            attempt = self._prepare(self.lay_out(fetched, place), place, log, cutoff)
            attempt.tried, attempt.forks, attempt.reason = failed.wheels.keys(), False, "era"
            _part(log, f"with {then}")
            self._try(attempt)
        except retry.NothingNew:
            self._attempts.pop()
            self.events.remark(f"{then}, is the same, so it is not built once more")
        except ForgeError as second:
            if self.cancellation.is_cancelled():
                raise
            self.events.remark(f"with {then}, it fails too: {second.code}")
        else:
            self.events.note(f"built once more with {then}")
            if self.wheel is not None:
                self.wheel.store(self._result, place, retry.Fallback(failed, cutoff))
            return True
        self._result, self._era = failed, None
        self.events.artifacts = failed.artifacts
        return False


def _part(log: BinaryIO, how: str) -> None:
    """Tell in the log that another attempt begins."""
    log.write(f"\n-- once more, {how} --\n\n".encode())
