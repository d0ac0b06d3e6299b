"""The limits of builds that are asked for over the API: the usual ones, whatever the server has."""

from __future__ import annotations

import resource

_USUAL = {
    "RLIMIT_CORE": 0,
    "RLIMIT_NOFILE": 1024,
    "RLIMIT_STACK": 8 << 20,
    **dict.fromkeys(("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE"), -1),
}
"""Those that a login has nearly everywhere; -1: as much as may be had."""


def list_limits() -> str:
    """Return them as a worker is told of them, within what this process may have."""
    found: list[str] = []
    for name, usual in _USUAL.items():
        _, hard = resource.getrlimit(getattr(resource, name))
        is_free = hard == resource.RLIM_INFINITY
        soft = usual if is_free or 0 <= usual < hard else hard
        found.append(f"{name}={soft}:{hard}")
    return " ".join(found)
