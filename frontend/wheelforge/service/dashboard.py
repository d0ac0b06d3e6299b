"""The pages for people: rendered here, whole without scripts, and JSON when that is asked for.

Labels, logs and messages are strangers' texts. The templates escape all that they are given, and
the pages forbid themselves any script, style or connection but the server's own.
"""

# ruff: file-ignore[unused-async]  # every handler is called in the same way

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jinja2
from aiohttp import web

from wheelforge.events import PHASE_WORDS
from wheelforge.service.matrix import survey_index
from wheelforge.service.problems import Problem
from wheelforge.service.queue import new_id
from wheelforge.service.simple.handlers import INDEX
from wheelforge.service.views import MOST, answer_json, describe_run, read_count
from wheelforge.version import VERSION
from wheelforge_isolation.formats.text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wheelforge.service.queue import Run
    from wheelforge.service.server import Server

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_ASSETS = {
    "page.css": ("wheelforge.report", "page.css", "text/css"),
    "dashboard.css": ("wheelforge.service", "pages/dashboard.css", "text/css"),
    "dashboard.js": ("wheelforge.service", "pages/dashboard.js", "text/javascript"),
}
_RECENT = 30
_LOOKED_AT = 200
_LOG_BYTES = 1 << 16
_PAUSE_SECONDS = 1.0
_SHORT = 0.1
_MINUTE = 60
_STEP = 1024
_WIDTH = 1000


async def show_overview(server: Server, request: web.Request) -> web.StreamResponse:
    """Show what is at work, what waits, what has been built, and why builds failed."""
    offset = read_count(request, "offset", 0, MOST)
    facts = _survey(server, offset) | {"index": None}
    if INDEX in request.app:
        facts["index"] = await survey_index(request.app[INDEX].site, 0)
    if not _wants_page(request):
        return answer_json(facts)
    return _render("overview.html", facts | {"live": not offset})


async def show_projects(_: Server, request: web.Request) -> web.StreamResponse:
    """Show what the index has of each project for each target."""
    index = request.app.get(INDEX)
    if index is None:
        raise Problem(404, "index-absent", "this server has no index")
    facts = await survey_index(index.site, read_count(request, "offset", 0, MOST))
    if not _wants_page(request):
        return answer_json(facts)
    return _render("projects.html", {"index": facts, "live": False})


async def show_page(server: Server, request: web.Request) -> web.StreamResponse:
    """Show one build."""
    run = find_run(server, request)
    facts = _detail(server, run)
    if not _wants_page(request):
        return answer_json(facts["run"])
    return _render("build.html", facts | {"live": run.state != "done"})


async def show_asset(_: Server, request: web.Request) -> web.StreamResponse:
    """Show a style or a script."""
    found = _ASSETS.get(request.match_info["name"])
    if found is None:
        raise Problem(404, "not-found", "there is no such file")
    package, name, kind = found
    content = files(package).joinpath(name).read_bytes()
    return web.Response(body=content, content_type=kind, charset="utf-8", headers=_HEADERS)


async def stream_changes(server: Server, _: web.Request) -> web.StreamResponse:
    """Tell, as server-sent events, that something has changed; not more than once a second."""
    headers = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no", **_HEADERS}
    response = web.StreamResponse(headers=headers)
    await response.prepare(_)
    with contextlib.suppress(ConnectionError):
        while not server.stopping.is_set():
            changed = server.runs.changed
            await response.write(b"event: change\ndata: {}\n\n")
            await asyncio.sleep(_PAUSE_SECONDS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), 15)
    return response


async def retry_run(server: Server, request: web.Request) -> web.StreamResponse:
    """Build something again that is done."""
    run = find_run(server, request)
    if run.kind != "build" or run.state != "done":
        raise Problem(409, "not-again", "only a build that is done can be built again")
    check_owner(server, request, run)
    again = server.runs.repeat(run, new_id())
    return answer_json({"id": again.id, "page": f"/builds/{again.id}"}, 202)


async def cancel_run(server: Server, request: web.Request) -> web.StreamResponse:
    """Cancel a build, whoever waits for it."""
    run = find_run(server, request)
    server.runs.cancel(run.id)
    return answer_json({"id": run.id}, 202)


def find_run(server: Server, request: web.Request) -> Run:
    """Return the run that is named, by its own number or by that of a request for it."""
    return look_up_run(server, request.match_info["id"])


def look_up_run(server: Server, number: str) -> Run:
    """Return the run of that number, or of a request with that number."""
    queue = server.runs.queue
    want = queue.want(number)
    run = queue.run(want.run if want is not None else number)
    if run is None:
        raise Problem(404, "build-unknown", f"there is no build `{number}`")
    return run


def check_owner(server: Server, request: web.Request, run: Run) -> None:
    """Refuse a stranger who is no admin a build of the server's own user."""
    if run.request.get("is_local", True):
        server.check_access(request, "admin")


def _wants_page(request: web.Request) -> bool:
    return "text/html" in request.headers.get("Accept", "")


