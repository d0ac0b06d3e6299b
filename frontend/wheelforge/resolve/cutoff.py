"""A point in time as people write it: a date, a time, or an age."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from wheelforge.errors import UsageError

_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{8}")
_AGE = re.compile(r"(\d{1,6})\s*(h|hours?|d|days?|w|weeks?)", re.IGNORECASE)
_DURATION = re.compile(r"P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(\d{1,6})H)?", re.IGNORECASE)
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def parse_cutoff(text: str, now: datetime) -> datetime:
    """Return the time before which things have to be published: `2024-05-01`, `7 days`, `P1W`.

    A date stands for its end, and what names no time zone for UTC. Ages count back from the last
    full hour, so that the same words mean the same time for a while.
    """
    text = text.strip()
    try:
        age = _parse_age(text)
        if age is not None:
            now = now.astimezone(UTC)
            return now.replace(minute=0, second=0, microsecond=0) - age
        return _parse_time(text)
    except (ValueError, OverflowError) as error:
        raise UsageError("time-invalid", text) from error


def _parse_time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if _DATE.fullmatch(text):
        time += timedelta(days=1)
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return time.astimezone(UTC)


def _parse_age(text: str) -> timedelta | None:
    match = _AGE.fullmatch(text)
    if match:
        return int(match[1]) * _UNITS[match[2][0].lower()]
    match = _DURATION.fullmatch(text)
    if match and any(match.groups()):
        weeks, days, hours = (int(number or 0) for number in match.groups())
        return timedelta(weeks=weeks, days=days, hours=hours)
    return None
