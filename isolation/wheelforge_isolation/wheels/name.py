"""The rule W0: a wheel's file name says what the wheel is."""

from __future__ import annotations

from wheelforge_isolation.archive import RuleError
from wheelforge_isolation.formats import FormatError, file_names


def parse_wheel_name(file_name: str) -> file_names.WheelName:
    """Return what ``file_name`` says, or refuse it with the reason."""
    try:
        return file_names.parse_wheel_name(file_name)
    except FormatError as error:
        raise RuleError("W0", str(error)).as_archive_error(file_name) from error
