"""A scenario in which one thing after the other goes wrong, and what holds after each of them.

- What is visible is whole: a file or a tree that stands under its name has all its bytes.
- ``wheelforge cache verify`` finds nothing wrong.
- The same command works, without anybody's help, and its results are those of an undisturbed run.
- One collection later nothing is there that is not there after an undisturbed run.
- Whoever was not killed has succeeded, or has said in one sentence why not.
"""

import os
import re
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.faults.calls import Call
from tests.faults.ground import Ground
from tests.faults.processes import Ended, Stage, do_aside
from tests.faults.sabotage import SABOTAGES
from tests.faults.scenarios import Scenario
from tests.support.source import ROOT

_CODES = re.compile(r"^\| `([a-z-]+)` \| (\d+) \|", re.MULTILINE)
_PASSING = re.compile(
    # Left among the temporary files of the system where a hook's caller is killed, or by
    # Python while it tries whether it can write there.
    r"temporary/(tmp\w{8}(/(in|out)put\.json)?|\w{8})"
    # Logs and answers are kept until they are old: where something of the
    # cache cannot be used, it is made again, under other names.
    r"|cache/logs-v1/[^/]+\.log|cache/resolutions-v2(/[\w-]+\.json)?"
)
_ERROR = re.compile(r"^error\[([a-z-]+)\]: \S", re.MULTILINE)
_DELIVERIES = ("output/", "destination/")
_WAYS = {"destination/new"}
"""Directories on the way to one that a command names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A system call of an undisturbed run, and what is to happen there."""

    scenario: str
    call: Call
    error: str = ""
    """How the call is to fail; unless given, the process is killed before it."""

    @property
    def injection(self) -> str:
        effect = f"error={self.error}" if self.error else "signal=KILL"
        return f"{self.call.name}:{effect}:when={self.call.ordinal}"

    def __str__(self) -> str:
        return f"{self.scenario}: {self.error or 'kill'} at {self.call.what} ({self.call.ordinal})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one disturbance."""

    point: Point
    outcome: str
    """``killed``, ``success``, the code of an error, or ``missed`` where it never came to it."""
    violations: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.point} -> {self.outcome}: {'; '.join(self.violations)}"


