"""Outcomes as JSON."""

from __future__ import annotations

import time
from collections import Counter
from itertools import starmap
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias, get_args

from wheelforge.errors import last_lines
from wheelforge.models import Kind, Verdict
from wheelforge.report.run import find_ending, format_time, to_json_text
from wheelforge.version import VERSION
from wheelforge_isolation import ForgeError, replace_file
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from wheelforge.models import Artifact, BuildAttempt, Outcome, Phase
    from wheelforge.report.run import Run
    from wheelforge_isolation import WheelKey

    Facts: TypeAlias = dict[str, object]

SCHEMA = 1
_FORMAT_OF_BUILD = "1.0"
_TAIL_LINES = 20


def write_json_report(run: Run, path: Path) -> None:
    """Put all there is to say of ``run`` into the file ``path``."""
    replace_file(str(path), to_json_text(describe_run(run), indent=2) + b"\n")


def describe_run(run: Run) -> Facts:
    """Return the whole report as JSON has it."""
    delivered = {artifact.path: artifact for each in run.outcomes for artifact in each.artifacts}
    return {
        "$schema": "urn:wheelforge:report:1",
        "version": _FORMAT_OF_BUILD,
        "artifacts": [_describe_artifact(artifact) for artifact in delivered.values()],
        "schema": SCHEMA,
        "generator": {"name": "wheelforge", "version": VERSION},
        "written": format_time(time.time()),
        "run": dict(run.facts),
        "error": None if run.ending is None else _describe_ending(run.ending),
        "totals": count_verdicts(run.outcomes),
        "builds": list(starmap(describe_outcome, run.told)),
        "comparison": run.comparison,
    }


def describe_outcome(outcome: Outcome, tail: str = "") -> Facts:
    """Return one build as JSON has it; ``tail`` is the end of its log, if it has failed."""
    source, whole = outcome.request.source, outcome.whole
    waits = {reason: round(seconds, 6) for reason, seconds in outcome.waits.items()}
    directory = sum(phase.seconds for phase in outcome.phases if phase.name == "wait")
    return {
        "id": outcome.id,
        "source": redact(source) if isinstance(source, str) else str(source),
        "label": outcome.request.label,
        "sha256": outcome.sha256 or None,
        "commit": outcome.commit or None,
        "python": outcome.python,
        "outcome": outcome.verdict,
        "error": _describe_error(outcome, outcome.error, tail),
        "artifacts": [_describe_artifact(artifact) for artifact in outcome.artifacts],
        "started": None if whole is None else format_time(whole.started),
        "seconds": None if whole is None else round(whole.seconds, 6),
        "phases": _describe_phases(outcome.phases),
        "attempts": [_describe_attempt(outcome, each) for each in outcome.attempts],
        "backend": outcome.backend or None,
        "cause": None if outcome.cause is None else outcome.cause._asdict(),
        "needs": list(outcome.needs),
        "queued_seconds": sum(
            seconds for reason, seconds in waits.items() if reason not in {"token", "directory"}
        ),
        "waits": {**waits, **({"directory": round(directory, 6)} if directory else {})},
        "peak_memory": outcome.peak_bytes or None,
        "cpu_seconds": round(outcome.cpu_seconds, 6),
        "sandbox": dict(outcome.sandbox) or None,
        "environment": [
            _describe_wheel(wheel)
            for wheel in sorted(outcome.wheels, key=attrgetter("name", "file_name", "sha256"))
        ],
        "cache": {
            "environments_found": outcome.environments_found,
            "environments_made": outcome.environments_made,
            "compiler_hits": outcome.compiler_hits,
            "compiler_misses": outcome.compiler_misses,
        },
        "era": None if outcome.era is None else outcome.era.isoformat(),
        "overrides": [{**each._asdict(), "file": str(each.file)} for each in outcome.overrides],
        "notes": list(outcome.notes),
        "log": None if outcome.log is None else str(outcome.log),
    }


def _describe_wheel(wheel: WheelKey) -> Facts:
    facts = {"name": wheel.name, "version": wheel.version}
    return {**facts, "file": wheel.file_name, "sha256": wheel.sha256}


def _describe_attempt(outcome: Outcome, attempt: BuildAttempt) -> Facts:
    return {
        "reason": attempt.reason or None,
        "era": None if attempt.era is None else attempt.era.isoformat(),
        "phases": _describe_phases(attempt.phases),
        "error": _describe_error(outcome, attempt.error),
    }


def _describe_phases(phases: Iterable[Phase]) -> list[Facts]:
    return [
        {
            "name": phase.name,
            "started": format_time(phase.started),
            "seconds": round(phase.seconds, 6),
        }
        for phase in phases
        if phase.name
    ]


def _describe_ending(ending: BaseException) -> Facts:
    code, exit_code, message = find_ending(ending)
    hint = ending.hint if isinstance(ending, ForgeError) else ""
    return {"code": code, "exit_code": exit_code, "message": message, "hint": hint or None}


def _describe_error(outcome: Outcome, error: ForgeError | None, tail: str = "") -> Facts | None:
    if error is None:
        return None
    failure = getattr(error, "failure", None)
    output = last_lines(getattr(error if failure is None else failure, "output", b""))
    lines = tail.split("\n")[-_TAIL_LINES:] if tail else [line[2:] for line in output.split("\n")]
    return {
        "code": error.code,
        "exit_code": error.exit_code,
        "message": str(error),
        "summary": outcome.summarize(error),
        "detail": "" if output else str(error).partition("\n")[2],
        "hint": error.hint or None,
        "log_tail": "\n".join(lines).strip("\n"),
    }


def _describe_artifact(artifact: Artifact) -> Facts:
    return {
        "name": artifact.path.name,
        "path": str(artifact.path),
        # An editable wheel is a wheel in the reports of pypa/build.
        "kind": "sdist" if artifact.kind is Kind.SDIST else "wheel",
        "size": artifact.size_bytes,
        "hashes": {"sha256": artifact.sha256},
        "statement": artifact.statement or None,
        "project": artifact.name,
        "project_version": artifact.version,
        "editable": artifact.kind is Kind.EDITABLE,
    }


def count_verdicts(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Return how many builds there are, and of each outcome."""
    counts = Counter[str](outcome.verdict for outcome in outcomes)
    return {"builds": counts.total(), **{kind: counts[kind] for kind in get_args(Verdict)}}
