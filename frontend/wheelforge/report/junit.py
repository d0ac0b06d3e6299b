"""Outcomes as JUnit XML, which CI systems show as they show tests."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.etree.ElementTree import (  # ruff: ignore[suspicious-xml-etree-import]  it only writes
    Element,
    SubElement,
    indent,
    tostring,
)

from wheelforge.models import Kind
from wheelforge_isolation import replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wheelforge.models import Outcome
    from wheelforge.report.run import Run

_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot have, not even escaped."""
_OWN_GROUND = 5
"""From this exit code on, it is not what was built that is at fault."""


def write_junit_report(run: Run, path: Path) -> None:
    """Put one test case for each build of ``run`` into the file ``path``."""
    suite = Element("testsuite", _describe(run))
    _add_properties(suite, {f"run.{name}": value for name, value in run.facts.items()})
    for outcome, tail in run.told:
        _add_case(suite, outcome, tail)
    indent(suite)
    content = tostring(suite, "utf-8", xml_declaration=True, short_empty_elements=True)
    replace_file(str(path), content + b"\n")


def _describe(run: Run) -> dict[str, str]:
    outcomes = run.outcomes
    elements = Counter(_find_element(each) for each in outcomes)
    wholes = [outcome.whole for outcome in outcomes if outcome.whole is not None]
    start = min((whole.started for whole in wholes), default=0.0)
    end = max((whole.started + whole.seconds for whole in wholes), default=0.0)
    moment = datetime.fromtimestamp(start, UTC)
    return {
        "name": "wheelforge",
        "tests": str(len(outcomes)),
        "failures": str(elements["failure"]),
        "errors": str(elements["error"]),
        "skipped": str(elements["skipped"]),
        # Builds run side by side: their sum would be more than anybody has waited.
        "time": f"{end - start:.3f}",
        "timestamp": f"{moment:%Y-%m-%dT%H:%M:%S}",
    }


def _add_case(suite: Element, outcome: Outcome, tail: str) -> None:
    whole, error = outcome.whole, outcome.error
    facts = {
        # Jenkins takes what is before the last dot for a package.
        "classname": f"python {outcome.python}".strip().replace(".", "_"),
        "name": _clean(outcome.request.label),
        "time": f"{whole.seconds if whole else 0:.3f}",
    }
    case, element = SubElement(suite, "testcase", facts), _find_element(outcome)
    _add_properties(case, _list_properties(outcome))
    if element == "skipped":
        why = outcome.verdict if error is None else outcome.summarize(error)
        SubElement(case, element, {"message": _clean(why)})
    elif error is not None:
        facts = {"type": error.code, "message": _clean(outcome.summarize(error))}
        text = f"{error}\nhint: {error.hint}" if error.hint else str(error)
        SubElement(case, element, facts).text = _clean(text)
    for element, text in (("system-out", "\n".join(outcome.notes)), ("system-err", tail)):
        if text:
            SubElement(case, element).text = _clean(text)


def _list_properties(outcome: Outcome) -> dict[str, object]:
    log = None if outcome.log is None else str(outcome.log)
    facts: dict[str, object] = {"id": outcome.id, "outcome": outcome.verdict, "log": log}
    facts["cause"] = outcome.cause.sentence if outcome.cause else None
    for artifact in outcome.artifacts:
        kind = "sdist" if artifact.kind is Kind.SDIST else "wheel"
        facts |= {kind: str(artifact.path), f"{kind}.sha256": artifact.sha256}
    return facts


def _add_properties(parent: Element, facts: Mapping[str, object]) -> None:
    shown = {name: value for name, value in facts.items() if value}
    properties = SubElement(parent, "properties") if shown else parent
    for name, value in shown.items():
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        SubElement(properties, "property", {"name": name, "value": _clean(text)})


def _find_element(outcome: Outcome) -> str:
    """Return the element that says how a build has ended; nothing if it was built."""
    if outcome.verdict in {"resumed", "fetched", "cancelled", "not-started"}:
        return "skipped"
    if outcome.error is None:
        return ""
    return "error" if outcome.error.exit_code >= _OWN_GROUND else "failure"


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
