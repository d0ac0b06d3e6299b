"""Benchmark results, as text and as JSON."""

import datetime as dt
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from tests.benchmarks.figures import Result, Row, spread
from tests.benchmarks.peers import PINS, hash_sources
from tests.benchmarks.world import Bench

FORMAT = 1


def format_result(result: Result) -> str:
    """Return a table: median, least and quartiles, and ratios pair by pair."""
    lines = [f"{result.name}: {result.title} (Python {platform.python_version()})"]
    lines += [line for row in result.rows for line in _format_row(row)]
    means = result.means()
    if len(result.rows) > 1 and means:
        each = ", ".join(f"{name} {mean:.2f}" for name, mean in means.items())
        lines.append(f"  geometric mean: {each}")
    lines += [f"  note: {note}" for note in result.notes]
    return "\n".join(lines) + "\n"


def _format_row(row: Row) -> Iterator[str]:
    yield f"  {row.title} (ratios to {row.base})"
    for name, samples in row.samples.items():
        found = spread(samples.values)
        cpu = row.cpu_ratio(name)
        yield (
            f"    {name:32} {_number(found.median):>9} {row.unit}"
            f"  ({_number(found.least)}, {_number(found.lower)} to {_number(found.upper)})"
            f"   x {row.ratio(name):.2f}{f', cpu x {cpu:.2f}' if cpu is not None else ''}"
        )


def _number(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.3f}" if value >= 0.1 else f"{value:.3g}"


def describe_run(bench: Bench, results: Sequence[Result]) -> dict[str, Any]:
    """Return all that was found, every sample, and on what machine."""
    return {
        "format": FORMAT,
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": _describe_machine(),
        "peers": PINS,
        "wheelforge": str(bench.tools.given or f"sources {hash_sources()}"),
        "rounds": bench.rounds,
        "quick": bench.is_quick,
        "benches": [_describe_result(result) for result in results],
    }


def _describe_machine() -> dict[str, Any]:
    return {
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "python": sys.version,
    }


def _describe_result(result: Result) -> dict[str, Any]:
    return {
        "name": result.name,
        "title": result.title,
        "notes": list(result.notes),
        "geometric_means": result.means(),
        "rows": [_describe_row(row) for row in result.rows],
    }


def _describe_row(row: Row) -> dict[str, Any]:
    return {
        "title": row.title,
        "unit": row.unit,
        "base": row.base,
        "in_mean": row.counts,
        "contenders": {
            name: {
                "values": samples.values,
                "cpu_seconds": samples.cpu,
                "median": spread(samples.values).median,
                "ratio": row.ratio(name),
                "cpu_ratio": row.cpu_ratio(name),
            }
            for name, samples in row.samples.items()
        },
    }
