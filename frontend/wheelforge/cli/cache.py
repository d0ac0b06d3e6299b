"""``wheelforge cache``: what is in it, is it sound, make it smaller."""

from __future__ import annotations

import datetime as dt
import json
import sys
from typing import TYPE_CHECKING

from wheelforge.build.targets import find_layout
from wheelforge.cli.argument_types import describe_size
from wheelforge_isolation import (
    Bounds,
    claim_cache,
    collect_garbage,
    list_entries,
    measure_disk,
    open_cache,
)
from wheelforge_isolation.formats.text import escape_line

if TYPE_CHECKING:
    import argparse

    from wheelforge_isolation import Event

_EMPTY = Bounds(max_bytes=0, max_age_days=0, kept_days=0)


def show_directory(options: argparse.Namespace) -> None:
    """Print where the cache is."""
    sys.stdout.write(f"{find_layout(options.cache_dir).root}\n")


def show_size(options: argparse.Namespace) -> None:
    """Print how much space the cache takes."""
    size = measure_disk(find_layout(options.cache_dir))
    sys.stdout.write(f"{describe_size(size)} ({size:,} bytes)\n")


def show_entries(options: argparse.Namespace) -> None:
    """Print a line, or a JSON object, for each entry."""
    entries = sorted(
        list_entries(find_layout(options.cache_dir)), key=lambda entry: -entry.last_used
    )
    facts: list[dict[str, str | int]] = []
    for entry in entries:
        used = f"{dt.datetime.fromtimestamp(entry.last_used, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
        facts.append({
            "kind": entry.kind,
            "name": entry.name,
            "version": entry.version,
            "file": entry.file,
            "size": entry.size_bytes,
            "last_used": used,
        })
        if not options.json:
            size, release = describe_size(entry.size_bytes), f"{entry.name} {entry.version}".strip()
            sys.stdout.write(f"{entry.kind}\t{release}\t{entry.file}\t{size}\t{used}\n")
    if options.json:
        sys.stdout.write(f"{json.dumps(facts, indent=2)}\n")


def verify(options: argparse.Namespace) -> int:
    """Print what is wrong with the cache; return 1 if anything still is."""
    layout = find_layout(options.cache_dir)
    claim_cache(layout)
    with open_cache(layout, show_event) as cache:
        problems = list(cache.verify(repair=options.repair))
    for problem in problems:
        remedy = f"; {problem.remedy}" if problem.remedy else ""
        sys.stdout.write(f"{escape_line(f'{problem.path}: {problem.reason}{remedy}')}\n")
    return 1 if any(not problem.remedy for problem in problems) else 0


def show_event(event: Event) -> None:
    """Say what happened to the cache."""
    sys.stderr.write(f"{escape_line(f'note: {event.subject}: {event.reason}')}\n")


def collect(options: argparse.Namespace) -> None:
    """Remove what is out of bounds and not in use."""
    _collect(options, Bounds(max_bytes=options.max_size, max_age_days=options.max_age))


def clear(options: argparse.Namespace) -> None:
    """Remove everything that is not in use."""
    _collect(options, _EMPTY)


def _collect(options: argparse.Namespace, bounds: Bounds) -> None:
    done = collect_garbage(find_layout(options.cache_dir), bounds)
    if not done.is_done:
        sys.stderr.write("note: another collector is at work; this one leaves it to that\n")
        return
    in_use = f"; {done.in_use} in use" if done.in_use else ""
    freed = describe_size(done.freed_bytes)
    sys.stdout.write(f"removed {done.removed}, freed {freed}{in_use}\n")
