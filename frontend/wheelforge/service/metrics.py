"""Numbers about a server, in the text format of Prometheus."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wheelforge.service.server import Server


def measure_memory(process: int | str = "self") -> int:
    """Return how many bytes of memory a process has; 0: not known."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def format_metrics(server: Server) -> str:
    """Return the numbers."""
    runs, counts = server.runs, server.runs.queue.count()
    rows = [
        ("builds_running", "gauge", "builds at work", len(runs.running)),
        ("builds_queued", "gauge", "builds that wait", counts.get("queued", 0)),
        ("builds_started_total", "counter", "builds begun by this process", runs.started),
        ("builds_retried_total", "counter", "failures of the machine", runs.retried),
        ("jobs", "gauge", "builds that may be at work at once", server.options.jobs),
        ("backends_kept", "gauge", "backends that are imported", len(server.depot)),
        ("backend_hits_total", "counter", "hooks that found one", server.depot.hits),
        ("backend_misses_total", "counter", "hooks that found none", server.depot.misses),
        ("connections", "gauge", "clients and workers", server.connections),
        ("resident_bytes", "gauge", "memory of the server itself", measure_memory()),
        ("up_seconds", "gauge", "age of this process", round(time.time() - server.born, 3)),
    ]
    lines = list[str]()
    for name, kind, text, value in rows:
        lines += [f"# HELP wheelforge_{name} {text}", f"# TYPE wheelforge_{name} {kind}"]
        lines.append(f"wheelforge_{name} {value}")
    lines.append("# HELP wheelforge_builds_done builds that are done, of those still known")
    lines.append("# TYPE wheelforge_builds_done gauge")
    done = {name: count for name, count in counts.items() if name not in {"queued", "running"}}
    lines += [f'wheelforge_builds_done{{verdict="{name}"}} {done[name]}' for name in sorted(done)]
    return "\n".join(lines) + "\n"
