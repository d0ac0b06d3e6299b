"""The description of the API in the OpenAPI format, composed of the table of its routes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from wheelforge.models import Cause
from wheelforge.service.requests import FIELDS
from wheelforge.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wheelforge.service.api import Route

_TYPES: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "flag": {"type": "boolean"},
    "number": {"type": "number"},
    "texts": {"type": "array", "items": {"type": "string"}},
    "object": {"type": "object"},
}
_TIME = {"type": ["number", "null"], "description": "seconds since 1970"}
SCHEMAS: dict[str, dict[str, Any]] = {
    "Request": {
        "type": "object",
        "required": ["source"],
        "additionalProperties": False,
        "properties": {
            name: {**_TYPES[field.kind], "description": field.text}
            for name, field in FIELDS.items()
        },
    },
    "Build": {
        "type": "object",
        "required": ["id", "state", "verdict", "label", "created", "outcome", "artifacts"],
        "properties": {
            "id": {"type": "string"},
            "run": {"type": "string", "description": "shared by equal requests"},
            "kind": {"enum": ["build", "command"]},
            "state": {"enum": ["queued", "running", "done"]},
            "verdict": {"type": "string"},
            "label": {"type": "string"},
            "client": {"type": "string"},
            "priority": {"type": "integer"},
            "waiters": {"type": "integer"},
            "attempts": {"type": "integer"},
            "phase": {"type": "string"},
            "created": _TIME,
            "started": _TIME,
            "ended": _TIME,
            "error": {"type": ["object", "null"]},
            "outcome": {"type": "object", "description": "as a build in the JSON report"},
            "artifacts": {"type": "array", "items": {"type": "object"}},
        },
    },
    "Cause": {
        "type": "object",
        "required": list(Cause._fields),
        "properties": {
            **{name: {"type": "string"} for name in Cause._fields},
            "follows": {"type": "array", "items": {"type": "string"}},
        },
    },
    "Problem": {
        "type": "object",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string"},
            "hint": {"type": ["string", "null"]},
            "log": {"type": ["string", "null"]},
        },
    },
}


def describe(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _describe_route(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "wheelforge", "version": VERSION},
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }


def _describe_route(route: Route) -> dict[str, Any]:
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    answer: dict[str, Any] = {"description": route.summary}
    if route.answer:
        is_schema = route.answer in SCHEMAS
        schema = {"$ref": f"#/components/schemas/{route.answer}"} if is_schema else {}
        content = "application/json" if is_schema else route.answer
        answer["content"] = {content: {"schema": schema}}
    found: dict[str, Any] = {
        "summary": route.summary,
        "operationId": route.operation,
        "x-role": route.role,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"{(\w+)}", route.path)
        ],
        "responses": {
            **{str(status): answer for status in route.statuses},
            "default": {
                "description": "a problem",
                "content": {"application/problem+json": problem},
            },
        },
    }
    if route.body:
        schema = {"$ref": f"#/components/schemas/{route.body}"}
        found["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    return found
