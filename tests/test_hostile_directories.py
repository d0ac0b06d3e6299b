"""Modules in the directory of a project are never imported by us."""

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.forge import Place
from tests.support.source import ROOT

MINIMAL = ROOT / "fixtures" / "projects" / "minimal"
OURS = "wheelforge wheelforge_isolation frontend isolation"
THEIRS = "build filelock installer packaging platformdirs pyproject_hooks resolvelib urllib3"
LIBRARY = """
    __future__ argparse ast bisect configparser copy csv dataclasses datetime email encodings enum
    errno fcntl graphlib hashlib inspect json logging pathlib pickle platform queue random re select
    selectors shutil signal socket string struct subprocess sysconfig tarfile tempfile textwrap
    threading tokenize tomllib traceback typing urllib uuid weakref zipfile zlib
"""
EARLY = "collections contextlib functools keyword operator reprlib types warnings"
"""Modules that Python itself may import to resolve `-m`."""
SITE = "sitecustomize usercustomize"
BETRAYAL = "open(__file__ + '.seen', 'w').close()\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How wheelforge is called, and which names Python itself looks for in the directory then."""

    words: tuple[str, ...]
    variables: Mapping[str, str]
    given_up: str = ""


SCRIPT = str(Path(sysconfig.get_path("scripts"), "wheelforge"))
WAYS = {
    "script": Way(words=(SCRIPT,), variables={}),
    "module": Way(
        words=(sys.executable, "-m", "wheelforge"), variables={}, given_up=f"wheelforge {EARLY}"
    ),
    "option": Way(words=(sys.executable, "-P", "-m", "wheelforge"), variables={}),
    "variable": Way(words=(sys.executable, "-m", "wheelforge"), variables={"PYTHONSAFEPATH": "1"}),
}


def make_hostile(project: Path, *without: str) -> None:
    """Make a project whose every module would leave a mark; its backend is out of their reach."""
    shutil.copytree(MINIMAL, project)
    (project / "builder").mkdir()
    backend = (
        (project / "backend.py")
        .read_text(encoding="utf-8")
        .replace('"backend.py"', '"builder/backend.py"')
    )
    (project / "builder" / "backend.py").write_text(backend, encoding="utf-8")
    settings = project / "pyproject.toml"
    text = settings.read_text(encoding="utf-8").replace('["."]', '["builder"]')
    settings.write_text(text, encoding="utf-8")
    names = set(f"{OURS} {THEIRS} {LIBRARY} {EARLY} {SITE} backend".split()).difference(without)
    for number, name in enumerate(sorted(names)):
        path = project / (f"{name}/__init__.py" if number % 2 else f"{name}.py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(BETRAYAL, encoding="utf-8")
    for name in ("cli", "__main__", "_version"):
        if "wheelforge" in names:
            (project / "wheelforge").mkdir(exist_ok=True)
            (project / "wheelforge" / f"{name}.py").write_text(BETRAYAL, encoding="utf-8")


@pytest.mark.parametrize("way", WAYS)
def test_hostile_directory__build_in_it_imports_nothing_of_it(tmp_path: Path, way: str) -> None:
    project, called = tmp_path / "project", WAYS[way]
    if way == "script" and not Path(SCRIPT).exists():
        pytest.skip("needs the script, installed")
    make_hostile(project, *called.given_up.split())
    world = Place(path=tmp_path).environment(called.variables)

    done = subprocess.run(
        [*called.words, "--no-index"],
        cwd=project,
        env=world,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    built = [Path(line).name for line in done.stdout.splitlines()]
    assert built == ["minimal-1.0.tar.gz", "minimal-1.0-py3-none-any.whl"]
    assert [str(path) for path in project.rglob("*.seen")] == []


def test_hostile_directory__marks_would_be_seen(tmp_path: Path) -> None:
    project = tmp_path / "project"
    make_hostile(project)

    subprocess.run([sys.executable, "-c", "import frontend, tarfile"], cwd=project, check=True)

    assert len(list(project.rglob("*.seen"))) == 2
