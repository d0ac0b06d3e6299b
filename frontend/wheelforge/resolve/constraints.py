"""Constraints files, in the syntax of requirements files, and cut-off times as users write them."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.errors import UsageError
from wheelforge_isolation.formats.urls import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_COMMENT = re.compile(r"(^|\s+)#.*$")
_INCLUDE = re.compile(r"(?:-[cr]\s*|--(?:constraint|requirement)(?:\s+|\s*=\s*))(\S.*)")
_OPTION = re.compile(r"\s+(?=--[a-z])")
_HASH = re.compile(r"--hash(?:\s+|\s*=\s*)(\w+):(\w+)")
_HEX = re.compile(r"[0-9a-f]*")
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{8}")
_AGE = re.compile(r"(\d{1,6})\s*(h|hours?|d|days?|w|weeks?)", re.IGNORECASE)
_DURATION = re.compile(r"P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(\d{1,6})H)?", re.IGNORECASE)
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_HEX_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


class Constraints(NamedTuple):
    """The constraints of some files, and the hashes stated there."""

    texts: tuple[str, ...]
    hashes: Mapping[str, tuple[str, ...]]
    """For each text with hashes those that are accepted, as ``sha256:...``."""


def read_constraints_file(path: Path) -> str:
    """Return the text of one file, or refuse it."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(
            "constraints-invalid", str(path), 0, error.strerror or str(error)
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError("constraints-invalid", str(path), 0, "it is not UTF-8") from error


def _check_constraint(text: str) -> None:
    from wheelforge_isolation.formats.requirements import parse_requirement

    try:
        parse_requirement(text)
    except ValueError as error:
        raise ValueError(f"`{redact(text)}` is no requirement: {error}") from error


def read_constraints(
    paths: Iterable[Path],
    read: Callable[[Path], str] = read_constraints_file,
    check: Callable[[str], None] = _check_constraint,
) -> Constraints:
    """Return the constraints of all files, whose texts ``read`` returns and ``check`` admits."""
    found: dict[str, dict[str, None]] = {}
    for path in paths:
        for text, hashes in _parse_file(path, read, check, ()):
            found.setdefault(text, {}).update(dict.fromkeys(hashes))
    accepted = {text: tuple(hashes) for text, hashes in found.items() if hashes}
    return Constraints(texts=tuple(found), hashes=accepted)


def _parse_file(
    path: Path,
    read: Callable[[Path], str],
    check: Callable[[str], None],
    outer: tuple[Path, ...],
) -> Iterator[tuple[str, list[str]]]:
    outer = (*outer, Path(os.path.normpath(path)))
    for number, line in _join_lines(read(path).splitlines()):
        text = _COMMENT.sub("", line).strip()
        try:
            inner = _find_include(text, outer)
            found = [_parse_line(text)] if text and inner is None else []
            for requirement, _ in found:
                check(requirement)
        except ValueError as error:
            raise UsageError("constraints-invalid", str(path), number, str(error)) from error
        yield from found if inner is None else _parse_file(inner, read, check, outer)


def _find_include(text: str, outer: tuple[Path, ...]) -> Path | None:
    """Return the file that a line includes, if it includes one; ``outer`` ends with its own."""
    match = _INCLUDE.fullmatch(text)
    if match is None:
        return None
    if "://" in match[1]:
        raise ValueError(f"`{redact(match[1])}` is no local file")
    inner = Path(os.path.normpath(outer[-1].parent / match[1]))
    if inner in outer:
        raise ValueError(f"the file includes itself through `{match[1]}`")
    return inner


def _join_lines(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the lines with the numbers they begin at, continued ones joined."""
    start, parts = 0, list[str]()
    for number, line in enumerate(lines, 1):
        start = start if parts else number
        # In a comment a backslash continues nothing, or the next line would be lost in it.
        is_continued = line.endswith("\\") and not _COMMENT.search(line)
        parts.append(line.removesuffix("\\") if is_continued else line)
        if not is_continued:
            yield start, "".join(parts)
            parts = []
    if parts:
        yield start, "".join(parts)


def _parse_line(line: str) -> tuple[str, list[str]]:
    text, *options = _OPTION.split(line)
    if text.startswith("-"):
        raise ValueError(f"`{text.split()[0]}` has no meaning here")
    hashes: list[str] = []
    for option in map(str.strip, options):
        match = _HASH.fullmatch(option)
        if not match:
            raise ValueError(f"`{option}` has no meaning here")
        algorithm, digest = match[1].lower(), match[2].lower()
        if _HEX_LENGTHS.get(algorithm) != len(digest) or not _HEX.fullmatch(digest):
            raise ValueError(f"`{option}` is no SHA-256, SHA-384 or SHA-512")
        hashes.append(f"{algorithm}:{digest}")
    return text.strip(), hashes


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
