"""The differences between a run and the report of an earlier one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.builds import write_project
from tests.support.forge import Place
from tests.support.reports import (
    MOMENT,
    check,
    make_artifact,
    make_failure,
    make_outcome,
    make_phases,
    make_wheel,
    tell,
)
from wheelforge.report import HEADINGS, compare, describe_run

if TYPE_CHECKING:
    from pathlib import Path


def differ(old: dict[str, Any], new: dict[str, Any]) -> dict[str, str]:
    """Return the details of all differences between two outcomes of one build."""
    before, now = (describe_run(tell([make_outcome(**facts)])) for facts in (old, new))
    found = compare(before, json.loads(json.dumps(now["builds"])))
    return {name: str(builds[0]["detail"]) for name, builds in found.items() if builds}


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({}, {"error": make_failure()}, {"newly_failing": "backend-failed"}),
        ({"error": make_failure()}, {}, {"fixed": "backend-failed"}),
        ({"is_fetched": True}, {"error": make_failure()}, {"newly_failing": "backend-failed"}),
        ({"error": make_failure()}, {"error": make_failure("else")}, {}),
        (
            {"phases": make_phases(MOMENT, 10.0)},
            {"phases": make_phases(MOMENT, 12.5)},
            {"slower": "10.0 s, now 12.5 s"},
        ),
        ({"phases": make_phases(MOMENT, 10.0)}, {"phases": make_phases(MOMENT, 11.9)}, {}),
        ({"phases": make_phases(MOMENT, 1.0)}, {"phases": make_phases(MOMENT, 1.9)}, {}),
        (
            {"wheels": (make_wheel(), make_wheel("wheel", "1"))},
            {"wheels": (make_wheel("setuptools", "85"), make_wheel("wheel", "1"))},
            {"requirements": "setuptools 84.2.1 -> 85"},
        ),
        (
            {"artifacts": (make_artifact(),)},
            {"artifacts": (make_artifact(sha256="ef" * 32),)},
            {"hashes": "demo-1.0-py3-none-any.whl"},
        ),
        ({"python": "3.11.8"}, {"python": "3.11.9"}, {}),
        ({"python": "3.11.9"}, {"python": "3.12.1"}, {"new": "", "gone": ""}),
    ],
)
def test_comparison__finds_each_kind_of_difference(
    old: dict[str, Any], new: dict[str, Any], found: dict[str, str]
) -> None:
    assert differ(old, new) == found


def test_comparison__is_told_in_terminal_json_and_page(tmp_path: Path) -> None:
    place = Place(path=tmp_path)
    good, other = (
        write_project(tmp_path / name, name=name, own=True) for name in ("good", "other")
    )
    report, words = tmp_path / "report", ["--no-index", "-w", "-o", str(tmp_path / "out")]
    place.run(good, other, *words, "--report", report)
    write_project(tmp_path / "good", name="good", own=True, build_wheel="raise SystemExit('no')")

    done = place.run(
        good, *words, "--report", report, "--compare", report, "--html", tmp_path / "page"
    )

    facts = json.loads(report.read_bytes())
    check(facts)
    assert facts["comparison"].keys() == HEADINGS.keys()
    assert [each["label"] for each in facts["comparison"]["newly_failing"]] == ["good"]
    assert [each["label"] for each in facts["comparison"]["gone"]] == ["other"]
    assert "  newly failing: good, Python 3." in done.err
    assert "  gone: other, Python 3." in done.err
    assert '"newly_failing":[{' in (tmp_path / "page").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 2, "builds": []}'])
def test_comparison__refuses_what_is_no_report_before_building(
    tmp_path: Path, content: str
) -> None:
    place, report = Place(path=tmp_path), tmp_path / "report"
    report.write_text(content, encoding="utf-8")

    done = place.run(write_project(tmp_path / "demo", own=True), "--compare", report)

    assert (done.code, done.error, done.out) == (2, "option-invalid", "")
    assert done.err.endswith("is not a report of wheelforge\n")
