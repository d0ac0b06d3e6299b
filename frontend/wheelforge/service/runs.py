"""The runs: each is done by a worker, and followed by any number of clients.

All of a run is in a directory of its own: its events, one JSON object a line, which are written as
they come; its log; its results. A run that was at work when the server died is done again, unless
its worker had written its report.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge.report import GOOD
from wheelforge.service.active import TREE, Active, follow_file, make_command, read_lines
from wheelforge.service.problems import Problem
from wheelforge.service.queue import MACHINE, Queue, Run, Want, has_failed_lately, new_id
from wheelforge.service.results import Results, add_lock, describe_failure
from wheelforge.service.retention import Retention, count_within, remove_oldest
from wheelforge.service.uploads import Uploads
from wheelforge.service.wire import AsyncLine
from wheelforge_isolation import ForgeError, ensure_directory, remove_tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from wheelforge.service.home import Home
    from wheelforge.service.requests import BuildSpec
    from wheelforge.service.zygote import Zygote

_ATTEMPTS = 3
_ATTACH_SECONDS = 10.0
"""How long a request without `detach` may be without anybody who follows it, at its beginning."""
_RETURN_SECONDS = 1.0
"""How long, after the last one has gone."""
_END_SECONDS = 5.0


class Asked(NamedTuple):
    """The client that has asked for a build."""

    client: str
    is_local: bool
    """Whether it is the server's own user, over the socket."""


