"""What a wheel's file name says."""

from __future__ import annotations

import re

from wheelforge_isolation.archive import RuleError
from wheelforge_isolation.values import Value

_TAG = r"\w+(?:\.\w+)*"
_SHAPE = re.compile(
    r"[\w.]+-(?P<version>[\w.!+]+)(?:-(?P<build>[0-9][\w.]*))?"
    rf"-{_TAG}-{_TAG}-{_TAG}\.whl",
    re.ASCII,
)
"""A file name without anything that could be more than a name to some platform."""


class WheelName(Value):
    """The facts of a wheel's file name, in normal form."""

    name: str
    version: str
    build: str
    """As the file name has it; empty for nearly every wheel."""
    tags: tuple[str, ...]
    """Every interpreter, ABI and platform that the wheel is for, sorted: ``py3-none-any``."""
    file_name: str

    def is_release(self, name: str, version: str) -> bool:
        """Return whether ``name`` and ``version``, however spelled, are those of this wheel."""
        from packaging.utils import canonicalize_name
        from packaging.version import Version

        try:
            is_same_version = Version(version) == Version(self.version)
        except ValueError:  # not a version, or a number too long to be read
            return False
        return is_same_version and canonicalize_name(name) == self.name


def parse_wheel_name(file_name: str) -> WheelName:
    """Return what ``file_name`` says, or refuse it with the reason."""
    try:
        return _read_name(file_name)
    except RuleError as broken:
        raise broken.blame(file_name) from None


def _read_name(file_name: str) -> WheelName:
    from packaging.utils import parse_wheel_filename

    shape = _SHAPE.fullmatch(file_name)
    if shape is None:
        raise RuleError("W0", "the file is not called name-version-python-abi-platform.whl")
    try:
        name, version, _, tags = parse_wheel_filename(file_name)
    except ValueError as error:
        reason = str(error).partition(": ")[0].removeprefix("Invalid wheel filename ").strip("()")
        raise RuleError("W0", f"the file name is wrong: {reason}") from error
    return WheelName(
        name=name,
        version=str(version),
        build=shape["build"] or "",
        tags=tuple(sorted(map(str, tags))),
        file_name=file_name,
    )
