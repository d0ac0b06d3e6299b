"""The story of one build: its turn, its stage and log, an attempt, and a second one if it helps."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.build.attempt import (
    Attempt,
    BuildJob,
    BuildResult,
    NothingNew,
    SourceTree,
    unpack_source,
)
from wheelforge.build.cancellation import BuildCancellation
from wheelforge.build.sources import (
    Dating,
    FetchedSource,
    describe_path,
    fetch_source,
    find_dating,
    parse_source,
)
from wheelforge.errors import (
    BuildCancelledError,
    BuildError,
    OfflineError,
    SourceError,
    UsageError,
)
from wheelforge.events import EventLog
from wheelforge.models import Era, Keep, Kind, Outcome
from wheelforge_isolation import (
    ForgeError,
    ensure_directory,
    open_new_file,
    remove_file,
    stage_name,
    translated,
    wait_for_turn,
)

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime
    from typing import BinaryIO

    from wheelforge.build.context import BuildContext
    from wheelforge.models import BuildRequest
    from wheelforge_isolation import LockOwner, Stage

_GRACE = timedelta(days=1)
"""A backend may have been released on the same day, for this very sdist."""
_CANCELLED = 130
"""The exit code of all errors that cancelling leads to."""
_AGAIN = b"\n-- once more, in processes that are not forked --\n\n"
_SENT_SIGNALS = frozenset({-1, -2, -9, -15})
"""The status of a hook that somebody else has ended, or the machine for want of memory."""
_SDIST_SUFFIX = re.compile(r"\.(tar\.gz|zip)$")


class Publication(NamedTuple):
    """When an sdist was published."""

    cutoff: datetime
    """A day later."""
    origin: str

    def __str__(self) -> str:
        """Name what may be built with."""
        return f"what there was on {self.cutoff:%Y-%m-%d}, as {self.origin} says"


class BuildSession:
    """One build, from its request to its outcome."""

    def __init__(
        self,
        context: BuildContext,
        request: BuildRequest,
        fetched: FetchedSource | None = None,
        cancellation: BuildCancellation | None = None,
    ) -> None:
        self.request = request
        self._context = context
        self._cancellation = cancellation or BuildCancellation(context.pool)
        self._journal = EventLog(request.label, context.reporter)
        self._job = BuildJob(
            context, request, self._cancellation, self._journal, self._build_requirement
        )
        self._result = BuildResult()
        self._is_fetched = fetched is not None
        self._fetched = fetched or FetchedSource(path=Path())
        self._python = ""
        self._log: Path | None = None
        self._era: datetime | None = None

    def cancel(self) -> None:
        """End the build as soon as possible, from any thread; does not wait."""
        self._cancellation.cancel()

    def run(self) -> Outcome:
        """Build, and return how it went."""
        error: ForgeError | None = None
        try:
            self._python = self._context.targets.find(self.request.python).python.version
            with self._journal.phase(""), self._take_turns(), self._open_stage() as (stage, log):
                self._build_in(stage, log)
            if self._context.tidy is not None and not self.request.chain:
                self._context.tidy()
        except ForgeError as failure:
            error = self._judge(failure)
        return Outcome(
            request=self.request,
            python=self._python,
            artifacts=tuple(self._result.artifacts),
            error=error,
            metadata=self._result.metadata,
            sha256=self._fetched.sha256,
            phases=tuple(self._journal.phases),
            wheels=tuple(self._result.wheels),
            environments_found=self._result.environments_found,
            environments_made=self._result.environments_made,
            notes=tuple(self._journal.notes),
            era=self._era,
            peak_bytes=self._result.peak_bytes,
            cpu_seconds=self._result.cpu_seconds,
            log=self._log,
        )

    def _judge(self, error: ForgeError) -> ForgeError:
        """Return the error of the outcome; wherever a build is cancelled, it is the same one."""
        if error.exit_code != _CANCELLED or not self._cancellation.is_cancelled():
            return error
        cancelled = BuildCancelledError(self.request.label)
        cancelled.__cause__ = error
        return cancelled

    @contextlib.contextmanager
    def _take_turns(self) -> Generator[None]:
        """Wait until nobody else builds in the same directory: backends write into it."""
        with contextlib.ExitStack() as stack:
            for directory in self._list_shared():
                with self._journal.phase("wait"):
                    turn = wait_for_turn(
                        directory,
                        self._tell_holder,
                        label=self.request.label,
                        is_cancelled=self._cancellation.is_cancelled,
                    )
                    note = stack.enter_context(turn)
                self._journal.note(*filter(None, [note]))
            yield

    def _list_shared(self) -> list[Path]:
        """Return the directories in which others may build too, always in the same order."""
        source, tree = self.request.source, self.request.tree
        found = {source.resolve()} if isinstance(source, Path) and source.is_dir() else set[Path]()
        if tree is not None:
            ensure_directory(str(tree))
            found.add(tree.resolve())
        return sorted(found)

    def _tell_holder(self, holder: LockOwner) -> None:
        who = f"process {holder.pid}" if holder.pid else "another process"
        self._journal.note(f"waiting for {who}, which builds {holder.label or 'it'} just now")

    @contextlib.contextmanager
    def _open_stage(self) -> Generator[tuple[Stage, BinaryIO]]:
        """Yield a stage and a log; the stage stays if that is wished for."""
        keep, label = self._context.settings.policy.keep, self.request.label
        name = stage_name(_SDIST_SUFFIX.sub("", label), str(self.request.source))
        ensure_directory(str(self._context.logs))
        with self._context.staging(name) as stage:
            self._log = self._context.logs / f"{stage.path.name}-py{self._python}.log"
            try:
                with translated("build in", str(stage.path)), _open_log(self._log) as log:
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
        self._journal.note(f"kept: {stage.path}")

    def _build_in(self, stage: Stage, log: BinaryIO) -> None:
        """Build as of now or of then, and once more as of then if that may help."""
        place = stage.path
        if not self._is_fetched:
            self._fetch(place / "fetched")
        tree = self._lay_out(place)
        era, cutoff = self._context.settings.policy.era, self.request.cutoff
        if era is Era.ALWAYS and cutoff is None and self._fetched.sha256:
            then = self._find_publication(tree.newest)
            if then is not None:
                self._journal.note(f"built with {then}")
                cutoff = then.cutoff
        try:
            self._run(self._prepare(tree, place, log, cutoff))
        except BuildError as error:
            is_hopeful = era is Era.FALLBACK and cutoff is None and bool(self._fetched.sha256)
            if not is_hopeful or not _is_of_its_time(error):
                raise
            stage.check()
            if not self._is_built_as_of_then(place / "era", log, tree.newest, error):
                raise

    def _run(self, attempt: Attempt) -> None:
        """Build; what fails in a forked process is tried once more in fresh ones."""
        try:
            attempt.run()
        except BuildError as error:
            if not self._result.is_forked or not _may_come_of_forking(error):
                raise
        else:
            return
        backend = self._result.backend
        attempt.log.write(_AGAIN)
        attempt = attempt.again(self._lay_out(attempt.place))
        self._result = attempt.result
        attempt.run()
        self._context.unforked.write({}, *backend)
        self._journal.note(
            f"`{backend[1]}` has failed in a forked process, and not in a fresh one: it is not"
            f" forked in this environment from now on; please report that, with `{self._log}`"
        )

    def _fetch(self, place: Path) -> None:
        is_path = isinstance(self.request.source, Path)
        with contextlib.nullcontext() if is_path else self._journal.phase("fetch"):
            self._fetched = obtain_source(self._context, self.request, place)

    def _lay_out(self, place: Path) -> SourceTree:
        if not self._fetched.sha256:
            return SourceTree(self._fetched.path, self._fetched)
        return unpack_source(self._fetched, place, self.request, self._journal)

    def _is_built_as_of_then(
        self, place: Path, log: BinaryIO, newest: int | None, error: BuildError
    ) -> bool:
        """Build with what there was when the sdist was made, unless that is the same."""
        self._journal.note(f"with what there is today it fails: {error.code}")
        then = self._find_publication(newest)
        if then is None:
            return False
        failed = self._result
        try:
            ensure_directory(str(place))
            attempt = self._prepare(self._lay_out(place), place, log, then.cutoff)
            attempt.tried, attempt.forks = failed.wheels.keys(), False
            attempt.run()
        except NothingNew:
            self._journal.note(f"{then}, is the same, so it is not built once more")
        except ForgeError as second:
            if self._cancellation.is_cancelled():
                raise
            self._journal.note(f"with {then}, it fails too: {second.code}")
        else:
            self._journal.note(f"built once more with {then}")
            return True
        self._result, self._era = failed, None
        return False

    def _prepare(
        self, tree: SourceTree, place: Path, log: BinaryIO, cutoff: datetime | None
    ) -> Attempt:
        self._era = cutoff
        attempt = Attempt(self._job, tree, place, log, cutoff)
        self._result = attempt.result
        return attempt

    def _build_requirement(self, request: BuildRequest) -> Outcome:
        """Build something that this build requires: cancelled with it, and in the same way."""
        own = self.request
        request = replace(
            request,
            python=request.python or own.python,
            variables=own.variables if request.variables is None else request.variables,
            constraints=request.constraints or own.constraints,
            timeout_seconds=request.timeout_seconds or own.timeout_seconds,
        )
        outcome = BuildSession(self._context, request, cancellation=self._cancellation).run()
        if outcome.error is not None:
            raise outcome.error
        return outcome

    def _find_publication(self, newest: int | None) -> Publication | None:
        """Return when the sdist was published, or nothing if nothing tells."""
        fetched, index = self._fetched, self._context.targets.find(self.request.python).index
        if fetched.uploaded is not None:
            dating: Dating | None = Dating(moment=fetched.uploaded, origin="the index")
        else:
            dating = find_dating(fetched.path, fetched.sha256, newest, index)
        if dating is None:
            self._journal.note("nothing tells when it was published")
            return None
        return Publication(cutoff=dating.moment + _GRACE, origin=dating.origin)


def _open_log(path: Path) -> BinaryIO:
    """Return the new file ``path``, whatever is in its place: a link is never written through."""
    remove_file(str(path))
    return open(path, "wb", opener=lambda name, _: open_new_file(name))


def obtain_source(context: BuildContext, request: BuildRequest, place: Path) -> FetchedSource:
    """Return the source as a path, fetched into ``place`` if it is none, with its hash checked."""
    if isinstance(request.source, Path):
        fetched = describe_path(request.source)
    else:
        index = context.targets.find(request.python).index
        source = parse_source(request.source)
        if context.settings.offline and not (source.is_local or index.is_local):
            raise OfflineError("offline", str(source), "this build")
        fetched = fetch_source(source, index, place)
    if request.hashes and not fetched.sha256:
        raise SourceError("source-invalid", str(request.source), "a directory has no hash")
    if request.hashes:
        from wheelforge.resolve import check_hashes

        check_hashes(fetched.path, request.hashes)
    if fetched.sha256 and Kind.EDITABLE in request.kinds and request.tree is None:
        reason = "an sdist is unpacked for the build only; keep it with `--sdist-extract-dir`"
        raise UsageError("option-invalid", "--editable", reason)
    return fetched


_OF_THE_MACHINE = {
    "build-disk-full",
    "build-out-of-memory",
    "header-missing",
    "library-missing",
    "tool-missing",
}
_OF_THEIR_TIME = {
    "backend-unavailable",
    "hook-missing",
    "package-not-found",
    "requirements-conflict",
    "result-invalid",  # newer backends find other versions than older ones did
}


def _may_come_of_forking(error: BuildError) -> bool:
    """Return whether a hook that was forked might have gone well in a process of its own."""
    from wheelforge.errors import BackendFailedError

    if isinstance(error, BackendFailedError):
        is_ours = error.code not in _OF_THE_MACHINE | {"python-two"}
        return is_ours and error.failure.status not in _SENT_SIGNALS
    return error.code in {"hook-answer-invalid", "hook-unsupported", "result-invalid"}


def _is_of_its_time(error: BuildError) -> bool:
    """Return whether requirements of another time may be a cure."""
    from wheelforge.errors import BackendFailedError

    if isinstance(error, BackendFailedError):
        return error.code not in _OF_THE_MACHINE | {"build-access", "build-network"}
    return error.code in _OF_THEIR_TIME
