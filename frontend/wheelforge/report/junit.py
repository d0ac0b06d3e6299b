"""Outcomes as JUnit XML, which CI systems show as they show tests."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from wheelforge.report.json_report import find_whole
from wheelforge_isolation import replace_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wheelforge.models import Outcome
    from wheelforge.report.run import Run
    from wheelforge_isolation import ForgeError

_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML cannot say, not even escaped."""
_OWN_GROUND = 5
"""From this exit code on, it is not what was built that is at fault."""


def write_junit_report(run: Run, path: Path) -> None:
    """Put one test case for each build of ``run`` into the file ``path``."""
    cases = "".join(f"  {_write_case(outcome, tail)}\n" for outcome, tail in run.told)
    head = " ".join(f"{name}={_quote(value)}" for name, value in _describe(run.outcomes).items())
    content = f'<?xml version="1.0" encoding="utf-8"?>\n<testsuite {head}>\n{cases}</testsuite>\n'
    replace_file(str(path), content.encode())


def _describe(outcomes: Sequence[Outcome]) -> dict[str, str]:
    elements = [_find_element(outcome.error) for outcome in outcomes if outcome.error is not None]
    begun = [whole.started for whole in map(find_whole, outcomes) if whole is not None]
    moment = datetime.fromtimestamp(min(begun, default=0.0), UTC)
    return {
        "name": "wheelforge",
        "tests": str(len(outcomes)),
        "failures": str(elements.count("failure")),
        "errors": str(elements.count("error")),
        "skipped": str(sum(outcome.is_resumed for outcome in outcomes)),
        "time": f"{sum(map(_count_seconds, outcomes)):.3f}",
        "timestamp": f"{moment:%Y-%m-%dT%H:%M:%S}",
    }


def _write_case(outcome: Outcome, tail: str) -> str:
    group = f"python {outcome.python}".strip()
    name, time = _quote(outcome.request.label), _count_seconds(outcome)
    head = f'<testcase classname={_quote(group)} name={name} time="{time:.3f}"'
    texts = (("system-out", "\n".join(outcome.notes)), ("system-err", tail))
    inside = _write_verdict(outcome) + "".join(
        f"<{element}>{_clean(text)}</{element}>" for element, text in texts if text
    )
    return f"{head}>{inside}</testcase>" if inside else f"{head}/>"


def _write_verdict(outcome: Outcome) -> str:
    error = outcome.error
    if error is None:
        return "<skipped/>" if outcome.is_resumed else ""
    first, _, _ = str(error).partition("\n")
    text = f"{error}\nhint: {error.hint}" if error.hint else str(error)
    element = _find_element(error)
    head = f"{element} type={_quote(error.code)} message={_quote(first)}"
    return f"<{head}>{_clean(text)}</{element}>"


def _find_element(error: ForgeError) -> str:
    return "error" if error.exit_code >= _OWN_GROUND else "failure"


def _count_seconds(outcome: Outcome) -> float:
    whole = find_whole(outcome)
    return 0.0 if whole is None else whole.seconds


def _quote(text: str) -> str:
    return quoteattr(_FORBIDDEN.sub("\ufffd", text))


def _clean(text: str) -> str:
    return escape(_FORBIDDEN.sub("\ufffd", text))
