"""Relative paths lead to no other drive of Windows: results, reports and caches may be there."""

import json
import re
from pathlib import Path

import pytest

from tests.support.reports import MOMENT, make_artifact, make_outcome, make_phases, tell
from wheelforge.cli.console import Console
from wheelforge.cli.summary import Batch, conclude
from wheelforge.models import Outcome
from wheelforge.report import write_html_report


@pytest.fixture
def outcome(monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """Return an outcome whose files are on other drives than the working directory."""

    def refuse_drives(path: object, start: object = "") -> str:
        message = f"path is on mount 'D:', start on mount 'C:': {path}, {start}"
        raise ValueError(message)

    monkeypatch.setattr("os.path.relpath", refuse_drives)
    return make_outcome(artifacts=(make_artifact(),), phases=make_phases(MOMENT, 1))


def test_page__links_to_a_file_on_another_drive_by_its_url(
    tmp_path: Path, outcome: Outcome
) -> None:
    write_html_report(tell([outcome]), tmp_path / "builds.html", "https://ci.example/7")

    page = (tmp_path / "builds.html").read_text(encoding="utf-8")
    (artifact,) = outcome.artifacts
    assert json.dumps(artifact.path.as_uri()) in page


def test_summary__names_results_and_reports_on_another_drive_as_they_are(
    outcome: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Path("/reports/builds.html")

    code = conclude(Batch(outcomes=[outcome] * 2, seconds=2, reports=(report,)), Console())

    told = capsys.readouterr().err
    assert code == 0
    (artifact,) = outcome.artifacts
    assert f"results in `{artifact.path.parent}` (" in told
    assert re.search(rf"^  reports: `{re.escape(str(report))}`$", told, re.MULTILINE)


def test_console__names_a_result_on_another_drive_as_it_is(
    outcome: Outcome, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    Console(variables={}).show_outcome(outcome)

    (artifact,) = outcome.artifacts
    assert capsys.readouterr().out == f"Built {artifact.path} (1.2 KiB, 1.0 s)\n"
