"""astral-sh/uv#2539: parallel steps of tox in one checkout met in it, and one was aborted."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.builds import names_in
from tests.support.corpus import DOWNLOADS
from tests.support.forge import Place
from wheelforge_isolation import WheelKey

OTHERS = ("docs", "lint", "test", "type")
STEPS = ("aborted", *OTHERS)
MODULES = {f"demo/module_{number}.py": f"NUMBER = {number}\n" for number in range(50)}
RESULTS = ["demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"]

PROJECT = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
SETUP = """
import os, threading
from pathlib import Path
from setuptools import setup
from setuptools.command.build_py import build_py

class Build(build_py):
    def run(self):
        super().run()
        step = os.environ["STEP"]
        Path(self.build_lib, "demo", "step.py").write_text(step)
        if step == "aborted":
            Path("../midway").touch()
            threading.Event().wait()

setup(name="demo", version="1.0", packages=["demo"], cmdclass={"build_py": Build})
"""
"""Writes into the checkout, as setuptools does; in one step it never comes to an end."""
GATE = """
import os, time
while not (os.environ["STEP"] == "aborted" or os.path.exists("../midway")):
    time.sleep(0.005)
"""
"""Lets the others begin once the step that will be aborted is at work."""
TOX = """
[tox]
env_list = {steps}
work_dir = ../tox

[testenv]
skip_install = true
pass_env = *
set_env = STEP = {{env_name}}
allowlist_externals = *
commands =
    {python} ../gate.py
    {python} -m wheelforge . --sdist --wheel -o ../out/{{env_name}}
"""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="needs /proc, to find all of a step's processes"
)


def write_checkout(path: Path) -> Path:
    """Write a project of setuptools whose steps are run by tox."""
    (path / "demo").mkdir(parents=True)
    tox = TOX.format(steps=", ".join(STEPS), python=sys.executable)
    texts = {"pyproject.toml": PROJECT, "setup.py": SETUP, "tox.ini": tox, "../gate.py": GATE}
    for name, text in {**texts, "demo/__init__.py": "", **MODULES}.items():
        (path / name).write_text(text, encoding="utf-8")
    return path


def processes_of(step: str, place: Place) -> Iterator[int]:
    """Yield what a step has started: all of it has the step's variables."""
    wanted = {f"STEP={step}".encode(), f"WHEELFORGE_CACHE_DIR={place.layout.root}".encode()}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted <= {*(entry / "environ").read_bytes().split(b"\0")}:
                yield int(entry.name)


def is_building(step: str, place: Place) -> bool:
    paths = [Path(f"/proc/{pid}/cmdline") for pid in processes_of(step, place)]
    with contextlib.suppress(OSError):
        return any(b"wheelforge" in path.read_bytes().split(b"\0") for path in paths)
    return False


def abort(step: str, place: Place) -> None:
    """Kill all that a step has started, and what that starts meanwhile."""
    while pids := list(processes_of(step, place)):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def run_tox(checkout: Path, place: Place, meanwhile: Callable[[], object]) -> dict[str, str]:
    """Run all steps in parallel, do something once all are at it; return how each of them ended."""
    words = ["run-parallel", "--parallel", "all", "--parallel-no-spinner"]
    with subprocess.Popen(
        [sys.executable, "-m", "tox", *words],
        cwd=checkout,
        env=place.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as steps:
        while not all(is_building(step, place) for step in STEPS):
            assert steps.poll() is None, steps.communicate()
            time.sleep(0.02)
        meanwhile()
        said, _ = steps.communicate()
    return dict(re.findall(r"^  (\w+): (OK|FAIL)\b", said, re.MULTILINE)) or {"tox": said}


def read_packages(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith("demo/")]
        return {name: archive.read(name).decode() for name in names}


def test_tox__steps_in_one_checkout_take_turns_and_a_killed_one_harms_no_other(
    tmp_path: Path, real_wheels: dict[str, WheelKey]
) -> None:
    pytest.importorskip("tox", reason="needs tox")
    (tmp_path / "links").mkdir()
    shutil.copy(DOWNLOADS / real_wheels["setuptools"].file_name, tmp_path / "links")
    checkout, output = write_checkout(tmp_path / "checkout"), tmp_path / "out"
    before = names_in(checkout)
    place = Place(
        path=tmp_path,
        variables={
            "WHEELFORGE_NO_INDEX": "1",
            "WHEELFORGE_FIND_LINKS": str(tmp_path / "links"),
            "VIRTUALENV_NO_SEED": "1",
            "VIRTUALENV_OVERRIDE_APP_DATA": str(tmp_path / "app-data"),
        },
    )

    ends = run_tox(checkout, place, lambda: abort("aborted", place))
    following = Place(path=tmp_path, variables={**place.variables, "STEP": "following"})
    done = following.call(checkout, "-s", "-w", "-o", output / "following")

    assert ends == {"aborted": "FAIL"} | dict.fromkeys(OTHERS, "OK")
    assert (done.code, done.err) == (0, "")
    for step in (*OTHERS, "following"):
        sources = {**MODULES, "demo/__init__.py": "", "demo/step.py": step}
        assert names_in(output / step) == RESULTS
        assert read_packages(output / step / RESULTS[0]) == sources
    assert names_in(output / "aborted") == RESULTS[1:]  # whole, before it was killed
    assert names_in(checkout) == sorted([*before, "build", "demo.egg-info"])  # setuptools' own
    verified = place.call("cache", "verify")
    assert (verified.code, verified.out) == (0, "")
    assert verified.err.endswith(" checked, 0 problems\n")
