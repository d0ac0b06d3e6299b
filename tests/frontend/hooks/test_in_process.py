"""A pyproject-hooks whose insides are unlike the known ones: nothing is forked, all is built."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.hooks import LINUX_ONLY
from tests.support.source import ROOT

pytestmark = LINUX_ONLY
_ASK = """
import sys
from pathlib import Path
from tests.support.hooks import Place
from wheelforge.hooks.runner import HookRunner

place = Place.make(Path(sys.argv[1]))
with place.serve() as server, HookRunner(place.terms(), server) as runner:
    answers = [place.ask(runner, "answer = ['six']"), place.ask(runner, "answer = ['attrs']")]
print(*answers, *(ending.reason or "forked" for ending in place.endings), sep="\\n")
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a directory with a pyproject-hooks that other tests do not see."""
    found = find_spec("pyproject_hooks")
    assert found is not None
    assert found.origin is not None
    shutil.copytree(Path(found.origin).parent, tmp_path / "site" / "pyproject_hooks")
    return tmp_path / "site"


def rename(site: Path, old: str, new: str) -> None:
    """Let that pyproject-hooks call something else what it calls ``old``."""
    for path in list(site.rglob("*.py")):
        text = path.read_text(encoding="utf-8").replace(old, new)
        path.unlink()
        path.with_name(path.name.replace(old, new)).write_text(text, encoding="utf-8")


def run(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), str(ROOT)])
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("nothing of it", "", "forked"),
        ("_in_process.py", "_run_hook.py", "no such script as is known"),
        ("_HOOKS_BACKEND_PATH_JSON", "_PATH", "no `_PYPROJECT_HOOKS_BACKEND_PATH_JSON`"),
        ("_HOOKS_BUILD_BACKEND", "_BACKEND", "no `_PYPROJECT_HOOKS_BUILD_BACKEND`"),
        ("output.json", "answer.json", "no `output.json`"),
    ],
)
def test_hook_script__of_an_unknown_kind_is_spawned(
    site: Path, tmp_path: Path, old: str, new: str, reason: str
) -> None:
    rename(site, old, new)

    lines = run(site, "-c", _ASK, str(tmp_path / "place")).stdout.splitlines()

    assert lines[:2] == ["['six']", "['attrs']"]
    assert [reason in line for line in lines[2:]] == [True, True], lines


@pytest.mark.parametrize(
    "old", ["_in_process.py", "_PYPROJECT_HOOKS_", "input.json", "output.json"]
)
def test_hook_script__of_an_unknown_kind_builds_a_project(
    site: Path, tmp_path: Path, old: str
) -> None:
    rename(site, old, f"x{old}")
    project = ROOT / "fixtures" / "projects" / "minimal"
    words = ["--cache-dir", str(tmp_path / "cache"), "-o", str(tmp_path / "dist")]

    run(site, "-m", "wheelforge", str(project), *words)

    assert len(list((tmp_path / "dist").iterdir())) == 2
