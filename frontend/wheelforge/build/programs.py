"""The programs that builds call: where they are, and which version they are."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_PATIENCE_SECONDS = 10
_SUFFIX = ".exe" if os.name == "nt" else ""


def find_programs(names: Iterable[str], variables: Mapping[str, str]) -> list[str]:
    """Return all programs of these names that are found by ``variables``, the best name first."""
    places = os.get_exec_path(dict(variables))
    paths = (os.path.join(place, name + _SUFFIX) for name in names for place in places)  # ruff: ignore[os-path-join]
    return [path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)]  # ruff: ignore[os-path-isfile]


def ask_version(command: Sequence[str], variables: Mapping[str, str] | None = None) -> str:
    """Return what ``command`` answers to `--version`; nothing if it fails or does not answer."""
    try:
        done = subprocess.run(
            [*command, "--version"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=variables,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE_SECONDS,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return done.stdout
