"""Constraints, from files or from the lines of one, and cut-off times as users write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.errors import UsageError
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    from wheelforge.resolve.requirement_files import RequirementLine

_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{8}")
_AGE = re.compile(r"(\d{1,6})\s*(h|hours?|d|days?|w|weeks?)", re.IGNORECASE)
_DURATION = re.compile(r"P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(\d{1,6})H)?", re.IGNORECASE)
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class Constraints(NamedTuple):
    """Constraints, and the hashes stated for them."""

    texts: tuple[str, ...] = ()
    hashes: Mapping[str, tuple[str, ...]] = {}
    """For each text with hashes those that are accepted, as ``sha256:...``."""


def read_constraints(
    paths: Iterable[Path],
    variables: Mapping[str, str] | None = None,
    read: Callable[[Path], bytes] = Path.read_bytes,
) -> Constraints:
    """Return the constraints of all files; options for a whole run are left out."""
    paths = tuple(paths)
    if not paths:
        return Constraints()
    from wheelforge.resolve.requirement_files import RequirementLine, read_requirement_files

    lines = read_requirement_files(paths, variables or {}, read=read, is_constraint=True)
    return merge_constraints(line for line in lines if isinstance(line, RequirementLine))


def merge_constraints(lines: Iterable[RequirementLine]) -> Constraints:
    """Return the constraints that ``lines`` state, each once, with all of its hashes."""
    from wheelforge_isolation.formats.requirements import parse_requirement

    found: dict[str, dict[str, None]] = {}
    for line in lines:
        try:
            parse_requirement(line.text)
        except ValueError as error:
            raise line.make_error(f"`{redact(line.text)}` is no requirement: {error}") from error
        if line.is_editable:
            raise line.make_error("a constraint cannot be editable")
        found.setdefault(line.text, {}).update(dict.fromkeys(line.hashes))
    accepted = {text: tuple(hashes) for text, hashes in found.items() if hashes}
    return Constraints(texts=tuple(found), hashes=accepted)


# Cut-off times


def parse_cutoff(text: str, now: datetime) -> datetime:
    """Return the time before which things have to be published: `2024-05-01`, `7 days`, `P1W`.

    A date stands for its end, and what names no time zone for UTC. Ages count back from the last
    full hour, so that the same words mean the same time for a while.
    """
    try:
        return _parse_moment(text.strip(), now)
    except (ValueError, OverflowError) as error:
        raise UsageError("time-invalid", text.strip()) from error


def _parse_moment(text: str, now: datetime) -> datetime:
    age = _parse_age(text)
    if age is not None:
        return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - age
    moment = datetime.fromisoformat(text)
    if _DATE.fullmatch(text):
        moment += timedelta(days=1)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _parse_age(text: str) -> timedelta | None:
    match = _AGE.fullmatch(text)
    if match:
        return int(match[1]) * _UNITS[match[2][0].lower()]
    match = _DURATION.fullmatch(text)
    if match and any(match.groups()):
        weeks, days, hours = (int(number or 0) for number in match.groups())
        return timedelta(weeks=weeks, days=days, hours=hours)
    return None
