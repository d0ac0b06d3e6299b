"""``wheelforge cache``: what is in it, is it sound, make it smaller."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sys
from typing import TYPE_CHECKING

from wheelforge.build.targets import find_layout
from wheelforge.cli.argument_types import describe_size
from wheelforge.errors import UsageError
from wheelforge_isolation import (
    Bounds,
    Collected,
    Problem,
    claim_cache,
    collect_garbage,
    export_cache,
    import_cache,
    list_entries,
    measure_disk,
    open_cache,
)
from wheelforge_isolation.errors import FileMissingError
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import parse_file_name
from wheelforge_isolation.formats.text import escape_line

if TYPE_CHECKING:
    from pathlib import Path

    from wheelforge.cli.command_options import CommandOptions
    from wheelforge_isolation import Entry, Event, Layout, Transferred

_EMPTY = Bounds(max_bytes=0, max_age_days=0, kept_days=0)


def show_directory(options: CommandOptions) -> None:
    """Print where the cache is."""
    sys.stdout.write(f"{find_layout(options.cache_dir).root}\n")


def show_size(options: CommandOptions) -> None:
    """Print how much space the cache takes."""
    layout = _find_cache(options)
    size = measure_disk(layout)
    text = f"{describe_size(size)} ({size:,} bytes)"
    if options.json:
        text = json.dumps({"path": str(layout.root), "bytes": size})
    sys.stdout.write(f"{text}\n")


def show_entries(options: CommandOptions) -> None:
    """Print a line, or a JSON object, for each entry; in a terminal they are a table."""
    entries = sorted(list_entries(_find_cache(options)), key=lambda entry: -entry.last_used)
    facts = [_describe_entry(entry) for entry in entries]
    if options.json:
        sys.stdout.write(f"{json.dumps(facts, indent=2)}\n")
        return
    rows = [
        (
            entry.kind,
            f"{fact['name']} {fact['version']}".strip(),
            entry.file or ", ".join(entry.wheels),
            describe_size(entry.size_bytes),
            str(fact["last_used"]),
        )
        for entry, fact in zip(entries, facts, strict=True)
    ]
    if sys.stdout.isatty():
        from wheelforge.progress.table import show_table

        show_table(("Kind", "Release", "File", "Size", "Last used"), rows)
        return
    for row in rows:
        sys.stdout.write("\t".join(row) + "\n")


def _describe_entry(entry: Entry) -> dict[str, object]:
    name, version = entry.name, entry.version
    if entry.kind == "file":
        with contextlib.suppress(FormatError):
            found = parse_file_name(entry.file)
            name, version = found.name, str(found.version)
    return {
        "kind": entry.kind,
        "name": name,
        "version": version,
        "file": entry.file,
        "wheels": list(entry.wheels),
        "size": entry.size_bytes,
        "last_used": f"{dt.datetime.fromtimestamp(entry.last_used, dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
    }


def verify(options: CommandOptions) -> int:
    """Print what is wrong with the cache; return 1 if anything still is."""
    layout = _find_cache(options)
    count, problems = 0, list[Problem]()
    if layout.root.is_dir():  # or it would be made
        claim_cache(layout)
        count = sum(1 for _ in list_entries(layout))
        with open_cache(layout, show_event) as cache:
            problems = list(cache.verify(repair=options.repair))
    for problem in problems:
        remedy = f"; {problem.remedy}" if problem.remedy else ""
        sys.stdout.write(f"{escape_line(f'{problem.path}: {problem.reason}{remedy}')}\n")
    sys.stderr.write(f"{count} entries checked, {len(problems)} problems\n")
    return 1 if any(not problem.remedy for problem in problems) else 0


def show_event(event: Event) -> None:
    """Say what happened to the cache."""
    sys.stderr.write(f"{escape_line(f'note: {event.subject}: {event.reason}')}\n")


def collect(options: CommandOptions) -> None:
    """Remove what is out of bounds and not in use."""
    _collect(options, Bounds(max_bytes=options.max_size, max_age_days=options.max_age))


def clear(options: CommandOptions) -> None:
    """Remove everything that is not in use."""
    _collect(options, _EMPTY)


def _collect(options: CommandOptions, bounds: Bounds) -> None:
    layout = _find_cache(options)
    done = collect_garbage(layout, bounds) if layout.root.is_dir() else Collected()
    if not done.is_done:
        sys.stderr.write("note: another collector is at work; this one leaves it to that\n")
        return
    in_use = f"; {done.in_use} in use" if done.in_use else ""
    freed = describe_size(done.freed_bytes)
    sys.stdout.write(f"removed {done.removed} entries and leftovers, freed {freed}{in_use}\n")


def export(options: CommandOptions) -> None:
    """Write the wheels of the cache into one file."""
    if options.file.is_dir():
        raise UsageError("option-invalid", "FILE", f"`{options.file}` is a directory")
    since = options.used_since.timestamp() if options.used_since else 0.0
    with open_cache(_find_cache(options), show_event) as cache:
        done = export_cache(cache, str(options.file), since)
    _show_transferred("exported", done)


def import_file(options: CommandOptions) -> None:
    """Add what is in such a file to the cache."""
    layout = _find_cache(options)
    _check_file(options.file)
    layout.prepare()
    with open_cache(layout, show_event) as cache:
        done = import_cache(cache, str(options.file))
    _show_transferred("imported", done)


def _show_transferred(verb: str, done: Transferred) -> None:
    size = describe_size(done.size_bytes)
    sys.stdout.write(f"{verb} {done.wheels} wheels, {done.built} of them built: {size}\n")


def _check_file(path: Path) -> None:
    if not path.exists():
        raise FileMissingError("read", str(path), "there is no such file")


def _find_cache(options: CommandOptions) -> Layout:
    """Return the cache that is meant; a directory with anything else in it is none."""
    layout = find_layout(options.cache_dir)
    root = layout.root
    if root.is_dir() and any(root.iterdir()) and not layout.tag.exists():
        raise UsageError("option-invalid", "--cache-dir", f"`{root}` is not a cache of wheelforge")
    return layout