def _view(server: Server, run: Run) -> dict[str, Any]:
    """Return a run as pages and their JSON have it."""
    facts = describe_run(server, run)
    end = run.ended or time.time()
    facts["seconds"] = None if run.started is None else round(end - run.started, 3)
    facts["phase"] = PHASE_WORDS.get(facts["phase"], facts["phase"])
    del facts["outcome"]
    return facts


def _survey(server: Server, offset: int) -> dict[str, Any]:
    queue, options = server.runs.queue, server.options
    counts = queue.count()
    done = queue.list_runs("done", max(_LOOKED_AT, _RECENT), offset)
    found = sum(run.outcome.get("cache", {}).get("environments_found", 0) for run in done)
    made = sum(run.outcome.get("cache", {}).get("environments_made", 0) for run in done)
    disk = os.statvfs(options.cache)
    hits, misses = server.depot.hits, server.depot.misses
    return {
        "version": VERSION,
        "seconds": time.time() - server.born,
        "jobs": options.jobs,
        "stopping": server.stopping.is_set(),
        "running": [_view(server, each.run) for each in server.runs.running],
        "queued": [_view(server, run) for run in queue.list_runs("queued", _RECENT)],
        "queued_count": counts.get("queued", 0),
        "recent": [_view(server, run) for run in done[:_RECENT]],
        "older": offset + _RECENT if len(done) > _RECENT else 0,
        "newer": max(0, offset - _RECENT) if offset else None,
        "failures": list(_group(_view(server, run) for run in done if run.verdict == "failed")),
        "totals": [
            *(("running", len(server.runs.running)), ("queued", counts.get("queued", 0))),
            *((name, counts.get(name, 0)) for name in ("built", "reused", "failed")),
            ("cancelled", counts.get("cancelled", 0)),
        ],
        "targets": list(options.targets.items()),
        "cache": [
            ("cache", str(options.cache)),
            ("environments", f"{_share(found, made)} found in the cache"),
            ("backends", f"{_share(hits, misses)} were imported already"),
            ("free disk", _format_size(disk.f_bavail * disk.f_frsize)),
        ],
    }


def _share(part: int, rest: int) -> str:
    return f"{part} of {part + rest}"


def _group(runs: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Return failures by their cause, the most frequent first."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        code = str(run["error"]["code"]) if run["error"] else "unknown"
        groups.setdefault(code, []).append(run)
    for code, members in sorted(groups.items(), key=lambda pair: -len(pair[1])):
        hint = next((each["error"]["hint"] for each in members if each["error"]), None)
        yield {"code": code, "hint": hint, "runs": members}


def _detail(server: Server, run: Run) -> dict[str, Any]:
    outcome, path, log = run.outcome, server.home.runs / run.id / "log", ""
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LOG_BYTES))
        log = file.read().decode(errors="replace")
    facts = {
        "client": run.client,
        "Python": outcome.get("python"),
        "backend": outcome.get("backend"),
        "asked for": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(run.created)),
        "attempts": run.attempts,
        "environment": ", ".join(
            f"{each['name']} {each['version']}" for each in outcome.get("environment", ())
        ),
        "notes": "\n".join(outcome.get("notes", ())),
    }
    return {
        "run": _view(server, run),
        "facts": [(name, value) for name, value in facts.items() if value],
        "phases": _draw(outcome.get("phases", ())),
        "log": log,
    }


def _draw(phases: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return where each phase begins on a line, and how wide it is."""
    given, place = list(phases), 0.0
    whole = sum(phase["seconds"] for phase in given) or 1.0
    drawn: list[dict[str, Any]] = []
    for phase in given:
        width = _WIDTH * phase["seconds"] / whole
        words = PHASE_WORDS.get(phase["name"], phase["name"])
        facts = {"start": round(place, 1), "width": round(max(width, 1.0), 1), "words": words}
        drawn.append({**facts, "class": phase["name"].split()[-1], "seconds": phase["seconds"]})
        place += width
    return drawn


def _format_duration(seconds: float) -> str:
    if seconds < _SHORT:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    if seconds < _MINUTE * _MINUTE:
        return f"{seconds // _MINUTE:.0f} min {seconds % _MINUTE:.0f} s"
    return f"{seconds // _MINUTE**2:.0f} h {seconds % _MINUTE**2 // _MINUTE:.0f} min"


def _format_size(size_bytes: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size_bytes < _STEP:
            return f"{size_bytes:.0f} {unit}"
        size_bytes /= _STEP
    return f"{size_bytes:.1f} GiB"


def _finalize(value: object) -> object:
    """Show what steers a terminal or reverses text; markup is that of our own macros."""
    return escape_controls(value) if type(value) is str else value


@cache
def _open_templates() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("wheelforge.service", "pages"),
        autoescape=True,
        finalize=_finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    found.filters |= {"duration": _format_duration, "size": _format_size}
    return found


def _render(name: str, facts: dict[str, Any]) -> web.Response:
    text = _open_templates().get_template(name).render(facts)
    return web.Response(text=text, content_type="text/html", headers={**_HEADERS, "Vary": "Accept"})
