"""Foreign text cannot steer the terminal or a CI system, and a closed stream stops no build."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builds import write_sdist
from tests.support.forge import Place
from tests.support.processes import needs
from wheelforge_isolation.formats.text import escape_controls, escape_line, escape_output

HOSTILE = "\x1b]52;c;aGk=\x07 \x9b2J \u202egnp.\u202c \x00 \r over"
STEERING = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F)]
STEERING += [chr(code) for code in (*range(0x2028, 0x202F), *range(0x2066, 0x206A))]


@given(st.text(st.sampled_from([*STEERING, "a", "é", "%"])))
def test_escape_controls__leaves_nothing_that_steers(text: str) -> None:
    assert not set(escape_controls(text)) & set(STEERING) - {"\t", "\n"}
    assert not set(escape_line(text)) & set(STEERING)


def test_escape_output__keeps_colours_and_lines() -> None:
    text = "\x1b[1;31merror\x1b[0m\r\n10%\r20%\x1b]0;title\x07\x1b[2J\n"

    assert escape_output(text) == ("\x1b[1;31merror\x1b[0m\n10%\n20%\\x1b]0;title\\x07\\x1b[2J\n")


def _run(place: Path, *argv: str | Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "wheelforge", *map(str, argv)],
        env={**Place(path=place).environment(), **variables},
        cwd=place,
        capture_output=True,
        check=False,
    )


def _is_harmless(output: bytes) -> bool:
    return not set(output.decode()) & set(STEERING) - {"\n", "\t"}


@pytest.mark.parametrize("verbosity", [[], ["-v"]], ids=["usual", "verbose"])
def test_terminal__what_a_hook_prints_and_asks_for_is_escaped(
    tmp_path: Path, verbosity: list[str]
) -> None:
    code = f"print({HOSTILE!r}, flush=True)\nraise ValueError({HOSTILE!r})"
    sdist = write_sdist(tmp_path, own=True, build_wheel=code)

    done = _run(tmp_path, sdist, "-o", "out", *verbosity)

    assert done.returncode == 4
    assert _is_harmless(done.stderr)
    assert _is_harmless(done.stdout)


@pytest.mark.parametrize("where", ["requires", "name"])
def test_terminal__what_a_project_says_is_escaped(tmp_path: Path, where: str) -> None:
    project = tmp_path / "project"
    facts = {"requires": "[]", "name": '"demo"', where: '["x\\u001b]0;y\\u0007"]'}
    project.mkdir()
    (project / "pyproject.toml").write_text(
        f'[build-system]\nrequires = {facts["requires"]}\nbuild-backend = "b"\n'
        f"backend-path = ['.']\n[project]\nname = {facts['name']}\n",
        encoding="utf-8",
    )

    done = _run(tmp_path, project, "-o", "out")

    assert done.returncode != 0
    assert _is_harmless(done.stderr)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such file names")
def test_github__a_file_name_is_no_command(tmp_path: Path) -> None:
    hostile = write_sdist(tmp_path, own=True).rename(tmp_path / "e\n::error::pwn-1.tar.gz")
    other = write_sdist(tmp_path, own=True, name="other")

    done = _run(tmp_path, hostile, other, "-o", "out", GITHUB_ACTIONS="true", CI="true")

    lines = done.stderr.decode().splitlines()
    assert done.returncode == 0
    assert not any(line.startswith("::error::pwn") for line in lines)


@needs(posix="descriptors that can be closed")
@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_streams__that_are_closed_stop_no_build(tmp_path: Path, closed: str) -> None:
    sdist = write_sdist(tmp_path, own=True)
    command = f'exec "$0" -m wheelforge "$1" -o out {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, sdist],
        env=Place(path=tmp_path).environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out" / "demo-1.0-py3-none-any.whl").exists()


@needs(posix="descriptors that can be closed")
def test_streams__that_are_closed_keep_the_exit_code(tmp_path: Path) -> None:
    command = 'exec "$0" -m wheelforge ./nowhere 2>&-'
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable], cwd=tmp_path, capture_output=True, check=False
    )

    assert done.returncode == 2


@needs(posix="SIGHUP")
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM], ids=["hangup", "request"])
def test_signal__that_ends_it_leaves_a_report_and_no_stage(
    tmp_path: Path, number: signal.Signals
) -> None:
    started = tmp_path / "started"
    code = f"import pathlib, time; pathlib.Path({str(started)!r}).touch(); time.sleep(60)"
    sdist = write_sdist(tmp_path, own=True, build_wheel=textwrap.dedent(code))
    place = Place(path=tmp_path)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "wheelforge", str(sdist), "-o", "out"),
            *("--report", "report.json", "--cache-dir", str(place.layout.root)),
        ],
        env=place.environment(),
        cwd=tmp_path,
        stderr=subprocess.PIPE,
    )
    while not started.exists():
        assert process.poll() is None
        time.sleep(0.01)

    process.send_signal(number)
    _, said = process.communicate()

    assert process.returncode == 130
    assert said == b"interrupted\n"
    assert (tmp_path / "report.json").exists()
    assert [path.name for path in place.layout.stages.iterdir()] == [".git"]


def test_hook__sees_no_setting_of_ours(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    code = f"import os, pathlib; pathlib.Path({str(seen)!r}).write_text(repr(dict(os.environ)))"
    sdist = write_sdist(tmp_path, own=True, build_wheel=code)

    done = _run(
        tmp_path, sdist, "-o", "out", WHEELFORGE_INDEX_URL="https://user:secret@127.0.0.1/simple"
    )

    assert done.returncode == 0, done.stderr
    assert "WHEELFORGE" not in seen.read_text(encoding="utf-8")
