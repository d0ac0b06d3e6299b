"""Configuration files: the options of the command line by their long names, nested by command.

A key at the top holds for every command that has such an option, a key in the table of a command
for that one. Paths are relative to the file. `[[package]]` belongs to the room of overrides.
"""

from __future__ import annotations

import datetime as dt
import os
from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING, cast

from wheelforge.cli import argument_types
from wheelforge.cli.argument_types import suggest
from wheelforge.cli.defaults import Default, is_list, turn
from wheelforge.cli.mistakes import explain_choice
from wheelforge.cli.parser import COMMANDS, build_parser
from wheelforge.overrides.toml_file import open_config
from wheelforge_isolation import ForgeError
from wheelforge_isolation.formats.tables import as_table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    Table = dict[str, object]
    Key = tuple[str, ...]

_NOT_HERE = {"help", "config", "no-config"}
_OF_OVERRIDES = {"package"}
_NUMBERS = {
    argument_types.parse_count,
    argument_types.parse_size,
    argument_types.parse_seconds,
    argument_types.parse_days,
}
_PATHS = {argument_types.absolute_path, argument_types.parse_output_directory}


def read_defaults(path: Path, command: str) -> dict[str, Default]:
    """Return what the file says of the options of ``command``; all of it is checked."""
    return _Reader(path).read(command)


class _Reader:
    """Reads one file."""

    def __init__(self, path: Path) -> None:
        self._file, self._table = open_config(path)
        self._options: dict[str, dict[str, argparse.Action]] = {}

    def read(self, command: str) -> dict[str, Default]:
        own, tables = self._list_options(command), dict(self._split(self._table, ()))
        found: dict[str, Default] = {}
        for name, table in sorted(tables.items(), key=lambda pair: pair[0] == command):
            options = self._list_options(name) if name else {**self._list_all(), **own}
            defaults = self._read_table(table, tuple(name.split()), options)
            if name in {"", command}:
                found |= {dest: each for dest, each in defaults.items() if self._is_of(each, own)}
        return found

    def _is_of(self, default: Default, own: dict[str, argparse.Action]) -> bool:
        return any(default.action is action for action in own.values())

    def _split(self, table: Table, above: Key) -> Iterator[tuple[str, Table]]:
        """Yield the table of each command, and that of all of them with an empty name."""
        values: Table = {}
        for key, value in table.items():
            name, is_table = " ".join((*above, key)), isinstance(value, dict)
            if is_table and name in COMMANDS:
                yield name, as_table(value)
            elif is_table and any(each.startswith(f"{name} ") for each in COMMANDS):
                yield from self._split(as_table(value), (*above, key))
            elif above or key not in _OF_OVERRIDES:
                values[key] = value
        if above and values:
            key = next(iter(values))
            group = f"{above[0]} "
            known = [name[len(group) :] for name in COMMANDS if name.startswith(group)]
            guess = suggest(key, known, "only tables of its commands belong here")
            raise self._file.error(f"`{key}` is no command of `{above[0]}`; {guess}", *above, key)
        if not above:
            yield "", values

    def _read_table(
        self, table: Table, above: Key, options: dict[str, argparse.Action]
    ) -> dict[str, Default]:
        found: dict[str, Default] = {}
        for key, value in table.items():
            action = options.get(key)
            if action is None:
                raise self._refuse(key, above, options)
            try:
                converted = _convert(action, value, self._file.path.parent)
            except (ArgumentTypeError, ForgeError, ValueError) as error:
                raise self._file.error(f"`{key}`: {error}", *above, key) from error
            line = self._file.line(*above, key)
            default = Default(action, converted, value, str(self._file.path), line)
            found[action.dest] = default.beside(found.get(action.dest))
        return found

    def _refuse(self, key: str, above: Key, options: dict[str, argparse.Action]) -> Exception:
        whose = f"`wheelforge {' '.join(above)}` has no such option" if above else "no such option"
        known = [*options, *(() if above else (*COMMANDS, *_OF_OVERRIDES))]
        guess = suggest(key.replace("_", "-"), known, "`wheelforge help config` tells which")
        return self._file.error(f"`{key}`: {whose}; {guess}", *above, key)

    def _list_options(self, command: str) -> dict[str, argparse.Action]:
        """Return the options of a command by their long names."""
        if command not in self._options:
            self._options[command] = {
                name.removeprefix("--"): action
                for action in build_parser(command)._actions  # ruff: ignore[private-member-access]
                for name in action.option_strings
                if name.startswith("--") and name.removeprefix("--") not in _NOT_HERE
            }
        return self._options[command]

    def _list_all(self) -> dict[str, argparse.Action]:
        return {name: each for one in COMMANDS for name, each in self._list_options(one).items()}


def _convert(action: argparse.Action, value: object, directory: Path) -> object:
    """Return a value of a file as the parser would have read it; ValueError if it is none."""
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise ValueError("it is a switch: true or false")
        return turn(action, is_on=value)
    if is_list(action):
        if not isinstance(value, list):
            raise ValueError("it can be given several times: write an array")
        return [_convert_one(action, each, directory) for each in cast("list[object]", value)]
    return _convert_one(action, value, directory)


def _convert_one(action: argparse.Action, value: object, directory: Path) -> object:
    convert: Callable[[str], object] = action.type if callable(action.type) else str
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and convert in _NUMBERS:
        return convert(str(value))
    if isinstance(value, dt.date) and convert is argument_types.parse_time:
        return convert(value.isoformat())
    if not isinstance(value, str):
        kind = "a number or text" if convert in _NUMBERS else "text"
        raise ArgumentTypeError(f"it must be {kind}")
    if action.choices and value not in action.choices:
        raise ValueError(explain_choice(value, [*action.choices]))
    places = {argument_types.parse_place, argument_types.parse_remote}
    is_path = convert in {*_PATHS, *places} and "://" not in value
    if is_path or (convert is argument_types.parse_python and os.sep in value):
        return convert(str(directory / Path(value).expanduser()))
    return convert(value)
