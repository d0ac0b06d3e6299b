"""Requests, settings and outcomes as JSON, for a process that may be on another machine.

Only values are made of what arrives: of classes that are nothing else, in modules that are listed
here, and errors of ours.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import wheelforge.errors
import wheelforge_isolation.errors
from wheelforge import events, models, settings
from wheelforge.batch.executors import tasks
from wheelforge.errors import hooks
from wheelforge.hooks.sandbox.settings import SandboxSettings
from wheelforge.lockfile import model
from wheelforge.overrides import entries
from wheelforge.overrides.entries import Entry
from wheelforge.overrides.model import Overrides
from wheelforge.overrides.toml_file import TomlFile
from wheelforge.provenance import options
from wheelforge.resolve import types
from wheelforge_isolation import ForgeError, Links, WheelKey
from wheelforge_isolation.formats.requirements import find_requirement, parse_specifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Made = dict[str, Any]

T = TypeVar("T")
_MODULES = (events, models, settings, tasks, hooks, model, entries, options, types)
_WITH_FILES = {Entry}
"""Values that are written in a way of their own."""


def _list_classes() -> Iterator[type[Any]]:
    """Yield the classes of the modules that are nothing but values."""
    yield from (Links, WheelKey, SandboxSettings)
    for module in _MODULES:
        for each in vars(module).values():
            is_own = isinstance(each, type) and each.__module__ == module.__name__
            if is_own and each not in _WITH_FILES and _is_value(each):
                yield each


def _is_value(kind: type[Any]) -> bool:
    return is_dataclass(kind) or issubclass(kind, Enum) or hasattr(kind, "_fields")


_BY_NAME = {each.__name__: each for each in _list_classes()}
_PLAIN = (str, int, float, bool, type(None))


def to_text(value: object) -> str:
    """Return ``value`` as JSON."""
    return json.dumps(_encode(value), separators=(",", ":"))


def from_text(text: str, kind: type[T]) -> T:
    """Return the value that a text of `to_text` says; `ValueError` if it says no such one."""
    try:
        value = _decode(json.loads(text))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it is no value of ours: {error!r}") from error
    if not isinstance(value, kind):
        raise ValueError(f"it is no {kind.__name__}")  # ruff: ignore[type-check-without-type-error]
    return value


def _encode(value: object) -> object:
    if type(value) in _BY_NAME.values():
        return {"$": type(value).__name__, "v": _take_apart(value)}
    if isinstance(value, _PLAIN):
        return value
    for kind, (name, write, _) in _KINDS.items():
        if isinstance(value, kind):
            return {"$": name, "v": write(value)}
    raise TypeError(f"a {type(value).__name__} is not handed to other processes")


def _decode(data: object) -> Any:  # ruff: ignore[any-type]
    if isinstance(data, list):
        return [_decode(each) for each in cast("list[object]", data)]
    if not isinstance(data, dict):
        return data
    made = cast("Made", data)
    name, content = made["$"], made["v"]
    if name in _BY_NAME:
        kind = _BY_NAME[name]
        if issubclass(kind, Enum):
            return kind(content)
        return kind(**{key: _decode(each) for key, each in content.items()})
    return _READERS[name](content)


def _take_apart(value: Any) -> object:  # ruff: ignore[any-type]
    if isinstance(value, Enum):
        return value.value
    names = [each.name for each in fields(value)] if is_dataclass(value) else value._fields
    return {name: _encode(getattr(value, name)) for name in names}


def _encode_all(values: Any) -> list[object]:  # ruff: ignore[any-type]
    return [_encode(each) for each in values]


def _decode_all(content: list[object]) -> list[object]:
    return [_decode(each) for each in content]


def _write_error(error: ForgeError) -> Made:
    """Return the class and the facts of an error, and what was added to it."""
    kind, args = cast("tuple[type[ForgeError], tuple[object, ...]]", error.__reduce__()[:2])
    plain = vars(kind(*args))
    more = {
        name: value
        for name, value in vars(error).items()
        if name != "__notes__" and (name not in plain or plain[name] != value)
    }
    return {"class": kind.__name__, "args": _encode_all(args), "more": _encode(more)}


def _read_error(content: Made) -> ForgeError:
    name = str(content["class"])
    found = getattr(wheelforge.errors, name, None) or getattr(
        wheelforge_isolation.errors, name, None
    )
    if not (isinstance(found, type) and issubclass(found, ForgeError)):
        raise TypeError(f"`{name}` is no error of ours")
    error = found(*_decode_all(content["args"]))
    vars(error).update(_decode(content["more"]))
    return error


def _write_overrides(overrides: Overrides) -> list[object]:
    return [[_write_entry(entry) for entry in rank] for rank in overrides.list_ranks()]


def _write_entry(entry: Entry) -> Made:
    file = entry.file
    return {
        "file": _encode((file.path, file.code, file.start, file.text)),
        "place": _encode(entry.place),
        "facts": [entry.name, str(entry.versions), entry.reason, entry.ignores_missing],
        "when": str(entry.when.marker) if entry.when else "",
        "settings": _encode(entry.settings),
    }


def _read_overrides(content: list[list[Made]]) -> Overrides:
    return Overrides([_read_entry(entry) for entry in rank] for rank in content)


def _read_entry(content: Made) -> Entry:
    path, code, start, text = _decode(content["file"])
    name, versions, reason, ignores_missing = content["facts"]
    return Entry(
        file=TomlFile(path, code, start, text),
        place=_decode(content["place"]),
        name=name,
        versions=parse_specifier(versions),
        when=find_requirement(f"x; {content['when']}") if content["when"] else None,
        reason=reason,
        ignores_missing=ignores_missing,
        settings=_decode(content["settings"]),
    )


def _write_mapping(value: Mapping[object, object]) -> list[object]:
    return [[_encode(key), _encode(each)] for key, each in value.items()]


def _read_mapping(content: list[list[object]]) -> dict[object, object]:
    return {_decode(key): _decode(each) for key, each in content}


_KINDS: dict[type[Any], tuple[str, Callable[[Any], object], Callable[[Any], object]]] = {
    tuple: ("tuple", _encode_all, lambda content: tuple(_decode_all(content))),
    list: ("list", _encode_all, _decode_all),
    frozenset: (
        "frozenset",
        lambda value: _encode_all(sorted(value)),
        lambda content: frozenset(_decode_all(content)),
    ),
    bytes: ("bytes", lambda value: base64.b64encode(value).decode(), base64.b64decode),
    Path: ("path", str, Path),
    datetime: ("time", datetime.isoformat, datetime.fromisoformat),
    ForgeError: ("error", _write_error, _read_error),
    Overrides: ("overrides", _write_overrides, _read_overrides),
    Mapping: ("mapping", _write_mapping, _read_mapping),
}
_READERS = {name: read for name, _, read in _KINDS.values()}
