"""The rules W7 to W9: what WHEEL and METADATA say, held against the file name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wheelforge_isolation.archive import Note, RuleError
from wheelforge_isolation.errors import quoted
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.file_names import expand_tags
from wheelforge_isolation.formats.metadata import all_values, first_value, only_value, parse_fields
from wheelforge_isolation.wheels.places import Scheme

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wheelforge_isolation.archive import WheelZip
    from wheelforge_isolation.formats.file_names import WheelName
    from wheelforge_isolation.formats.metadata import Fields

_MOST_METADATA_BYTES = 16 << 20
_MOST_WHEEL_BYTES = 1 << 20
_MOST_TAGS = 1000
_WHEEL_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})(?:\.[0-9]+)*")


def check_metadata(archive: WheelZip, dist_info: str, name: WheelName) -> None:
    """Refuse metadata that is about something else than the file name is."""
    fields = _read_fields(archive, f"{dist_info}/METADATA", "W7", _MOST_METADATA_BYTES)
    project, version = (_only(fields, field) for field in ("Name", "Version"))
    if not name.is_release(project, version):
        said = quoted(f"{project} {version}")
        raise RuleError("W7", f"METADATA is about {said}, not {name.name} {name.version}")


def check_wheel(archive: WheelZip, dist_info: str, name: WheelName) -> tuple[Scheme, list[Note]]:
    """Return the scheme of the files at the root, when the wheel's format is one we know."""
    fields = _read_fields(archive, f"{dist_info}/WHEEL", "W8", _MOST_WHEEL_BYTES)
    notes = [*_check_format(first_value(fields, "Wheel-Version")), *_check_tags(fields, name)]
    is_pure = first_value(fields, "Root-Is-Purelib").lower() == "true"
    return Scheme.PURELIB if is_pure else Scheme.PLATLIB, notes


def _read_fields(archive: WheelZip, path: str, rule: str, most: int) -> Fields:
    """Return the fields of a metadata file, without the prose that may follow them."""
    if path not in archive.files:
        raise RuleError(rule, f"the wheel has no {quoted(path)}")
    return parse_fields(archive.read(path, most))


def _only(fields: Fields, field: str) -> str:
    value = only_value(fields, field)
    if value is None:
        times = len(all_values(fields, field))
        raise RuleError("W7", f"METADATA has {times} times the field {field}")
    return value


def _check_format(text: str) -> Iterator[Note]:
    found = _WHEEL_VERSION.fullmatch(text)
    if found is None:
        raise RuleError("W8", f"WHEEL states no version of the format but {quoted(text)}")
    major, minor = map(int, found.groups())
    if major != 1:
        raise RuleError("W8", f"the wheel has version {major}.{minor} of the format, not 1")
    if minor:
        yield Note(rule="W8", text=f"the wheel has version 1.{minor} of the format, not 1.0")


def _check_tags(fields: Fields, name: WheelName) -> Iterator[Note]:
    stated: set[str] = set()
    for text in all_values(fields, "Tag"):
        try:
            stated.update(expand_tags(text))
        except FormatError:
            stated.add(text)
        if len(stated) > _MOST_TAGS:
            raise RuleError("W9", f"WHEEL states more than {_MOST_TAGS:,} tags")
    if stated != set(name.tags):
        listed = ", ".join(map(quoted, sorted(stated)[:5])) or "nothing"
        yield Note(rule="W9", text=f"WHEEL is for {listed}, which is not what the file name says")
