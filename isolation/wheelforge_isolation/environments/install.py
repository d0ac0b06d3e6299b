"""Wheels become an environment: every file's place is known before the first one is written."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from wheelforge_isolation.archive.tree import fold
from wheelforge_isolation.environments.bytecode import Compiler
from wheelforge_isolation.environments.environment import Environment
from wheelforge_isolation.errors import (
    EnvironmentFailedError,
    LinksUnavailableError,
    WheelInvalidError,
    quoted,
)
from wheelforge_isolation.files import fs
from wheelforge_isolation.files.capabilities import FileCloner, FilesystemCapabilities

if TYPE_CHECKING:
    from wheelforge_isolation.interpreter import Interpreter

_LONGEST_SHEBANG = 127
_ON_WINDOWS = os.name == "nt"


class UnpackedWheel(NamedTuple):
    """A wheel to install, in the directory that it was unpacked into."""

    file_name: str
    path: Path
    about: dict[str, Any]
    """Its ``name``, ``files`` and ``scripts``, found out when it was unpacked."""


class _PlacedFile(NamedTuple):
    """A file of a wheel, and the place in the environment that it is for."""

    place: str
    wheel: str
    sha256: str
    source: str = ""
    content: bytes = b""
    """Of a program that is generated, and has no source."""
    is_script: bool = False
    is_module: bool = False
    """Whether it is where modules are looked for, and is called like one."""


def install(
    interpreter: Interpreter,
    wheels: Iterable[UnpackedWheel],
    directory: Path,
    *,
    is_shared: bool = True,
) -> list[str]:
    """Make an environment in the empty ``directory``; return what was odd.

    Of two wheels with different files for one place the latter in ``wheels`` wins. What is not
    shared may be changed: it has no file in common with the wheels, and notices changed modules.
    """
    python = Environment(path=directory, interpreter=interpreter).python_executable
    executable = str(interpreter.base_executable)
    with Compiler(executable, str(directory), is_shared=is_shared) as compiler:
        files: list[_PlacedFile] = []
        for wheel in wheels:
            found = [*_place_files(wheel, interpreter, python)]
            compiler.expect([(file.place, file.source) for file in found if file.is_module])
            files += found
        folds = FilesystemCapabilities(str(directory)).folds_names
        _create_skeleton(interpreter, directory)
        _raise_if_in_skeleton(files, directory, folds=folds)
        winners, notes = _resolve_conflicts(files, folds=folds)
        for parent in sorted({os.path.dirname(file.place) for file in winners}):
            fs.ensure_directory(str(directory / parent))
        compiler.write({file.place: file.source for file in winners})
        link = FileCloner(shares=is_shared)
        for file in winners:
            place = str(directory / file.place)
            with fs.raising_file_errors("install", place):
                if file.content:
                    fs.create_file(place, [file.content], executable=True)
                elif not (file.is_script and _write_script(file.source, place, python)):
                    link(file.source, place)
        compiler.finish()
    return notes


def _raise_if_in_skeleton(files: Iterable[_PlacedFile], directory: Path, *, folds: bool) -> None:
    """Refuse a wheel with a file in the place of a part of every environment, or below one."""
    skeleton: dict[str, bool] = {}
    """Every path of the new environment, and whether it is a directory."""
    for top, directories, names in os.walk(directory):
        for name in (*directories, *names):
            path = os.path.relpath(os.path.join(top, name), directory)
            skeleton[fold(path) if folds else path] = name in directories
    for file in files:
        key = fold(file.place) if folds else file.place
        if key in skeleton or not all(skeleton.get(parent, True) for parent in _parents(key)):
            reason = f"{quoted(file.place)} takes the place of a part of the environment"
            raise WheelInvalidError(file.wheel, "W16", reason, file.place)


def _resolve_conflicts(
    files: Iterable[_PlacedFile], *, folds: bool
) -> tuple[list[_PlacedFile], list[str]]:
    winners: dict[str, _PlacedFile] = {}
    notes: list[str] = []
    for file in files:
        key = fold(file.place) if folds else file.place
        rival = winners.get(key)
        if rival is not None and rival.sha256 == file.sha256:
            continue
        if rival is not None and rival.wheel != file.wheel:
            notes.append(f"`{file.place}` is in {rival.wheel} and {file.wheel}; the latter wins")
        winners[key] = file
    owners = {parent: file.wheel for key, file in winners.items() for parent in _parents(key)}
    for key in sorted(winners.keys() & owners.keys()):
        loser = winners.pop(key)
        notes.append(
            f"`{loser.place}` is a file in {loser.wheel} and a directory in {owners[key]}; "
            "the latter wins"
        )
    return list(winners.values()), notes


def _parents(place: str) -> Iterator[str]:
    while place := os.path.dirname(place):
        yield place


def _place_files(
    wheel: UnpackedWheel, interpreter: Interpreter, python: str
) -> Iterator[_PlacedFile]:
    about, name = wheel.about, wheel.file_name
    scheme_of = interpreter.scheme
    homes = tuple(
        os.path.normpath(home) + os.sep for home in (scheme_of.purelib, scheme_of.platlib)
    )
    for path, (scheme, destination, sha256) in about["files"].items():
        if "__pycache__" in path.split("/"):
            continue  # bytecode is compiled for this interpreter, here
        top = getattr(scheme_of, scheme) + (f"/{about['name']}" if scheme == "headers" else "")
        place = os.path.normpath(f"{top}/{destination}")
        yield _PlacedFile(
            place=place,
            wheel=name,
            sha256=sha256,
            source=str(wheel.path / path),
            is_script=scheme == "scripts",
            is_module=place.endswith(".py") and place.startswith(homes),
        )
    for program, content in _generate_programs(about["scripts"], python):
        place = os.path.normpath(f"{interpreter.scheme.scripts}/{program}")
        digest = hashlib.sha256(content).hexdigest()
        yield _PlacedFile(place=place, wheel=name, sha256=digest, content=content)


def _create_skeleton(interpreter: Interpreter, directory: Path) -> None:
    """Create what makes a directory an environment of ``interpreter``."""
    if _ON_WINDOWS:
        _run(str(interpreter.base_executable), "-I", "-m", "venv", "--without-pip", str(directory))
        return
    home = interpreter.base_executable.parent
    settings = (
        f"home = {home}\ninclude-system-site-packages = false\nversion = {interpreter.version}\n"
    )
    fs.create_file(str(directory / "pyvenv.cfg"), [settings.encode("utf-8", "surrogateescape")])
    scripts = directory / interpreter.scheme.scripts
    fs.ensure_directory(str(scripts))
    fs.ensure_directory(str(directory / interpreter.scheme.purelib))
    major, minor = interpreter.version_info
    executable = str(interpreter.base_executable)
    for name in ("python", "python3", f"python{major}.{minor}"):
        # The settings above it say where the library of this Python is.
        try:
            fs.create_link(str(scripts / name), executable, to_directory=False)
        except LinksUnavailableError:
            fs.copy_file(executable, str(scripts / name), executable=True)


def _write_script(source: str, place: str, python: str) -> bool:
    """Write a script that asks for this environment's Python, or that nobody made executable.

    Return whether it is one.
    """
    with open(source, "rb") as file:
        first = file.readline()
        asks = first.startswith(b"#!python")
        if os.access(source, os.X_OK) and not asks:
            return False
        content = [_shebang(python) if asks else first, file.read()]
    fs.create_file(place, content, executable=True)
    return True


def _shebang(python: str) -> bytes:
    """Return a first line that starts ``python``, however long its path and whatever is in it."""
    line = os.fsencode(f"#!{python}\n")
    if " " not in python and len(line) <= _LONGEST_SHEBANG:
        return line
    # To the shell the second line is a command, to Python it opens a string that the third ends.
    return os.fsencode(f"#!/bin/sh\n'''exec' {shlex.quote(python)} \"$0\" \"$@\"\n' '''\n")


def _generate_programs(
    scripts: Iterable[tuple[str, str, str, Literal["console", "gui"]]], python: str
) -> Iterator[tuple[str, bytes]]:
    for name, module, attribute, kind in scripts:
        from installer.scripts import Script
        from installer.utils import get_launcher_kind

        yield Script(name, module, attribute, kind).generate(python, get_launcher_kind())


def _run(*command: str) -> None:
    from subprocess import DEVNULL, PIPE, STDOUT, run

    try:
        done = run(command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, env={}, check=False)
    except OSError as error:
        raise EnvironmentFailedError(command[0], error.strerror or str(error)) from error
    if done.returncode:
        said = quoted(done.stdout.decode(errors="replace").strip().rpartition("\n")[2])
        raise EnvironmentFailedError(command[0], f"it exits with {done.returncode}, saying {said}")
