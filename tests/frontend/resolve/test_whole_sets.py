"""Sets with all that they require, from the real index: pip installs them without one.

Run with ``-m network tests/frontend/resolve/test_whole_sets.py``.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.forge import Place

pytestmark = pytest.mark.network


@pytest.mark.parametrize(
    "requirement",
    [
        "pandas==2.2.3",
        "scikit-learn==1.5.2",
        "matplotlib==3.9.2",
        "ipykernel==6.20.2",
        "nbclient==0.10.2",
    ],
)
def test_whole_set__is_installed_by_pip_without_an_index(requirement: str, tmp_path: Path) -> None:
    built = tmp_path / "set"
    done = Place(path=tmp_path).run(requirement, "--wheel", "--with-deps", "-o", built)
    assert done.code == 0, done.err
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    pip: list[str | Path] = [tmp_path / "venv" / "bin" / "python", "-m", "pip", "--isolated"]
    variables = {"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull}

    install = [*pip, "install", "--no-index", "--find-links", built, requirement]
    subprocess.run(install, check=True, env=variables, stdout=subprocess.DEVNULL)
    check = subprocess.run([*pip, "check"], check=False, env=variables, capture_output=True)

    assert (check.returncode, check.stdout) == (0, b"No broken requirements found.\n")
