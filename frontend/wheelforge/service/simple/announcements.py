"""The part of the API that is about announced sets."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, cast

from wheelforge.service.problems import Problem, read_json
from wheelforge.service.requests import RequestError
from wheelforge.service.simple.handlers import INDEX
from wheelforge.service.simple.sets import SetRequest
from wheelforge.service.views import answer_json, read_count
from wheelforge_isolation.formats.tables import as_table

if TYPE_CHECKING:
    from aiohttp import web

    from wheelforge.service.server import Server
    from wheelforge.service.simple.handlers import Index

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MOST_SECONDS = 20
_BODY_SECONDS = 30.0
_FIELDS = {"name", "target", "requirements", "constraints", "hashes", "is_closed"}


async def announce_set(_: Server, request: web.Request) -> web.StreamResponse:
    """Have a set of releases made; the same name again is the same set."""
    index = _find_index(request)
    if not index.check_access(request):
        raise Problem(403, "role-insufficient", "this takes the role `build`")
    if index.site.set_builds.is_busy:
        raise Problem(429, "server-busy", "too many sets are being made; ask again later")
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            body = await request.read()
    except TimeoutError as error:
        raise Problem(408, "client-slow", "the body comes too slowly") from error
    fields = as_table(read_json(body))
    if not fields or fields.keys() - _FIELDS:
        raise RequestError("", f"it must be an object with fields of {', '.join(sorted(_FIELDS))}")
    found, wanted = _read_set(fields), str(fields.get("target") or "")
    target = await index.site.find_target(wanted)
    if target is None:
        known = ", ".join(index.site.targets)
        raise RequestError("target", f"there is no target `{wanted}`; there are: {known}")
    name = fields.get("name") or _make_name(target.name, found)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise RequestError("name", "it must be 1 to 100 letters, digits, `.`, `_` and `-`")
    announced = index.site.set_builds.add(name, target, found)
    return answer_json(announced.describe(), 202, Location=f"/api/v1/sets/{name}")


async def show_set(_: Server, request: web.Request) -> web.StreamResponse:
    """Show a set, after `?wait=SECONDS` or as soon as it is ready."""
    index, name = _find_index(request), request.match_info["name"]
    index.check_access(request)
    if index.site.set_builds.find(name) is not None:
        await index.site.set_builds.wait(name, read_count(request, "wait", 0, _MOST_SECONDS))
    found = index.site.set_builds.find(name)
    if found is None:
        raise Problem(404, "set-unknown", f"there is no set `{name}`")
    return answer_json(found.describe())


async def show_target(_: Server, request: web.Request) -> web.StreamResponse:
    """Show a target, with the environment markers that locks are read by."""
    index = _find_index(request)
    index.check_access(request)
    name = request.match_info["name"]
    target = await index.site.find_target("" if name == "default" else name)
    if target is None:
        raise Problem(404, "target-unknown", f"there is no target `{name}`")
    python = target.interpreter
    facts = {"version": python.version, "markers": dict(python.markers), "tags": python.tags}
    return answer_json({"name": target.name, **facts})


def _find_index(request: web.Request) -> Index:
    index = request.app.get(INDEX)
    if index is None:
        raise Problem(404, "index-absent", "this server has no index")
    return index


def _read_set(fields: dict[str, Any]) -> SetRequest:
    requirements = _read_texts("requirements", fields.get("requirements", []))
    constraints = _read_texts("constraints", fields.get("constraints", []))
    hashes = {
        text: _read_texts("hashes", found) for text, found in as_table(fields.get("hashes")).items()
    }
    is_closed = fields.get("is_closed", False)
    if not isinstance(is_closed, bool):
        raise RequestError("is_closed", "it must be true or false")
    return SetRequest(requirements, constraints, hashes, is_closed)


def _read_texts(name: str, value: object) -> tuple[str, ...]:
    items = cast("list[object]", value) if isinstance(value, list) else [None]
    texts = tuple(each for each in items if isinstance(each, str))
    if len(texts) != len(items):
        raise RequestError(name, "it must be a list of texts")
    return texts


def _make_name(target: str, request: SetRequest) -> str:
    facts = json.dumps([target, *request], sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()[:16]
