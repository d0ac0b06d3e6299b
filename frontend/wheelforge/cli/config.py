"""The command `config show`: each value in force, and where it comes from."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, cast

from wheelforge.cli.argument_types import suggest
from wheelforge.cli.default_files import find_defaults, list_files
from wheelforge.cli.parser import COMMANDS, build_parser
from wheelforge.cli.variables import read_environment
from wheelforge.errors import UsageError
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    import argparse

    from wheelforge.cli.command_options import CommandOptions
    from wheelforge.cli.defaults import Default

_NOT_SHOWN = {"help", "config", "no-config"}


def show(options: CommandOptions) -> None:
    """Print the values that a command would have without further words."""
    if options.command not in COMMANDS:
        guess = suggest(options.command, COMMANDS, f"it is one of {', '.join(COMMANDS)}")
        raise UsageError("option-invalid", options.command, f"no such command; {guess}")
    parser = build_parser(options.command)
    variables = read_environment(parser)
    words = ["--no-config"] if options.no_config else []
    words += [f"--config={options.config}"] if options.config else []
    files = list_files(parser, words, variables)
    defaults = find_defaults(options.command, parser, files, variables)
    rows = [
        row
        for action in parser._actions  # ruff: ignore[private-member-access]
        if (row := _describe(action, defaults.get(action.dest))) is not None
    ]
    if options.json:
        facts = {"command": options.command, "files": list(map(str, files)), "values": rows}
        sys.stdout.write(f"{json.dumps(facts, indent=2, ensure_ascii=False)}\n")
        return
    lines = [f"{row['name']} = {json.dumps(row['value'], ensure_ascii=False)}" for row in rows]
    width = max(map(len, lines), default=0)
    for line, row in zip(lines, rows, strict=True):
        place = f", line {row['line']}" if row["line"] else ""
        sys.stdout.write(f"{line:{width}}  # {row['origin']}{place}\n")


def _describe(action: argparse.Action, default: Default | None) -> dict[str, object] | None:
    """Return what is in force for an option; nothing if there is no value."""
    names = [name.removeprefix("--") for name in action.option_strings if name.startswith("--")]
    if not names or names[0] in _NOT_SHOWN:
        return None
    if default is not None:
        own = default.of(action)
        return own and {
            "name": names[0],
            "value": _redact(own.raw),
            "origin": own.origin,
            "line": own.line,
        }
    if action.nargs == 0 or action.default is None:
        return None
    return {"name": names[0], "value": str(action.default), "origin": "default", "line": 0}


def _redact(value: object) -> object:
    if isinstance(value, list):
        return list(map(_redact, cast("list[object]", value)))
    return value if isinstance(value, bool | int | float) else redact(str(value))
