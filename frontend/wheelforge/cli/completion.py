"""``wheelforge completion``: a script for bash, zsh or fish, written from the parsers.

The scripts contain all words, so that completing starts no Python. A command is recognised by the
first words that are no options; where there is none, it is `build`.
"""

from __future__ import annotations

import shlex
import sys
from itertools import starmap
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.cli.argument_types import (
    absolute_path,
    parse_output_directory,
    parse_place,
    parse_python,
    read_source,
)
from wheelforge.cli.help import TOPICS, read_codes
from wheelforge.cli.parser import COMMANDS, GROUPS, build_parser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wheelforge.cli.command_options import CommandOptions

_PATHS = {absolute_path, parse_output_directory, parse_place, parse_python, read_source}


class _Argument(NamedTuple):
    names: tuple[str, ...]
    """Empty for what is no option."""
    text: str
    metavar: str
    """Empty if it has no value."""
    files: str
    """Either `f` for files, `d` for directories, or nothing."""
    words: tuple[str, ...]


def show_script(options: CommandOptions) -> None:
    """Print the script for a shell."""
    write, script = _SHELLS[options.shell]
    arguments = _list_arguments()
    cases = "".join(starmap(write, arguments.items()))
    text = script.replace("CASES\n", cases).replace("COMMANDS", " ".join(_list_commands()))
    sys.stdout.write(text.replace("PREFIXES", " ".join(map(shlex.quote, reversed(arguments)))))


def _list_arguments() -> dict[str, list[_Argument]]:
    """Return the arguments of each command, in the order in which a pattern may match its words."""
    found = {name: _read_parser(name) for name in COMMANDS if name != "build"}
    for group in GROUPS:
        words = tuple(_list_commands(f"{group} "))
        found[group] = [_Argument((), "", "COMMAND", "", words)]
    return {**found, "build": _read_parser("build")}


def _list_commands(prefix: str = "") -> list[str]:
    names = [name.removeprefix(prefix) for name in COMMANDS if name.startswith(prefix)]
    return list(dict.fromkeys(name.split()[0] for name in names))


def _read_parser(name: str) -> list[_Argument]:
    known: dict[str, Iterable[str]] = {
        "TOPIC": TOPICS,
        "CODE": read_codes(),
        "COMMAND": _list_commands(),
    }
    found: list[_Argument] = []
    for action in build_parser(name)._actions:  # ruff: ignore[private-member-access]
        metavar = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
        files = "" if action.type not in _PATHS else "d" if metavar == "DIR" else "f"
        words = tuple(map(str, action.choices or known.get(metavar, ())))
        names = tuple(action.option_strings)
        found.append(_Argument(names, action.help or "", metavar, files, words))
    return found


def _write_bash(command: str, arguments: list[_Argument]) -> str:
    pattern = "*" if command == "build" else f"' {command} '*"
    lines = [f"        {pattern}) case $before in\n"]
    operand = ""
    for argument in filter(lambda argument: argument.metavar, arguments):
        words = shlex.quote(" ".join(argument.words))
        how = f"-{argument.files}" if argument.files else f"-W {words}"
        if argument.names:
            lines.append(f"            {'|'.join(argument.names)}) how=({how}) ;;\n")
        else:
            operand = how
    names = " ".join(name for argument in arguments for name in argument.names)
    return "".join([*lines, f"            *) names='{names}' operand=({operand}) ;; esac ;;\n"])


def _write_zsh(command: str, arguments: list[_Argument]) -> str:
    specs = [] if command == "build" else [f"{n + 1}: :" for n in range(len(command.split()))]
    for argument in arguments:
        how = {"f": "_files", "d": "_files -/"}.get(argument.files, f"({' '.join(argument.words)})")
        text = argument.text.translate({ord(mark): f"\\{mark}" for mark in "[]:"})
        value = f":{argument.metavar.translate({ord(':'): None})}:{how}" if argument.metavar else ""
        specs += [f"*{name}[{text}]{value}" for name in argument.names]
        specs += [] if argument.names else [f"*{value}"]
    pattern = "*" if command == "build" else f"'{command} '*"
    return f"        {pattern}) specs=({' '.join(map(shlex.quote, specs))}) ;;\n"


def _write_fish(command: str, arguments: list[_Argument]) -> str:
    lines: list[str] = []
    for argument in arguments:
        words = ["complete", "-c", "wheelforge", "-n", f"__wheelforge_in '{command}'"]
        for name in argument.names:
            words += ["-l" if name.startswith("--") else "-s", name.lstrip("-")]
        words += ["-d", argument.text] if argument.names else []
        if argument.metavar:
            place = "(__fish_complete_directories)" if argument.files == "d" else ""
            values = place or " ".join(argument.words)
            words += ["-r"] if argument.names else []
            words += ["-F"] if argument.files == "f" else ["-f", "-a", values]
        lines.append(" ".join(map(_quote_for_fish, words)) + "\n")
    return "".join(lines)


def _quote_for_fish(word: str) -> str:
    marked = word.replace("\\", "\\\\").replace("'", "\\'")
    return word if word.replace("-", "").isalnum() else f"'{marked}'"


_BASH = """\
# bash: eval "$(wheelforge completion bash)"
_wheelforge() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} line=' ' each
    local names='' operand=() how=(none)
    if [[ $word == = ]]; then word=''
    elif [[ $before == = ]]; then before=${COMP_WORDS[COMP_CWORD - 2]}; fi
    for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        [[ $line == ' ' && $each == -* ]] || line+="$each "
    done
    case $line in
CASES
    esac
    if [[ ${how[0]} == none ]]; then
        how=("${operand[@]}")
        [[ $line != ' ' ]] || how+=(-W 'COMMANDS')
        [[ $word != -* && ${#how[@]} -gt 0 ]] || how=(-W "$names")
    fi
    COMPREPLY=()
    while IFS= read -r each; do COMPREPLY+=("$each"); done < <(compgen "${how[@]}" -- "$word")
}
complete -o filenames -F _wheelforge wheelforge
"""

_ZSH = """\
#compdef wheelforge
# zsh: eval "$(wheelforge completion zsh)", after compinit
_wheelforge() {
    local -a given=(${words[2,CURRENT-1]}) specs
    while [[ $given[1] == -* ]]; do shift given; done
    case "$given " in
CASES
    esac
    local first="{_alternative 'commands:command:(COMMANDS)' 'files:source:_files'}"
    (( $#given )) || specs+=("1: :$first")
    _arguments $specs
}
compdef _wheelforge wheelforge
"""

_FISH = """\
# fish: wheelforge completion fish | source
function __wheelforge_in
    set -l words
    for word in (commandline -opc)[2..]
        if set -q words[1]; or not string match -q -- '-*' $word
            set -a words $word
        end
    end
    set -l command build
    for each in PREFIXES
        string match -q -- "$each *" "$words "; and set command $each
    end
    test "$argv" = "$command"
end
complete -c wheelforge -f
complete -c wheelforge -n __fish_use_subcommand -a 'COMMANDS'
CASES
"""

_SHELLS: dict[str, tuple[Callable[[str, list[_Argument]], str], str]] = {
    "bash": (_write_bash, _BASH),
    "zsh": (_write_zsh, _ZSH),
    "fish": (_write_fish, _FISH),
}