class Workshop:
    """A scenario, prepared, in which one thing after the other goes wrong."""

    def __init__(self, scenario: Scenario, place: Path, sabotage: str = "") -> None:
        self._scenario = scenario
        self._turn = 0
        self.ground = Ground(root=place / "ground")
        self._notes = place / "notes"
        self._notes.mkdir()
        self.ground.prepare()
        # Of this process, and so of all that it forks.
        os.environ["TMPDIR"] = self.ground.places["temporary"]
        tempfile.tempdir = None
        self.words = scenario.say(self.ground)
        do_aside(lambda: scenario.prepare(self.ground))
        self.ground.save()
        self._sound = Stage(ground=self.ground, notes=self._notes)
        self._stage = replace(self._sound, sabotage=SABOTAGES.get(sabotage))
        self._results, self._names = self._observe_undisturbed()

    def _observe_undisturbed(self) -> tuple[dict[str, object], list[str]]:
        ended = self._sound.run(self.words)
        assert ended.status == 0, ended
        self._sound.preload()
        results = self.ground.read_results()
        for words in [self._collect(), self._cache("verify")] * self._scenario.has_cache:
            assert self._sound.run(words).status == 0
            self._sound.preload()
        return results, self.ground.list_names()

    def _cache(self, *words: str) -> list[str]:
        return ["cache", *words, "--cache-dir", self.ground.places["cache"]]

    def _collect(self) -> list[str]:
        return self._cache(*self._scenario.collection.split())

    def plan(self, *, is_new: bool = False) -> list[Call]:
        """Return what an undisturbed run does below the roots, a fork's or a new process's."""
        self.ground.restore()
        trace = self._stage.trace_new if is_new else self._stage.trace
        ended = trace(self.words, *self._scenario.circumstances)
        assert ended.status == 0, ended
        return list(ended.calls)

    def disturb(self, point: Point) -> Finding:
        """Let it happen, and look what has become of everything."""
        self.ground.restore()
        ended = self._stage.trace(self.words, *self._scenario.circumstances, point.injection)
        outcome = self._find_outcome(point, ended)
        violations: list[str] = []
        if outcome != "missed":
            violations += self._judge(ended, outcome)
            violations += self._look_at_results()
            # An entry that cannot be read is not kept at all costs.
            scenario, has_error = self._scenario, bool(point.error)
            may_lose = has_error and (scenario.is_damaged or scenario.needs_once)
            is_whole = not (may_lose or scenario.may_lose)
            violations += self._recover(*self._list_commands(), is_whole=is_whole)
        return Finding(point=point, outcome=outcome, violations=tuple(dict.fromkeys(violations)))

    def _list_commands(self) -> list[list[str]]:
        """Return what is done after a disturbance, in one order and the other in turn."""
        again, collect, verify = self.words, self._collect(), self._cache("verify")
        self._turn += 1
        if not self._scenario.has_cache:
            return [again]
        first, second = (again, verify) if self._scenario.is_damaged else (verify, again)
        if self._turn % 2:
            return [first, second, collect]
        # Entries set aside in a damaged cache are for another collection.
        return [collect, first, second, *[collect] * self._scenario.is_damaged]

    def _find_outcome(self, point: Point, ended: Ended) -> str:
        if not point.error:
            has_come = bool(ended.calls) and ended.calls[-1].what == point.call.what
            was_killed = ended.status == -signal.SIGKILL and not ended.is_late
            return "killed" if was_killed and has_come else "missed"
        if point.call.what not in {call.what for call in ended.calls if call.is_injected}:
            return "missed"
        if ended.is_late:
            return "late"
        if ended.status == 0:
            return "success"
        return next(iter(_ERROR.findall(ended.errors)), f"exit {ended.status}")

    def _judge(self, ended: Ended, outcome: str) -> Iterator[str]:
        """Yield what is wrong with how a process ended that was not killed."""
        codes = _ERROR.findall(ended.errors)
        if "Traceback" in ended.errors:
            yield f"a traceback: {ended.errors[-600:]!r}"
        if outcome == "success":
            if codes:
                yield f"it succeeds, saying {ended.errors!r}"
            for name in self._wanted.keys() - self.ground.read_deliveries().keys():
                yield f"it succeeds without {name}"
        elif outcome == "late":
            yield "it does not end"
        elif not codes and ended.status == self._scenario.bad_news:
            return
        elif outcome != "killed" and [known_codes().get(code) for code in codes] != [ended.status]:
            yield f"exit {ended.status}, saying {ended.errors[-600:]!r}"

    @property
    def _wanted(self) -> dict[str, object]:
        """The files to be delivered or unpacked."""
        return {name: it for name, it in self._results.items() if name.startswith(_DELIVERIES)}

    def _look_at_results(self) -> Iterator[str]:
        """Yield what is visible and not whole."""
        there, wanted = self.ground.read_deliveries(), self._wanted
        tops = {_find_top(name) for name in there} - _WAYS
        for name in sorted(wanted.keys() | there.keys()):
            top = _find_top(name)
            if top in tops and "/." not in top and there.get(name) != wanted.get(name):
                yield f"{name} is visible and not as it should be"

    def _recover(self, *commands: list[str], is_whole: bool) -> Iterator[str]:
        for words in commands:
            ended = self._sound.run(words)
            refused = self._scenario.may_refuse
            if ended.status and not (refused and f"error[{refused}]" in ended.errors):
                said = (ended.output + ended.errors)[-500:]
                yield f"afterwards `{' '.join(words[:2])}` ends with {ended.status}: {said!r}"
        yield from self._compare_results(is_whole=is_whole)
        yield from self._compare_names(is_whole=is_whole)

    def _compare_results(self, *, is_whole: bool) -> Iterator[str]:
        then, now = self._results, self.ground.read_results()
        for name in sorted(now):
            if name not in then:
                yield f"{name} is too much"
            elif now[name] != then[name]:
                yield f"{name} differs"
        if is_whole:
            yield from (f"{name} is missing" for name in sorted(then.keys() - now.keys()))

    def _compare_names(self, *, is_whole: bool) -> Iterator[str]:
        then, now = (
            Counter(name for name in names if not _PASSING.fullmatch(name))
            for names in (self._names, self.ground.list_names())
        )
        if now - then:
            yield f"left: {', '.join(sorted((now - then).elements()))}"
        if is_whole and then - now:
            yield f"gone: {', '.join(sorted((then - now).elements()))}"


def _find_top(name: str) -> str:
    """Return the directory that was named in a command, and what is directly in it."""
    return "/".join(name.split("/")[:2])


def known_codes() -> dict[str, int]:
    """Return the exit code of every error that the reference lists."""
    text = (ROOT / "frontend" / "wheelforge" / "help" / "errors.md").read_text(encoding="utf-8")
    return {code: int(exit_code) for code, exit_code in _CODES.findall(text)}
