"""The man page, made of the parsers when the wheel is built (`frontend/build_hook.py`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wheelforge.cli.parser import COMMANDS, build_parser
from wheelforge.version import VERSION

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_TITLE = f'.TH WHEELFORGE 1 "" "wheelforge {VERSION}" "User Commands"\n.nh'
_INTRODUCTION = """\
.SH NAME
wheelforge \\- build wheels and sdists, one or many, safely and in parallel
.SH SYNOPSIS
.B wheelforge
.RI [ COMMAND ]
.RI [ SRC " ...]\\&"
.RI [ options ]
.br
.B python \\-m wheelforge
\\&...
.SH DESCRIPTION
A build frontend as PEP 517 has it: a project becomes an sdist and a wheel, and any number of sdists
become wheels.
Every sdist is checked as a whole before the first file of it is written.
.B wheelforge help
.I TOPIC
shows the reference texts,
.B wheelforge explain
.I CODE
an error.
"""
_ENVIRONMENT = """\
.SH ENVIRONMENT
Each option has a variable:
.B WHEELFORGE_CACHE_DIR
is that of
.BR \\-\\-cache\\-dir .
Several values are separated by blanks.
pip's settings of the index count as well.
.SH EXIT STATUS
0 done; 1 some of several builds failed; 2 wrong usage; 3 the project or archive is at fault;
4 the build backend failed; 5 the machine (disk, locks, permissions, network); 130 interrupted.
.SH SEE ALSO
.BR python (1),
.BR pip (1),
.BR git (1)
"""


def write_page() -> str:
    """Return the page as `man` reads it."""
    lines = [_TITLE, _INTRODUCTION.rstrip(), ".SH COMMANDS"]
    for name, command in COMMANDS.items():
        lines += [".TP", f".B {_escape(name)}", _escape(command.text)]
    lines.append(".SH OPTIONS")
    told = set[tuple[str, str]]()
    for name in COMMANDS:
        lines += _write_command(name, told)
    return "\n".join([*lines, _ENVIRONMENT])


def _write_command(name: str, told: set[tuple[str, str]]) -> Iterator[str]:
    """Yield the arguments of a command; options that were ``told`` are only named."""
    yield f'.SS "wheelforge {_escape(name)}"'
    again: list[str] = []
    for action in build_parser(name)._actions:  # ruff: ignore[private-member-access]
        names, text = _write_names(action), _escape(str(action.help or ""))
        if action.option_strings and (names, text) in told:
            again.append(_escape(action.option_strings[-1]))
            continue
        told.add((names, text))
        yield from (".TP", names, text)
    if again:
        yield from (".PP", f"As above: {', '.join(again)}.")


def _write_names(action: argparse.Action) -> str:
    """Return the names and the value of an option, or the name of an argument."""
    value = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
    if action.choices:
        value = "|".join(map(str, action.choices))
    names = ", ".join(rf"\fB{_escape(name)}\fR" for name in action.option_strings)
    return rf"{names} \fI{_escape(value)}\fR".strip() if value else names


def _escape(text: str) -> str:
    """Return ``text`` for troff: no line of it is a request, no hyphen a typographic one."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^(?=[.'])", r"\&", text)
