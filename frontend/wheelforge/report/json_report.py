"""Outcomes as JSON."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias

from wheelforge.models import Kind
from wheelforge.report.run import to_json_text
from wheelforge.version import VERSION
from wheelforge_isolation import ForgeError, replace_file
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wheelforge.models import Artifact, Outcome, Phase
    from wheelforge.report.run import Run

    Facts: TypeAlias = dict[str, object]

SCHEMA = 1
_FORMAT_OF_BUILD = "1.0"
_INTERRUPTED = 130


def write_json_report(run: Run, path: Path) -> None:
    """Put all there is to say of ``run`` into the file ``path``."""
    replace_file(str(path), to_json_text(describe_run(run), indent=2) + b"\n")


def describe_run(run: Run) -> Facts:
    """Return the whole report as JSON has it."""
    builds = [describe_outcome(outcome) for outcome in run.outcomes]
    delivered = {artifact.path: artifact for each in run.outcomes for artifact in each.artifacts}
    return {
        "version": _FORMAT_OF_BUILD,
        "artifacts": [_describe_artifact(artifact) for artifact in delivered.values()],
        "schema": SCHEMA,
        "generator": {"name": "wheelforge", "version": VERSION},
        "written": _spell_time(time.time()),
        "error": None if run.ending is None else _describe_ending(run.ending),
        "totals": _count(builds),
        "builds": builds,
    }


def describe_outcome(outcome: Outcome) -> Facts:
    """Return one build as JSON has it."""
    source, whole = outcome.request.source, find_whole(outcome)
    return {
        "source": redact(source) if isinstance(source, str) else str(source),
        "label": outcome.request.label,
        "sha256": outcome.sha256 or None,
        "python": outcome.python,
        "outcome": _judge(outcome),
        "error": None if outcome.error is None else _describe_error(outcome.error),
        "artifacts": [_describe_artifact(artifact) for artifact in outcome.artifacts],
        "started": None if whole is None else _spell_time(whole.started),
        "seconds": None if whole is None else round(whole.seconds, 6),
        "phases": [
            {
                "name": phase.name,
                "started": _spell_time(phase.started),
                "seconds": round(phase.seconds, 6),
            }
            for phase in outcome.phases
            if phase.name
        ],
        "peak_memory": outcome.peak_bytes or None,
        "cpu_seconds": round(outcome.cpu_seconds, 6),
        "environment": [
            {
                "name": wheel.name,
                "version": wheel.version,
                "file": wheel.file_name,
                "sha256": wheel.sha256,
            }
            for wheel in sorted(outcome.wheels, key=attrgetter("name", "file_name", "sha256"))
        ],
        "cache": {
            "environments_found": outcome.environments_found,
            "environments_made": outcome.environments_made,
        },
        "era": None if outcome.era is None else outcome.era.isoformat(),
        "notes": list(outcome.notes),
        "log": None if outcome.log is None else str(outcome.log),
    }


def find_whole(outcome: Outcome) -> Phase | None:
    """Return the phase that is the build itself, if it was begun."""
    return next((phase for phase in outcome.phases if not phase.name), None)


def _judge(outcome: Outcome) -> str:
    if outcome.error is None:
        return "resumed" if outcome.is_resumed else "built"
    return "cancelled" if outcome.error.exit_code == _INTERRUPTED else "failed"


def _describe_ending(ending: BaseException) -> Facts:
    if isinstance(ending, ForgeError):
        return _describe_error(ending)
    if isinstance(ending, KeyboardInterrupt):
        code, exit_code, message = "interrupted", _INTERRUPTED, "somebody has ended it"
    else:
        code, exit_code, message = "unexpected", 1, f"{type(ending).__name__}: {ending}"
    return {"code": code, "exit_code": exit_code, "message": message, "hint": None}


def _describe_error(error: ForgeError) -> Facts:
    return {
        "code": error.code,
        "exit_code": error.exit_code,
        "message": str(error),
        "hint": error.hint or None,
    }


def _describe_artifact(artifact: Artifact) -> Facts:
    return {
        "name": artifact.path.name,
        "path": str(artifact.path),
        # An editable wheel is a wheel in the reports of pypa/build.
        "kind": "sdist" if artifact.kind is Kind.SDIST else "wheel",
        "size": artifact.size_bytes,
        "hashes": {"sha256": artifact.sha256},
        "project": artifact.name,
        "project_version": artifact.version,
        "editable": artifact.kind is Kind.EDITABLE,
    }


def _count(builds: Sequence[Facts]) -> Facts:
    outcomes = [build["outcome"] for build in builds]
    kinds = ("built", "resumed", "failed", "cancelled")
    return {"builds": len(builds), **{kind: outcomes.count(kind) for kind in kinds}}


def _spell_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
