"""Which Python is asked for: by path, by name, or by version, in directories."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import TYPE_CHECKING

from wheelforge_isolation._interpreter._guide import TIMEOUT_SECONDS, Guide
from wheelforge_isolation._interpreter._python import OLDEST, dotted
from wheelforge_isolation.errors import (
    InterpreterNotFoundError,
    InterpreterTooOldError,
    InterpreterUnusableError,
)
from wheelforge_isolation.values import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from wheelforge_isolation._interpreter._python import Interpreter

_ON_WINDOWS = os.name == "nt"
_BIN, _SUFFIX = ("Scripts", ".exe") if _ON_WINDOWS else ("bin", "")
_REQUEST = re.compile(r"(python|cpython|pypy)?-?(\d+(?:\.\d+){0,2})(t?)")
_ANY_NAMES = ("python", "python3", "pypy3")
_OWN_NAME = re.compile(r"(?:python|pypy)3\.(\d+)t?(?:\.exe)?")


def find_interpreter(
    request: str | None,
    *,
    search: Sequence[Path],
    memory: Path,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Interpreter:
    """Return the Python that ``request`` asks for: the running one, one by path, or by version.

    A path is an absolute one, of an executable, a virtual environment or a prefix. Versions
    (``3.12``, ``python3.12.1``, ``3.13t``, ``pypy3.10``) and names of programs are looked for in
    the directories ``search``, and in the versions that belong to a pyenv directory among them;
    of those, the newest that fits. Answers are remembered below ``memory``. ``environment`` is
    what a Python is run with; on Windows it has to name SYSTEMROOT.
    """
    if environment is None:
        environment = {"PATH": os.pathsep.join([*map(str, search), os.defpath])}
    guide = Guide(memory=str(memory), environment=environment, timeout_seconds=timeout_seconds)
    if request is None:
        # A program that Python is embedded in may have no executable that is a Python.
        request = sys.executable or f"python{dotted(sys.version_info[:2])}"
    if os.path.isabs(request) or os.path.dirname(request):
        return guide.inspect(_find_executable(request))
    return _search(_parse_request(request), search, guide)


def _find_executable(path: str) -> str:
    """Return the executable that ``path`` is, or that the environment or prefix there has."""
    path = os.path.abspath(path)
    candidates = [path]
    if os.path.isdir(path):
        candidates = [
            os.path.join(directory, name)
            for directory in (os.path.join(path, _BIN), path)
            for name in (*(name + _SUFFIX for name in _ANY_NAMES), *_list_own_names(directory))
        ]
    for candidate in candidates:
        if os.path.isfile(candidate):
            return candidate
    raise InterpreterNotFoundError(path, (path,))


def _list_own_names(directory: str) -> list[str]:
    """Return names like ``python3.12``: all that an alternative installation has; newest first."""
    matches = filter(None, map(_OWN_NAME.fullmatch, _list(directory)))
    return [match[0] for match in sorted(matches, key=lambda match: -int(match[1]))]


def _list(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


class _Wish(Value):
    """A request that names no path."""

    text: str
    names: tuple[str, ...]
    """What an executable that may grant it is called, the likeliest first."""
    implementation: str = ""
    version: tuple[int, ...] = ()
    is_free_threaded: bool = False

    @property
    def is_for_minor_version(self) -> bool:
        return len(self.version) > 1

    def may_be_granted_by(self, version: tuple[int, ...]) -> bool:
        known = min(len(version), len(self.version))
        return version[:known] == self.version[:known]

    def is_granted_by(self, interpreter: Interpreter) -> bool:
        if not self.may_be_granted_by(_read_numbers(interpreter.version)):
            return False
        if self.implementation not in {"", interpreter.implementation}:
            return False
        threads = interpreter.is_free_threaded
        return threads == self.is_free_threaded or not self.is_for_minor_version


def _parse_request(text: str) -> _Wish:
    match = _REQUEST.fullmatch(text)
    if not match:
        return _Wish(text=text, names=(text + _SUFFIX,))
    implementation, version, threads = (group or "" for group in match.groups())
    numbers = _read_numbers(version)
    if numbers[:2] < OLDEST[: len(numbers)]:
        raise InterpreterTooOldError(text, version, dotted(OLDEST))
    stem = "pypy" if implementation == "pypy" else "python"
    endings = (dotted(numbers[:2]) + threads, dotted(numbers[:2]), dotted(numbers[:1]), "")
    return _Wish(
        text=text,
        names=tuple(dict.fromkeys(stem + ending + _SUFFIX for ending in endings)),
        implementation="" if implementation == "python" else implementation,
        version=numbers,
        is_free_threaded=bool(threads),
    )


def _read_numbers(version: str) -> tuple[int, ...]:
    """Return the one to three numbers at the start of a version."""
    match = re.match(r"\d+(?:\.\d+){0,2}", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def _search(wish: _Wish, search: Sequence[Path], guide: Guide) -> Interpreter:
    passed_over: list[str] = []
    for candidate in _list_candidates(wish, search):
        try:
            interpreter = guide.inspect(candidate)
        except (InterpreterUnusableError, InterpreterTooOldError) as error:
            passed_over.append(str(error))
            continue
        if wish.is_granted_by(interpreter):
            return interpreter
    searched = tuple(dict.fromkeys(map(str, search)))
    raise InterpreterNotFoundError(wish.text, searched, tuple(passed_over))


def _list_candidates(wish: _Wish, search: Sequence[Path]) -> Iterator[str]:
    """Yield what may be the Python wished for: by name first, so that few others are asked."""
    places = [place for path in search for place in _expand(os.path.abspath(path), wish)]
    directories = _list_distinct(places)
    for name in wish.names:
        for directory in directories:
            path = os.path.join(directory, name)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                yield path


def _list_distinct(places: list[str]) -> list[str]:
    """Return those that exist, each by its first name only: on many systems /bin is /usr/bin."""
    directories: dict[tuple[int, int], str] = {}
    for place in places:
        with contextlib.suppress(OSError):
            status = os.stat(place)
            directories.setdefault((status.st_dev, status.st_ino), place)
    return list(directories.values())


def _expand(directory: str, wish: _Wish) -> list[str]:
    """Return ``directory``, and where Pythons are if it belongs to pyenv: its root, or its shims.

    A shim chooses among the versions by working directory, slowly, and fails for most of them;
    who names a version has chosen, and is not sent there.
    """
    is_shims = os.path.basename(directory) == "shims"
    versions = os.path.join(os.path.dirname(directory) if is_shims else directory, "versions")
    names = _list(versions)
    fitting = [name for name in names if wish.may_be_granted_by(_read_numbers(name))]
    fitting.sort(key=lambda name: (_read_numbers(name), name), reverse=True)
    places = [os.path.join(versions, name, "" if _ON_WINDOWS else _BIN) for name in fitting]
    if is_shims and names and wish.is_for_minor_version:
        return places
    return [directory, *places]
