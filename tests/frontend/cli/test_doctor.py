"""``wheelforge doctor`` on this machine, and where things of it are taken away."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.interpreters import find
from wheelforge.cli import main
from wheelforge.cli.doctor import _describe_python

if TYPE_CHECKING:
    from collections.abc import Callable

    Doctor = Callable[..., tuple[int, dict[str, dict[str, Any]]]]

NOBODY = "http://127.0.0.1:9/simple"
"""Nothing listens there."""


@pytest.fixture
def doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Doctor:
    """Run the command; return its exit code and the checks by their names."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("CC", "CXX", "FC", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> tuple[int, dict[str, dict[str, Any]]]:
        code = main(["doctor", "--json", "--cache-dir", str(tmp_path / "cache"), *words])
        facts = json.loads(capsys.readouterr().out)
        assert facts["can_build"] == (code == 0)
        return code, {check["name"]: check for check in reversed(facts["checks"])}

    return run


def test_doctor__finds_what_this_machine_has(doctor: Doctor) -> None:
    code, checks = doctor("--offline", "-i", NOBODY)

    assert code == 0
    assert {check["status"] for check in checks.values()} <= {"ok", "warning", "missing"}
    assert checks["C compiler"]["status"] == ("ok" if shutil.which("cc") else "missing")
    assert checks["git"]["text"].startswith(f"{shutil.which('git')}: git version")
    assert {checks[name]["status"] for name in ("cache", "locks", "symbolic links")} == {"ok"}
    assert checks[f"CPython {platform.python_version()}"]["topic"] == "python"
    rungs = {name for name, check in checks.items() if check["topic"] == "sandbox"}
    assert rungs - {"user"} == {"bubblewrap", "unshare", "landlock"}
    assert checks["index"]["text"] == f"{NOBODY}: not asked, because of `--offline`"


def test_doctor__tells_how_to_get_what_is_missing(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "/nonexistent/g++ -m32")

    code, checks = doctor("-i", NOBODY)

    assert code == 0
    programs = [check for check in checks.values() if check["topic"] == "program"]
    assert {check["status"] for check in programs} == {"missing"}
    assert checks["bubblewrap"]["text"] == "bubblewrap: there is no `bwrap` on PATH"
    assert "build-essential" in checks["C compiler"]["hint"]
    assert "`CXX` names `/nonexistent/g++`" in checks["C++ compiler"]["text"]
    assert checks["index"]["status"] == "warning"
    assert "refused" in checks["index"]["text"]


@pytest.mark.skipif(not Path("/bin/sh").exists(), reason="needs a shell")
def test_doctor__runs_the_compiler_that_a_variable_names(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "my cc"
    program.write_text('#!/bin/sh\necho "cc 9 of $*"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("CC", f"'{program}' -m64")
    monkeypatch.setenv("CXX", "/bin/false")

    _, checks = doctor("--no-index")

    assert checks["C compiler"]["text"] == f"{program}: cc 9 of -m64 --version"
    assert checks["C++ compiler"]["status"] == "warning"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["-p", "3.99"], "3.99"),
        (["--cache-dir", "{}/shared"], "cache"),
        ([], "index settings"),
    ],
)
def test_doctor__fails_where_no_build_can_run(
    doctor: Doctor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    name: str,
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o2770)
    monkeypatch.setenv("PIP_NO_INDEX", "1" if words else "maybe")

    code, checks = doctor(*(word.format(tmp_path) for word in words))

    assert code == 5
    assert checks[name]["status"] == "missing"


def test_doctor__says_that_a_python_has_no_headers(doctor: Doctor, tmp_path: Path) -> None:
    own = find(Path(sys.executable), tmp_path / "answers")
    moved = tmp_path / "bin" / own.base_executable.name
    moved.parent.mkdir()
    shutil.copy(own.base_executable, moved)
    (tmp_path / "lib").symlink_to(own.base_executable.parents[1] / "lib")

    code, checks = doctor("--no-index", "-p", str(moved))

    assert code == 0
    check = checks[own.title]
    assert check["status"] == "warning"
    assert f"no headers in {tmp_path}" in check["text"]
    assert "python3-dev" in check["hint"]


@pytest.mark.parametrize(("implementation", "name"), [("cpython", "python3"), ("pypy", "pypy3")])
def test_doctor__names_the_package_with_the_headers_of_a_python(
    implementation: str, name: str, tmp_path: Path
) -> None:
    own = find(Path(sys.executable), tmp_path / "answers")

    check = _describe_python(replace(own, implementation=implementation, include=tmp_path))

    assert f"`{name}-dev` on Debian" in check.hint


def test_doctor__doubts_an_index_without_the_usual_projects(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "simple").mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))

    _, checks = doctor("-i", str(tmp_path / "simple"))

    assert "/simple/" in checks["index"]["hint"]
    assert "does not exist" in checks["files"]["text"]


def test_doctor__is_readable(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["doctor", "--no-index", "--cache-dir", str(tmp_path), "-p", "3.99"]

    assert main(words) == 5

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("missing  3.99  ")
    assert lines[1].strip().startswith("hint: install it")
    assert lines[-1].endswith(" missing: no build can run")
