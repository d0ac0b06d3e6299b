"""ccache or sccache in front of the compilers that hooks find.

The first directory of a hook's PATH has a script for each compiler that the hook would find; it
runs that one through the cache. `CC` and `CXX` are changed only where they name a path. Where
objects are kept, and how many, is the cache's own affair.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wheelforge.errors import UsageError
from wheelforge.hooks.environ import compose_environment
from wheelforge_isolation import (
    create_file,
    ensure_directory,
    read_tree_file,
    remove_file,
    remove_tree,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wheelforge.models import BuildEnvironment

_PROGRAMS = ("ccache", "sccache")
_COMPILER = re.compile(r"cc|c\+\+|nvcc|(.+-)?(gcc|g\+\+|clang|clang\+\+)(-[\d.]+)?")
_VARIABLES = ("CC", "CXX")
_STATISTICS = "compilations"
_HITS = ("direct_cache_hit", "preprocessed_cache_hit")
_MISS = "cache_miss"
_PATIENCE_SECONDS = 10


def find_compiler_cache(wanted: str, variables: Mapping[str, str]) -> str:
    """Return the program that is ``wanted`` by `--compiler-cache`, or nothing.

    It is an error if one is named that is not there.
    """
    names = {"off": (), "auto": _PROGRAMS}.get(wanted, (wanted,))
    if os.name == "nt":
        found, reason = None, "on Windows nothing can be put in front of compilers"
    else:
        places = os.get_exec_path(dict(variables))
        paths = (os.path.join(place, name) for name in names for place in places)  # ruff: ignore[os-path-join]
        found = next(filter(_is_program, paths), None)
        reason = f"there is no `{wanted}` on PATH"
    if names and found is None and wanted != "auto":
        raise UsageError("option-invalid", "--compiler-cache", reason)
    return found or ""


class CompilerCache:
    """The cache ``program`` for one attempt of a build, whose private directory is ``place``."""

    def __init__(self, program: str, place: Path) -> None:
        self.name = Path(program).name
        self._program = program
        self._place = place
        self._directory = place / "compilers"
        self._variables: dict[str, str] = {}
        self._before = Counter[str]()

    def cover(
        self, environment: BuildEnvironment, variables: Mapping[str, str], root: Path
    ) -> CoveredCompilers:
        """Return an environment whose compilers are run through the cache.

        ``root`` is the directory of the project.
        """
        own = dict(environment.make_extra_environ() or {})
        composed = compose_environment(variables, own)
        remove_tree(str(self._directory))
        ensure_directory(str(self._directory))
        for path in _list_compilers(composed):
            self._write_script(Path(path).name, f"{self._prefix} {shlex.quote(path)} ")
        # A build system that finds a cache by itself, as Meson does, would put it before ours.
        for name in _PROGRAMS:
            self._write_script(name, "")
        added = {
            name: f"{self._prefix} {composed[name]}"
            for name in _VARIABLES
            if _is_path(composed.get(name, ""))
        }
        if self.name == "ccache":
            # These let it know the files of another version again, which is in another directory.
            usual = {"CCACHE_BASEDIR": str(root), "CCACHE_NOHASHDIR": "1"}
            added |= {name: value for name, value in usual.items() if name not in composed}
            added["CCACHE_STATSLOG"] = str(self._place / _STATISTICS)
        elif not self._variables:
            # This starts its server: one that a hook starts would be ended with the hook.
            self._before = self._ask_sccache(composed)
        self._variables = composed
        own["PATH"] = os.pathsep.join([str(self._directory), own.get("PATH", "")])
        return CoveredCompilers(environment.python_executable, {**own, **added})

    def count(self) -> tuple[int, int]:
        """Return how many compilations of the attempt were in the cache, and how many were not."""
        if not self._variables:
            return 0, 0
        if self.name == "sccache":
            found = self._ask_sccache(self._variables) - self._before
            return found["cache_hits"], found["cache_misses"]
        log = None
        with contextlib.suppress(ValueError):
            log = read_tree_file(self._place, _STATISTICS)
            remove_file(str(self._place / _STATISTICS))
        counts = Counter((log or b"").decode(errors="replace").splitlines())
        return sum(counts[each] for each in _HITS), counts[_MISS]

    @property
    def _prefix(self) -> str:
        return shlex.quote(self._program)

    def _write_script(self, name: str, words: str) -> None:
        script = f'#!/bin/sh\nexec {words}"$@"\n'
        create_file(str(self._directory / name), [script.encode()], executable=True)

    def _ask_sccache(self, variables: Mapping[str, str]) -> Counter[str]:
        command = [self._program, "--show-stats", "--stats-format=json"]
        try:
            said = subprocess.run(
                command,
                env=variables,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=_PATIENCE_SECONDS,
                check=True,
            ).stdout
            found = json.loads(said)["stats"]
            kinds = ("cache_hits", "cache_misses")
            return Counter({kind: sum(found[kind]["counts"].values()) for kind in kinds})
        except (OSError, ValueError, TypeError, LookupError, subprocess.SubprocessError):
            return Counter()


class CoveredCompilers(NamedTuple):
    """An environment with other variables."""

    python_executable: str
    variables: Mapping[str, str]

    def make_extra_environ(self) -> Mapping[str, str]:
        """Return the variables that a process needs."""
        return self.variables


def _list_compilers(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield the path of each compiler that a process with these variables finds by its name."""
    seen: set[str] = set()
    for place in os.get_exec_path(dict(variables)):
        try:
            names = sorted(os.listdir(place))  # ruff: ignore[os-listdir]
        except OSError:
            continue
        for name in filter(_COMPILER.fullmatch, names):
            path = os.path.join(place, name)  # ruff: ignore[os-path-join]
            # A link to a cache may stand in front of a compiler already.
            is_cache = Path(os.path.realpath(path)).name in _PROGRAMS
            if name not in seen and not is_cache and _is_program(path):
                seen.add(name)
                yield path


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)  # ruff: ignore[os-path-isfile]


def _is_path(command: str) -> bool:
    program = Path(next(iter(command.split()), ""))
    return len(program.parts) > 1 and program.name not in _PROGRAMS
