"""Find the Python that is asked for by path, by name or by version."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from wheelforge_isolation.errors import (
    InterpreterNotFoundError,
    InterpreterTooOldError,
    InterpreterUnusableError,
    quoted,
)
from wheelforge_isolation.interpreter.inspect import (
    OLDEST,
    TIMEOUT_SECONDS,
    Interpreter,
    format_version,
    inspect_interpreter,
)

_ON_WINDOWS = os.name == "nt"
_BIN, _SUFFIX = ("Scripts", ".exe") if _ON_WINDOWS else ("bin", "")
_REQUEST = re.compile(r"(python|cpython|pypy)?-?(\d+(?:\.\d+){0,2})(t?)")
_USUAL_NAMES = ("python", "python3", "pypy3")
_VERSIONED_NAME = re.compile(r"(?:python|pypy)3\.(\d+)t?(?:\.exe)?")


def find_interpreter(
    request: str | None,
    *,
    search: Sequence[Path],
    cache_dir: Path,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Interpreter:
    """Return the Python that ``request`` asks for by path, name or version, or the running one.

    A path names an executable, a virtual environment or a prefix, and is absolute. Versions
    (``3.12``, ``python3.12.1``, ``3.13t``, ``pypy3.10``) and names of programs are looked for in
    the directories ``search``, and in the newest fitting versions of the pyenv directories among
    them. Descriptions are stored in ``cache_dir``. ``environment`` holds the variables for
    running a Python; on Windows it has to have SYSTEMROOT.
    """
    if environment is None:
        environment = {"PATH": os.pathsep.join([*map(str, search), os.defpath])}
    inspect = partial(
        inspect_interpreter,
        cache_dir=str(cache_dir),
        environment=environment,
        timeout_seconds=timeout_seconds,
    )
    if request is None:
        # A program that embeds Python may have no executable that is a Python.
        request = sys.executable or f"python{format_version(sys.version_info[:2])}"
    if os.path.isabs(request) or os.path.dirname(request):
        return inspect(_find_executable(request))
    return _search(_parse_request(request), search, inspect)


def _find_executable(path: str) -> str:
    path = os.path.abspath(path)
    candidates = [path]
    if os.path.isdir(path):
        candidates = list[str]()
        for directory in (os.path.join(path, _BIN), path):
            # An alternative installation has names like `python3.12` only; the newest is taken.
            matches = filter(None, map(_VERSIONED_NAME.fullmatch, _list(directory)))
            versioned = sorted(matches, key=lambda match: -int(match[1]))
            names = [*(f"{name}{_SUFFIX}" for name in _USUAL_NAMES), *(m[0] for m in versioned)]
            candidates += [os.path.join(directory, name) for name in names]
    for candidate in candidates:
        if os.path.isfile(candidate):
            return candidate
    raise InterpreterNotFoundError(path, (path,))


def _list(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


class PythonRequest(NamedTuple):
    """A request by name or version."""

    text: str
    names: tuple[str, ...]
    """The possible names of the executable, likeliest first."""
    implementation: str = ""
    version: tuple[int, ...] = ()
    is_free_threaded: bool = False

    @property
    def has_minor_version(self) -> bool:
        """Whether more than the major version is asked for."""
        return len(self.version) > 1

    def fits_version(self, version: tuple[int, ...]) -> bool:
        """Return whether ``version`` is the requested one, as far as both are given."""
        known = min(len(version), len(self.version))
        return version[:known] == self.version[:known]

    def fits(self, interpreter: Interpreter) -> bool:
        """Return whether ``interpreter`` is the requested one."""
        if not self.fits_version(_read_numbers(interpreter.version)):
            return False
        if self.implementation not in {"", interpreter.implementation}:
            return False
        has_right_threads = interpreter.is_free_threaded == self.is_free_threaded
        return has_right_threads or not self.has_minor_version


def _parse_request(text: str) -> PythonRequest:
    match = _REQUEST.fullmatch(text)
    if not match:
        return PythonRequest(text=text, names=(text + _SUFFIX,))
    implementation, version, threads = (group or "" for group in match.groups())
    numbers = _read_numbers(version)
    if numbers[:2] < OLDEST[: len(numbers)]:
        raise InterpreterTooOldError(text, version, format_version(OLDEST))
    stem = "pypy" if implementation == "pypy" else "python"
    minor = format_version(numbers[:2])
    endings = (minor + threads, minor, format_version(numbers[:1]), "")
    return PythonRequest(
        text=text,
        names=tuple(dict.fromkeys(stem + ending + _SUFFIX for ending in endings)),
        implementation="" if implementation == "python" else implementation,
        version=numbers,
        is_free_threaded=bool(threads),
    )


def _read_numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(?:\.\d+){0,2}", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def _search(
    request: PythonRequest, search: Sequence[Path], inspect: Callable[[str], Interpreter]
) -> Interpreter:
    failures: list[InterpreterUnusableError | InterpreterTooOldError] = []
    others: dict[str, str] = {}
    for candidate in _list_candidates(request, search):
        try:
            interpreter = inspect(candidate)
        except (InterpreterUnusableError, InterpreterTooOldError) as error:
            failures.append(error)
            continue
        if request.fits(interpreter):
            return interpreter
        others.setdefault(interpreter.title, f"{quoted(candidate)} is {interpreter.title}")
    version = format_version(request.version[:2])
    for failure in failures:
        name = os.path.basename(failure.executable)
        # Only the Python that was asked for has that name: its problem is the answer.
        if name in request.names and version in name:
            raise failure
    searched = tuple(dict.fromkeys(map(str, search)))
    passed_over = (*others.values(), *map(str, failures))
    raise InterpreterNotFoundError(request.text, searched, passed_over)


def _list_candidates(request: PythonRequest, search: Sequence[Path]) -> Iterator[str]:
    """Yield the executables that may fit, best names first, so that few others are probed."""
    directories = _list_directories(request, search)
    for name in request.names:
        for directory in directories:
            path = os.path.join(directory, name)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                yield path


def _list_directories(request: PythonRequest, search: Sequence[Path]) -> list[str]:
    directories: dict[tuple[int, int], str] = {}
    for place in search:
        for directory in _expand(os.path.abspath(place), request):
            with contextlib.suppress(OSError):
                status = os.stat(directory)
                # On many systems /bin is /usr/bin: the first name counts.
                directories.setdefault((status.st_dev, status.st_ino), directory)
    return [*directories.values()]


def list_executables(search: Sequence[Path]) -> list[str]:
    """Return the programs that may be Pythons, each once, in the order of ``search``.

    The versions of pyenv are among them, and its shims are not, which start one of these.
    """
    found: dict[str, str] = {}
    for directory in _list_directories(PythonRequest(text="", names=()), search):
        if os.path.basename(directory) == "shims":
            continue
        for name in sorted(_list(directory)):
            path = os.path.join(directory, name)
            versioned = _VERSIONED_NAME.fullmatch(name)
            is_new = not versioned or int(versioned[1]) >= OLDEST[1]
            is_python = bool(versioned) or name.removesuffix(_SUFFIX) in _USUAL_NAMES
            if is_python and is_new and os.path.isfile(path) and os.access(path, os.X_OK):
                found.setdefault(os.path.realpath(path), path)
    return [*found.values()]


def _expand(directory: str, request: PythonRequest) -> list[str]:
    """Return ``directory``, and the versions of pyenv if it is pyenv's root or its shims.

    A shim chooses among the versions by working directory, slowly, and most shims fail. It is not
    run for a request that has chosen the minor version itself.
    """
    is_shims = os.path.basename(directory) == "shims"
    versions = os.path.join(os.path.dirname(directory) if is_shims else directory, "versions")
    names = _list(versions)
    fitting = [name for name in names if request.fits_version(_read_numbers(name))]
    fitting.sort(key=lambda name: (_read_numbers(name), name), reverse=True)
    places = [os.path.join(versions, name, "" if _ON_WINDOWS else _BIN) for name in fitting]
    if is_shims and names and request.has_minor_version:
        return places
    return [directory, *places]
