"""Classes of values that cost next to nothing to define.

A dataclass writes the source of its methods and compiles it: 0.7 ms for each class, of which one
build needs a hundred, and that was a third of its time. The classes made here share one set of
methods. Type checkers take them for dataclasses (see the stub), and so does `dataclasses` itself.
"""
# pyright: basic

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import Field

__all__ = ["State", "Value", "asdict", "field", "replace"]


def field(**said: object) -> object:
    """Say more of a field than its type, in the words of `dataclasses.field`."""
    return _Said(said)


def replace(value: _Common, /, **changes: object) -> object:
    """Return another ``value`` with some fields changed."""
    if not isinstance(value, _Common):
        import dataclasses

        return dataclasses.replace(value, **changes)
    return value.__replace__(**changes)


def asdict(value: _Common) -> dict[str, object]:
    """Return the fields by name, and values inside of them in the same way."""
    if not isinstance(value, _Common):
        import dataclasses

        return dataclasses.asdict(value)
    return {name: _spell(each) for name, each in _list_fields(value)}


def _spell(value: object) -> object:
    if isinstance(value, _Common):
        return asdict(value)
    if isinstance(value, dict):
        return {key: _spell(each) for key, each in value.items()}
    return type(value)(map(_spell, value)) if isinstance(value, list | tuple) else value


class _Said(dict):  # ruff: ignore[subclass-builtin]
    """What a class says of a field, which is not its default."""


class _ValueType(type):
    """Gives a class a slot for each name that it annotates."""

    __fields__: dict[str, _Said]
    __defaults__: dict[str, object]
    __setters__: dict[str, Callable[[object, object], None]]
    """They fill the slots of any object, be it frozen."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
        names = list(namespace.get("__annotations__", ()))
        stated = {each: namespace.pop(each) for each in names if each in namespace}
        made = super().__new__(cls, name, bases, {"__slots__": names, **namespace})
        inherited = getattr(made, "__fields__", {})
        made.__fields__ = {**inherited, **{each: _as_said(stated, each) for each in names}}
        made.__defaults__ = {
            each: said["default"] for each, said in made.__fields__.items() if "default" in said
        }
        made.__setters__ = {each: getattr(made, each).__set__ for each in made.__fields__}
        return made


def _as_said(stated: dict[str, object], name: str) -> _Said:
    if name not in stated:
        return _Said()
    known = stated[name]
    return known if isinstance(known, _Said) else _Said(default=known)


class _DataclassFields:
    """What `dataclasses` looks for in a class; made for who asks, as importing it takes a while."""

    def __get__(self, _: object, owner: _ValueType) -> dict[str, Field]:
        import dataclasses

        fields = owner.__fields__.items()
        described = [(name, object, dataclasses.field(**said)) for name, said in fields]
        twin = dataclasses.make_dataclass(owner.__name__, described, kw_only=True)
        return twin.__dataclass_fields__


class _Common(metaclass=_ValueType):
    """What values of all classes can do."""

    __dataclass_fields__ = _DataclassFields()

    def __init__(self, /, **given: object) -> None:
        kind = type(self)
        complete = {**kind.__defaults__, **given}
        if complete.keys() != kind.__setters__.keys():
            complete = _complete(kind, complete)
        for name, put in kind.__setters__.items():
            put(self, complete[name])
        self.__post_init__()

    def __post_init__(self) -> None:
        """Refuse what cannot be; for classes that know more of their fields than the types."""

    def __repr__(self) -> str:
        shown = [f"{name}={value!r}" for name, value in _list_fields(self, "repr")]
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return _list_fields(self, "compare") == _list_fields(other, "compare")

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __reduce__(self) -> tuple[Callable[[], object], tuple[()]]:
        return partial(type(self), **dict(_list_fields(self))), ()

    def __replace__(self, /, **changes: object) -> object:
        return type(self)(**{**dict(_list_fields(self)), **changes})


class Value(_Common):
    """Something that never changes, whose fields are given by name."""

    def __hash__(self) -> int:
        return hash(tuple(value for _, value in _list_fields(self, "compare", "hash")))

    def __setattr__(self, name: str, _: object) -> None:
        raise AttributeError(f"`{name}` of a {type(self).__name__} cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"`{name}` of a {type(self).__name__} cannot be taken away")


class State(_Common):
    """Something that changes, whose fields are given by name."""


def _complete(kind: _ValueType, given: dict[str, object]) -> dict[str, object]:
    """Return ``given`` with what is made anew for each object."""
    made = {
        name: said["default_factory"]()
        for name, said in kind.__fields__.items()
        if name not in given and "default_factory" in said
    }
    wrong = (given.keys() | made.keys()) ^ kind.__fields__.keys()
    if wrong:
        raise TypeError(f"{kind.__name__}: missing or unknown: {', '.join(sorted(wrong))}")
    return {**given, **made}


def _list_fields(value: _Common, *uses: str) -> list[tuple[str, object]]:
    return [
        (name, getattr(value, name))
        for name, said in type(value).__fields__.items()
        if all(said.get(use, True) for use in uses)
    ]
