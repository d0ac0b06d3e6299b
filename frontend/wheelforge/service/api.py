"""The API: a table of routes, and what is done for each of them."""

# ruff: file-ignore[unused-async]  # every handler is called in the same way

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from aiohttp import web

from wheelforge.service import causes, dashboard, openapi, shared
from wheelforge.service.home import PROTOCOL
from wheelforge.service.metrics import format_metrics
from wheelforge.service.problems import Problem, answer_problems_first, read_json
from wheelforge.service.requests import Scope, read_request
from wheelforge.service.runs import Asked
from wheelforge.service.simple.announcements import announce_set, show_set, show_target
from wheelforge.service.simple.handlers import add_index_routes
from wheelforge.service.uploads import PREFIX
from wheelforge.service.views import MOST, answer_json, describe_build, describe_run, read_count
from wheelforge.version import VERSION
from wheelforge_isolation.formats.urls import without_secrets

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wheelforge.service.queue import Want
    from wheelforge.service.server import Server

    Handler = Callable[[Server, web.Request], Awaitable[web.StreamResponse]]

_MOST_BYTES = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_BODY_SECONDS = 30.0
_MOST_DIGITS = 20


class Route(NamedTuple):
    """One route of the API."""

    method: str
    path: str
    handler: Handler
    summary: str
    answer: str = ""
    """The name of a schema, or a content type."""
    role: str = "read"
    """The role that it takes; none for supervisors."""
    statuses: tuple[int, ...] = (200,)
    body: str = ""
    """The schema of what is posted."""

    @property
    def operation(self) -> str:
        """The name of the function that answers."""
        return self.handler.__name__


def make_application(server: Server) -> web.Application:
    """Return what answers requests."""

    async def count(request: web.Request, handler: Any) -> Any:  # ruff: ignore[any-type]
        server.connections += 1
        if server.network is not None:
            server.network.begin(request.transport)
        try:
            return await handler(request)
        finally:
            server.connections -= 1
            if server.network is not None:
                server.network.end(request.transport)
            server.mark_active()

    application = web.Application(
        client_max_size=_MOST_BYTES, middlewares=[web.middleware(count), answer_problems_first]
    )
    for route in ROUTES:
        application.router.add_route(route.method, route.path, _bind(server, route))
    add_index_routes(application, server)
    return application