class Runs:
    """Everything that is queued or at work; for the one thread of the event loop."""

    def __init__(
        self, home: Home, zygote: Zygote, *, jobs: int, cache: Path, words: Sequence[str] = ()
    ) -> None:
        """Take up what an earlier server has left; ``words`` are options of all its builds."""
        self.retention = Retention()
        self.home = home
        self.jobs = jobs
        self.queue = Queue(home.database)
        self.results = Results(home)
        self.uploads = Uploads(home.root / "uploads")
        self.uploads.sweep(with_drafts=True)
        self.active: dict[str, Active] = {}
        self.started = self.retried = 0
        self.depot_address = ""
        self.changed = asyncio.Event()
        """Set when anything has changed, and then another one."""
        self.is_stopping = False
        self._zygote = zygote
        self._cache = str(cache)
        self._words = list(words)
        self._tasks = set[asyncio.Task[None]]()

    async def recover(self) -> int:
        """Take up what was queued or at work; return how many runs that are."""
        found = [*self.queue.list_runs("running", -1), *self.queue.list_runs("queued", -1)]
        for run in found:
            report = self.results.read_report(self.directory(run))
            if run.kind == "command":  # its client has done it, or is gone as well
                self._store_end(run, "cancelled", {})
            elif report is not None and report["outcome"] in GOOD:
                _, outcome = await self._hand_out(run, report)
                self._store_end(run, outcome["outcome"], outcome)
            else:
                self.queue.update(run.id, state="queued", started=None)
                self.active[run.id] = Active(run=run._replace(state="queued"))
        self.fill()
        return len(self.active)

    def directory(self, run: Run) -> Path:
        """Return the directory of a run."""
        return self.home.runs / run.id

    @property
    def running(self) -> list[Active]:
        """Those at work."""
        return [each for each in self.active.values() if each.run.state == "running"]

    # -- asking -----------------------------------------------------------------------------------

    def submit(
        self, spec: BuildSpec, asked: Asked, idempotency: str | None = None, digest: str = ""
    ) -> Want:
        """Take a request in: it joins a run of the same key, or gets one of its own."""
        client, is_local = asked
        key, states = spec.key(), ["queued", *(["running"] if spec.is_lasting else [])]
        run = self.queue.find_run(key, *states)
        if run is None and not spec.fields.get("fresh"):
            last = self.queue.find_run(key, "done")
            if last is not None and has_failed_lately(last):
                run = last
        if run is None:
            if len(self.active) >= self.retention.waiting:
                detail = f"{len(self.active)} builds wait already; ask again later"
                raise Problem(429, "queue-full", detail)
            run = Run(
                id=new_id(),
                key=key,
                kind="build",
                label=spec.label,
                request={"fields": spec.fields, "python": spec.python, "is_local": is_local},
                client=client,
                priority=spec.priority,
                state="queued",
                created=time.time(),
            )
            self._add(Active(run=run))
        elif spec.priority > run.priority and run.state == "queued":
            self.queue.update(run.id, priority=spec.priority)
        want = Want(
            id=new_id(),
            run=run.id,
            client=client,
            created=time.time(),
            detached=bool(spec.fields.get("detach")),
            idempotency=idempotency,
            digest=digest,
            output=spec.fields.get("output", ""),
        )
        self.queue.add_want(want)
        if run.state != "done" and not want.detached:
            self._keep(self._expect_followers(run.id, _ATTACH_SECONDS))
        self.fill()
        return want

    def add_command(self, client: AsyncLine, texts: Sequence[str], streams: list[int]) -> Active:
        """Take a command of a client in; its ``streams`` are taken out of the list."""
        active = make_command(client, texts, streams)
        self._add(active)
        streams.clear()
        self.fill()
        return active

    def _add(self, active: Active) -> None:
        ensure_directory(str(self.directory(active.run)))
        self.queue.add_run(active.run)
        self.active[active.run.id] = active
        self._notify_all()

    def repeat(self, run: Run, run_id: str) -> Run:
        """Queue a build again that is done, for nobody in particular."""
        again = run._replace(
            id=run_id, state="queued", created=time.time(), not_before=0.0, attempts=0, verdict=""
        )._replace(started=None, ended=None, outcome={})
        self._add(Active(run=again))
        want = Want(new_id(), again.id, run.client, again.created, detached=True)
        self.queue.add_want(want)
        self.fill()
        return again

    def cancel(self, run_id: str) -> None:
        """End a run, wherever it is."""
        active = self.active.get(run_id)
        if active is None or active.is_cancelled:
            return
        active.is_cancelled = True
        if active.line is None:
            self._end(active, "cancelled", {})
        else:
            self._keep(self._interrupt(active, active.line))

    async def _interrupt(self, active: Active, line: AsyncLine) -> None:
        await line.send("interrupt")
        with suppress(TimeoutError):
            await asyncio.wait_for(active.ended.wait(), _END_SECONDS)
            return
        line.hang_up()  # at which the worker ends, whatever it does

    def withdraw(self, want: Want) -> None:
        """Let a request be without effect; the last one takes its run with it."""
        self.queue.cancel_want(want.id)
        if not self.queue.wants_of(want.run):
            self.cancel(want.run)

    # -- doing ------------------------------------------------------------------------------------

    def fill(self) -> None:
        """Start runs while there is room for them."""
        clients = Counter(each.run.client for each in self.running)
        while clients.total() < self.jobs:
            run = self.queue.choose(clients)
            if run is None:
                return
            active = self.active[run.id]
            run = run._replace(state="running", started=time.time(), attempts=run.attempts + 1)
            active.run = run
            self.queue.update(run.id, state="running", started=run.started, attempts=run.attempts)
            clients[run.client] += 1
            self.started += 1
            self._keep(self._do(active))

    async def _do(self, active: Active) -> None:
        ending, tree = list[str](), self.directory(active.run) / TREE
        has_tree = active.client is None and active.spec.tree is not None
        try:
            if has_tree and not active.is_cancelled:
                await asyncio.to_thread(active.unpack, tree)
            if active.is_cancelled:  # between the choice and this moment
                return
            if not self.is_stopping:
                ending = await self._have_done(active)
        except OSError as error:  # no worker, no descriptor, no space
            ending = ["gone", f"it has no worker for it: {error.strerror}"]
        except ForgeError as error:  # an archive that cannot be unpacked
            active.outcome = describe_failure(str(error), error.code, error.exit_code)
            ending = ["exit", str(error.exit_code)]
        finally:
            if has_tree:
                await asyncio.to_thread(remove_tree, str(tree))
        await self._conclude(active, ending)

    async def _have_done(self, active: Active) -> list[str]:
        """Give a run to a worker, and follow it; return the last that it says."""
        if active.client is None:
            active.prepare(self.directory(active.run), self._words)
        try:
            line = active.line = AsyncLine(self._zygote.fork(active.streams))
        finally:
            active.close_streams()
        try:
            return await self._follow_worker(active, line)
        finally:
            line.close()
            active.line = None

    async def _follow_worker(self, active: Active, line: AsyncLine) -> list[str]:
        await line.send(self.depot_address, self._cache, *active.command)
        if active.is_cancelled:
            await line.send("interrupt")
        place, phase = self.directory(active.run), active.phase
        while (texts := (await line.receive())[0]) and texts[0] in {"event", "outcome"}:
            if texts[0] == "outcome":
                active.outcome = json.loads(texts[1])
                continue
            active.write_event(texts[1], place, self.retention.log_bytes)
            if active.phase != phase:
                phase = active.phase
                self._notify_all()
        return texts

    async def _conclude(self, active: Active, ending: Sequence[str]) -> None:
        """Decide what has become of a run whose worker is gone, and say so."""
        if active.client is not None:
            await active.client.send(*(ending or ("gone", "its worker has died")))
        if ending and ending[0] == "declined":
            self._end(active, "declined", {})
            return
        code = int(ending[1]) if ending and ending[0] == "exit" else MACHINE
        outcome = active.outcome or self.results.read_output(self.directory(active.run), code)
        if active.client is None:
            code, outcome = await self._hand_out(active.run, outcome, code)
        verdict = outcome.get("outcome", "built" if code == 0 else "failed")
        fails_now = code == MACHINE and active.run.attempts < _ATTEMPTS
        if active.is_cancelled or active.client is not None:
            self._end(active, "cancelled" if active.is_cancelled else verdict, outcome)
        elif self.is_stopping or (fails_now and not self.jobs):  # the next server takes it up
            self.queue.update(active.run.id, state="queued")
            active.ended.set()
        elif fails_now:
            self._try_again(active)
        else:
            self._end(active, verdict, outcome)

    def _try_again(self, active: Active) -> None:
        """Let a run wait a little that failed for a reason that is not its own."""
        self.retried += 1
        active.outcome = {}
        seconds = 2.0**active.run.attempts
        self.queue.update(active.run.id, state="queued", not_before=time.time() + seconds)
        active.run = active.run._replace(state="queued")
        asyncio.get_running_loop().call_later(seconds + 0.01, self.fill)
        self.fill()

    def _notify_all(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def _end(self, active: Active, verdict: str, outcome: dict[str, Any]) -> None:
        run = self._store_end(active.run, verdict, outcome)
        active.run = run
        self.active.pop(run.id, None)
        active.ended.set()
        active.notify()
        self._notify_all()
        active.close_streams()
        self.fill()

    def _store_end(self, run: Run, verdict: str, outcome: dict[str, Any]) -> Run:
        run = run._replace(state="done", verdict=verdict, outcome=outcome, ended=time.time())
        self.queue.update(run.id, state="done", verdict=verdict, outcome=outcome, ended=run.ended)
        self._forget_all_but(self.retention.runs)
        return run

    async def _hand_out(
        self, run: Run, outcome: dict[str, Any], code: int = 0
    ) -> tuple[int, dict[str, Any]]:
        """Put results where they are wanted, also meanwhile; return how that has ended."""

        def list_wanted() -> set[str]:
            return {want.output for want in self.queue.wants_of(run.id) if want.output}

        add_lock(self.directory(run), outcome)
        try:
            if outcome.get("artifacts"):
                await self.results.hand_out(self.directory(run), outcome, list_wanted)
        except (OSError, ForgeError) as error:
            return MACHINE, describe_failure(str(error))
        return code, outcome

    async def sweep(self) -> None:
        """Remove what is beyond the bounds."""
        bounds, home, done = self.retention, self.home, self.queue.list_done()
        with suppress(OSError, ForgeError):  # the disk may be full
            self.uploads.sweep()
            await asyncio.to_thread(remove_oldest, home.artifacts, bounds.artifact_bytes)
            count = await asyncio.to_thread(count_within, home.runs, done, bounds.run_bytes)
            if count < len(done):
                self._forget_all_but(count)
        self.queue.remove_old_wants(bounds.requests)

    def _forget_all_but(self, count: int) -> None:
        for old in self.queue.remove_old(count):
            remove_tree(str(self.home.runs / old))

    # -- following --------------------------------------------------------------------------------

    async def follow(self, run_id: str, after: int = 0) -> AsyncIterator[tuple[int, str]]:
        """Yield the events of a run after the given number, until it has ended."""
        active = self.active.get(run_id)
        path = self.home.runs / run_id / "events.ndjson"
        if active is None:
            for number, line in enumerate(read_lines(path, 0)[0], 1):
                if number > after:
                    yield number, line
            return
        active.followers += 1
        try:
            async for number, line in follow_file(path, active):
                if number > after or not line:
                    yield number, line
        finally:
            active.followers -= 1
            if not active.followers and not active.ended.is_set():
                self._keep(self._expect_followers(run_id, _RETURN_SECONDS))

    async def _expect_followers(self, run_id: str, seconds: float) -> None:
        """Cancel a run that nobody follows, unless somebody wants it all the same."""
        await asyncio.sleep(seconds)
        active = self.active.get(run_id)
        if active is None or active.followers:
            return
        if not any(want.detached for want in self.queue.wants_of(run_id)):
            self.cancel(run_id)

    # -- ending -----------------------------------------------------------------------------------

    async def close(self, *, drain: bool) -> None:
        """Let all that is at work end, by itself or now; the queue stays for the next server."""
        self.is_stopping = not drain
        actives = [each for each in self.active.values() if each.run.state == "running"]
        self.jobs = 0
        for active in () if drain else actives:
            if active.line is not None:
                await active.line.send("interrupt")
        for active in actives:
            with suppress(TimeoutError):
                await asyncio.wait_for(active.ended.wait(), None if drain else _END_SECONDS)
        for task in self._tasks:
            task.cancel()
        self.queue.close()

    def _keep(self, coroutine: Any) -> None:  # ruff: ignore[any-type]
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
