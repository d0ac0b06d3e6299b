"""Outcomes as JUnit XML, which CI systems show as they show tests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from wheelforge._report._json import find_whole
from wheelforge_isolation import replace_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wheelforge._models import Outcome

_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML cannot say, not even escaped."""


def write_junit_report(outcomes: Sequence[Outcome], path: Path) -> None:
    """Put one test case for each of ``outcomes`` into the file ``path``."""
    cases = "".join(f"  {_write_case(outcome)}\n" for outcome in outcomes)
    failures = sum(outcome.error is not None for outcome in outcomes)
    seconds = sum(map(_count_seconds, outcomes))
    head = f'name="wheelforge" tests="{len(outcomes)}" failures="{failures}" time="{seconds:.3f}"'
    content = f'<?xml version="1.0" encoding="utf-8"?>\n<testsuite {head}>\n{cases}</testsuite>\n'
    replace_file(str(path), content.encode())


def _write_case(outcome: Outcome) -> str:
    group = f"python {outcome.python}".strip()
    name, time = _quote(outcome.request.label), _count_seconds(outcome)
    head = f'<testcase classname={_quote(group)} name={name} time="{time:.3f}"'
    inside = _write_failure(outcome) + _write_notes(outcome)
    return f"{head}>{inside}</testcase>" if inside else f"{head}/>"


def _write_failure(outcome: Outcome) -> str:
    error = outcome.error
    if error is None:
        return "<skipped/>" if outcome.is_resumed else ""
    first, _, _ = str(error).partition("\n")
    text = f"{error}\nhint: {error.hint}" if error.hint else str(error)
    return f"<failure type={_quote(error.code)} message={_quote(first)}>{_clean(text)}</failure>"


def _write_notes(outcome: Outcome) -> str:
    notes = "\n".join(outcome.notes)
    return f"<system-out>{_clean(notes)}</system-out>" if notes else ""


def _count_seconds(outcome: Outcome) -> float:
    whole = find_whole(outcome)
    return 0.0 if whole is None else whole.seconds


def _quote(text: str) -> str:
    return quoteattr(_FORBIDDEN.sub("\ufffd", text))


def _clean(text: str) -> str:
    return escape(_FORBIDDEN.sub("\ufffd", text))
