"""Outcomes as JUnit XML, which CI systems show as they show tests."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.etree.ElementTree import (  # ruff: ignore[suspicious-xml-etree-import]  it only writes
    Element,
    SubElement,
    indent,
    tostring,
)

from wheelforge.report.json_report import find_whole
from wheelforge_isolation import replace_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wheelforge.models import Outcome
    from wheelforge.report.run import Run
    from wheelforge_isolation import ForgeError

_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot have, not even escaped."""
_OWN_GROUND = 5
"""From this exit code on, it is not what was built that is at fault."""


def write_junit_report(run: Run, path: Path) -> None:
    """Put one test case for each build of ``run`` into the file ``path``."""
    suite = Element("testsuite", _describe(run.outcomes))
    for outcome, tail in run.told:
        _add_case(suite, outcome, tail)
    indent(suite)
    content = tostring(suite, "utf-8", xml_declaration=True, short_empty_elements=True)
    replace_file(str(path), content + b"\n")


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


def _add_case(suite: Element, outcome: Outcome, tail: str) -> None:
    facts = {
        "classname": f"python {outcome.python}".strip(),
        "name": _clean(outcome.request.label),
        "time": f"{_count_seconds(outcome):.3f}",
    }
    case, error = SubElement(suite, "testcase", facts), outcome.error
    if error is not None:
        first, _, _ = str(error).partition("\n")
        facts = {"type": error.code, "message": _clean(first)}
        text = f"{error}\nhint: {error.hint}" if error.hint else str(error)
        SubElement(case, _find_element(error), facts).text = _clean(text)
    elif outcome.is_resumed:
        SubElement(case, "skipped")
    for element, text in (("system-out", "\n".join(outcome.notes)), ("system-err", tail)):
        if text:
            SubElement(case, element).text = _clean(text)


def _find_element(error: ForgeError) -> str:
    return "error" if error.exit_code >= _OWN_GROUND else "failure"


def _count_seconds(outcome: Outcome) -> float:
    whole = find_whole(outcome)
    return 0.0 if whole is None else whole.seconds


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
