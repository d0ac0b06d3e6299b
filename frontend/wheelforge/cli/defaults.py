"""Defaults of options, and the places that the command line leaves to them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from wheelforge.cli.command_options import CommandOptions

_NOT_GIVEN = object()


class Default(NamedTuple):
    """A default that is none of the parser's own."""

    action: argparse.Action
    value: object
    raw: object
    """As it was written."""
    origin: str
    """The name of a variable, or the path of a file."""
    line: int = 0
    others: tuple[Default, ...] = ()
    """Those of other options, of whose values it makes one list."""

    def beside(self, other: Default | None) -> Default:
        """Return this default; where two options make one list, with the values of both."""
        if other is None or not is_list(self.action):
            return self
        values = (cast("list[object]", each.value or []) for each in (other, self))
        value = list(itertools.chain.from_iterable(values))
        return self._replace(value=value or None, others=(*other.others, other._replace(others=())))

    def of(self, action: argparse.Action) -> Default | None:
        """Return the default of that option, which may come from another parser."""
        every = (self, *self.others)
        same = (one for one in every if one.action.option_strings == action.option_strings)
        return next(same, None)


def is_list(action: argparse.Action) -> bool:
    """Return whether an option may be given several times, for several values."""
    # The classes of such actions are private.
    return type(action).__name__ in {"_AppendAction", "_AppendConstAction"}


def turn(action: argparse.Action, *, is_on: bool) -> object:
    """Return the value of a switch."""
    if not is_on:
        return action.default
    return [action.const] if is_list(action) else action.const


def list_rivals(parser: argparse.ArgumentParser, dest: str) -> set[str]:
    """Return the options that exclude ``dest``."""
    groups = [
        {action.dest for action in group._group_actions}  # ruff: ignore[private-member-access]
        for group in parser._mutually_exclusive_groups  # ruff: ignore[private-member-access]
    ]
    return set[str]().union(*(group for group in groups if dest in group)) - {dest}


def hold_places(parser: argparse.ArgumentParser, defaults: Mapping[str, Default]) -> None:
    """Let the parser tell whether the command line has given what there are ``defaults`` for."""
    for action in parser._actions:  # ruff: ignore[private-member-access]
        if action.dest in defaults:
            action.required = False
            action.default = None if is_list(action) else _NOT_GIVEN


def is_given(parser: argparse.ArgumentParser, dest: str, found: CommandOptions) -> bool:
    """Return whether the command line has said something, as long as no places are filled."""
    value = vars(found).get(dest)
    return value is not None and value is not _NOT_GIVEN and value != parser.get_default(dest)


def fill_places(
    parser: argparse.ArgumentParser, defaults: Mapping[str, Default], found: CommandOptions
) -> None:
    """Put ``defaults`` where the command line was silent, and said nothing that excludes them."""
    values = vars(found)
    unset = {dest for dest, value in values.items() if not value or value is _NOT_GIVEN}
    for dest, default in defaults.items():
        if values[dest] is None or values[dest] is _NOT_GIVEN:
            is_out = list_rivals(parser, dest) - unset
            is_switch = default.action.nargs == 0 and not is_list(default.action)
            values[dest] = default.value if not is_out else False if is_switch else None
            place = f", line {default.line}" if default.line else ""
            for option in default.action.option_strings if not is_out else ():
                found.origins[option] = f"`{default.origin}`{place}"
