"""The differences between two locks, in lines that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wheelforge.lockfile.model import Lock

_MOST_LINES = 20
_SHOWN_DIGITS = 12


def list_differences(old: Lock, new: Lock) -> tuple[str, ...]:
    """Return what ``new`` has and ``old`` has not, and the other way round; the first of many."""
    before, after = _describe(old), _describe(new)
    # Of one thing, the line that goes stands before the one that comes.
    lines = sorted([
        *((*line, "-") for line in before - after),
        *((*line, "+") for line in after - before),
    ])
    told = tuple(f"{sign} {text}" for _, text, sign in lines)
    if len(told) > _MOST_LINES:
        return (*told[:_MOST_LINES], f"and {len(told) - _MOST_LINES} more")
    if not told and old.sources != new.sources:
        return ("the same files are at other places",)
    return told


def _describe(lock: Lock) -> set[tuple[int, str]]:
    """Return each fact of a lock as a line, after the number of its kind."""
    facts = set[tuple[int, str]]()
    for locked in lock.sources:
        label, digest = locked.source.label, locked.source.digest[:_SHOWN_DIGITS]
        kind = "sha256" if locked.source.sha256 else "commit"
        which = digest and f", {kind}:{digest}"
        facts.add((0, f"source {label}{which} for {locked.python}"))
        if locked.archive is not None:
            facts.add((1, f"{label} is {locked.archive.file_name}"))
        for answer in locked.answers:
            facts |= {(1, f"{label} requires {text}") for text in answer.requirements}
            facts |= {
                (2, f"{pin.file_name}, sha256:{pin.sha256[:_SHOWN_DIGITS]}") for pin in answer.pins
            }
    return facts
