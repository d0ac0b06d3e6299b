"""Which inputs code speaks of: by whom they are found, and by whom not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wheelforge.build.code_search import (
    find_inputs_of_project,
    find_inputs_of_wheel,
    find_named_variables,
)
from wheelforge.build.key_document import REPOSITORY, describe_environment

if TYPE_CHECKING:
    from pathlib import Path


def write(root: Path, name: str, content: bytes) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return root


BINARY = b"\x7fELF\0\1\2"


@pytest.mark.parametrize(
    ("name", "content", "counts"),
    [
        ("plugin.cpython-311-x86_64-linux-gnu.so", BINARY + b"\0GITHUB_SHA\0", True),
        ("plugin.pyd", b"MZ\0HOMEGITHUB_SHACARGO", True),
        ("bin/tool", BINARY + b"x" * (1 << 21) + b"GITHUB_SHA\0", True),
        ("libplugin.so.1.2", BINARY + b"\0GITHUB_RUN_ID\0", True),
        ("plugin.so", BINARY + b"\0CI_COMMIT_SHA\0", False),
        ("plugin.py", b"os.environ['GITHUB_SHA']", True),
        ("plugin.py", b"os.environ['GITHUB_RUN_ID']", False),
        ("plugin-1.0.dist-info/plugin.py", b"os.environ['GITHUB_SHA']", False),
        ("empty.so", b"", False),
    ],
)
def test_variable__of_a_ci_run_is_found_in_programs_too(
    tmp_path: Path, name: str, content: bytes, *, counts: bool
) -> None:
    named = find_inputs_of_wheel(write(tmp_path, name, content))

    found = describe_environment({"GITHUB_SHA": "0"}, b"salt", named)

    assert ("GITHUB_SHA" in found) is counts


HISTORY = {
    "_run(['git', 'describe', '--dirty'])": ("scm.py", True),
    "GITS = ['git']\nrunner(GITS, ['rev-parse', 'HEAD'])": ("versioneer.py", True),
    "check_output('git log -1 --format=%ct', shell=True)": ("setup.py", True),
    "version = vcs_tag(input: 'version.h.in', output: 'version.h')": ("meson.build", True),
    "execute_process(COMMAND ${GIT_EXECUTABLE} describe)": ("cmake/version.cmake", True),
    "from git import Repo\nRepo('.').head.commit": ("build.py", True),
    "open('.git/HEAD').read()": ("setup.py", True),
    "porcelain = dulwich.porcelain.describe(root)": ("version.py", True),
    '[tool.x]\ncommands = ["git -C . describe > version"]': ("pyproject.toml", True),
    '[tool.pdm.version]\nsource = "scm"': ("pyproject.toml", True),
    "[tool.pdm]\nversion = { use_scm = true }": ("pyproject.toml", True),
    '[project.urls]\nx = "https://example.org/x.git"\n[tool.coverage.run]\nbranch = true': (
        "pyproject.toml",
        False,
    ),
    "# see https://github.com/x/y.git for the log": ("setup.py", False),
    "digits = 'legit'; log = 1": ("module.py", False),
    "it is kept in git, see the log": ("PKG-INFO", False),
}


@pytest.mark.parametrize("text", HISTORY)
def test_history__counts_where_code_may_look_at_it(tmp_path: Path, text: str) -> None:
    name, expected = HISTORY[text]
    write(tmp_path, name, text.encode())

    found = find_inputs_of_project(tmp_path, [name]), find_inputs_of_wheel(tmp_path)

    assert [REPOSITORY in each for each in found] == [expected, expected]
    assert REPOSITORY not in find_named_variables(tmp_path)


OUTSIDE = {
    "setup.py": ("open('../version.txt')", True),
    "build.py": ("root = Path(__file__).parent.parent", True),
    "pyproject.toml": ('readme = "../README.md"', True),
    "src/deep/module.c": ('#include "../common.h"', False),
    "src/module.c": ('#include "../../common.h"', True),
    "src/module.py": ("from ..demo import x; y = '../x'", False),
    "Cargo.toml": ("[package]", True),
    "native/go.mod": ("module x", True),
    "noxfile.py": ("here = Path(__file__).parent", False),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_history__counts_where_a_project_may_lead_out_of_its_directory(
    tmp_path: Path, name: str
) -> None:
    text, expected = OUTSIDE[name]
    write(tmp_path, name, text.encode())

    assert (REPOSITORY in find_inputs_of_project(tmp_path, [name])) is expected
    assert REPOSITORY not in find_inputs_of_wheel(tmp_path)
