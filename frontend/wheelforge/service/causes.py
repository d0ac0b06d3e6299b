"""Why builds were made, and no wheel of an earlier one used again: what each client may know."""

# ruff: file-ignore[unused-async]  # every handler is called in the same way

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wheelforge.models import Cause
from wheelforge.service.dashboard import find_run
from wheelforge.service.problems import Problem
from wheelforge.service.views import answer_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from wheelforge.service.server import Server

REUSED = Cause("reused", "nothing has changed: it is the wheel of an earlier build")
UNKNOWN = Cause(
    "unknown", "it was not looked for: wheels of earlier builds were out of the question"
)
_PRIVATE = {"environment", "overrides", "request", "toolchain"}
"""Parts of what a build depends on that may tell of another client: variables, paths, settings."""


async def explain_build(server: Server, request: web.Request) -> web.StreamResponse:
    """Tell why a build was made; strangers hear of no variables, settings and paths."""
    run = find_run(server, request)
    if run.state != "done":
        raise Problem(409, "build-unfinished", "the build is not done")
    cause = _find_cause(run.outcome, run.verdict)
    if not server.is_trusted(request):
        cause = _hide(cause)
    return answer_json(cause._asdict())


def _find_cause(outcome: Mapping[str, Any], verdict: str) -> Cause:
    if verdict == "reused":
        return REUSED
    facts: dict[str, Any] | None = outcome.get("cause")
    return Cause(**facts)._replace(follows=tuple(facts["follows"])) if facts else UNKNOWN


def _hide(cause: Cause) -> Cause:
    """Return the cause without what may be another client's."""
    sections = tuple(dict.fromkeys(place.partition(".")[0] for place in cause.follows))
    section = cause.place.partition(".")[0]
    if section not in _PRIVATE:
        return cause._replace(follows=sections)
    sentence = f"its `{section}` is another one"
    return Cause(cause.code, sentence, section, follows=sections)
