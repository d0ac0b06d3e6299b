"""Stages kept for inspection, and the script that runs a failed hook again."""

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.builds import Ground, ask, names_in, write_project, write_sdist
from wheelforge.cli import main
from wheelforge.errors import BackendFailedError, ResultInvalidError
from wheelforge.models import Keep, Outcome, Policy
from wheelforge_isolation import collect_stages

FAILING = "import os; print('tries in', os.getcwd()); raise SystemExit(7)"


@pytest.fixture
def ground(ground: Ground) -> Iterator[Ground]:
    """Yield the ground, and remove what was kept there."""
    yield ground
    collect_stages(ground.cache / "stage-v1", kept_days=0)


def try_build(ground: Ground, source: Path, keep: Keep, **variables: str) -> Outcome:
    facts: dict[str, Any] = {
        "policy": Policy(keep=keep),
        "variables": {**ground.settings().variables, **variables},
    }
    with ground.forge(**facts) as forge:
        return forge.try_build(ask(source, source.parent / "out"))


def find_kept(outcome: Outcome) -> Path:
    (note,) = (note for note in outcome.notes if note.startswith("kept: "))
    place, _, command = note.removeprefix("kept: ").partition("; ")
    stage = type(outcome.request.output)(place)
    has_script = (stage / "retry.py").exists()
    assert command == (f"`python {stage / 'retry.py'}` runs the failed hook again" * has_script)
    return stage


def retry(stage: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(stage / "retry.py")]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env={})


def test_retry_script__fails_alike_until_the_project_is_mended(
    tmp_path: Path, ground: Ground
) -> None:
    outcome = try_build(ground, write_sdist(tmp_path, build_wheel=FAILING), Keep.FAILED, MINE="é")
    stage = find_kept(outcome)
    assert isinstance(outcome.error, BackendFailedError)

    again = retry(stage)
    mended = "import os; assert os.environ['MINE'] == 'é'"
    write_project(stage / "src" / "demo-1.0", build_wheel=mended)
    better = retry(stage)

    assert again.returncode == outcome.error.failure.status == 7
    assert again.stdout.encode() == outcome.error.failure.output
    assert (better.returncode, better.stderr) == (0, "")
    assert json.loads(better.stdout)["return_val"] == "demo-1.0-py3-none-any.whl"
    assert zipfile.is_zipfile(stage / "wheel" / "demo-1.0-py3-none-any.whl")


def test_retry_script__runs_the_hook_that_failed(tmp_path: Path, ground: Ground) -> None:
    ground.stock.add("extra")
    sdist = write_sdist(
        tmp_path, get_requires_for_build_wheel="answer = ['extra']", build_wheel=FAILING
    )

    assert retry(find_kept(try_build(ground, sdist, Keep.FAILED))).returncode == 7


def test_retry_script__runs_in_the_directory_of_the_project(tmp_path: Path, ground: Ground) -> None:
    project = write_project(tmp_path / "project", own=True, build_wheel=FAILING)

    again = retry(find_kept(try_build(ground, project, Keep.FAILED)))

    assert again.stdout == f"tries in {project}\n"


def test_retry_script__is_there_for_a_refused_result(tmp_path: Path, ground: Ground) -> None:
    outcome = try_build(ground, write_sdist(tmp_path, build_wheel="answer = 5"), Keep.FAILED)

    again = retry(find_kept(outcome))

    assert isinstance(outcome.error, ResultInvalidError)
    assert json.loads(again.stdout)["return_val"] == 5


def test_retry_script__is_private(tmp_path: Path, ground: Ground) -> None:
    sdist = write_sdist(tmp_path, build_wheel=FAILING)

    stage = find_kept(try_build(ground, sdist, Keep.FAILED, MINE="s3cret"))

    assert "s3cret" in (stage / "retry.py").read_text(encoding="ascii")
    assert stage.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("keep", "code", "stays"),
    [
        (Keep.NEVER, "", False),
        (Keep.NEVER, FAILING, False),
        (Keep.FAILED, "", False),
        (Keep.FAILED, FAILING, True),
        (Keep.ALWAYS, "", True),
        (Keep.ALWAYS, FAILING, True),
    ],
)
def test_keep__leaves_the_stages_that_were_asked_for(
    tmp_path: Path, ground: Ground, keep: Keep, code: str, *, stays: bool
) -> None:
    outcome = try_build(ground, write_sdist(tmp_path, build_wheel=code), keep)

    assert bool(ground.stages) == stays
    assert any(note.startswith("kept: ") for note in outcome.notes) == stays
    if stays:
        assert ("retry.py" in names_in(find_kept(outcome))) == bool(code)


def test_keep__next_build_does_not_touch_it(tmp_path: Path, ground: Ground) -> None:
    sdist = write_sdist(tmp_path, build_wheel=FAILING)

    first = find_kept(try_build(ground, sdist, Keep.FAILED))
    second = find_kept(try_build(ground, sdist, Keep.FAILED))

    assert first != second
    assert names_in(first) == names_in(second)


def test_keep__place_is_shown_on_the_command_line(
    tmp_path: Path, ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    sdist = write_sdist(tmp_path, build_wheel=FAILING)

    assert main(ground.words(sdist, "--keep", "failed", "-o", tmp_path / "out")) == 4
    said = capsys.readouterr().err
    (place,) = re.findall(r"^note: demo-1.0.tar.gz: kept: (.*);", said, re.MULTILINE)
    assert place.startswith(str(ground.cache / "stage-v1" / "demo-1.0-"))
    assert said.index("error[backend-failed]") < said.index("kept: ")
