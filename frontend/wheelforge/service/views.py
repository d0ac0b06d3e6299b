"""Builds as the API and the pages show them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from wheelforge.service.problems import Problem

if TYPE_CHECKING:
    from wheelforge.service.queue import Run, Want
    from wheelforge.service.server import Server


MOST = 10**9
_MOST_DIGITS = 20


def read_count(request: web.Request, name: str, otherwise: int, most: int) -> int:
    """Return the number that a request gives, ``most`` if it is larger."""
    text = request.query.get(name, str(otherwise))
    if not (text.isascii() and text.isdigit()):
        raise Problem(400, "request-invalid", f"`{name}` must be a number")
    return min(int(text[:_MOST_DIGITS]), most)


def answer_json(facts: object, status: int = 200, **headers: str) -> web.Response:
    """Return an answer that is JSON."""
    body = json.dumps(facts, ensure_ascii=False).encode(errors="replace") + b"\n"
    return web.Response(
        body=body, status=status, content_type="application/json", charset="utf-8", headers=headers
    )


def describe_build(server: Server, want: Want) -> dict[str, Any]:
    """Return a build as the one who has asked for it sees it."""
    run = server.runs.queue.run(want.run)
    if run is None:
        raise Problem(410, "build-forgotten", "the build is too long ago")
    facts = {**describe_run(server, run), "id": want.id, "run": run.id, "client": want.client}
    if want.cancelled and facts["state"] != "done":
        facts.update(state="done", verdict="cancelled")
    return facts


def describe_run(server: Server, run: Run) -> dict[str, Any]:
    """Return a run, without the variables of its request."""
    active = server.runs.active.get(run.id)
    outcome = run.outcome
    artifacts = [
        {
            "name": each["name"],
            "kind": each["kind"],
            "size": each["size"],
            "sha256": each["hashes"]["sha256"],
            "url": f"/api/v1/artifacts/{each['hashes']['sha256']}",
            "beside": [
                {
                    "name": name,
                    "size": path.stat().st_size,
                    "sha256": each["beside"][name],
                    "url": f"/api/v1/artifacts/{each['beside'][name]}",
                }
                for name, path in server.runs.results.list_beside(each).items()
            ],
        }
        for each in outcome.get("artifacts", ())
        if run.kind == "build"
    ]
    return {
        "id": run.id,
        "kind": run.kind,
        "state": run.state,
        "verdict": run.verdict,
        "label": run.label,
        "client": run.client,
        "priority": run.priority,
        "waiters": len(server.runs.queue.wants_of(run.id)),
        "attempts": run.attempts,
        "phase": active.phase if active else "",
        "created": run.created,
        "started": run.started,
        "ended": run.ended,
        "error": outcome.get("error"),
        # The cause may name variables of the client of an earlier build.
        "outcome": {**outcome, "cause": None} if outcome else {},
        "artifacts": artifacts,
    }
