"""Events and outcomes of builds on another machine, made again of what its server tells."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelforge.errors import BuildCancelledError, RemoteBuildError, ServiceError
from wheelforge.events import BuildEvent
from wheelforge.models import Artifact, BuildAttempt, Kind, Outcome, Phase
from wheelforge.report import GOOD
from wheelforge_isolation import WheelKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from wheelforge.models import BuildRequest
    from wheelforge_isolation import ForgeError

    Facts = Mapping[str, Any]

_FIELDS = {field.name for field in fields(BuildEvent)} - {"artifacts", "id"}


class Told(NamedTuple):
    """Facts that the client has, for the outcome of a build."""

    request: BuildRequest
    id: str
    paths: tuple[Path, ...]
    """Where its results are, in their order."""
    notes: frozenset[str]
    """Those that were told as events."""


def read_event(facts: Facts, build_id: str) -> BuildEvent:
    """Return an event; those of a server call their one build `1`."""
    number = str(facts.get("id", ""))
    return BuildEvent(
        **{name: facts[name] for name in _FIELDS & facts.keys()},
        id=f"{build_id}{number.removeprefix('1')}" if number else "",
        artifacts=tuple(map(str, facts.get("artifacts", ()))),
    )


def read_outcome(build: Facts, told: Told) -> Outcome:
    """Return how a build has ended."""
    facts, phases = (
        build["outcome"],
        [_read_phase(each) for each in build["outcome"].get("phases", ())],
    )
    if facts.get("started"):
        phases.append(Phase("", _read_time(facts["started"]), facts.get("seconds") or 0.0))
    cache, notes = facts.get("cache", {}), tuple(map(str, facts.get("notes", ())))
    return Outcome(
        request=told.request,
        id=told.id,
        python=str(facts.get("python") or ""),
        artifacts=tuple(map(_read_artifact, facts.get("artifacts", ()), told.paths)),
        error=_read_error(build, told.request.label),
        metadata=json.dumps(facts.get("metadata")).encode(),
        sha256=facts.get("sha256") or "",
        commit=facts.get("commit") or "",
        phases=tuple(phases),
        wheels=tuple(map(_read_wheel, facts.get("environment", ()))),
        environments_found=cache.get("environments_found", 0),
        environments_made=cache.get("environments_made", 0),
        compiler_hits=cache.get("compiler_hits", 0),
        compiler_misses=cache.get("compiler_misses", 0),
        is_resumed=build["verdict"] == "resumed",
        is_reused=build["verdict"] == "reused",
        is_fetched=build["verdict"] == "fetched",
        notes=notes,
        remarks=tuple(note for note in notes if note not in told.notes),
        era=_read_era(facts),
        peak_bytes=facts.get("peak_memory") or 0,
        cpu_seconds=facts.get("cpu_seconds") or 0.0,
        backend=facts.get("backend") or "",
        attempts=tuple(_read_attempt(each) for each in facts.get("attempts", ())),
        waits=facts.get("waits", {}),
        sandbox=facts.get("sandbox") or {},
    )


def _read_error(build: Facts, label: str) -> ForgeError | None:
    error, verdict = build["outcome"].get("error"), build["verdict"]
    if verdict in GOOD:
        return None
    if verdict == "cancelled":
        return BuildCancelledError(label)
    log = build["outcome"].get("log")
    return _read_failure(error, log) or ServiceError("server-failed", "it does not say why")


def _read_failure(error: Facts | None, log: str | None = None) -> RemoteBuildError | None:
    if not error:
        return None
    message = str(error["message"])
    if log:
        message = message.replace(f"`{log}`", f"`{log}` on the server")
    tail = (error.get("log_tail") or "").encode()
    hint = error.get("hint") or ""
    return RemoteBuildError(error["code"], error["exit_code"], message, hint, tail)


def _read_artifact(facts: Facts, path: Path) -> Artifact:
    kind = Kind.EDITABLE if facts["editable"] else Kind(facts["kind"])
    return Artifact(
        kind=kind,
        path=path,
        name=str(facts["project"]),
        version=str(facts["project_version"]),
        size_bytes=facts["size"],
        sha256=facts["hashes"]["sha256"],
    )


def _read_phase(facts: Facts) -> Phase:
    return Phase(str(facts["name"]), _read_time(facts["started"]), facts["seconds"])


def _read_attempt(facts: Facts) -> BuildAttempt:
    phases = tuple(map(_read_phase, facts["phases"]))
    error = _read_failure(facts["error"])
    return BuildAttempt(facts["reason"] or "", _read_era(facts), phases, error, (0, 0))


def _read_wheel(facts: Facts) -> WheelKey:
    name, version = str(facts["name"]), str(facts["version"])
    return WheelKey(name=name, version=version, file_name=facts["file"], sha256=facts["sha256"])


def _read_era(facts: Facts) -> datetime | None:
    return datetime.fromisoformat(facts["era"]) if facts.get("era") else None


def _read_time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def reading(read: Callable[..., Any], *values: object) -> Any:  # ruff: ignore[any-type]
    """Return what ``read`` makes of a server's words; an error if they make no sense."""
    try:
        return read(*values)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ServiceError("server-failed", "its answer makes no sense to this client") from error
