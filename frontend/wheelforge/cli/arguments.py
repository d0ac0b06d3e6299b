"""From the words of a command line to the options of a command."""

from __future__ import annotations

import itertools
import os
import re
from typing import TYPE_CHECKING

from wheelforge.cli.argument_types import suggest
from wheelforge.cli.command_options import CommandOptions, FileInputs
from wheelforge.cli.default_files import find_defaults, list_files
from wheelforge.cli.defaults import fill_places, hold_places, is_given
from wheelforge.cli.parser import COMMANDS, GROUPS, build_parser
from wheelforge.cli.sources import read_sources
from wheelforge.cli.variables import list_variables, read_environment, read_variables
from wheelforge.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

_FLAGS = {"-q", "--quiet", "-v", "--verbose", "--offline", "--refresh", "--no-index", "--no-cache"}
"""Options without a value, which may therefore stand before a command."""
_COMPANIONS = {
    "html_base": "html",
    "server_required": "server",
    "server_token_file": "server",
    **dict.fromkeys(("remote_key", "remote_trust", "remote_sandbox"), "remote_cache"),
    "remote_timeout": "remote_cache",
}
"""Options that mean nothing without another one. As defaults they may wait for it."""


def parse_words(words: Sequence[str]) -> CommandOptions:
    """Return what ``words`` ask for."""
    if words and words[-1] in {"-h", "--help"} and " ".join(words[:-1]) in {"", *GROUPS}:
        return CommandOptions(run="parser.show_commands")
    name, words = _find_command(list(words))
    words = _name_sources(words)
    parser = build_parser(name)
    variables = read_environment(parser)
    files = list_files(parser, words, variables)
    defaults = find_defaults(name, parser, files, variables)
    hold_places(parser, defaults)
    found = CommandOptions(words=words, config_files=files, origins={}, file_inputs=FileInputs())
    unknown = _parse(parser, words, found)
    if unknown:
        from wheelforge.cli.mistakes import reject_option

        reject_option(unknown[0], parser)
    lonely = [dest for dest in _COMPANIONS if is_given(parser, dest, found)]
    fill_places(parser, defaults, found)
    _reject_lonely(lonely, found)
    has_members = getattr(found, "all_packages", False) or getattr(found, "package", None)
    if getattr(found, "sources", None):
        found.sources = read_sources(map(str, found.sources), expands=not has_members)
    if has_members:
        from wheelforge.cli.workspaces import choose_members

        choose_members(found)
    _warn_of_strangers(parser, getattr(found, "verbosity", 0))
    return found


def _reject_lonely(lonely: Iterable[str], found: CommandOptions) -> None:
    for dest in lonely:
        other = _COMPANIONS[dest]
        if not vars(found).get(other, True):
            option = f"--{dest.replace('_', '-')}"
            reason = f"it is for `--{other.replace('_', '-')}`, which is not given"
            raise UsageError("option-invalid", option, reason)


def _parse(parser: argparse.ArgumentParser, words: list[str], found: CommandOptions) -> list[str]:
    """Fill ``found``, and return the words that the parser does not know."""
    for action in parser._actions:  # ruff: ignore[private-member-access]
        if action.dest == "sources":
            # They are read afterwards: after an option that is not known, its value is one of them.
            action.type = None
    return parser.parse_known_intermixed_args(words, found)[1]


def _name_sources(words: list[str]) -> list[str]:
    """Return the words without `--`, and those after it as sources, whatever they begin with."""
    end = words.index("--") if "--" in words else len(words)
    sources = (f"./{word}" if word.startswith("-") else word for word in words[end + 1 :])
    return [*_part_rebuild(words[:end]), *sources]


def _part_rebuild(words: Iterable[str]) -> Iterator[str]:
    """Yield the words, with a bare `--rebuild` before a source told from one with a name."""
    words = [*words, ""]
    for word, after in itertools.pairwise(words):
        # pip's word for all is no source, either.
        is_name = re.fullmatch(r":all:|[A-Za-z0-9][A-Za-z0-9._-]*", after) is not None
        is_source = not is_name or os.path.lexists(after) or after.endswith((".gz", ".zip"))
        yield "--rebuild=:all:" if word == "--rebuild" and is_source else word


def _find_command(words: list[str]) -> tuple[str, list[str]]:
    """Return the command, which is `build` unless one is named, and the words without it."""
    first = next((place for place, word in enumerate(words) if word not in _FLAGS), len(words))
    word = words[first] if first < len(words) else ""
    if word in GROUPS and (first == 0 or not os.path.lexists(word)):
        return _find_in_group(word, words, first)
    if word in COMMANDS and (first == 0 or not os.path.lexists(word)):
        return word, words[:first] + words[first + 1 :]
    if re.fullmatch(r"[a-z]+", word) and not os.path.lexists(word):
        from wheelforge.cli.mistakes import reject_command

        reject_command(word, [*COMMANDS, *GROUPS])
    return "build", words


def _find_in_group(group: str, words: list[str], place: int) -> tuple[str, list[str]]:
    rest, prefix = words[:place] + words[place + 1 :], f"{group} "
    known = [name.removeprefix(prefix) for name in COMMANDS if name.startswith(prefix)]
    named = next((word for word in rest if not word.startswith("-")), "")
    if named not in known:
        every = ", ".join(f"`{prefix}{name}`" for name in known)
        if not named:
            raise UsageError("option-invalid", group, f"a command is missing; there is {every}")
        guess = suggest(named, known, f"there is {every}", prefix=prefix)
        raise UsageError("option-invalid", f"{prefix}{named}", f"no such command; {guess}")
    rest.remove(named)
    return f"{prefix}{named}", rest


def _warn_of_strangers(parser: argparse.ArgumentParser, verbosity: int) -> None:
    """Say which variables are those of no option of any command."""
    given = read_variables()
    if not given or given.keys() <= list_variables(parser).keys():
        return
    from wheelforge.cli.console import Console

    known = {name for command in COMMANDS for name in list_variables(build_parser(command))}
    for variable in sorted(given.keys() - known):
        guess = suggest(variable, known, "no option is called like that", alike=0.8)
        Console(verbosity).say("warning", f"`{variable}` is ignored; {guess}")
