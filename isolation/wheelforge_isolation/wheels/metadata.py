"""The rules W7 to W9 and W13: METADATA, WHEEL and entry points, held against the file name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from configparser import Error
from itertools import starmap
from typing import TYPE_CHECKING, Literal, NamedTuple

from installer.utils import parse_entrypoints

from wheelforge_isolation.archive.members import Note, RuleError
from wheelforge_isolation.errors import quoted
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import WheelName, expand_tags
from wheelforge_isolation.formats.metadata import (
    Fields,
    all_values,
    first_value,
    only_value,
    parse_fields,
)
from wheelforge_isolation.wheels.files import Scheme, WheelFile, is_interpreter

if TYPE_CHECKING:
    from wheelforge_isolation.archive.wheel import WheelZip

_MOST_METADATA_BYTES = 16 << 20
_MOST_WHEEL_BYTES = 1 << 20
_MOST_TAGS = 1000
_WHEEL_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})(?:\.[0-9]+)*")
_MOST_ENTRY_POINT_BYTES = 1 << 20
_SCRIPT_SECTIONS = {"[console_scripts]", "[gui_scripts]"}
_SCRIPT = re.compile(r"[\w.-]+")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9])(?:\..*)?", re.IGNORECASE)
_ON_WINDOWS = os.name == "nt"


def check_metadata(archive: WheelZip, dist_info: str, name: WheelName) -> None:
    """Refuse metadata that is about something else than the file name is."""
    fields = _read_fields(archive, f"{dist_info}/METADATA", "W7", _MOST_METADATA_BYTES)
    stated: list[str] = []
    for field in ("Name", "Version"):
        value = only_value(fields, field)
        if value is None:
            times = len(all_values(fields, field))
            raise RuleError("W7", f"METADATA has {times} times the field {field}")
        stated.append(value)
    if not name.is_release(*stated):
        release = quoted(" ".join(stated))
        raise RuleError("W7", f"METADATA is about {release}, not {name.name} {name.version}")


def check_wheel(archive: WheelZip, dist_info: str, name: WheelName) -> tuple[Scheme, list[Note]]:
    """Return the scheme of the files at the root, when the wheel's format is one we know."""
    fields = _read_fields(archive, f"{dist_info}/WHEEL", "W8", _MOST_WHEEL_BYTES)
    notes: list[Note] = []
    text = first_value(fields, "Wheel-Version")
    found = _WHEEL_VERSION.fullmatch(text)
    if found is None:
        raise RuleError("W8", f"WHEEL states no version of the format but {quoted(text)}")
    major, minor = map(int, found.groups())
    if major != 1:
        raise RuleError("W8", f"the wheel has version {major}.{minor} of the format, not 1")
    if minor:
        text = f"the wheel has version 1.{minor} of the format, not 1.0"
        notes.append(Note(rule="W8", text=text))
    tags = _read_tags(fields)
    if tags != set(name.tags):
        listed = ", ".join(map(quoted, sorted(tags)[:5])) or "nothing"
        text = f"WHEEL is for {listed}, which is not what the file name says"
        notes.append(Note(rule="W9", text=text))
    is_pure = first_value(fields, "Root-Is-Purelib").lower() == "true"
    return Scheme.PURELIB if is_pure else Scheme.PLATLIB, notes


def _read_fields(archive: WheelZip, path: str, rule: str, most: int) -> Fields:
    if path not in archive.files:
        raise RuleError(rule, f"the wheel has no {quoted(path)}")
    return parse_fields(archive.read(path, most))


def _read_tags(fields: Fields) -> set[str]:
    tags: set[str] = set()
    for text in all_values(fields, "Tag"):
        try:
            tags.update(expand_tags(text))
        except FormatError:
            tags.add(text)
        if len(tags) > _MOST_TAGS:
            raise RuleError("W9", f"WHEEL states more than {_MOST_TAGS:,} tags")
    return tags


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
    content = archive.read(path, _MOST_ENTRY_POINT_BYTES).decode("utf-8", "replace")
    text = "\n".join(_select_scripts(content))
    if not text:
        return ()
    try:
        found = tuple(starmap(EntryPoint, parse_entrypoints(text)))
    except Error as error:
        reason = " ".join(str(error).split())
        raise RuleError("W13", f"the entry points cannot be read: {reason}") from error
    except (AssertionError, AttributeError) as error:  # how the parser says no; the latter under -O
        raise RuleError("W13", "an entry point is not of the form module:attribute") from error
    for entry in found:
        _check_script(entry)
    return found


def _select_scripts(text: str) -> Iterator[str]:
    """Yield the lines that make scripts; how other groups are written is for others to judge."""
    is_script = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            is_script = line in _SCRIPT_SECTIONS
        if is_script:
            yield line


def _check_script(entry: EntryPoint) -> None:
    subject = f"the entry point {quoted(entry.name)}"
    if not _SCRIPT.fullmatch(entry.name) or entry.name in {".", ".."}:
        raise RuleError("W13", f"{subject} has a name that is no script's")
    if is_interpreter(entry.name):
        raise RuleError("W13", f"{subject} has the name of an interpreter")
    if _ON_WINDOWS and _DEVICE.fullmatch(entry.name):
        raise RuleError("W13", f"{subject} has a name that Windows reserves")
    parts = (*entry.module.split("."), *entry.attribute.split("."))
    if not all(part.isidentifier() for part in parts):
        target = quoted(f"{entry.module}:{entry.attribute}")
        raise RuleError("W13", f"{subject} leads to {target}, which no import can name")


def find_repeated_scripts(
    entries: Iterable[EntryPoint], files: Iterable[WheelFile]
) -> Iterator[Note]:
    """Note every script that is made twice: only one of the two can be there in the end."""
    taken = {file.destination for file in files if file.scheme is Scheme.SCRIPTS}
    for entry in entries:
        if entry.name in taken:
            yield Note(rule="W15", text=f"the script {quoted(entry.name)} is there twice")
        taken.add(entry.name)
