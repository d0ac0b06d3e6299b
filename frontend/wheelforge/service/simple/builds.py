"""Builds for pages: one for each sdist and target, however many pages wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge.build.repair import repair_wheel
from wheelforge.provenance.options import STATEMENT
from wheelforge.service.requests import BuildSpec
from wheelforge.service.runs import Asked
from wheelforge.service.simple.pages import Wheel
from wheelforge.service.simple.wheels import MACHINE, Failure, find_expiry
from wheelforge_isolation import (
    ForgeError,
    deliver_file,
    digest,
    mark_used,
    read_wheel_metadata,
    temporary_directory,
)
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import parse_wheel_name
from wheelforge_isolation.formats.metadata import first_value, parse_fields
from wheelforge_isolation.formats.text import escape_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping

    from wheelforge.index import Candidate
    from wheelforge.service.queue import Run
    from wheelforge.service.runs import Runs
    from wheelforge.service.simple.rules import Chooser
    from wheelforge.service.simple.wheels import BuiltWheels
    from wheelforge_isolation import Interpreter


_LOG = logging.getLogger(__name__)


class Target(NamedTuple):
    """A Python that wheels are built for."""

    name: str
    """As clients say it."""
    python: str
    """As the server was told."""
    interpreter: Interpreter
    identity: str
    """Of all that decides about a build besides its sdist."""
    chooser: Chooser
    repair: str = ""
    """The platform that Linux wheels are made fit for."""
    sandbox: str = ""
    """The sandbox of its builds, if it has one of its own."""


class Asker(NamedTuple):
    """The one that a build is for."""

    client: str
    """Clients get equal shares."""
    priority: str = "page"


class _Building(NamedTuple):
    project: str
    task: asyncio.Task[None]
    pages: set[object]
    """Those that wait for it."""


class PageBuilds:
    """The builds that pages wait for; for the one thread of the event loop."""

    def __init__(self, runs: Runs, wheels: BuiltWheels) -> None:
        self._runs = runs
        self._wheels = wheels
        self._directory = runs.home.wheels
        self._building: dict[tuple[str, str], _Building] = {}
        self._turn = asyncio.Lock()
        self._born = time.time()

    async def close(self) -> None:
        """Let all of them go."""
        for building in self._building.values():
            building.task.cancel()
        await asyncio.gather(
            *(each.task for each in self._building.values()), return_exceptions=True
        )

    def is_missing(self, target: Target, sdist: Candidate) -> bool:
        """Return whether there is neither a wheel of an sdist nor a failure."""
        return self.find(target, sdist) is None

    def locate(self, wheel: Wheel) -> Path:
        """Return where the file of a wheel is, or was."""
        return self._directory / wheel.sha256 / wheel.file_name

    def locate_statement(self, wheel: Wheel) -> Path:
        """Return where the statement of a wheel is, if it has one."""
        return self._directory / wheel.sha256 / f"{wheel.file_name}{STATEMENT}"

    async def build(self, target: Target, sdists: Iterable[Candidate], asker: Asker) -> None:
        """Have those of the sdists built that are missing."""
        missing = [sdist for sdist in sdists if self.is_missing(target, sdist)]
        async with self.waiting(target, missing, asker) as tasks:
            if tasks:
                await asyncio.wait(tasks)

    def find(self, target: Target, sdist: Candidate) -> Wheel | Failure | None:
        """Return what has become of an sdist, if it was built."""
        key = name_sdist(sdist)
        wheel = self._wheels.find_built(target.identity, key)
        if wheel is not None and self.locate(wheel).exists():
            return wheel
        return self._wheels.find_failure(target.identity, key)

    @contextlib.asynccontextmanager
    async def waiting(
        self, target: Target, sdists: Iterable[Candidate], asker: Asker
    ) -> AsyncGenerator[set[asyncio.Task[None]]]:
        """Have sdists built while inside; yield the tasks, each of which ends with its build."""
        page = object()
        joined = [self._join(target, sdist, asker, page) for sdist in sdists]
        try:
            yield {building.task for building in joined}
        finally:
            for building in joined:
                building.pages.discard(page)
                if not building.pages:
                    building.task.cancel()

    def count_building(self, target: Target) -> Mapping[str, int]:
        """Return how many sdists of each project pages wait for."""
        items = self._building.items()
        return Counter(each.project for (identity, _), each in items if identity == target.identity)

    def keep(self, target: Target, sdists: Iterable[Candidate], asker: Asker) -> None:
        """Let builds go on although no page waits for them any more."""
        for sdist in sdists:
            if (target.identity, name_sdist(sdist)) in self._building:
                self._runs.submit(
                    _make_spec(target, sdist, asker, detach=True),
                    Asked(asker.client, is_local=False),
                )

    def _join(self, target: Target, sdist: Candidate, asker: Asker, page: object) -> _Building:
        key = target.identity, name_sdist(sdist)
        building = self._building.get(key)
        if building is None or building.task.cancelling():
            task = asyncio.ensure_future(self._build(target, sdist, asker))
            building = self._building[key] = _Building(sdist.name, task, set())
            task.add_done_callback(partial(self._forget, key))
        building.pages.add(page)
        return building

    def _forget(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        if key in self._building and self._building[key].task is task:
            del self._building[key]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _LOG.error("the build of sdist %s for a page has broken off", key[1], exc_info=error)

    async def _build(self, target: Target, sdist: Candidate, asker: Asker) -> None:
        """Build one sdist, or recall that it was built, and take down how it went."""
        try:
            run = await self._find_run(target, sdist, asker)
            if run is not None and run.state == "done" and run.verdict != "cancelled":
                await self._take_over(target, sdist, run)
        except Exception as error:
            # Its page must not ask for it again and again; and it is shown with the others.
            facts = {"message": f"unexpected {type(error).__name__}: {error}", "exit_code": MACHINE}
            self._note_failure(target, sdist, "", {"code": "worker-lost", **facts})
            raise

    async def _take_over(self, target: Target, sdist: Candidate, run: Run) -> None:
        """Take in the wheel of a run that is done, or take down why there is none."""
        wheel = self._find_wheel(run)
        if wheel is None:
            self._note_failure(target, sdist, run.id, run.outcome.get("error") or {})
            return
        try:
            self._wheels.add(await asyncio.to_thread(self._take, wheel, (target, sdist, run)))
        except ForgeError as error:
            facts = {"code": error.code, "message": str(error), "exit_code": error.exit_code}
            self._note_failure(target, sdist, run.id, facts)
        except FormatError as error:
            facts = {"code": "wheel-invalid", "message": str(error)}
            self._note_failure(target, sdist, run.id, facts)

    async def _find_run(self, target: Target, sdist: Candidate, asker: Asker) -> Run | None:
        """Return the run of an sdist once it is done."""
        async with self._turn:
            await asyncio.sleep(0)  # the first bytes of pages come before any build
            spec = _make_spec(target, sdist, asker)
            run = self._runs.queue.find_run(spec.key(), "done")
            # An earlier server may have had other options.
            if run is not None and run.created >= self._born and self._find_wheel(run) is not None:
                return run
            want = self._runs.submit(spec, Asked(asker.client, is_local=False))
        active = self._runs.active.get(want.run)
        async for _ in self._runs.follow(want.run):
            pass
        return active.run if active else self._runs.queue.run(want.run)

    def _take(self, wheel: Path, origin: tuple[Target, Candidate, Run]) -> Wheel:
        """Copy a wheel into the directory of the index, and return what is to be known of it."""
        with temporary_directory() as place:
            platform, repaired = origin[0].repair, ""
            if platform:
                wheel, repaired = repair_wheel(wheel, platform, Path(place))
            found = read_wheel(wheel, origin)._replace(repaired=repaired)
            beside = {} if repaired else self._read_statement(origin[2])
            # Artifacts go when there are too many; but locks have the hashes of wheels.
            deliver_file(wheel, self.locate(found).parent, beside)
        mark_used(str(self.locate(found).parent))
        return found

    def _find_wheel(self, run: Run) -> Path | None:
        for artifact in run.outcome.get("artifacts", ()):
            path = self._runs.results.locate(artifact)
            if artifact["kind"] == "wheel" and path.exists():
                return path
        return None

    def _read_statement(self, run: Run) -> dict[str, bytes]:
        """Return the statement of the wheel of a run, which is about no other file."""
        return {
            name: content
            for artifact in run.outcome.get("artifacts", ())
            for name, content in self._runs.results.read_beside(artifact).items()
            if artifact["kind"] == "wheel" and name.endswith(STATEMENT)
        }

    def _note_failure(
        self, target: Target, sdist: Candidate, run_id: str, error: dict[str, Any]
    ) -> None:
        code = str(error.get("code") or "build-failed")
        failure = Failure(
            target=target.identity,
            sdist=name_sdist(sdist),
            project=sdist.name,
            file_name=sdist.file_name,
            code=code,
            message=_show(error.get("message") or "the build has failed"),
            hint=_show(error.get("hint") or ""),
            run=run_id,
            until=find_expiry(code, int(error.get("exit_code") or 0)),
        )
        self._wheels.add_failure(failure)


def _show(text: object) -> str:
    """Return a text of a build in one line, without halves of characters."""
    return escape_line(str(text)).encode(errors="backslashreplace").decode()


def name_sdist(sdist: Candidate) -> str:
    """Return what tells an sdist from all others."""
    return sdist.hashes.get("sha256") or sdist.url


def read_wheel(path: Path, origin: tuple[Target, Candidate, Run]) -> Wheel:
    """Return the description of a wheel; one of another release than its sdist is refused."""
    target, sdist, run = origin
    name = parse_wheel_name(path.name)
    if (name.name, name.version) != (sdist.name, sdist.version):
        raise FormatError(f"`{sdist.file_name}` has made `{path.name}`")
    size = path.stat().st_size
    with path.open("rb") as file:
        metadata = read_wheel_metadata(file, size, file_name=path.name, project=sdist.name)
    return Wheel(
        target=target.identity,
        sdist=name_sdist(sdist),
        project=sdist.name,
        file_name=path.name,
        sha256=digest(path),
        size=size,
        requires_python=first_value(parse_fields(metadata), "requires-python"),
        metadata=metadata,
        metadata_sha256=hashlib.sha256(metadata).hexdigest(),
        run=run.id,
        built=run.ended or time.time(),
    )


def _make_spec(
    target: Target, sdist: Candidate, asker: Asker, *, detach: bool = False
) -> BuildSpec:
    hashes = "&".join(f"{name}={digest}" for name, digest in sdist.hashes.items())
    fields = {
        "source": f"{sdist.name} @ {sdist.url}{'#' if hashes else ''}{hashes}",
        "kinds": ["wheel"],
        "target": target.name,
        "priority": asker.priority,
        "fresh": True,  # failures are remembered by the index itself, by their classes
        **({"sandbox": target.sandbox} if target.sandbox else {}),
        **({"detach": True} if detach else {}),
    }
    return BuildSpec(fields, target.python)
