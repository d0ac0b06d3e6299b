"""All points of some scenarios, or a share of them, in processes that share the work."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from tests.faults.calls import LAST, Call
from tests.faults.scenarios import REUSE_SCENARIOS, SCENARIOS
from tests.faults.workshop import Finding, Point, Workshop

_SCENARIOS = SCENARIOS | REUSE_SCENARIOS
_MEMORY = Path("/dev/shm")  # ruff: ignore[hardcoded-temp-file]


@dataclass(slots=True, kw_only=True)
class Tally:
    """The figures of a sweep."""

    planned: int = 0
    outcomes: Counter[str] = field(default_factory=Counter[str])
    scenarios: Counter[str] = field(default_factory=Counter[str])
    violations: list[Finding] = field(default_factory=list[Finding])
    seconds: float = 0.0

    @property
    def points(self) -> int:
        """How many disturbances came where they were meant to."""
        return self.outcomes.total() - self.outcomes["missed"]

    def add(self, finding: Finding) -> None:
        self.outcomes[finding.outcome] += 1
        self.scenarios[finding.point.scenario] += finding.outcome != "missed"
        if finding.violations:
            self.violations.append(finding)


# All below runs in the processes of a pool.


def _enter_world() -> None:
    """Forget what the environment says, and who the user is."""
    for name in set(os.environ) - {"PYTHONPATH"}:
        if name.startswith(("WHEELFORGE_", "PIP_", "PYTHON")) or name == "SOURCE_DATE_EPOCH":
            del os.environ[name]
    os.environ["PIP_CONFIG_FILE"] = os.devnull


@contextlib.contextmanager
def _open_workshop(scenario: str, sabotage: str = "") -> Generator[Workshop]:
    """Yield a place for one scenario, in memory where that is possible."""
    memory = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="wheelforge-faults-", dir=memory) as place:
        os.environ["HOME"] = place
        os.chdir(place)
        try:
            yield Workshop(_SCENARIOS[scenario], Path(place), sabotage)
        finally:
            os.chdir(os.sep)


def _sweep(scenario: str, *, kind: str, share: float, about: str, sabotage: str) -> list[Finding]:
    """Go over the points of one scenario, all of them in one process: names depend on places."""
    choose = _points_to_kill if kind == "kill" else _points_to_fail
    with _open_workshop(scenario, sabotage) as workshop:
        plan = [call for call in workshop.plan() if about in call.what]
        points = spread(list(choose(scenario, plan)), share)
        return [workshop.disturb(point) for point in points]


def _compare(scenario: str) -> tuple[list[str], list[str]]:
    with _open_workshop(scenario) as workshop:
        plans = workshop.plan(), workshop.plan(is_new=True)
    forked, new = ([call.what for call in plan if call.changes] for plan in plans)
    return forked, new


def compare(scenario: str) -> tuple[list[str], list[str]]:
    """Return what a fork changes, and what a new process does."""
    with _workers(1) as pool:
        return pool.submit(_compare, scenario).result()


def ignore(_: Tally) -> None:
    """Hear how far it is, and do nothing about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Goes over all points of some scenarios, or over some of them, spread evenly."""

    scenarios: Sequence[str]
    share: float = 1.0
    """Of the points of each scenario."""
    about: str = ""
    """Leave out what has not to do with this place."""
    jobs: int = 2
    sabotage: str = ""
    report: Callable[[Tally], None] = ignore

    def kill(self) -> Tally:
        """Kill a process before each call that changes something, and at its end."""
        return self._run("kill")

    def fail(self) -> Tally:
        """Let each call fail in every way it can."""
        return self._run("fail")

    def _run(self, kind: str) -> Tally:
        tally = Tally()
        start = time.monotonic()
        sweep = partial(
            _sweep, kind=kind, share=self.share, about=self.about, sabotage=self.sabotage
        )
        with _workers(self.jobs) as pool:
            for findings in pool.map(sweep, self.scenarios):
                for finding in findings:
                    tally.add(finding)
                self.report(tally)
        tally.seconds = time.monotonic() - start
        return tally


def _points_to_kill(scenario: str, plan: Iterable[Call]) -> Iterator[Point]:
    for call in plan:
        if call.changes or call.name == LAST:
            yield Point(scenario=scenario, call=call)


def _points_to_fail(scenario: str, plan: Iterable[Call]) -> Iterator[Point]:
    spared = {text.partition(":")[0] for text in _SCENARIOS[scenario].circumstances}
    for call in plan:
        if call.name not in spared:
            for error in call.errors:
                yield Point(scenario=scenario, call=call, error=error)


def spread(points: list[Point], share: float) -> list[Point]:
    """Return that share of the points and at least one, spread evenly, the same every time."""
    count = max(1, min(len(points), round(share * len(points))))
    return [points[number * len(points) // count] for number in range(count)]


def can_trace() -> bool:
    """Return whether strace is here and may look at other processes."""
    if shutil.which("strace") is None:
        return False
    words = ["strace", "-o", os.devnull, "-e", "inject=exit_group:signal=KILL", "true"]
    return subprocess.run(words, capture_output=True, check=False).returncode != 0


@contextlib.contextmanager
def _workers(jobs: int) -> Generator[ProcessPoolExecutor]:
    before = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = "0"  # everything in the same order in all processes
    try:
        with ProcessPoolExecutor(
            jobs, mp_context=get_context("spawn"), initializer=_enter_world
        ) as pool:
            yield pool
    finally:
        del os.environ["PYTHONHASHSEED"]
        if before is not None:
            os.environ["PYTHONHASHSEED"] = before
