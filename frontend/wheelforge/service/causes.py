"""Why builds were made, and no wheel of an earlier one used again: what each client may know."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from wheelforge.build.cause import compare
from wheelforge.build.targets import find_layout
from wheelforge.models import Cause
from wheelforge.service.dashboard import find_run, look_up_run
from wheelforge.service.problems import Problem
from wheelforge.service.views import answer_json
from wheelforge_isolation import list_built_wheels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from wheelforge.service.queue import Run
    from wheelforge.service.server import Server

REUSED = Cause("reused", "nothing has changed: it is the wheel of an earlier build")
UNKNOWN = Cause(
    "unknown", "it was not looked for: wheels of earlier builds were out of the question"
)
_PRIVATE = {"environment", "overrides", "request", "toolchain"}
"""Parts of what a build depends on that may tell of another client: variables, paths, settings."""


async def explain_build(server: Server, request: web.Request) -> web.StreamResponse:
    """Tell why a build was made, or how it differs from another one.

    Strangers hear of no variables, settings and paths.
    """
    run, other = find_run(server, request), request.query.get("other")
    if run.state != "done":
        raise Problem(409, "build-unfinished", "the build is not done")
    if other is None:
        cause = _find_cause(run.outcome, run.verdict)
    else:
        found = await asyncio.to_thread(_find_facts, server, run, look_up_run(server, other))
        now, before = found
        cause = compare(before["document"], now["document"], now.get("published", {}))
    if not server.is_trusted(request):
        cause = _hide(cause)
    return answer_json(cause._asdict())


def _find_facts(server: Server, *runs: Run) -> list[dict[str, Any]]:
    """Return all that is known of what each of these builds depended on."""
    made = [[each["hashes"]["sha256"] for each in run.outcome.get("artifacts", ())] for run in runs]
    wanted = {sha256 for each in made for sha256 in each}
    wheels = list_built_wheels(find_layout(server.options.cache), wanted) if wanted else ()
    facts = {wheel.sha256: about for wheel, about in wheels}
    found = list[dict[str, Any]]()
    for run, hashes in zip(runs, made, strict=True):
        known = next((facts[sha256] for sha256 in hashes if sha256 in facts), None)
        if known is None:
            detail = f"no wheel of `{run.label}` is in the cache that it could be compared by"
            raise Problem(404, "build-unknown", detail)
        found.append(known)
    return found


def _find_cause(outcome: Mapping[str, Any], verdict: str) -> Cause:
    facts: dict[str, Any] | None = outcome.get("cause")
    if verdict == "reused" and not facts:
        return REUSED
    return Cause(**facts)._replace(follows=tuple(facts["follows"])) if facts else UNKNOWN


def _hide(cause: Cause) -> Cause:
    """Return the cause without what may be another client's."""
    sections = tuple(dict.fromkeys(place.partition(".")[0] for place in cause.follows))
    section = cause.place.partition(".")[0]
    if section not in _PRIVATE:
        return cause._replace(follows=sections)
    sentence = f"its `{section}` is another one"
    return Cause(cause.code, sentence, section, follows=sections)
