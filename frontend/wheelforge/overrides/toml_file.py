"""A TOML file of the user's, with the line of each key, which `tomllib` does not tell.

Each statement of TOML can be parsed alone: a header, or a key and its value. So the text is cut
into statements, and what one of them defines stands where it begins. Nothing is guessed: where
that does not work, there is no line.
"""

from __future__ import annotations

import tomllib
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from wheelforge.errors import UsageError
from wheelforge_isolation.formats.tables import as_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    Key = tuple[str | int, ...]

_MOST_BYTES = 4 << 20
_LONGEST_STATEMENT = 2000
"""In lines; each of them costs a look at those before."""


class TomlFile:
    """The file ``path``, read and parsed; ``code`` is that of errors about it.

    With a ``text`` it is a file of another machine, which had that content.
    """

    def __init__(
        self,
        path: Path,
        code: str = "config-invalid",
        start: Key = (),
        text: str | None = None,
    ) -> None:
        self.path = path
        self.code = code
        self.start = start
        try:
            self.text = _read(path) if text is None else text
            self.content: dict[str, Any] = tomllib.loads(self.text)
        except UnicodeDecodeError as error:
            raise self.error("it is not UTF-8") from error
        except tomllib.TOMLDecodeError as error:
            raise self.error(f"it is not TOML: {error}") from error
        except (OSError, ValueError, RecursionError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise self.error(f"it cannot be read: {reason}") from error

    def error(self, reason: str, *key: str | int) -> UsageError:
        """Return the error to raise about ``key``, or about the file."""
        return UsageError(self.code, str(self.path), self.line(*key), reason)

    def line(self, *key: str | int) -> int:
        """Return the line of ``key`` or of the table that it is in, from 1; 0: not known."""
        path = (*self.start, *key)
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 0) if key else 0

    @cached_property
    def _lines(self) -> Mapping[Key, int]:
        lines: dict[Key, int] = {}
        counts: dict[Key, int] = {}
        table: Key = ()
        for number, is_header, content in _list_statements(self.text):
            if is_header:
                table = _enter(content, counts)
                for length in range(1, len(table) + 1):
                    lines.setdefault(table[:length], number)
            else:
                for key in _list_keys(content, table):
                    lines.setdefault(key, number)
        return lines


def open_config(path: Path) -> tuple[TomlFile, dict[str, Any]]:
    """Return a configuration file, and the table in it that is about us."""
    if path.name != "pyproject.toml":
        file = TomlFile(path)
        return file, file.content
    file = TomlFile(path, start=("tool", "wheelforge"))
    tool = as_table(file.content.get("tool"))
    if not isinstance(tool.get("wheelforge"), dict):
        raise file.error("it has no table `[tool.wheelforge]`")
    return file, as_table(tool["wheelforge"])


def _read(path: Path) -> str:
    content = path.read_bytes()
    if len(content) > _MOST_BYTES:
        raise ValueError(f"it has {len(content):,} bytes (limit {_MOST_BYTES:,})")
    return content.decode("utf-8-sig")


def _list_statements(text: str) -> Iterator[tuple[int, bool, dict[str, Any]]]:
    """Yield the first line of each statement, whether it is a header, and what it defines."""
    # Not `splitlines`, which knows ends of lines that TOML does not.
    lines, start = text.split("\n"), 0
    for number in range(1, len(lines) + 1):
        statement = "\n".join(lines[start:number])
        try:
            content = tomllib.loads(statement)
        except (ValueError, RecursionError):
            if number - start > _LONGEST_STATEMENT:
                return
            continue
        if content:
            yield start + 1, statement.lstrip().startswith("["), content
        start = number


def _enter(content: dict[str, Any], counts: dict[Key, int]) -> Key:
    """Return the path of the table that a header begins; ``counts`` has those of arrays so far."""
    path: list[str | int] = []
    value: object = content
    while value:
        if isinstance(value, list):
            counts[*path,] = counts.get((*path,), -1) + 1
            path.append(counts[*path,])
            value = cast("list[object]", value)[0]
            continue
        ((name, value),) = cast("dict[str, object]", value).items()
        path.append(name)
        if (*path,) in counts and not isinstance(value, list):
            path.append(counts[*path,])
    return (*path,)


def _list_keys(value: object, path: Key) -> Iterator[Key]:
    if not isinstance(value, dict):
        return
    for name, inner in cast("dict[str, object]", value).items():
        yield (*path, name)
        yield from _list_keys(inner, (*path, name))
