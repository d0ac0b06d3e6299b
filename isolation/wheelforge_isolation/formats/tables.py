"""Tables in foreign TOML and JSON, where anything may stand in the place of one."""

from __future__ import annotations

from typing import Any, cast


def as_table(value: object) -> dict[str, Any]:
    """Return ``value`` if it is a table; an empty one for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