def _bind(server: Server, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        server.check_access(request, route.role)
        if request.method == "POST":
            kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise Problem(415, "content-type", "the body must be application/json")
        return await route.handler(server, request)

    return answer


# -- builds ---------------------------------------------------------------------------------------


async def create_build(server: Server, request: web.Request) -> web.StreamResponse:
    """Queue a build; the same `Idempotency-Key` again names the same one."""
    if server.stopping.is_set():
        raise Problem(503, "server-stopping", "the server is about to end")
    body, trusted = await _read_body(request), server.is_trusted(request)
    key, digest = request.headers.get("Idempotency-Key"), hashlib.sha256(body).hexdigest()
    if key is not None:
        if not _KEY.fullmatch(key):
            raise Problem(400, "request-invalid", "`Idempotency-Key` must be 1 to 200 characters")
        key = f"{server.identify(request)}:{key}"
        known = server.runs.queue.find_want(key)
        if known is not None and known.digest != digest:
            detail = "this `Idempotency-Key` came with another request before"
            raise Problem(422, "idempotency-key-reused", detail)
        if known is not None:
            return answer_json(describe_build(server, known))
    options = server.options
    find = server.runs.uploads.find
    scope = Scope(options.targets, find, options.places, options.sandboxes)
    spec = read_request(read_json(body), scope, is_trusted=trusted)
    client = spec.fields.get("client") or (f"uid {os.geteuid()}" if trusted else "remote")
    want = server.runs.submit(spec, Asked(client, trusted), key, digest)
    facts = describe_build(server, want)
    return answer_json(facts, 202, Location=f"/api/v1/builds/{want.id}")


async def list_builds(server: Server, request: web.Request) -> web.StreamResponse:
    """List builds that are done, the last first."""
    limit, offset = read_count(request, "limit", 50, 500), read_count(request, "offset", 0, MOST)
    runs = server.runs.queue.list_runs("done", limit, offset)
    return answer_json({"builds": [describe_run(server, run) for run in runs]})


async def show_build(server: Server, request: web.Request) -> web.StreamResponse:
    """Show one build."""
    return answer_json(describe_build(server, find_want(server, request)))


async def cancel_build(server: Server, request: web.Request) -> web.StreamResponse:
    """Withdraw a request; the last one for a build cancels it."""
    want = find_want(server, request)
    server.runs.withdraw(want)
    return answer_json(describe_build(server, want))


async def stream_events(server: Server, request: web.Request) -> web.StreamResponse:
    """Follow the events of a build, as lines of JSON or as server-sent events."""
    want = find_want(server, request)
    last = request.headers.get("Last-Event-ID") or request.query.get("after", "0")
    after = int(last[:_MOST_DIGITS]) if last.isascii() and last.isdigit() else 0
    is_sse = "text/event-stream" in request.headers.get("Accept", "")
    kind = "text/event-stream" if is_sse else "application/x-ndjson"
    headers = {"Content-Type": kind, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        async for number, line in server.runs.follow(want.run, after):
            text = f'{{"seq": {number}, {line[1:]}' if line else ""
            await response.write(_frame(text, number, is_sse=is_sse))
        end = {"kind": "end", "build": describe_build(server, want)}
        await response.write(_frame(json.dumps(end), None, is_sse=is_sse))
        await response.write_eof()
    return response


def _frame(text: str, number: int | None, *, is_sse: bool) -> bytes:
    if not is_sse:
        return f"{text}\n".encode()
    if not text:
        return b":\n\n"
    name = "" if number is None else f"id: {number}\n"
    return f"{name}event: {'end' if number is None else 'event'}\ndata: {text}\n\n".encode()


async def receive_upload(server: Server, request: web.Request) -> web.StreamResponse:
    """Take an archive in, to be named as `sha256:...` in a request."""
    name, sha256 = request.query.get("name", ""), request.match_info["sha256"]
    content = request.content.iter_chunked(1 << 16)
    client = server.identify(request)
    path = await server.runs.uploads.receive(sha256, name, aiter(content), client)
    return answer_json({"source": f"{PREFIX}{sha256}", "name": path.name}, 201)


async def show_upload(server: Server, request: web.Request) -> web.StreamResponse:
    """Say under which name an archive is there, so that it need not be sent again."""
    sha256 = request.match_info["sha256"]
    path = server.runs.uploads.find(sha256)
    if path is None:
        raise Problem(404, "upload-unknown", f"there is no archive `{sha256}`")
    return answer_json({"source": f"{PREFIX}{sha256}", "name": path.name})


async def show_log(server: Server, request: web.Request) -> web.StreamResponse:
    """Show the output of the backend; `Range` is honoured."""
    path = server.home.runs / find_want(server, request).run / "log"
    headers = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
    if not path.exists():
        return web.Response(headers=headers)
    return web.FileResponse(path, headers=headers)


async def fetch_artifact(server: Server, request: web.Request) -> web.StreamResponse:
    """Fetch a result by its hash."""
    sha256 = request.match_info["sha256"]
    is_hash, find = _SHA256.fullmatch(sha256), server.runs.results.find
    path = await asyncio.to_thread(find, sha256) if is_hash else None
    if path is None:
        raise Problem(404, "artifact-unknown", f"there is no artifact `{sha256}`")
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f'attachment; filename="{path.name}"',
        "X-Content-Type-Options": "nosniff",
    }
    return web.FileResponse(path, headers=headers)


def find_want(server: Server, request: web.Request) -> Want:
    """Return the build that is named."""
    want = server.runs.queue.want(request.match_info["id"])
    if want is None:
        raise Problem(404, "build-unknown", f"there is no build `{request.match_info['id']}`")
    return want


# -- the server -----------------------------------------------------------------------------------


async def show_server(server: Server, _: web.Request) -> web.StreamResponse:
    """Show the server: version, settings, and what it is doing."""
    counts, options = server.runs.queue.count(), server.options
    facts = {
        "version": VERSION,
        "protocol": PROTOCOL,
        "pid": os.getpid(),
        "address": server.address,
        "url": server.url or None,
        "born": server.born,
        "seconds": round(time.time() - server.born, 3),
        "cache_dir": str(options.cache),
        "jobs": options.jobs,
        "idle_seconds": options.idle_seconds,
        "options": list(map(without_secrets, options.words)),
        "targets": dict(options.targets),
        "stopping": server.stopping.is_set(),
        "running": [describe_run(server, each.run) for each in server.runs.running],
        "queued": counts.get("queued", 0),
        "counts": counts,
        "backends": {"kept": len(server.depot), "hits": server.depot.hits},
    }
    return answer_json(facts)


async def show_queue(server: Server, request: web.Request) -> web.StreamResponse:
    """List what is at work and what waits."""
    queued = server.runs.queue.list_runs("queued", read_count(request, "limit", 100, 1000))
    running = [describe_run(server, each.run) for each in server.runs.running]
    return answer_json({
        "running": running,
        "queued": [describe_run(server, run) for run in queued],
    })


async def list_targets(server: Server, _: web.Request) -> web.StreamResponse:
    """List the Pythons that clients may name."""
    targets = server.options.targets.items()
    return answer_json({"targets": [{"name": name, "python": python} for name, python in targets]})


async def stop_server(server: Server, request: web.Request) -> web.StreamResponse:
    """Stop the server; with `drain` once what is at work is done."""
    drain = request.query.get("drain", "") in {"1", "true"}
    server.stop(drain=drain)
    return answer_json({"stopping": True, "drain": drain}, 202)


async def show_health(_: Server, __: web.Request) -> web.StreamResponse:
    """Say that the server lives."""
    return web.Response(text="ok\n")


async def show_readiness(server: Server, _: web.Request) -> web.StreamResponse:
    """Say whether it takes requests."""
    if server.stopping.is_set():
        raise Problem(503, "server-stopping", "the server is about to end")
    return web.Response(text="ready\n")


async def show_metrics(server: Server, _: web.Request) -> web.StreamResponse:
    """Show numbers, in the text format of Prometheus."""
    return web.Response(
        body=format_metrics(server).encode(),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )


async def show_openapi(_: Server, __: web.Request) -> web.StreamResponse:
    """Describe the API."""
    return answer_json(openapi.describe(ROUTES))


async def _read_body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            body: bytes = await request.read()
    except TimeoutError as error:
        raise Problem(408, "client-slow", "the body comes too slowly") from error
    return body


_V1 = "/api/v1"
ROUTES = (
    Route(
        *("POST", f"{_V1}/builds", create_build, "queue a build", "Build"),
        *("build", (200, 202), "Request"),
    ),
    Route("GET", f"{_V1}/builds", list_builds, "builds that are done", "application/json"),
    Route("GET", f"{_V1}/builds/{{id}}", show_build, "one build", "Build"),
    Route("DELETE", f"{_V1}/builds/{{id}}", cancel_build, "withdraw a request", "Build", "build"),
    Route(
        *("GET", f"{_V1}/builds/{{id}}/events", stream_events),
        *("follow a build; resumes after `Last-Event-ID`", "application/x-ndjson"),
    ),
    Route(
        *("PUT", f"{_V1}/uploads/{{sha256}}", receive_upload, "send an archive"),
        *("application/json", "build", (201,)),
    ),
    Route(
        *("GET", f"{_V1}/uploads/{{sha256}}", show_upload, "whether an archive is there"),
        *("application/json", "build"),
    ),
    Route(
        *("GET", f"{_V1}/builds/{{id}}/why", causes.explain_build),
        *("why it was built, and nothing used again", "Cause"),
    ),
    Route("GET", f"{_V1}/builds/{{id}}/log", show_log, "output of the backend", "text/plain"),
    Route(
        *("GET", f"{_V1}/artifacts/{{sha256}}", fetch_artifact, "a result by its hash"),
        "application/octet-stream",
    ),
    *(
        Route(method, f"/{kind}/{{sha256}}", handler, text, "application/octet-stream", role)
        for kind, takes, gives, name in (
            ("ac", shared.receive_action, shared.fetch_action, "a record"),
            ("cas", shared.receive_content, shared.fetch_content, "a file"),
        )
        for method, handler, text, role in (
            ("GET", gives, f"{name} of the shared cache", "read"),
            ("HEAD", gives, f"whether {name} is in the shared cache", "read"),
            ("PUT", takes, f"put {name} into the shared cache", "build"),
        )
    ),
    Route("GET", f"{_V1}/queue", show_queue, "what is at work and what waits", "application/json"),
    Route("GET", f"{_V1}/targets", list_targets, "the Pythons to build for", "application/json"),
    Route("GET", f"{_V1}/targets/{{name}}", show_target, "one of them", "application/json", ""),
    Route(
        *("POST", f"{_V1}/sets", announce_set, "have a set of releases built"),
        *("application/json", "", (202,)),
    ),
    Route("GET", f"{_V1}/sets/{{name}}", show_set, "an announced set", "application/json", ""),
    Route("GET", f"{_V1}/server", show_server, "the server itself", "application/json"),
    Route(
        *("POST", f"{_V1}/server/stop", stop_server, "stop the server", "application/json"),
        *("admin", (202,)),
    ),
    Route("GET", f"{_V1}/openapi.json", show_openapi, "this description", "application/json"),
    Route("GET", f"{_V1}/changes", dashboard.stream_changes, "changes", "text/event-stream"),
    Route(
        *("POST", f"{_V1}/runs/{{id}}/retry", dashboard.retry_run, "build again"),
        *("application/json", "build", (202,)),
    ),
    Route(
        *("POST", f"{_V1}/runs/{{id}}/cancel", dashboard.cancel_run, "cancel for all"),
        *("application/json", "admin", (202,)),
    ),
    Route("GET", "/", dashboard.show_overview, "the dashboard", "application/json"),
    Route("GET", "/projects", dashboard.show_projects, "projects and targets", "application/json"),
    Route("GET", "/builds/{id}", dashboard.show_page, "the page of a build", "text/html"),
    Route("GET", "/assets/{name}", dashboard.show_asset, "styles and scripts", "text/css"),
    Route("GET", "/healthz", show_health, "whether it lives", "text/plain", ""),
    Route("GET", "/readyz", show_readiness, "whether it takes requests", "text/plain", ""),
    Route("GET", "/metrics", show_metrics, "numbers for Prometheus", "text/plain"),
)
