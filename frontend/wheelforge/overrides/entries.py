"""Entries of overrides as files have them: every key is known and has a value of its kind.

An entry is a table `[[package]]`: the package that it is about, why, and what is done differently.
What it sets is kept by key, as `build-requires.add` or `environment.CFLAGS`, since entries of
several files are merged key by key.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, cast

from packaging.utils import canonicalize_name

from wheelforge.hooks.environ import compose_environment
from wheelforge.overrides.patches import parse_patch
from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.amounts import parse_seconds, parse_size
from wheelforge_isolation.formats.requirements import (
    applies,
    find_requirement,
    parse_specifier,
)
from wheelforge_isolation.formats.text import find_meant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    from wheelforge.overrides.toml_file import TomlFile

    Key = tuple[str, ...]
    Table = dict[str, object]

_CODE = "overrides-invalid"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_PATCH_BYTES = 16 << 20
_ANY = "*"


class Setting(NamedTuple):
    """One value of an entry."""

    value: object
    contents: tuple[bytes, ...] = ()
    """Those of the patches, if it names some."""


class Entry(NamedTuple):
    """The differences for one package, as one table has them."""

    file: TomlFile
    place: tuple[str | int, ...]
    """Where it is in the file."""
    name: str
    versions: SpecifierSet
    when: Requirement | None
    """Some requirement with the marker."""
    reason: str
    ignores_missing: bool
    settings: Mapping[Key, Setting]

    def line(self, *key: str) -> int:
        """Return the line of a key, or of the entry."""
        return self.file.line(*self.place, *key)

    def matches(self, name: str, version: str, markers: Mapping[str, str]) -> bool:
        """Return whether it is about that release; without a version only about all of them."""
        try:
            if name != self.name or (self.when and not applies(self.when, markers)):
                return False
        except FormatError as error:
            raise _wrong(self.file, f"`when`: {error}", *self.place, "when") from error
        return not self.versions or (
            bool(version) and self.versions.contains(version, prereleases=True)
        )


def read_entries(file: TomlFile, table: Table, *, is_own: bool) -> Iterator[Entry]:
    """Yield the entries in a ``table`` of a file, which has nothing else if it is ``is_own``."""
    for key in table if is_own else ():
        if key not in {"package", "schema"}:
            raise _wrong(file, f"`{key}` has no meaning{_guess(key, ['package', 'schema'])}", key)
    if is_own and table.get("schema", 1) != 1:
        raise _wrong(file, "`schema` is 1 as far as this release knows", "schema")
    entries = table.get("package", [])
    if not isinstance(entries, list):
        raise _wrong(file, "an entry begins with `[[package]]`", "package")
    for number, entry in enumerate(cast("list[object]", entries)):
        place = ("package", number)
        if not isinstance(entry, dict):
            raise _wrong(file, "an entry is a table", *place)
        yield _read_entry(file, place, cast("Table", entry))


def _read_entry(file: TomlFile, place: tuple[str | int, ...], table: Table) -> Entry:
    head: dict[str, object] = {}
    for key, check in _HEAD.items():
        try:
            if key in table:
                head[key] = check(table[key])
        except ValueError as error:
            raise _wrong(file, f"`{key}`: {error}", *place, key) from error
    for key in ("name", "reason"):
        if not head.get(key):
            raise _wrong(file, f"an entry needs a `{key}`", *place)
    rest = {key: value for key, value in table.items() if key not in _HEAD}
    settings = {
        key: _check(key, value, file, place) for key, value in _flatten(rest, (), file, place)
    }
    if not settings:
        raise _wrong(file, "the entry changes nothing", *place)
    return Entry(
        file=file,
        place=place,
        name=cast("str", head["name"]),
        versions=cast("SpecifierSet", head.get("versions", parse_specifier(""))),
        when=cast("Requirement | None", head.get("when")),
        reason=cast("str", head["reason"]),
        ignores_missing=bool(head.get("ignore-missing")),
        settings=settings,
    )


def _flatten(
    table: Table, above: Key, file: TomlFile, place: tuple[str | int, ...]
) -> Iterator[tuple[Key, object]]:
    """Yield each value by its key, all of which have to be known."""
    for name, value in table.items():
        key = (*above, name)
        if _find_check(key) is not None:
            yield key, value
        elif any(known[: len(key)] == key for known in _CHECKS) and isinstance(value, dict):
            yield from _flatten(cast("Table", value), key, file, place)
        else:
            size = len(above)
            known = {each[size] for each in _CHECKS if each[:size] == above}
            every = known if above else known | _HEAD.keys()
            what = "is a table" if name in known else f"has no meaning{_guess(name, every)}"
            raise _wrong(file, f"`{'.'.join(key)}` {what}", *place, *key)


def _find_check(key: Key) -> Callable[[object], object] | None:
    return _CHECKS.get(key) or _CHECKS.get((*key[:-1], _ANY))


def _check(key: Key, value: object, file: TomlFile, place: tuple[str | int, ...]) -> Setting:
    check = _find_check(key)
    try:
        if key[0] == "environment":
            _check_variable(key[-1])
        checked = check(value) if check else value
        patches = _texts(value) if key == ("patches",) else ()
        contents = tuple(_read_patch(file.path.parent, each) for each in patches)
        return Setting(checked, contents)
    except ValueError as error:
        raise _wrong(file, f"`{'.'.join(key)}`: {error}", *place, *key) from error


def _read_patch(directory: Path, name: str) -> bytes:
    try:
        path = directory / name
        if path.stat().st_size > _MOST_PATCH_BYTES:
            raise ValueError(f"`{name}` is too large for a patch")
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"`{name}` cannot be read: {error.strerror}") from error
    try:
        parse_patch(content)
    except ValueError as error:
        raise ValueError(f"`{name}`: {error}") from error
    return content


# Kinds of values


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("it must be text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError("it must be an array of texts")
    return tuple(map(_text, cast("list[object]", value)))


def _setting(value: object) -> object:
    return _text(value) if isinstance(value, str) else list(_texts(value))


def _name(value: object) -> str:
    if not _NAME.fullmatch(_text(value)):
        raise ValueError(f"`{value}` is no name of a package")
    return canonicalize_name(_text(value))


def _names(value: object) -> tuple[str, ...]:
    return tuple(map(_name, _texts(value)))


def _requirements(value: object) -> tuple[str, ...]:
    for text in _texts(value):
        if find_requirement(text) is None:
            raise ValueError(f"`{text}` is no requirement")
    return _texts(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("it is true or false")  # ruff: ignore[type-check-without-type-error]
    return value


def _versions(value: object) -> SpecifierSet:
    try:
        return parse_specifier(_text(value))
    except FormatError as error:
        raise ValueError(f"`{value}` is no specifier of versions") from error


def _marker(value: object) -> Requirement:
    found = find_requirement(f"x; {_text(value)}")
    if found is None or found.marker is None:
        raise ValueError(f"`{value}` is no marker")
    return found


def _amount(parse: Callable[[str], float]) -> Callable[[object], object]:
    def check(value: object) -> float:
        amount = float(parse(str(value)))
        if not amount:
            raise ValueError("it must be more than nothing")
        return amount

    return check


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("it must be a number from 1 on")
    return value


def _line(value: object) -> str:
    if not _text(value).strip().isprintable() or not _text(value).strip():
        raise ValueError("it must be one line of text")
    return _text(value).strip()


def _lines(value: object) -> tuple[str, ...]:
    return tuple(map(_line, _texts(value)))


def _python_versions(value: object) -> str:
    return str(_versions(_line(value)))


def _one_of(*choices: str) -> Callable[[object], object]:
    def check(value: object) -> object:
        if value not in choices:
            raise ValueError(f"it must be one of {', '.join(choices)}")
        return value

    return check


def _check_variable(name: str) -> None:
    if not _VARIABLE.fullmatch(name):
        raise ValueError("it is no name of a variable")
    if name not in compose_environment({name: "x"}):
        raise ValueError("hooks never get a variable of that name")


_HEAD: dict[str, Callable[[object], object]] = {
    "name": _name,
    "versions": _versions,
    "when": _marker,
    "reason": _text,
    "ignore-missing": _flag,
}
_LISTS: dict[str, Callable[[object], object]] = {
    "replace": _requirements,
    "add": _requirements,
    "remove": _names,
}
_TEXTS: dict[str, Callable[[object], object]] = {"add": _lines, "remove": _lines}
_CHECKS: dict[Key, Callable[[object], object]] = {
    **{("build-requires", name): check for name, check in _LISTS.items()},
    ("build-requires", "match"): _names,
    ("build-requires", "abi"): _names,
    **{("metadata", "requires-dist", name): check for name, check in _LISTS.items()},
    ("metadata", "requires-python"): _python_versions,
    ("metadata", "summary"): _line,
    **{("metadata", "classifiers", name): check for name, check in _TEXTS.items()},
    **{("metadata", "provides-extra", name): check for name, check in _TEXTS.items()},
    ("environment", _ANY): _text,
    ("config-settings", _ANY): _setting,
    ("patches",): _texts,
    ("delete",): _texts,
    ("limits", "timeout"): _amount(parse_seconds),
    ("limits", "memory"): _amount(parse_size),
    ("limits", "jobs"): _count,
    ("limits", "exclusive"): _flag,
    ("sandbox", "network"): _flag,
    ("sandbox", "read"): _texts,
    ("sandbox", "reason"): _line,
    ("era",): _one_of("off", "fallback", "always"),
    ("build",): _one_of("never", "from-source"),
    ("reuse",): _flag,
    ("key-files",): _texts,
}


def _guess(name: str, known: Iterable[str]) -> str:
    meant = find_meant(name, sorted(known))
    return f"; did you mean `{meant}`?" if meant else "; `wheelforge help overrides` lists what has"


def _wrong(file: TomlFile, reason: str, *key: str | int) -> Exception:
    file.code = _CODE
    return file.error(reason, *key)
