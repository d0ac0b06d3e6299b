"""The man page: in the wheel, where `man` looks for it once that is installed, and well-formed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.corpus import DOWNLOADS
from tests.support.forge import Place
from tests.support.source import ROOT
from wheelforge.cli.parser import COMMANDS, build_parser

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, real_wheels: object) -> Path:
    """Return the page of our own wheel, installed."""
    del real_wheels
    place = tmp_path_factory.mktemp("man")
    offline = ("--no-index", "--find-links", DOWNLOADS)
    (wheel,) = Place(path=place).run(ROOT, "--wheel", "-o", place / "dist", *offline).paths
    assert list(wheel.parent.iterdir()) == [wheel]
    prefix = place / "prefix"
    subprocess.run([sys.executable, "-m", "installer", "--prefix", prefix, wheel], check=True)
    return prefix / "share" / "man" / "man1" / "wheelforge.1"


def test_man_page__is_well_formed_and_complete(page: Path) -> None:
    man = shutil.which("man") or pytest.skip("man is not installed")
    variables = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "200", "MAN_KEEP_FORMATTING": ""}

    done = subprocess.run(
        [man, "--warnings", "-l", page], env=variables, capture_output=True, check=True
    )

    assert done.stderr == b""
    shown = re.sub(r"\s+", " ", re.sub(r".\x08", "", done.stdout.decode()))
    for name in COMMANDS:
        assert f"wheelforge {name} " in shown
        for action in build_parser(name)._actions:
            assert all(option in shown for option in action.option_strings)
            assert re.sub(r"\s+", " ", str(action.help)) in shown
