"""The rule W13: entry points that become scripts have names, not paths, and name a callable."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from wheelforge_isolation.archive import Note, RuleError
from wheelforge_isolation.errors import quoted
from wheelforge_isolation.wheels.places import Scheme, is_interpreter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wheelforge_isolation.archive import WheelZip
    from wheelforge_isolation.wheels.places import WheelFile

_MOST_BYTES = 1 << 20
_SECTIONS = {"[console_scripts]", "[gui_scripts]"}
_NAME = re.compile(r"[\w.-]+")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9])(?:\..*)?", re.IGNORECASE)
_ON_WINDOWS = os.name == "nt"


class EntryPoint(NamedTuple):
    """A script that is made when the wheel is installed."""

    name: str
    module: str
    attribute: str
    """May have dots."""
    kind: Literal["console", "gui"]


def read_entry_points(archive: WheelZip, dist_info: str) -> tuple[EntryPoint, ...]:
    """Return the scripts that the wheel asks for, or refuse one that is not what it should be."""
    path = f"{dist_info}/entry_points.txt"
    if path not in archive.files:
        return ()
    text = "\n".join(_select_scripts(archive.read(path, _MOST_BYTES).decode("utf-8", "replace")))
    if not text:
        return ()
    from configparser import Error

    from installer.utils import parse_entrypoints

    try:
        found = [
            EntryPoint(name=name, module=module, attribute=attribute, kind=kind)
            for name, module, attribute, kind in parse_entrypoints(text)
        ]
    except Error as error:
        reason = " ".join(str(error).split())
        raise RuleError("W13", f"the entry points cannot be read: {reason}") from error
    except (AssertionError, AttributeError) as error:  # how the parser says no; the latter under -O
        raise RuleError("W13", "an entry point is not of the form module:attribute") from error
    for entry in found:
        _judge(entry)
    return tuple(found)


def _select_scripts(text: str) -> Iterator[str]:
    """Yield the lines that make scripts; how other groups are written is for others to judge."""
    is_script = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            is_script = line in _SECTIONS
        if is_script:
            yield line


def _judge(entry: EntryPoint) -> None:
    name = quoted(entry.name)
    if not _NAME.fullmatch(entry.name) or entry.name in {".", ".."}:
        raise RuleError("W13", f"the entry point {name} has a name that is no script's")
    if is_interpreter(entry.name):
        raise RuleError("W13", f"the entry point {name} has the name of an interpreter")
    if _ON_WINDOWS and _DEVICE.fullmatch(entry.name):
        raise RuleError("W13", f"the entry point {name} has a name that Windows reserves")
    parts = (*entry.module.split("."), *entry.attribute.split("."))
    if not all(part.isidentifier() for part in parts):
        aim = quoted(f"{entry.module}:{entry.attribute}")
        raise RuleError("W13", f"the entry point {name} leads to {aim}, which no import can name")


def describe_contests(entries: Iterable[EntryPoint], files: Iterable[WheelFile]) -> Iterator[Note]:
    """Note every script that is made twice: only one of the two can be there in the end."""
    taken = {file.destination for file in files if file.scheme is Scheme.SCRIPTS}
    for entry in entries:
        if entry.name in taken:
            yield Note(rule="W15", text=f"the script {quoted(entry.name)} is there twice")
        taken.add(entry.name)
