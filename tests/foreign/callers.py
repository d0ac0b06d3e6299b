"""Programs that call a build frontend, and suites of others: with ``build``, then with wheelforge.

A program that calls `python -m build` by that name finds wheelforge there, through a module on its
path. A suite runs as it is, and then with its hooks run by a pool of our runners.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.foreign.matrix import SUITES, USUAL, Kind, Scenario, unpack_suite
from tests.support.corpus import FIXTURES
from tests.support.source import ROOT

CALLERS = "callers"
INSTALLED = (
    *("check-manifest", "covdefaults", "filelock", "nox", "pip", "pytest", "pytest-cov"),
    *("pytest-mock", "pytest-rerunfailures", "pytest-xdist", "setuptools", "setuptools-scm"),
    *("testpath", "tox", "twine", "virtualenv", "wheel", str(ROOT)),
)
"""All that the callers and the suites need, and this checkout."""
_PLUGINS = Path(__file__).parent / "plugins"
_PROJECT = FIXTURES / "projects" / "minimal"
_NOXFILE = """\
import nox

@nox.session(venv_backend="none")
def package(session):
    session.run("python", "-m", "build", "--outdir", "{output}", external=True)
"""
_TOX = """\
env_list = ["run"]
[env_run_base]
package = "external"
commands = [["python", "-c", "import minimal"]]
[env.".pkg_external"]
package_glob = "{output}{/}*.whl"
allowlist_externals = ["*"]
pass_env = ["*"]
commands = [["{env:CALLERS}", "-m", "build", "--wheel", "--outdir", "{output}"]]
"""
_PYTEST = "python -m pytest -q -p no:cacheprovider {plugin}"
_SUITES = {
    "pyproject-hooks": f"{_PYTEST} tests",
    # Two tests fail with build's own runner too: one needs another user than root.
    "build": (
        f"{_PYTEST} -k 'not permission_error and not metadata_path_legacy'"
        " tests/test_projectbuilder.py tests/test_util.py tests/test_module.py"
    ),
}
_FILES: Mapping[str, Mapping[str, str]] = {
    "nox": {"noxfile.py": _NOXFILE},
    "tox": {"tox.toml": _TOX},
    "check-manifest": {"MANIFEST.in": "include *\n"},
}
_COMMANDS = {
    "check-manifest": "git add -A && python -m check_manifest -v --ignore MANIFEST.in",
    "nox": "python -m nox --no-color",
    "tox": "python -m tox run",
    "twine": "python -m build -o {output} && python -m twine check {output}/*",
    "pip": (
        "python -m build -w -o {output} && python -m pip install -q --no-index --no-deps"
        " --target there {output}/*.whl && PYTHONPATH=there python -c 'import minimal'"
    ),
}


def list_callers() -> list[Scenario]:
    """Return the callers and the suites as scenarios, all with one Python."""
    sources = dict.fromkeys(_COMMANDS, _PROJECT)
    suites = {suite.name: suite for suite in SUITES}
    sources |= {f"suite-of-{name}": unpack_suite(suites[name]) for name in _SUITES}
    return [
        Scenario(suite=CALLERS, name=name, source=source, kind=Kind.CALL, python=USUAL)
        for name, source in sources.items()
    ]


def compose_call(
    name: str, source: Path, output: Path, variables: Mapping[str, str], *, is_ours: bool
) -> tuple[Sequence[str], Mapping[str, str]]:
    """Add the caller's files to the project; return its command and its variables."""
    suite = name.removeprefix("suite-of-")
    words = {"output": str(output), "plugin": "-p hook_runner" if is_ours else ""}
    for file, text in _FILES.get(name, {}).items():
        (source / file).write_text(_fill(text, words), encoding="utf-8")
    output.mkdir(parents=True, exist_ok=True)
    path = str(_PLUGINS if suite in _SUITES else _PLUGINS / "as_build")
    command = f"cd {source} && {_fill((_COMMANDS | _SUITES)[suite], words)}"
    python = str(Path(variables["PATH"].split(os.pathsep)[0]) / "python")
    return ["sh", "-c", command], {
        **variables,
        "CALLERS": python,
        **({"PYTHONPATH": path} if is_ours else {}),
    }


def _fill(text: str, words: Mapping[str, str]) -> str:
    for name, word in words.items():
        text = text.replace(f"{{{name}}}", word)
    return text
