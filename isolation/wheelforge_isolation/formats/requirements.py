"""Requirements, their markers and version specifiers: `packaging` judges them, within bounds."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from wheelforge_isolation.formats import FormatError
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

_LONGEST = 1 << 13
_MOST_EXTRAS = 128
"""Each extra is resolved like a distribution of its own."""
_LONG_NUMBER = re.compile(r"[0-9]{256}")
"""Python refuses to convert numbers of some thousand digits, wherever they are compared."""
_OPERATOR = re.compile(r"[=<>!~]+")
_MEANT = {
    "=": "==",
    "=>": ">=",
    "==>": ">=",
    ">>": ">",
    "=<": "<=",
    "==<": "<=",
    "<<": "<",
    "~": "~=",
    "=~": "~=",
    "!": "!=",
    "=!": "!=",
    "<>": "!=",
}
"""Mistyped operators."""
_PARTED = re.compile(r"^([\w.-]+)(?:\s+|\s*:\s*)v?([0-9][\w.]*)$")


def parse_requirement(text: str) -> Requirement:
    """Return the requirement that ``text`` states."""
    from packaging.requirements import InvalidRequirement, Requirement

    _check_length(text)
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        meant = guess_requirement(text)
        first_line = str(error).partition("\n")[0]
        reason = f"did you mean `{meant}`?" if meant else " ".join(first_line.split())
        raise FormatError(redact(reason)) from error
    except RecursionError as error:
        raise FormatError("its marker has too many parentheses") from error
    if len(requirement.extras) > _MOST_EXTRAS:
        raise FormatError(f"it asks for more than {_MOST_EXTRAS} extras")
    return requirement


def guess_requirement(text: str) -> str:
    """Return the requirement that a mistyped one may mean, as `six=1.0` or `six==`, or nothing."""
    from packaging.requirements import InvalidRequirement, Requirement

    text = text.strip()
    guesses = [
        _OPERATOR.sub(lambda found: _MEANT.get(found[0], found[0]), text),
        text.removesuffix("latest").rstrip(" ,=<>!~"),
        _PARTED.sub(r"\1==\2", text, count=1),
    ]
    for guess in guesses:
        with contextlib.suppress(InvalidRequirement):
            return str(Requirement(guess))
    return ""


def find_requirement(text: str) -> Requirement | None:
    """Return the requirement that ``text`` states, if it states one."""
    try:
        return parse_requirement(text)
    except FormatError:
        return None


def find_name(text: str) -> str:
    """Return the normalised name in a requirement; nothing if ``text`` states none."""
    from packaging.utils import canonicalize_name

    found = find_requirement(text)
    return "" if found is None else canonicalize_name(found.name)


def applies(requirement: Requirement, markers: Mapping[str, str], extra: str = "") -> bool:
    """Return whether a requirement holds where the markers have these values, for an extra."""
    if requirement.marker is None:
        return True
    try:
        return requirement.marker.evaluate({**markers, "extra": extra})
    except ValueError as error:
        raise FormatError(str(error)) from error


def parse_specifier(text: str) -> SpecifierSet:
    """Return the set of versions that ``text`` states."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    _check_length(text)
    try:
        return SpecifierSet(text)
    except InvalidSpecifier as error:
        raise FormatError(str(error)) from error


def is_exact(specifier: SpecifierSet) -> bool:
    """Return whether exactly one version is asked for."""
    return any(
        part.operator in {"==", "==="} and not part.version.endswith(".*") for part in specifier
    )


@lru_cache(maxsize=512)
def admits_python(requires_python: str, version: str) -> bool:
    """Return whether ``Requires-Python`` admits a Python; as with pip, nonsense admits any."""
    try:
        return parse_specifier(requires_python).contains(version, prereleases=True)
    except FormatError:
        return True


def _check_length(text: str) -> None:
    if len(text) > _LONGEST:
        raise FormatError(f"it is longer than {_LONGEST:,} characters")
    if _LONG_NUMBER.search(text):
        raise FormatError("it has a number of more than 255 digits")
