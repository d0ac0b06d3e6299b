"""A hook of a kept build that is run again: in the sandbox that it had."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.builds import write_sdist
from tests.support.forge import Place

pytestmark = [
    pytest.mark.skipif(
        sys.platform != "linux" or shutil.which("bwrap") is None, reason="needs bubblewrap"
    ),
    pytest.mark.xdist_group("users"),
]


@pytest.mark.parametrize("sandbox", ["none", "strict", "tcp-off"])
def test_retry_script__runs_in_the_same_sandbox(tmp_path: Path, sandbox: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret", encoding="ascii")
    code = f"""
import os
print("HERE", os.getcwd())
try:
    print("SEEN", open({str(secret)!r}).read())
except OSError as error:
    print("HIDDEN", error)
raise SystemExit(7)
"""
    sdist = write_sdist(tmp_path, own=True, build_wheel=code)
    place = Place(path=tmp_path)
    words: list[str | Path] = [
        sdist,
        "-o",
        tmp_path,
        "--no-index",
        "--sandbox",
        sandbox,
        "--keep",
        "failed",
    ]

    done = place.run(*words)
    (script,) = (place.layout.root / "stage-v1").glob("*/retry.py")
    again = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)

    assert done.code == 4
    assert again.returncode == 7, again.stderr
    assert f"HERE {script.parent}" in again.stdout
    assert ("SEEN s3cret" if sandbox == "none" else "HIDDEN") in again.stdout
    assert [path.name for path in (script.parent / "private").glob("tmp?*")] == []
