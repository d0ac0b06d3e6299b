"""Defaults of options from variables, such as `WHEELFORGE_CACHE_DIR`."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from wheelforge.cli.argument_types import parse_flag, split_words
from wheelforge.cli.defaults import Default, is_list, turn
from wheelforge.errors import UsageError
from wheelforge_isolation import ForgeError

if TYPE_CHECKING:
    from collections.abc import Callable

_PREFIX = "WHEELFORGE_"


def read_environment(parser: argparse.ArgumentParser) -> dict[str, Default]:
    """Return the defaults from variables: `WHEELFORGE_CACHE_DIR` is that of `--cache-dir`."""
    given = read_variables()
    found: dict[str, Default] = {}
    for variable, action in list_variables(parser).items() if given else ():
        # An empty variable is as good as none, but for a switch or a list: that has nothing in it.
        if given.get(variable) or (variable in given and (action.nargs == 0 or is_list(action))):
            try:
                value = _read_default(action, given[variable])
            except (argparse.ArgumentTypeError, ForgeError, ValueError) as error:
                hint = getattr(error, "hint", "")
                reason = f"{error}; {hint}" if hint else str(error)
                raise UsageError("option-invalid", variable, reason) from error
            default = Default(action, value, given[variable], variable)
            found[action.dest] = default.beside(found.get(action.dest))
    return found


def read_variables() -> dict[str, str]:
    """Return all of our variables."""
    return {name: text for name, text in os.environ.items() if name.startswith(_PREFIX)}


def list_variables(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """Return the variables of a parser, and the options that they stand for."""
    return {
        _PREFIX + option.lstrip("-").replace("-", "_").upper(): action
        for action in parser._actions  # ruff: ignore[private-member-access]
        for option in action.option_strings
        if option.startswith("--")
    }


def _read_default(action: argparse.Action, text: str) -> object:
    convert: Callable[[str], object] = action.type if callable(action.type) else str
    if action.nargs == 0:  # a switch
        return turn(action, is_on=parse_flag(text))
    if action.choices and text not in action.choices:
        from wheelforge.cli.mistakes import explain_choice

        raise ValueError(explain_choice(text, [*action.choices]))
    return [convert(word) for word in split_words(text)] if is_list(action) else convert(text)
