"""The end of a batch, as a terminal shows it."""

import pytest

from tests.support.reports import make_artifact, make_failure, make_outcome
from wheelforge.cli.console import Console
from wheelforge.cli.summary import Batch, conclude
from wheelforge.errors import PackageNotFoundError


def test_summary__of_failures_is_indented_where_it_is_wider_than_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = make_outcome(error=PackageNotFoundError("setuptoolz", ("/opt/wheels", "/srv/x"), ()))
    monkeypatch.setattr("wheelforge.cli.console.Console.width", 60)

    conclude(Batch(outcomes=[failed] * 2, seconds=2), Console())

    lines = capsys.readouterr().err.splitlines()
    assert max(map(len, lines[:5])) <= 60
    assert lines[1].endswith("  package-not-found  there is no")
    assert lines[2] == "      `setuptoolz` at `/opt/wheels`, `/srv/x`"


def test_summary__shortens_a_cause_before_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"https://example.org/{'issues/' * 9}"
    cause = f"it is broken at {url} {url} {url}"

    conclude(Batch(outcomes=[make_outcome(error=make_failure(cause))] * 2, seconds=2), Console())

    _, row, *_ = capsys.readouterr().err.splitlines()
    assert row.endswith(f"it is broken at {url} ...")


@pytest.mark.parametrize(("sha256", "advised"), [("ab" * 32, 1), ("", 0)])
def test_summary__advises_to_resume_where_that_keeps_anything(
    capsys: pytest.CaptureFixture[str], sha256: str, advised: int
) -> None:
    failed = make_outcome(error=PackageNotFoundError("setuptoolz", ("/opt/wheels",), ()))
    built = make_outcome(artifacts=(make_artifact(),), sha256=sha256)

    conclude(Batch(outcomes=[failed, built], seconds=2), Console())

    assert capsys.readouterr().err.count("`--resume` keeps what is built") == advised
