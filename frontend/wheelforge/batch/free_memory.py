"""How much memory is free, where the system says so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_AVAILABLE = re.compile(r"^MemAvailable:\s+(\d+) kB$", re.MULTILINE)
_RECLAIMABLE = re.compile(r"^inactive_file (\d+)$", re.MULTILINE)
_ROOT = Path("/")


def find_free_memory(root: Path = _ROOT) -> int | None:
    """Return how many bytes more can be used, by the machine and by our group of processes."""
    match = _AVAILABLE.search(_read(root / "proc" / "meminfo"))
    found = [int(match[1]) * 1024] if match else []
    found += _list_group_rests(root)
    return min(found, default=None)


def _list_group_rests(root: Path) -> Iterator[int]:
    """Yield what each group that we are in has left, the groups around it included."""
    lines = _read(root / "proc" / "self" / "cgroup").splitlines()
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), None)
    if own is None:
        return
    top = root / "sys" / "fs" / "cgroup"
    for group in (top / own, *(top / own).parents):
        limit, used = (_read(group / f"memory.{name}").strip() for name in ("max", "current"))
        if limit.isdigit() and used.isdigit():
            cached = _RECLAIMABLE.search(_read(group / "memory.stat"))
            yield max(0, int(limit) - int(used) + (int(cached[1]) if cached else 0))
        if group == top:
            return


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
