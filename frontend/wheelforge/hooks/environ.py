"""The variables of a hook: composed from what is given, never inherited by accident."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping

REPEATABLE = {
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
    # Elsewhere there is no locale of that name, and programs would complain of it.
    **({"LC_ALL": "C.UTF-8"} if sys.platform == "linux" else {}),
}
"""Variables that every hook has, unless they are given: the order of sets, the time zone, and the
language and order of letters are no longer those of one run, one machine or one user."""
_REMOVED = frozenset({
    *("PYTHONBREAKPOINT", "PYTHONCASEOK", "PYTHONEXECUTABLE", "PYTHONHOME", "PYTHONINSPECT"),
    *("PYTHONOPTIMIZE", "PYTHONPATH", "PYTHONPLATLIBDIR", "PYTHONPYCACHEPREFIX"),
    *("PYTHONSAFEPATH", "PYTHONSTARTUP", "PYTHONUSERBASE"),
})
"""They make a Python find other code, other bytecode, or a terminal to talk to."""
_REMOVED_PREFIXES = (
    *("PIP_", "WHEELFORGE_", "VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV", "_PYPROJECT_HOOKS_"),
)
"""Settings of installers, passwords in them included, and traces of an environment or a build that
this one runs in."""
_JOBS = ("CARGO_BUILD_JOBS", "CMAKE_BUILD_PARALLEL_LEVEL", "MAX_JOBS", "NPY_NUM_BUILD_JOBS")
"""Variables that tell build tools how many processes they may start."""
_LAST_MOMENT = 4_354_819_199
"""The end of 2107: later times cannot be written into a zip file, as wheels are."""


def is_epoch(text: str) -> bool:
    """Return whether ``text`` is a SOURCE_DATE_EPOCH that files of a wheel can have."""
    return re.fullmatch(r"[0-9]{1,10}", text) is not None and int(text) <= _LAST_MOMENT


def share_jobs(jobs: int) -> dict[str, str]:
    """Return variables that have build tools run that many jobs at once."""
    return dict.fromkeys(_JOBS, str(jobs))


def compose_environment(
    base: Mapping[str, str],
    environment: Mapping[str, str] | None = None,
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return all variables of a hook: what is left of ``base``, then the environment's, then more.

    What steers Python or pip elsewhere is left out of ``base``, as is a virtual environment. What
    would make one wheel differ from the next is set, where ``base`` does not say how. The
    directories in the environment's PATH come before those of ``base``, each of them once.
    """
    kept = {
        name: value
        for name, value in base.items()
        if name.upper() not in _REMOVED and not name.upper().startswith(_REMOVED_PREFIXES)
    }
    composed = {**REPEATABLE, **kept}
    for layer in (environment or {}, extra or {}):
        paths = [layer.get("PATH", ""), composed.get("PATH", "")]
        composed |= layer
        if any(paths):
            composed["PATH"] = _join_paths(paths)
    return composed


def _join_paths(paths: list[str]) -> str:
    """Join search paths; an empty entry would mean the working directory, which is the project."""
    entries = os.pathsep.join(paths).split(os.pathsep)
    return os.pathsep.join(dict.fromkeys(filter(None, entries)))
