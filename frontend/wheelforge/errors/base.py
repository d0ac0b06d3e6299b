"""The root of this package's errors, and how they are written down.

A class of errors is what a caller catches. Its table `kinds` has a row for each code: the exit
code, the names of the facts, the sentence and the hint; both texts are templates over the facts,
or functions of the error where a template is not enough. A class of several codes takes the code
as its first argument, then the facts; a class of one code takes the facts. So `args` is all that
is needed to make the error again in another process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, TypeAlias

from wheelforge_isolation import ForgeError

Text: TypeAlias = str | Callable[[Any], str]


class Kind(NamedTuple):
    """A row of the table of a class: everything that goes with one code."""

    exit_code: int
    facts: str
    """The names of the attributes, in the order of the arguments."""
    sentence: Text
    hint: Text = ""


class BuildError(ForgeError):
    """The root of this package's errors."""

    code = "build"
    kinds: ClassVar[dict[str, Kind]] = {}

    def __init__(self, *facts: object) -> None:
        super().__init__(*facts)
        self.code = str(facts[0]) if len(self.kinds) > 1 else next(iter(self.kinds))
        kind = self.kinds[self.code]
        self.exit_code = kind.exit_code
        values = facts[len(self.kinds) > 1 :]
        vars(self).update(zip(kind.facts.split(), values, strict=True))

    def __str__(self) -> str:
        return self._write(self.kinds[self.code].sentence)

    @property
    def hint(self) -> str:
        return self._write(self.kinds[self.code].hint)

    def _write(self, text: Text) -> str:
        return text.format_map(vars(self)) if isinstance(text, str) else text(self)


def in_backticks(names: tuple[str, ...], separator: str = ", ") -> str:
    """Return the names for a sentence, each of them in backticks."""
    return separator.join(f"`{name}`" for name in names)
