"""The commands `overrides check` and `overrides explain`."""

from __future__ import annotations

import json
import os
import sys
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING

from wheelforge.build.prepare import prepare_source
from wheelforge.build.project import unpack_source
from wheelforge.build.targets import find_layout, find_python
from wheelforge.cli.commands import open_console, pair
from wheelforge.cli.settings import find_overrides
from wheelforge.errors import UsageError
from wheelforge.events import EventLog, ignore
from wheelforge.overrides.apply import change_source
from wheelforge.settings import Settings
from wheelforge_isolation import ForgeError, temporary_directory
from wheelforge_isolation.formats.file_names import normalize_name, parse_version
from wheelforge_isolation.formats.requirements import find_requirement, is_exact

if TYPE_CHECKING:
    from wheelforge.build.forge import Forge
    from wheelforge.cli.command_options import CommandOptions
    from wheelforge.models import BuildRequest
    from wheelforge.overrides.model import Chosen, Overrides


def check(options: CommandOptions) -> int:
    """Apply what is in force for each source to a fresh tree of it; return the exit code."""
    overrides, console, code = _find(options), open_console(options), 0
    for forge, request in pair(options, console):
        try:
            lines = _apply(forge, request, overrides)
        except ForgeError as error:
            console.show_error(error)
            code = max(code, error.exit_code)
        else:
            for line in lines or ["no overrides"]:
                sys.stdout.write(f"{request.label}: {line}\n")
    return code


def _apply(forge: Forge, request: BuildRequest, overrides: Overrides) -> list[str]:
    python = forge.context.targets.find(request.python).python
    with temporary_directory() as name:
        fetched = prepare_source(forge.context, request, Path(name) / "fetched")
        root, metadata = fetched.path, b""
        if fetched.sha256:
            events = EventLog(request.label, ignore)
            tree = unpack_source(fetched, Path(name), request, events)
            root, metadata = tree.root, tree.metadata
        is_sdist = bool(fetched.sha256)
        return change_source(overrides, root, metadata, python.markers, is_sdist=is_sdist)[1]


def explain(options: CommandOptions) -> None:
    """Print each value in force for a release, with the place that it is from."""
    overrides = _find(options)
    name, version = _parse_release(options.release)
    settings = Settings(variables=dict(os.environ), cache_dir=options.cache_dir)
    layout = find_layout(options.cache_dir)
    for python in options.pythons or [None]:
        markers = find_python(settings, layout, python).markers
        override = overrides.find(name, version, markers)
        rows = list(starmap(_describe, sorted(override.values.items())))
        if options.json:
            facts = {
                "name": name,
                "version": version,
                "python": markers["python_full_version"],
                "values": rows,
            }
            sys.stdout.write(f"{json.dumps(facts, indent=2, ensure_ascii=False)}\n")
            continue
        for row in rows:
            value = json.dumps(row["value"], ensure_ascii=False)
            sys.stdout.write(
                f"{row['key']} = {value}  # {row['file']}, line {row['line']}: {row['reason']}\n"
            )
        if not rows:
            sys.stdout.write(f"no overrides are about {options.release}\n")


def _describe(key: tuple[str, ...], chosen: Chosen) -> dict[str, object]:
    entry = chosen.entry
    return {
        "key": ".".join(key),
        "value": chosen.setting.value,
        "file": str(entry.file.path),
        "line": entry.line(*key),
        "reason": entry.reason,
    }


def _find(options: CommandOptions) -> Overrides:
    overrides = find_overrides(options)
    if overrides is None:
        reason = "no entry is in any file; `--overrides FILE` names one"
        raise UsageError("option-invalid", "overrides", reason)
    return overrides


def _parse_release(text: str) -> tuple[str, str]:
    found = find_requirement(text)
    if found is None or found.url or (found.specifier and not is_exact(found.specifier)):
        raise UsageError("option-invalid", text, "name a release, such as `six==1.17.0`")
    versions = [parse_version(each.version) for each in found.specifier]
    return normalize_name(found.name), str(versions[0]) if versions else ""
